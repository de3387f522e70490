package wire

import "math"

// sizeByte advances over one byte of a chunk-size line (RFC 9112 section 7.1) and
// adds it to the size. Extensions may be anything but a line end; a CR among them
// that no LF follows is refused, because receivers differ on where the line ends.
func (t *tokenizer) sizeByte(c byte) (reason string) {
	switch t.line {
	case lineStart, inSize:
		if v, ok := hex(c); ok {
			if t.size > math.MaxInt64>>4 {
				return "in a chunk size above 63 bits"
			}
			t.size = t.size<<4 | v
			t.line = inSize
			return ""
		}
		if t.line == lineStart {
			return "where a chunk size is due"
		}
		return t.sizeEnd(c)
	case sizePad:
		return t.sizeEnd(c)
	case inExtension:
		if c != '\r' && c != '\n' {
			return ""
		}
	}
	return t.lineEnd(c, "behind a CR")
}

// sizeEnd advances over what may follow the digits.
func (t *tokenizer) sizeEnd(c byte) (reason string) {
	switch c {
	case ' ', '\t': // "bad" white space that recipients must parse (RFC 9112 section 7.1.1)
		t.line = sizePad
		return ""
	case ';':
		t.line = inExtension
		return ""
	}
	return t.lineEnd(c, "in a chunk size")
}

func hex(c byte) (v int64, ok bool) {
	switch {
	case isDigit(c):
		return int64(c - '0'), true
	case 'a' <= lower(c) && lower(c) <= 'f':
		return int64(lower(c)-'a') + 10, true
	}
	return 0, false
}
