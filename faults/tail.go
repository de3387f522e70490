package faults

import (
	"crimp/faults/wire"
)

// tail keeps back the end of a body whose length nobody knows yet, so that
// body:-N can be N bytes before it: always the last N data bytes that came,
// with the chunk framing between them, and what rules before have inserted there.
type tail struct {
	segs  []wire.Segment // Data are copies
	data  int64          // data bytes among them
	bytes int            // all of them
}

// push adds a segment, in a copy of its own.
func (t *tail) push(s wire.Segment) {
	s.Data = append([]byte(nil), s.Data...)
	t.segs = append(t.segs, s)
	t.data += dataLen(s)
	t.bytes += len(s.Data)
}

// surplus takes out the first of what is more than n data bytes, false if there is none.
func (t *tail) surplus(n int64) (wire.Segment, bool) {
	more := t.data - n
	if more <= 0 {
		return wire.Segment{}, false
	}
	s := t.segs[0]
	if d := dataLen(s); d > more {
		t.segs[0] = s.Slice(int(more), len(s.Data))
		s = s.Slice(0, int(more))
	} else {
		t.segs = t.segs[1:]
	}
	t.data -= dataLen(s)
	t.bytes -= len(s.Data)
	return s, true
}

// first is the first segment that is the peer's, false if there is none.
func (t *tail) first() (wire.Segment, bool) {
	for _, s := range t.segs {
		if s.Off >= 0 {
			return s, true
		}
	}
	return wire.Segment{}, false
}

// take takes out everything.
func (t *tail) take() []wire.Segment {
	segs := t.segs
	*t = tail{}
	return segs
}

func dataLen(s wire.Segment) int64 {
	if s.Part == wire.Body || s.Part == wire.ChunkData {
		return int64(len(s.Data))
	}
	return 0
}
