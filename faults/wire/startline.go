package wire

// lineState is where in a start line or chunk-size line the next byte stands.
type lineState uint8

const (
	lineStart lineState = iota // nothing of the line was seen yet

	// request-line = method SP request-target SP HTTP-version (RFC 9112 section 3)
	inMethod
	targetStart // the target has at least one byte
	inTarget
	// status-line = HTTP-version SP status-code SP [ reason-phrase ] (section 4);
	// the last space is often left out
	statusSpace
	inStatus // tokenizer.seen digits of it were seen
	statusEnd
	inReason
	// both
	inVersion // tokenizer.seen bytes of "HTTP/1." were seen
	inMinor
	lineEndCR // the line is complete: CR LF or LF follows
	lineEndLF // its CR was seen
	lineDone

	// chunk-size [ chunk-ext ] (section 7.1)
	inSize
	sizePad // white space behind the size
	inExtension
)

const version1 = "HTTP/1."

// startByte advances over one byte of a start line. A byte that has no place in
// it is refused with a reason at once, so traffic that is not HTTP/1 is known as
// such without waiting for a line end that may never come.
func (t *tokenizer) startByte(c byte) (reason string) {
	switch t.line {
	case lineStart:
		t.seen = 0
		t.line = inMethod
		if t.dir == Downstream {
			t.line = inVersion
		}
		return t.startByte(c)
	case inMethod:
		if c == ' ' {
			t.line = targetStart
		} else if !isToken(c) {
			return "in a method"
		}
	case targetStart, inTarget:
		if c == ' ' && t.line == inTarget {
			t.line = inVersion
		} else if c <= ' ' || c == 0x7f {
			return "in a request target"
		} else {
			t.line = inTarget
		}
	case inVersion:
		if c != version1[t.seen] {
			return "where HTTP/1.x is due"
		}
		if t.seen++; int(t.seen) == len(version1) {
			t.line = inMinor
		}
	case inMinor:
		if !isDigit(c) {
			return "where HTTP/1.x is due"
		}
		t.seen = 0
		t.line = lineEndCR
		if t.dir == Downstream {
			t.line = statusSpace
		}
	default:
		return t.statusByte(c)
	}
	return ""
}

// wholeLine is how long the start line is that b starts with, if all of it is there
// and nothing about it is wrong; else it is 0, and startByte finds out how far it is
// one. Nearly every start line comes so, and byte by byte costs five times as much.
func (t *tokenizer) wholeLine(b []byte) (n int) {
	if t.dir == Upstream {
		n = requestLine(b)
	} else {
		n = statusLine(b)
	}
	if n == 0 {
		return 0
	}
	end := lineEndOf(b[n:])
	if end == 0 {
		return 0
	}
	return n + end
}

// requestLine is how long a request line is, its line end not counted.
func requestLine(b []byte) (n int) {
	for n < len(b) && isToken(b[n]) {
		n++
	}
	if n == 0 || n == len(b) || b[n] != ' ' {
		return 0
	}
	target := n + 1
	for n = target; n < len(b) && b[n] > ' ' && b[n] != 0x7f; {
		n++
	}
	if n == target || !startsVersion(b[min(n+1, len(b)):]) || b[n] != ' ' {
		return 0
	}
	return n + len(" HTTP/1.1")
}

// statusLine is how long a status line is, its line end not counted.
func statusLine(b []byte) (n int) {
	n = len("HTTP/1.1 200")
	if len(b) <= n || !startsVersion(b) || b[8] != ' ' || !isDigit(b[9]) || !isDigit(b[10]) || !isDigit(b[11]) {
		return 0
	}
	if b[n] == ' ' {
		for n < len(b) && (b[n] >= ' ' && b[n] != 0x7f || b[n] == '\t') {
			n++
		}
	}
	return n
}

func startsVersion(b []byte) bool {
	return len(b) > len(version1) && string(b[:len(version1)]) == version1 && isDigit(b[len(version1)])
}

// lineEndOf is how long the line end is that b starts with; 0: it is none, or not all
// of it is there.
func lineEndOf(b []byte) int {
	switch {
	case len(b) > 0 && b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == '\r' && b[1] == '\n':
		return 2
	}
	return 0
}

// statusByte is startByte for what follows the version of a status line, and for
// the line end.
func (t *tokenizer) statusByte(c byte) (reason string) {
	switch t.line {
	case statusSpace:
		if c != ' ' {
			return "where a space is due behind the version"
		}
		t.line = inStatus
	case inStatus:
		if !isDigit(c) {
			return "in a status code"
		}
		if t.seen++; t.seen == 3 {
			t.line = statusEnd
		}
	case statusEnd:
		if c == ' ' {
			t.line = inReason
			return ""
		}
		return t.lineEnd(c, "behind a status code")
	case inReason:
		if c >= ' ' && c != 0x7f || c == '\t' {
			return ""
		}
		return t.lineEnd(c, "in a reason phrase")
	case lineEndCR:
		return t.lineEnd(c, "behind the version")
	case lineEndLF:
		return t.lineEnd(c, "behind a CR")
	}
	return ""
}

// lineEnd advances over the CR or LF that ends a line.
func (t *tokenizer) lineEnd(c byte, where string) (reason string) {
	switch {
	case c == '\n':
		t.line = lineDone
	case c == '\r' && t.line != lineEndLF:
		t.line = lineEndLF
	default:
		return where
	}
	return ""
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isToken holds for tchar (RFC 9110 section 5.6.2), which methods consist of.
func isToken(c byte) bool { return c < 128 && tokenBits[c>>6]>>(c&63)&1 != 0 }

var tokenBits = func() (bits [2]uint64) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		bits[c>>6] |= 1 << (c & 63)
	}
	return bits
}()
