package faults

import (
	"math"
	"time"

	"crimp/faults/wire"
)

// slice sends a stream in small pieces, each a write and a TCP segment of its own
// (MSG_EOR and TCP_NODELAY; a piece larger than the path's segment size takes
// several). A receiver that takes a read for a message, or a line, falls for it:
// TCP has no message boundaries (RFC 9293 section 3.8). Where pieces begin turns
// on the bytes alone, not on how they came.
type slice struct {
	Size      Size     `json:"size" help:"the most bytes of a piece" min:"1" required:"true"`
	Variation Size     `json:"variation" help:"how much that varies, more or less; never below 1 byte" max:"1GiB"`
	Gap       Duration `json:"gap" help:"from one piece to the next" min:"0s" max:"1h"`
}

var _ = Declare(Kind[slice]{
	Name:    "slice",
	Summary: "each write carries at most `size` bytes and leaves as a segment of its own",
	Client:  "many small reads",
	Group:   Bytes,
	Words:   []string{"slicer", "fragment", "split", "average_size"},
	New:     func(p slice) Stage { return &sliceStage{p: p} },
	Examples: []Example{
		{Title: "four bytes at a time", Params: `{"size":4,"gap":"10ms"}`, Play: `
s> 0123456789
>c 0123
+9ms
+1ms
>c 4567
+10ms
>c 89
s> ab
>c ab
s> cd
+10ms
>c cd`},
		{Title: "disarmed: the rest at once, in order", Params: `{"size":1,"gap":"1s"}`, Match: `{"direction":"upstream"}`, Play: `
c> hello
c> FIN
>s h
+1s
>s e
disarm
>s llo
>s FIN`},
		{Title: "all of it, where nothing delays it", Params: `{"size":"10","variation":"20"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi`},
	},
})

type sliceStage struct {
	p     slice
	idle  bool // the gate said no
	left  int64
	n     uint64    // of the piece
	last  time.Time // when it leaves
	ahead time.Duration
}

func (l *sliceStage) Segment(s wire.Segment, w *Writer) {
	if !w.Fire() {
		l.idle = true
		w.Send(s)
		return
	}
	l.ahead = w.Ahead()
	for {
		if l.left == 0 && len(s.Data) > 0 {
			l.begin(w)
		}
		n := int(min(l.left, int64(len(s.Data))))
		l.left -= int64(n)
		piece := s.Slice(0, n)
		piece.Apart = mix(s.Apart ^ l.n)
		w.Send(piece)
		if n == len(s.Data) {
			return
		}
		s = s.Slice(n, len(s.Data))
	}
}

// begin starts a piece: its length, and when it leaves.
func (l *sliceStage) begin(w *Writer) {
	at := w.Now()
	if due := l.last.Add(time.Duration(l.p.Gap)); l.n > 0 && due.After(at) {
		at = due
	}
	l.last = at
	w.Until(at)
	l.n++
	l.left = int64(l.p.Size)
	if v := int64(l.p.Variation); v > 0 {
		l.left = max(1, l.left+w.Rand(l.n).Int64N(2*v+1)-v)
	}
}

// Ration: pieces that are not due for a while stay with the sender, and a Step
// makes no more writes than a hundred or so.
func (l *sliceStage) Ration(now time.Time) (int64, time.Time) {
	const most = 128
	switch wait := l.last.Add(-l.ahead - paceAhead).Sub(now); {
	case l.idle:
		return math.MaxInt64, time.Time{}
	case wait > 0:
		return 0, now.Add(wait)
	case l.p.Gap == 0:
		return int64(min(l.p.Size, math.MaxInt64/most)) * most, time.Time{}
	}
	return int64(min(l.p.Size, math.MaxInt64/most)) * max(1, min(most, int64(paceAhead/time.Duration(l.p.Gap)))), time.Time{}
}
