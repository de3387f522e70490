package faults

import (
	"bytes"
	"compress/gzip"
	"io"

	"crimp/faults/wire"
)

// coded keeps a body that came gzip-coded (RFC 9110 section 8.4.1.3) until it is
// whole: only then can it be decoded, changed and coded anew. What is kept and what
// it decodes to are bounded, so that neither a large body nor one that decodes to
// more than anybody has room for (a zip bomb) costs more than that. It counts as held.
type coded struct {
	data []byte
	over bool // too large, or let go: what comes passes as it is
}

// codedMost bounds a coded body and what it decodes to, in bytes each. It is little
// enough for a loop to decode between two other sessions.
const codedMost = 1 << 20

// gzipped says that gzip is the only content coding of a message.
func gzipped(h *wire.Head) bool {
	n := 0
	for i := range h.Fields {
		if equalFold(h.Name(i), "Content-Encoding") {
			if n++; !equalFold(h.Value(i), "gzip") && !equalFold(h.Value(i), "x-gzip") {
				return false
			}
		}
	}
	return n == 1
}

// add keeps more of the body; false if that is too much.
func (c *coded) add(b []byte) bool {
	c.data = append(c.data, b...)
	return len(c.data) <= codedMost
}

// take is what is kept, and from here on nothing is.
func (c *coded) take() []byte {
	b := c.data
	c.data, c.over = nil, true
	return b
}

// recoded is a whole body changed by edit, or why it cannot be; coded anew without
// compressing, which takes no time of others.
func recoded(body []byte, edit func([]byte) []byte) (out []byte, why Miss) {
	var plain []byte
	if len(body) > 0 {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			plain, err = io.ReadAll(io.LimitReader(r, codedMost+1))
		}
		if err != nil {
			return nil, Miss{missCoding, "its body is not the gzip it says it is"}
		}
	}
	if len(plain) > codedMost {
		return nil, Miss{missHeld, "its body decodes to more than 1 MiB"}
	}
	changed := edit(plain)
	if bytes.Equal(changed, plain) {
		return body, Miss{}
	}
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.NoCompression) // the level is a valid one
	w.Write(changed)                                    // a Buffer takes everything
	w.Close()
	return b.Bytes(), Miss{}
}
