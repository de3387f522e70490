package faults

import "crimp/faults/wire"

// drop makes bytes vanish, and everything behind them move up: what a relay does
// that loses a buffer. TCP never does; a client must notice by the length
// (RFC 9112 section 8), or take what is left for something else. As a message
// rule it drops at most up to the end of the message.
type drop struct {
	At    Position `json:"at" help:"before the first byte that vanishes"`
	Bytes Size     `json:"bytes" help:"how many vanish, framing included" required:"true" min:"1"`
}

var _ = Declare(Kind[drop]{
	Name:     "drop",
	Summary:  "that many bytes vanish from `at` on",
	Client:   "a message with a hole in it: shorter than it says, the rest moved up",
	Group:    Bytes,
	Behind:   true,
	Defaults: drop{At: Position{Kind: Now}},
	Words:    []string{"remove_bytes", "lose", "skip_bytes"},
	Check:    func(p drop) *Error { return hasBehind(p.At) },
	Here:     func(p drop, w *Writer) { w.Continue(&dropStage{left: int64(p.Bytes)}) },
	Examples: []Example{
		{Title: "three bytes of the body", Params: `{"at":"body:1","bytes":3}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\naef
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "no further than the message", Params: `{"at":"body:2","bytes":"1KiB"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd
>s POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab`},
		{Title: "of a stream", Params: `{"at":"byte:2","bytes":2}`, Play: `
s> abcdef
>c abef`},
	},
})

// hasBehind refuses places behind which there is nothing to act on.
func hasBehind(at Position) *Error {
	if at.Kind == MsgEnd {
		return Errorf(Invalid, "at", "expected a place with bytes behind it, got %q: of its message nothing follows", at)
	}
	return nil
}

type dropStage struct{ left int64 }

func (d *dropStage) Segment(s wire.Segment, w *Writer) {
	if d.left == 0 || s.Off < 0 { // bytes that a rule before inserted are not the peer's
		w.Send(s)
		return
	}
	n := int(min(d.left, int64(len(s.Data))))
	d.left -= int64(n)
	if n == len(s.Data) {
		w.Omit(s)
		return
	}
	w.Send(s.Slice(n, len(s.Data)))
}

// Blind: once done, it need see nothing more.
func (d *dropStage) Blind(int64) int64 { return allOrNothing(d.left == 0) }
