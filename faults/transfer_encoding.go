package faults

import (
	"strconv"
	"strings"

	"crimp/faults/wire"
)

// transfer_encoding makes the framing of a message ambiguous (RFC 9112 sections
// 6.1 and 6.3): two receivers may see two lengths, which is what request smuggling
// is made of. The body is chunked in every mode, by crimp if it was not, so that
// one reading of it is right; a message without a body misses, and one whose
// receiver speaks HTTP/1.0.
//
// `with_length`: Content-Length beside it; java.net.http lets that win, Node
// refuses, the rest keep the connection. `not_final`: chunked is not the last
// coding, so a response lasts until the close, and curl, requests, fasthttp and
// Chromium decode it all the same. `unknown`: a coding that nobody has. `spaced`:
// a space before the colon, which some see as the field and some do not.
type transferEncoding struct {
	Mode  string `json:"mode" help:"a length beside it; chunked not last; an unknown coding; a space before the colon; the field twice" enum:"with_length,not_final,unknown,spaced,duplicate"`
	Value string `json:"value" help:"the length (its own, else 3), the codings (chunked, identity), the unknown coding (x-crimp), the second field's value (chunked)"`
}

var _ = Declare(Kind[transferEncoding]{
	Name:     "transfer_encoding",
	Summary:  "ambiguous framing: the field is rewritten or joined by another; the body is chunked in any case",
	Client:   "a message of which two readers see two lengths",
	Group:    Message,
	HTTP:     true,
	Defaults: transferEncoding{Mode: "with_length"},
	Words:    []string{"smuggling", "te_cl", "cl_te"},
	Check:    transferEncoding.check,
	Grain:    func(transferEncoding) Grain { return WholeHead },
	New:      func(p transferEncoding) Stage { return &transferEncodingStage{p: p} },
	Presets: []Preset{
		{Name: "length-and-chunked", Summary: "Content-Length and Transfer-Encoding disagree", Client: "a Content-Length of 3 (or the body's own) beside `Transfer-Encoding: chunked`: java.net.http goes by the length",
			Params: `{"mode":"with_length"}`,
			Examples: []Example{{Title: "both, and they disagree", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n`}}},
	},
	Examples: []Example{
		{Title: "a length beside the chunks", Params: `{}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n`},
		{Title: "chunks beside the length, which is then the wrong one", Params: `{}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello
>c HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`},
		{Title: "in a request, with a length of one's own", Params: `{"value":"4"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello
>s POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`},
		{Title: "chunked is not last", Params: `{"mode":"not_final"}`, Play: `
s> HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, identity\r\n\r\n2\r\nhi\r\n0\r\n\r\n`},
		{Title: "a coding that nobody has", Params: `{"mode":"unknown"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: x-crimp\r\n\r\n2\r\nhi\r\n0\r\n\r\n`},
		{Title: "a space before the colon", Params: `{"mode":"spaced"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n`},
		{Title: "twice, and they disagree", Params: `{"mode":"duplicate","value":"identity"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\nhi\r\n0\r\n\r\n`},
	},
})

func (p transferEncoding) check() *Error {
	_, err := strconv.ParseInt(p.Value, 10, 64)
	switch {
	case strings.ContainsAny(p.Value, "\r\n"):
		return Errorf(Invalid, "value", "expected no line ends")
	case p.Mode == "with_length" && p.Value != "" && err != nil:
		return Errorf(Invalid, "value", "mode with_length needs a whole number, got %q", p.Value)
	case p.Mode == "spaced" && p.Value != "":
		return Errorf(Invalid, "value", "mode spaced takes no value, got %q", p.Value)
	}
	return nil
}

// or is the parameter, or what it is without.
func (p transferEncoding) or(fallback string) string {
	if p.Value == "" {
		return fallback
	}
	return p.Value
}

// field is the line of the field where there was none, and more behind it.
func (p transferEncoding) field() string {
	switch p.Mode {
	case "not_final":
		return "Transfer-Encoding: " + p.or("chunked, identity") + "\r\n"
	case "unknown":
		return "Transfer-Encoding: " + p.or("x-crimp") + "\r\n"
	case "spaced":
		return "Transfer-Encoding : chunked\r\n"
	}
	return "Transfer-Encoding: chunked\r\n" + p.second()
}

// second is what goes last in the head whether or not the field was there.
func (p transferEncoding) second() string {
	if p.Mode == "duplicate" {
		return "Transfer-Encoding: " + p.or("chunked") + "\r\n"
	}
	return ""
}

type transferEncodingStage struct {
	p     transferEncoding
	asked bool
	on    bool
	to    *chunker // makes the chunks where there are none
}

func (t *transferEncodingStage) Segment(s wire.Segment, w *Writer) {
	if !t.asked && s.Message > 0 {
		t.asked = true
		t.begin(s, w)
	}
	switch {
	case !t.on:
		w.Send(s)
	case t.p.Mode == "with_length" && ownField(s, "Content-Length"):
		w.Replace(s, changed(s, "", t.p.or(string(s.Head.Value(s.Index-1)))))
	case t.to != nil:
		t.to.segment(s, w.Send)
	case ownField(s, "Transfer-Encoding"):
		t.line(s, w)
	case headEnds(s):
		w.Insert([]byte(t.p.second()))
		if t.p.Mode == "with_length" && s.Head.Find("Content-Length") < 0 {
			w.Insert([]byte("Content-Length: " + t.p.or("3") + "\r\n"))
		}
		w.Send(s)
	default:
		w.Send(s)
	}
}

func (t *transferEncodingStage) begin(s wire.Segment, w *Writer) {
	why := chunkable(s, w.Exchange())
	if why == (Miss{}) {
		why = w.Reframed(remade, resaid)
	}
	if why != (Miss{}) {
		w.Miss(why)
		return
	}
	if t.on = w.Fire(); !t.on {
		return
	}
	if w.Reframes(resaid); s.Head.Framing == wire.ByChunks {
		return
	}
	w.Reframes(remade)
	t.to = &chunker{size: ownChunks, fields: t.p.field(), length: t.p.Mode == "with_length"}
	if t.to.length && s.Head.Find("Content-Length") < 0 { // a body until the close
		t.to.fields += "Content-Length: " + t.p.or("3") + "\r\n"
	}
}

// line rewrites the field's line.
func (t *transferEncodingStage) line(s wire.Segment, w *Writer) {
	switch t.p.Mode {
	case "not_final":
		w.Replace(s, changed(s, "", t.p.or("chunked, identity")))
	case "unknown":
		w.Replace(s, changed(s, "", t.p.or("x-crimp")))
	case "spaced":
		w.Replace(s, changed(s, " ", "chunked"))
	default:
		w.Send(s)
	}
}

// Unfinished: a body that was begun in chunks ends in chunks.
func (t *transferEncodingStage) Unfinished() bool { return t.to != nil }
