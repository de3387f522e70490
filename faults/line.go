package faults

import (
	"bytes"

	"crimp/faults/wire"
)

// What message kinds share that look at lines of a head (Grain Line or WholeHead).

// ownLine says that s is a whole start line or field line as the peer sent it: no
// rule before has rewritten it, so the head's offsets hold for its bytes. Of
// several rules that rewrite one line the first does.
func ownLine(s wire.Segment) bool {
	if !s.First || !s.Last || s.Off < 0 || s.Head == nil {
		return false
	}
	switch s.Part {
	case wire.StartLine:
		return bytes.Equal(s.Data, s.Head.Raw[:s.Head.StartEnd])
	case wire.Field:
		if s.Index > len(s.Head.Fields) {
			return false
		}
		f := s.Head.Fields[s.Index-1]
		return bytes.Equal(s.Data, s.Head.Raw[f.Start:f.End])
	}
	return false
}

// ownField says that s is a field line of that name.
func ownField(s wire.Segment, name string) bool {
	return s.Part == wire.Field && ownLine(s) && equalFold(s.Head.Name(s.Index-1), name)
}

// headEnds says that s begins the blank line: what is inserted before it is the
// last field. It is asked once in a message.
func headEnds(s wire.Segment) bool { return s.Part == wire.HeadEnd && s.First && s.Off >= 0 }

// changed is a field line (ownField) with another value, and with space, if any,
// behind its name.
func changed(s wire.Segment, space, value string) []byte {
	f := s.Head.Fields[s.Index-1]
	return joined(s.Data[:f.Colon-f.Start], []byte(space), s.Data[f.Colon-f.Start:f.Value-f.Start], []byte(value), s.Data[f.Stop-f.Start:])
}

// receiver10 says that a message goes to a receiver of HTTP/1.0, which knows no
// chunks: a response by the request's version, a request by its own.
func receiver10(s wire.Segment, x *Exchange) bool {
	if s.Dir == wire.Upstream {
		return s.Head.Minor == 0
	}
	return x != nil && x.Head.StartStop > 0 && x.Head.Minor == 0
}

// lists says that a field whose value is a list of words (Connection) has that one.
func lists(h *wire.Head, field, word string) bool {
	for i := range h.Fields {
		if !equalFold(h.Name(i), field) {
			continue
		}
		for item := range bytes.SplitSeq(h.Value(i), []byte(",")) {
			if equalFold(bytes.TrimSpace(item), word) {
				return true
			}
		}
	}
	return false
}
