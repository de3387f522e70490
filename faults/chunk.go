package faults

import (
	"bytes"
	"strconv"
	"strings"

	"crimp/faults/wire"
)

// chunk damages the framing of one chunk, or of the end of all chunks, and none of
// the data (RFC 9112 section 7.1). A body framed by its length or by the close is
// chunked first, in pieces of 4 KiB; `rechunk` does only that, and cuts the chunks
// of a chunked body to `value` bytes, without their extensions. A chunk of a body
// until the close is what a read brought. A message without a body misses, and one
// whose receiver speaks HTTP/1.0, which has no chunks.
//
// What clients make of it: fasthttp and java.net.http read `0x5` as 0 and report an
// empty 200, wget accepts `ZZ`, java.net.http a missing CRLF. Without a last chunk the connection ends, or it
// would only be a stall: FIN to the receiver, and the sender sees success.
type chunk struct {
	Mode  string `json:"mode" help:"the size is not a number; is another; no CRLF behind the data; no last chunk, then FIN; an extension; a trailer; only chunked" enum:"bad_size,size_add,no_crlf,no_last,extension,trailer,rechunk"`
	Value string `json:"value" help:"the bad size (ZZ), what is added to it (10), the extension (crimp=1), the trailer line (X-Crimp: trailer), how big rechunk's chunks are (16)"`
	N     int    `json:"n" help:"which chunk, from 1" min:"1"`
}

// ownChunks is the size of chunks that are made where there were none.
const ownChunks = 4 << 10

var chunkValues = map[string]string{"bad_size": "ZZ", "size_add": "10", "extension": "crimp=1", "trailer": "X-Crimp: trailer", "rechunk": "16"}

var _ = Declare(Kind[chunk]{
	Name:     "chunk",
	Summary:  "one chunk's framing is damaged, its data is not; a body without chunks is chunked first",
	Client:   "a chunk that is not as long as it says, or no end of chunks; by rechunk only other chunks",
	Group:    Message,
	HTTP:     true,
	Defaults: chunk{Mode: "bad_size", N: 1},
	Words:    []string{"chunked", "malformed_chunk", "chunk_extension", "trailers"},
	Check:    chunk.check,
	Grain:    func(chunk) Grain { return WholeHead },
	New:      func(p chunk) Stage { return &chunkStage{p: p} },
	Presets: []Preset{
		{Name: "no-last-chunk", Summary: "all chunks but the last, then FIN", Client: "a chunked body that never ends, then FIN: to be an error",
			Params: `{"mode":"no_last"}`,
			Examples: []Example{{Title: "chunks, then FIN", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n
>c FIN
>s FIN`}}},
		{Name: "bad-chunk-size", Summary: "a chunk size that is no number", Client: "`ZZ` for a chunk size: wget accepts it",
			Params: `{"mode":"bad_size","value":"ZZ"}`,
			Examples: []Example{{Title: "of a body that had a length", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc\r\n0\r\n\r\n`}}},
	},
	Examples: []Example{
		{Title: "no number; the extension stays", Params: `{"value":"0x3"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x3;a=b\r\nabc\r\n0\r\n\r\n`},
		{Title: "the second says too much", Params: `{"mode":"size_add","n":2}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nc\r\nde\r\n0\r\n\r\n`},
		{Title: "no line end behind the data of a request", Params: `{"mode":"no_crlf"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n
>s POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc2\r\nde\r\n0\r\n\r\n`},
		{Title: "no last chunk, of a body that had a length", Params: `{"mode":"no_last"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\nA: b\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n
>c FIN
>s FIN`},
		{Title: "an extension and a trailer are legal", Params: `{"mode":"extension","value":"a=\"b\""}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a="b"\r\nabc\r\n0\r\n\r\n`},
		{Title: "a trailer behind those there are", Params: `{"mode":"trailer"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\nX-Crimp: trailer\r\n\r\n`},
		{Title: "only chunked; disarmed half-way it goes on to the end", Params: `{"mode":"rechunk","value":"2"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n2\r\nc
disarm
s> de
>c d\r\n1\r\ne\r\n0\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.
>c HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.`},
		{Title: "chunks cut smaller, in a request", Params: `{"mode":"rechunk","value":"2"}`, Match: `{"direction":"upstream"}`, Play: `
c> PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n
>s PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nA: b\r\n\r\n`},
		{Title: "HTTP/1.0 has no chunks: missed", Params: `{"mode":"no_last"}`, Play: `
c> GET / HTTP/1.0\r\n\r\n
>s GET / HTTP/1.0\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc`},
	},
})

func (p chunk) check() *Error {
	n, err := strconv.ParseInt(p.Value, 10, 64)
	switch {
	case strings.ContainsAny(p.Value, "\r\n"):
		return Errorf(Invalid, "value", "expected no line ends")
	case p.Value == "":
	case p.Mode == "no_crlf" || p.Mode == "no_last":
		return Errorf(Invalid, "value", "mode %s takes no value, got %q", p.Mode, p.Value)
	case p.Mode == "size_add" && (err != nil || n < -1<<40 || n > 1<<40):
		return Errorf(Invalid, "value", "expected a whole number such as 10 or -1, got %q", p.Value)
	case p.Mode == "rechunk" && (err != nil || n < 1):
		return Errorf(Invalid, "value", "expected a number of bytes from 1, got %q", p.Value)
	}
	return nil
}

// value is the parameter, or the mode's own.
func (p chunk) value() string {
	if p.Value == "" {
		return chunkValues[p.Mode]
	}
	return p.Value
}

type chunkStage struct {
	p       chunk
	asked   bool
	off     bool     // the message is not for it, or the damage is done
	to      *chunker // makes the chunks where there are none
	omitted bool     // a piece of what is to vanish has vanished
}

func (c *chunkStage) Segment(s wire.Segment, w *Writer) {
	if !c.asked && s.Message > 0 {
		c.asked = true
		c.begin(s, w)
	}
	if c.to == nil {
		c.chunked(s, w)
		return
	}
	c.to.segment(s, func(s wire.Segment) { c.chunked(s, w) })
}

// begin decides, at the start of a message, what is to be done with it.
func (c *chunkStage) begin(s wire.Segment, w *Writer) {
	why := chunkable(s, w.Exchange())
	if why == (Miss{}) {
		why = w.Reframed(remade)
	}
	if why == (Miss{}) && c.p.Mode == "rechunk" {
		why = w.Reframed(damaged)
	}
	if why != (Miss{}) {
		w.Miss(why)
		c.off = true
		return
	}
	h, to := s.Head, &chunker{size: ownChunks}
	if c.p.Mode == "rechunk" {
		to.size, _ = strconv.ParseInt(c.p.value(), 10, 64)
		c.off = true // nothing more than that
	} else if h.Framing == wire.ByChunks {
		w.Reframes(damaged)
		return
	} else if most := (h.Length + ownChunks - 1) / ownChunks; h.Length >= 0 && int64(c.p.N) > most && c.p.Mode != "no_last" && c.p.Mode != "trailer" {
		w.Miss(c.noChunk())
		c.off = true
		return
	}
	if h.Framing != wire.ByChunks {
		to.fields = "Transfer-Encoding: chunked\r\n"
	}
	if c.fire(w) {
		if c.to = to; to.fields != "" {
			w.Reframes(remade)
		}
	}
}

// fire asks the gate: where the ending is to come, that is told with it.
func (c *chunkStage) fire(w *Writer) bool {
	if c.p.Mode == "no_last" {
		return w.FireAs()
	}
	return w.Fire()
}

// chunked does the damage to a chunked message.
func (c *chunkStage) chunked(s wire.Segment, w *Writer) {
	if c.off || w.slot.leaving && !c.omitted || !c.here(s) || !c.fire(w) {
		if s.End && !c.off {
			c.missed(w)
		}
		w.Send(s)
		return
	}
	switch c.p.Mode {
	case "no_crlf":
		c.omitted, c.off = !s.Last, s.Last
		w.Omit(s)
	case "no_last":
		if c.off = true; s.Off < 0 {
			w.FireBehind()
		}
		w.End(Fin, OtherDrain)
	case "trailer":
		c.off = true
		w.Insert([]byte(c.p.value() + "\r\n"))
		w.Send(s)
	default:
		c.off = true
		w.Replace(s, c.line(s))
	}
}

// missed tells that the message ended before its place. One that was chunked first,
// of a length nobody knew, has been told as a firing already.
func (c *chunkStage) missed(w *Writer) {
	if c.to != nil && !w.slot.leaving {
		w.slot.miss(c.noChunk())
		return
	}
	w.Miss(c.noChunk())
}

func (c *chunkStage) noChunk() Miss {
	return Miss{missPosition, "it has no chunk " + strconv.Itoa(c.p.N)}
}

// here says that the damage is to this segment.
func (c *chunkStage) here(s wire.Segment) bool {
	switch c.p.Mode {
	case "no_crlf":
		return s.Part == wire.ChunkEnd && s.Index == c.p.N
	case "no_last":
		return s.Part == wire.ChunkSize && s.First && s.LastChunk
	case "trailer":
		return s.Part == wire.MessageEnd && s.First
	}
	return s.Part == wire.ChunkSize && s.First && s.Last && !s.LastChunk && s.Index == c.p.N
}

// line is the size line as it is to be.
func (c *chunkStage) line(s wire.Segment) []byte {
	text := lineText(s.Data)
	digits := bytes.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	if digits < 0 {
		digits = len(text)
	}
	switch c.p.Mode {
	case "size_add":
		n, _ := strconv.ParseInt(c.p.value(), 10, 64)
		return joined([]byte(strconv.FormatInt(s.Size+n, 16)), s.Data[digits:])
	case "extension":
		return joined(text, []byte(";"+c.p.value()), s.Data[len(text):])
	}
	return joined([]byte(c.p.value()), s.Data[digits:])
}

// Unfinished: a body that was begun in chunks ends in chunks.
func (c *chunkStage) Unfinished() bool { return c.to != nil || c.omitted }
