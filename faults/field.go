package faults

import (
	"bytes"
	"strings"

	"crimp/faults/wire"
)

// field changes one field of the head and leaves all other bytes as they were. A
// field is every line of its name (RFC 9110 section 5.2): `set` leaves one line,
// `remove` and `rename` act on each. What is not there `set`, `add` and `oversize`
// put last in the head; the other modes miss.
//
// `fold` breaks the value over two lines (obs-fold, RFC 9112 section 5.2: to be
// refused or read as a space, and many read it as a field without a name).
// `oversize` fills the value up to `size`: nginx and Node refuse heads of 16 KiB
// and more, Go of 1 MiB. The framing that crimp goes by stays the peer's own.
type field struct {
	Name  string `json:"name" help:"the field, in any case" required:"true"`
	Mode  string `json:"mode" help:"one line of this value; a line more; no such line; another name; the value over two lines; a value of that size" enum:"set,add,remove,rename,fold,oversize"`
	Value string `json:"value" help:"of set and add: the value; of rename: the new name"`
	Size  Size   `json:"size" help:"of oversize: how long the value becomes" min:"1" max:"16MiB"`
}

var _ = Declare(Kind[field]{
	Name:     "field",
	Summary:  "one field changed, all other bytes as they were",
	Client:   "a header field that is missing, doubled, other, folded or enormous",
	Group:    Message,
	HTTP:     true,
	Adds:     true,
	Defaults: field{Mode: "set", Size: 64 << 10},
	Words:    []string{"headers", "set_header", "add_header", "remove_header", "obs_fold", "large_header"},
	Check:    field.check,
	Grain:    func(field) Grain { return Line },
	New:      func(p field) Stage { return &fieldStage{p: p} },
	Examples: []Example{
		{Title: "another value, the spelling of the name kept", Params: `{"name":"content-type","value":"text/plain"}`, Play: `
s> HTTP/1.1 200 OK\r\nCONTENT-Type:\ttext/html \r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 200 OK\r\nCONTENT-Type:\ttext/plain \r\nContent-Length: 0\r\n\r\n`},
		{Title: "set where it is missing", Params: `{"name":"Age","value":"1"}`, Play: `
s> HTTP/1.1 204 No Content\r\nA: b\r\n\r\n
>c HTTP/1.1 204 No Content\r\nA: b\r\nAge: 1\r\n\r\n`},
		{Title: "a second one", Params: `{"name":"Host","mode":"add","value":"b"}`, Match: `{"direction":"upstream"}`, Play: `
c> GET / HTTP/1.1\r\nHost: a\r\n\r\n
>s GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`},
		{Title: "gone, every line of it", Params: `{"name":"Set-Cookie","mode":"remove"}`, Play: `
s> HTTP/1.1 204 No Content\r\nSet-Cookie: a=1\r\nX: y\r\nSet-Cookie: b=2\r\n\r\n
>c HTTP/1.1 204 No Content\r\nX: y\r\n\r\n`},
		{Title: "another name", Params: `{"name":"Location","mode":"rename","value":"X-Location"}`, Play: `
s> HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 302 Found\r\nX-Location: /b\r\nContent-Length: 0\r\n\r\n`},
		{Title: "folded in the middle", Params: `{"name":"Server","mode":"fold"}`, Play: `
s> HTTP/1.1 204 No Content\r\nServer: abcd\r\n\r\n
>c HTTP/1.1 204 No Content\r\nServer: ab\r\n cd\r\n\r\n`},
		{Title: "of eight bytes", Params: `{"name":"Server","mode":"oversize","size":8}`, Play: `
s> HTTP/1.1 204 No Content\r\nServer: abc\r\n\r\n
>c HTTP/1.1 204 No Content\r\nServer: abcxxxxx\r\n\r\n`},
	},
})

func (p field) check() *Error {
	switch {
	case !isToken(p.Name):
		return Errorf(Invalid, "name", "expected the name of a field, got %q", p.Name)
	case strings.ContainsAny(p.Value, "\r\n"):
		return Errorf(Invalid, "value", "expected no line ends: inject at=head_end says whole lines")
	case p.Mode == "rename" && !isToken(p.Value):
		return Errorf(Invalid, "value", "mode rename needs the new name, got %q", p.Value)
	case p.Value != "" && p.Mode != "set" && p.Mode != "add" && p.Mode != "rename":
		return Errorf(Invalid, "value", "mode %s takes no value, got %q", p.Mode, p.Value)
	}
	return nil
}

type fieldStage struct {
	p    field
	seen bool // a line of that name, or what was put in its place
}

func (f *fieldStage) Segment(s wire.Segment, w *Writer) {
	switch {
	case ownField(s, f.p.Name) && f.p.Mode != "add" && w.Fire():
		f.line(s, w)
	case headEnds(s) && !f.seen:
		f.seen = true
		f.last(w)
		w.Send(s)
	default:
		w.Send(s)
	}
}

// line rewrites one line of the field.
func (f *fieldStage) line(s wire.Segment, w *Writer) {
	h, at := s.Head, s.Head.Fields[s.Index-1]
	first := !f.seen
	f.seen = true
	name, value := s.Data[:at.Colon-at.Start], s.Data[at.Value-at.Start:at.Stop-at.Start]
	between, end := s.Data[at.Colon-at.Start:at.Value-at.Start], s.Data[at.Stop-at.Start:]
	switch f.p.Mode {
	case "set":
		value = []byte(f.p.Value)
	case "rename":
		name = []byte(f.p.Value)
	case "fold":
		value = joined(value[:len(value)/2], []byte("\r\n "), value[len(value)/2:])
	case "oversize":
		if first {
			value = f.fill(h.Value(s.Index - 1))
		}
	}
	if f.p.Mode == "remove" || f.p.Mode == "set" && !first {
		w.Omit(s)
		return
	}
	w.Replace(s, joined(name, between, value, end))
}

// last puts the field behind the others.
func (f *fieldStage) last(w *Writer) {
	value := []byte(f.p.Value)
	switch f.p.Mode {
	case "oversize":
		value = f.fill(nil)
	case "set", "add":
	default:
		w.Miss(Miss{missField, "no field " + f.p.Name})
		return
	}
	if w.Fire() {
		w.Insert(joined([]byte(f.p.Name), []byte(": "), value, []byte("\r\n")))
	}
}

// fill makes a value as long as asked, never shorter than it was.
func (f *fieldStage) fill(value []byte) []byte {
	return joined(value, bytes.Repeat([]byte("x"), max(0, int(f.p.Size)-len(value))))
}

// joined is a new slice of all of them.
func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
