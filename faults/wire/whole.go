package wire

import "bytes"

// A head is a dozen elements, and to say each by itself is most of what a head
// costs. Who has no use for them says so ([Pair.Whole]): a head that lies in the
// input from its first byte to its last is then one segment. What is known of it is
// the same, for the same functions find it. A head that came in pieces, is folded
// or is none is left to the steps, which alone say what it is.

// wholeHead takes the head that b starts with. It is 0, and nothing has changed, if
// that is one for the steps.
func (t *tokenizer) wholeHead(b []byte) int {
	h := t.head
	n := t.wholeLine(b)
	if n > 0 {
		h.startLine(b[:n])
		n = h.fieldLines(b, n)
		if end := lineEndOf(b[n:]); end > 0 && n+end <= MaxHead {
			n += end
			t.headEnd(b[:n])
			return n
		}
	}
	h.reset(h.Request)
	return 0
}

// fieldLines takes the field lines of b from n on, up to what is none, and says where
// that is.
func (h *Head) fieldLines(b []byte, n int) int {
	for n < len(b) && b[n] > ' ' {
		lf := bytes.IndexByte(b[n:], '\n')
		if lf < 0 {
			break
		}
		h.field(b[:n+lf+1], n)
		n += lf + 1
	}
	return n
}
