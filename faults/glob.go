package faults

// globMatch says whether all of s matches the pattern: '*' is any run of bytes,
// none included, '?' is any one byte, everything else is itself. With fold,
// ASCII letters match without case. It takes time at most pattern times s and
// allocates nothing.
func globMatch(pattern string, s []byte, fold bool) bool {
	p, i := 0, 0
	star, mark := -1, 0 // the last '*' and how far it has eaten
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || same(pattern[p], s[i], fold)):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

func same(a, b byte, fold bool) bool { return a == b || fold && lower(a) == lower(b) }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
