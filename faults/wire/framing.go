package wire

import (
	"bytes"
	"math"
	"strconv"
)

// This file is RFC 9112 section 6.3: how a message's body is delimited. Its rules,
// in the order in which they apply:
//
//  1. Answers to HEAD, 1xx, 204 and 304 end with their head, whatever their fields
//     say. 101 ends HTTP on the connection (RFC 9110 section 15.2.2).
//  2. A 2xx answer to CONNECT opens a tunnel, whatever its fields say.
//  3. Transfer-Encoding overrides Content-Length.
//  4. With chunked as the last coding: by chunks. Else a response goes on until the
//     connection closes, and a request cannot be delimited.
//  5. Content-Length fields that do not agree on one number: cannot be delimited,
//     unless the same number is only repeated.
//  6. One Content-Length: so many bytes.
//  7. A request without either has no body.
//  8. A response without either goes on until the connection closes.
//
// "Cannot be delimited" is where an endpoint answers 400. A relay carries on,
// blindly: the direction turns opaque.

// frame decides Framing, Length and Declared of a complete head. A response
// answers a request of class m. If the framing is Undecided, reason says why.
func (h *Head) frame(m Method) (reason string) {
	f := h.framingFields()
	h.Declared, h.Close, h.KeepAlive = f.length, f.close, f.keep
	h.Length = -1
	switch {
	case h.Status == 101, m == MethodConnect && h.Status/100 == 2:
		h.Framing = Tunnel
	case !h.Request && (m == MethodHead || h.Status/100 == 1 || h.Status == 204 || h.Status == 304):
		h.Framing, h.Length = NoBody, 0
	case f.spaced != "":
		h.Framing, reason = Undecided, f.spaced
	case f.encoded && f.chunked:
		h.Framing = ByChunks
	case f.encoded && h.Request:
		h.Framing, reason = Undecided, "Transfer-Encoding of a request does not end in chunked"
	case f.encoded:
		h.Framing = UntilClose
	case f.bad != "":
		h.Framing, reason = Undecided, f.bad
	case f.length >= 0:
		h.Framing, h.Length = ByLength, f.length
	case h.Request:
		h.Framing, h.Length = NoBody, 0
	default:
		h.Framing = UntilClose
	}
	return reason
}

// framing is what the fields say that frame a body, and Connection.
type framing struct {
	length  int64  // of Content-Length, -1 without a usable one
	bad     string // why Content-Length is not usable though present
	encoded bool   // there is a Transfer-Encoding
	chunked bool   // its last coding is chunked
	spaced  string // one of the two has white space before its colon
	close   bool   // Connection lists close
	keep    bool   // it lists keep-alive
}

// framingFields reads the fields that frame a body, and Connection. White space before a colon
// is not HTTP (RFC 9112 section 5.1): some receivers see the field, some do not.
func (h *Head) framingFields() framing {
	f := framing{length: -1}
	for i := range h.Fields {
		if c := lower(h.Raw[h.Fields[i].Start]); c != 'c' && c != 't' { // as most: at a glance
			continue
		}
		name := h.Name(i)
		trimmed := name
		for n := len(trimmed); n > 0 && trimmed[n-1] <= ' ' && bytes.IndexByte(beforeColon, trimmed[n-1]) >= 0; n-- {
			trimmed = trimmed[:n-1]
		}
		switch {
		case equalFold(trimmed, "Content-Length"):
			f.contentLength(h.Value(i))
		case equalFold(trimmed, "Transfer-Encoding"):
			f.transferEncoding(h.Value(i))
		case equalFold(name, "Connection"):
			f.connection(h.Value(i))
			continue
		default:
			continue
		}
		if len(name) != len(trimmed) {
			f.spaced = "white space before the colon of " + string(trimmed)
		}
	}
	if f.bad != "" {
		f.length = -1
	}
	return f
}

// contentLength takes in one Content-Length value: a number, or a list that
// repeats one (RFC 9110 section 8.6). A list arises where a relay joins fields.
func (f *framing) contentLength(value []byte) {
	for more := true; more && f.bad == ""; {
		var item []byte
		item, value, more = bytes.Cut(value, comma)
		item = trim(item)
		n, ok := decimal(item)
		switch {
		case !ok:
			f.bad = "Content-Length is " + quote(item) + ": not a number of bytes"
		case f.length >= 0 && f.length != n:
			f.bad = "Content-Length is both " + strconv.FormatInt(f.length, 10) + " and " + strconv.FormatInt(n, 10)
		default:
			f.length = n
		}
	}
}

// transferEncoding takes in one Transfer-Encoding value. Several fields are one
// list (RFC 9110 section 5.3), so the last coding named anywhere decides; empty
// elements do not count (RFC 9110 section 5.6.1). chunked has no parameters
// (RFC 9112 section 7.1): with any it is a coding we do not know.
func (f *framing) transferEncoding(value []byte) {
	f.encoded = true
	for more := true; more; {
		var item []byte
		item, value, more = bytes.Cut(value, comma)
		if item = trim(item); len(item) > 0 {
			f.chunked = equalFold(item, "chunked")
		}
	}
}

// connection takes in one Connection value, a list as well.
func (f *framing) connection(value []byte) {
	for more := true; more; {
		var item []byte
		item, value, more = bytes.Cut(value, comma)
		item = trim(item)
		f.close = f.close || equalFold(item, "close")
		f.keep = f.keep || equalFold(item, "keep-alive")
	}
}

var comma = []byte{','}

// beforeColon is the white space that may wrongly stand before a colon.
var beforeColon = []byte(" \t\v\f\r")

// trim cuts white space from both ends, line ends of folds included.
func trim(b []byte) []byte {
	for len(b) > 0 && isSpace(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isSpace(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// decimal reads 1*DIGIT up to the largest int64: no sign, no space.
func decimal(b []byte) (n int64, ok bool) {
	for _, c := range b {
		d := int64(c) - '0'
		if d < 0 || d > 9 || n > (math.MaxInt64-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, len(b) > 0
}

// quote shows bytes of the peer in a reason, shortened.
func quote(b []byte) string {
	if len(b) > 32 {
		return strconv.Quote(string(b[:32])) + "..."
	}
	return strconv.Quote(string(b))
}
