package faults

import "crimp/faults/wire"

// corrupt changes bytes and no length: bad memory, a broken driver, a middlebox
// that "repairs" content. TCP's sum of 16 bits lets some through (RFC 9293
// section 3.1); HTTP/1 has nothing to notice it by, so a client reports success.
//
// With `rate` each byte of the part is hit or not by a draw keyed by its offset in
// the stream: the same bytes however the stream is cut. `part` is for http
// sessions: `body` is data alone, sizes and line ends of chunks spared; what is
// not HTTP counts as body.
type corrupt struct {
	At   Position `json:"at" help:"before the one byte that is changed; not with rate"`
	Rate Percent  `json:"rate" help:"share of the bytes that are changed; 0%: the one byte at at"`
	How  string   `json:"how" help:"one bit is flipped, the byte becomes 0, or it becomes any other" enum:"flip,zero,random"`
	Part string   `json:"part" help:"with rate: the bytes that are meant" enum:"body,head,all"`
}

var _ = Declare(Kind[corrupt]{
	Name:     "corrupt",
	Summary:  "the same length, other bytes: the one at `at`, or a share of them",
	Client:   "a body that is not what was sent, and no error",
	Group:    Bytes,
	Behind:   true,
	Defaults: corrupt{At: Position{Kind: Now}, How: "flip", Part: "body"},
	Words:    []string{"bit_error", "mangle", "garble"},
	Check:    corrupt.check,
	Here: func(p corrupt, w *Writer) {
		w.Continue(&corruptStage{p: p, key: w.Key()})
	},
	Examples: []Example{
		{Title: "one byte of the body", Params: `{"at":"body:1","how":"zero"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na\x00cd`},
		{Title: "every byte of a chunked body, its framing spared", Params: `{"rate":"100%","how":"zero"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n
>s POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n\x00\x00\x00\r\n0\r\n\r\n`},
		{Title: "a third of the bytes: by their place, not by how they arrive", Params: `{"rate":"30%"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nabcdefghijkl
>c HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n!b#defghhjkl`},
		{Title: "one bit of one byte of a stream", Params: `{"at":"byte:2"}`, Play: `
s> abcd
>c ab#d`},
	},
})

func (p corrupt) check() *Error {
	if p.Rate > 0 && p.At.Kind != Now {
		return Errorf(Invalid, "rate", "expected either at or rate, got at %s and rate %s", p.At, p.Rate)
	}
	return hasBehind(p.At)
}

type corruptStage struct {
	p    corrupt
	key  uint64
	done bool // the one byte was changed
}

func (c *corruptStage) Segment(s wire.Segment, w *Writer) {
	if c.done || s.Off < 0 || len(s.Data) == 0 || c.p.Rate > 0 && !c.means(s.Part) {
		w.Send(s)
		return
	}
	var out []byte // a copy, once there is something to change
	for i, b := range s.Data {
		n := drawAt(c.key, s.Off+int64(i))
		if c.done || c.p.Rate > 0 && float64(n>>11)/(1<<53) >= float64(c.p.Rate) {
			continue
		}
		if out == nil {
			out = append(out, s.Data...)
		}
		out[i] = c.other(b, mix(n))
		c.done = c.p.Rate == 0
	}
	if out != nil {
		s.Data = out
	}
	w.Send(s)
}

// means says whether bytes of a part are to be changed.
func (c *corruptStage) means(p wire.Part) bool {
	switch p {
	case wire.Opaque, wire.Body, wire.ChunkData:
		return c.p.Part != "head"
	case wire.StartLine, wire.Field, wire.HeadEnd:
		return c.p.Part != "body"
	}
	return c.p.Part == "all"
}

// other is what a byte becomes.
func (c *corruptStage) other(b byte, draw uint64) byte {
	switch c.p.How {
	case "zero":
		return 0
	case "random":
		return b ^ byte(1+draw%255)
	}
	return b ^ 1<<(draw%8)
}

func (c *corruptStage) Blind(int64) int64 { return allOrNothing(c.done) }
