package faults

import (
	"math"

	"crimp/faults/wire"
)

// locator finds a position in the segments of a direction as they pass. A
// position is reached as soon as the byte before it has been seen, not when the
// byte after it comes.
type locator struct {
	pos    Position
	target int64 // offset (stream) or body byte (message) once known
	known  bool
	body   int64 // body data bytes of the message seen so far
	chunk  int64 // data bytes of the chunk seen so far
	next   int64 // where in the stream the body's next data byte is due
	middle int64 // of the chunk-size line, as lane.middle
	seen   int64 // where in the message what came so far ends
	past   int64 // how far behind the place it was found, whose own bytes another rule has dropped
	done   bool
}

// find says after how many bytes of s the position falls, if it falls in s.
func (l *locator) find(s *wire.Segment) (int, bool) {
	if l.done {
		return 0, false
	}
	k, ok := l.look(s)
	l.done, l.seen = ok, s.Pos+int64(len(s.Data))
	return min(k, len(s.Data)), ok // another rule may have made the segment shorter
}

func (l *locator) look(s *wire.Segment) (int, bool) {
	n := int64(len(s.Data))
	switch l.pos.Kind {
	case NoPosition, Now, MsgStart:
		return 0, s.Start || s.Part == wire.Opaque
	case ByteN, Next:
		return within(max(0, l.target-s.Off), n, l.known && s.Off >= 0)
	case MsgByte:
		return within(max(0, l.pos.N-s.Pos), n, s.Message > 0)
	case MsgEnd:
		return len(s.Data), s.End
	case HeadEndAt:
		return 0, s.Part == wire.HeadEnd && s.First
	case HeadAt:
		return len(s.Data), s.Part == wire.HeadEnd && s.Last
	case StartLineMid:
		return within(startStop(s)/2-s.Pos, n, s.Part == wire.StartLine && startStop(s) > 0)
	case FieldMid, FieldNameMid:
		return l.field(s)
	case BodyAt, BodyPercent, BodyFromEnd:
		return l.inBody(s)
	case ChunkAt:
		return 0, s.Part == wire.ChunkSize && s.First && int64(s.Index) == l.pos.N
	case ChunkSizeMid:
		if s.Part != wire.ChunkSize || int64(s.Index) != l.pos.N {
			return 0, false
		}
		if s.First && s.Last {
			return len(lineText(s.Data)) / 2, true
		}
		return within(l.middle-s.Pos, n, l.middle >= 0)
	case ChunkDataMid:
		return l.inChunk(s)
	case LastChunkAt:
		return len(s.Data), s.Part == wire.ChunkSize && s.Last && s.LastChunk
	}
	return 0, false // After and Idle are times: the slot's alarm
}

// within is k if it lies in a run of n bytes, its end included. A place that
// another rule has dropped is where the bytes go on.
func within(k, n int64, ok bool) (int, bool) {
	if !ok || k < 0 || k > n {
		return 0, false
	}
	return int(k), true
}

// lineText is a line without its line end.
func lineText(line []byte) []byte {
	n := len(line)
	if n > 0 && line[n-1] == '\n' {
		n--
	}
	if n > 0 && line[n-1] == '\r' {
		n--
	}
	return line[:n]
}

// startStop is where the start line ends, 0 if that is not known yet.
func startStop(s *wire.Segment) int64 {
	if s.Head == nil {
		return 0
	}
	return int64(s.Head.StartStop)
}

// field finds the middle of a field's name or value. The line is known whole, but
// a rule before this one may have parted it at a place of its own, or dropped it.
func (l *locator) field(s *wire.Segment) (int, bool) {
	if s.Part != wire.Field || s.Head == nil || s.Index > len(s.Head.Fields) {
		return 0, false
	}
	f := s.Head.Fields[s.Index-1]
	if l.pos.Name != "" {
		if !equalFold(s.Head.Name(s.Index-1), l.pos.Name) {
			return 0, false
		}
	} else if int64(s.Index) != l.pos.N {
		return 0, false
	}
	middle := f.Value + (f.Stop-f.Value)/2
	if l.pos.Kind == FieldNameMid {
		middle = f.Start + (f.Colon-f.Start)/2
	}
	if place := int64(middle); l.seen <= place && place < s.Pos { // what is left of the line stands behind it
		l.past = s.Pos - place
		return 0, true
	}
	return within(int64(middle)-s.Pos, int64(len(s.Data)), true)
}

// inBody finds a body byte: body:N, body:P% and, where the length is known,
// body:-N. The target is fixed by the head, or by the first chunk's size.
func (l *locator) inBody(s *wire.Segment) (int, bool) {
	switch s.Part {
	case wire.HeadEnd:
		if s.Last {
			l.next = s.Off + int64(len(s.Data))
			l.fix(s.Head)
			return len(s.Data), l.known && l.target == 0
		}
		return 0, false
	case wire.ChunkSize:
		l.next = s.Off + int64(len(s.Data))
		if s.Last && l.pos.Kind == BodyPercent && !l.known && !s.LastChunk {
			l.target, l.known = l.pos.Of(s.Size), true
			return len(s.Data), l.target == 0
		}
		return 0, false
	case wire.Body, wire.ChunkData:
		if s.Off > l.next { // dropped by another rule: positions count it
			l.body += s.Off - l.next
		}
		k, ok := within(max(0, l.target-l.body), int64(len(s.Data)), l.known)
		l.body += int64(len(s.Data))
		l.next = s.Off + int64(len(s.Data))
		return k, ok
	}
	return 0, false
}

// fix finds out, at the end of the head, which body byte is meant.
func (l *locator) fix(h *wire.Head) {
	if h == nil || h.Framing == wire.NoBody && (l.pos.Kind != BodyAt || h.Length != 0 || h.Declared != 0) {
		return // a message without a body has no place in it
	}
	switch l.pos.Kind {
	case BodyAt:
		l.target, l.known = l.pos.N, true
	case BodyPercent:
		if h.Framing == wire.ByLength && h.Length > 0 {
			l.target, l.known = l.pos.Of(h.Length), true
		}
	case BodyFromEnd:
		if h.Framing == wire.ByLength && h.Length >= l.pos.N {
			l.target, l.known = h.Length-l.pos.N, true
		}
	}
}

// inChunk finds the middle of the N-th chunk's data.
func (l *locator) inChunk(s *wire.Segment) (int, bool) {
	if s.Part != wire.ChunkData || int64(s.Index) != l.pos.N {
		return 0, false
	}
	k, ok := within(s.Size/2-l.chunk, int64(len(s.Data)), true)
	l.chunk += int64(len(s.Data))
	return k, ok
}

// fromUnknownEnd says that the position counts from an end nobody knows yet:
// the slot keeps that many bytes back.
func (l *locator) fromUnknownEnd(h *wire.Head) bool {
	return l.pos.Kind == BodyFromEnd && !l.done && h != nil && (h.Framing == wire.ByChunks || h.Framing == wire.UntilClose)
}

// blind is how many bytes from off need not be looked at: all but the last before
// the place, which is reached with that one.
func (l *locator) blind(off int64) int64 {
	switch {
	case l.done, l.pos.Kind == After, l.pos.Kind == Idle:
		return math.MaxInt64
	case (l.pos.Kind == ByteN || l.pos.Kind == Next) && l.known:
		if l.target < off {
			return math.MaxInt64
		}
		return max(l.target-off-1, 0)
	}
	return 0
}
