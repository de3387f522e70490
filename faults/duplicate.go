package faults

import (
	"math"

	"crimp/faults/wire"
)

// duplicate says bytes twice: what a relay does that resends a buffer which was
// written already. The copy follows the bytes it is of; if their message or
// stream ends before there are so many, it follows what there was.
type duplicate struct {
	At    Position `json:"at" help:"before the first byte that comes twice"`
	Bytes Size     `json:"bytes" help:"how many come twice, framing included" required:"true" min:"1" max:"1MiB"`
}

var _ = Declare(Kind[duplicate]{
	Name:     "duplicate",
	Summary:  "that many bytes from `at` on come twice",
	Client:   "bytes that it has seen already: a body longer than it says, or two answers where it asked once",
	Group:    Bytes,
	Behind:   true,
	Defaults: duplicate{At: Position{Kind: Now}},
	Words:    []string{"repeat", "twice"},
	Check:    func(p duplicate) *Error { return hasBehind(p.At) },
	Here:     func(p duplicate, w *Writer) { w.Continue(&duplicateStage{left: int(p.Bytes)}) },
	Examples: []Example{
		{Title: "two bytes of the body", Params: `{"at":"body:1","bytes":2}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcbcd`},
		{Title: "a whole request, as a relay does that retries what it should not", Params: `{"at":"start","bytes":"64KiB"}`, Match: `{"direction":"upstream","method":"POST"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
>s POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiPOST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi`},
		{Title: "of a stream, as much as there is", Params: `{"at":"byte:2","bytes":9}`, Play: `
s> abcd
>c abcd
s> FIN
>c cd
>c FIN`},
	},
})

type duplicateStage struct {
	left int
	copy []byte
}

func (d *duplicateStage) Segment(s wire.Segment, w *Writer) {
	if d.left == 0 || s.Off < 0 {
		w.Send(s)
		return
	}
	n := min(d.left, len(s.Data))
	d.left -= n
	d.copy = append(d.copy, s.Data[:n]...)
	if s.End {
		d.left = 0
	}
	if d.left > 0 || n == len(s.Data) {
		w.Send(s)
		d.flush(w)
		return
	}
	w.Send(s.Slice(0, n))
	d.flush(w)
	w.Send(s.Slice(n, len(s.Data)))
}

// flush says the copy once it is complete.
func (d *duplicateStage) flush(w *Writer) {
	if d.left == 0 {
		w.Insert(d.copy)
		d.copy = nil
	}
}

// End: the stream has no more.
func (d *duplicateStage) End(w *Writer) {
	d.left = 0
	d.flush(w)
	w.Shut()
}

func (d *duplicateStage) Blind(int64) int64 { return allOrNothing(d.left == 0) }

// allOrNothing is what a Skipper says that is done, or is not.
func allOrNothing(done bool) int64 {
	if done {
		return math.MaxInt64
	}
	return 0
}
