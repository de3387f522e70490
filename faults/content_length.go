package faults

import (
	"math/big"
	"strconv"

	"crimp/faults/wire"
)

// contentLength makes what a message says of its length differ from what it has
// (RFC 9112 sections 6.3 and 8). The body is not touched, and crimp itself goes
// on by the length the peer really said.
type contentLength struct {
	Mode  string `json:"mode" help:"add to the number, set it, remove the field, send a second field, make it a list, or put garbage" enum:"add,set,remove,duplicate,list,garbage"`
	Value string `json:"value" help:"what is added (10), what is set, the second number (the same; +N or -N counts from it), the garbage (abc)"`
}

var _ = Declare(Kind[contentLength]{
	Name:     "content_length",
	Summary:  "the field is rewritten, the body bytes are not; chunked or close-delimited: `set` inserts it, the others miss",
	Client:   "a length that is not the body's",
	Group:    Message,
	HTTP:     true,
	Defaults: contentLength{Mode: "add"},
	Check:    contentLength.check,
	Grain:    func(contentLength) Grain { return WholeHead },
	New:      func(p contentLength) Stage { return &contentLengthStage{p: p} },
	Presets: []Preset{
		{Name: "length-mismatch", Summary: "declared longer than sent", Client: "a Content-Length 10 above the body's: it waits for bytes that do not come", Headline: true,
			Params: `{"mode":"add","value":"10"}`},
		{Name: "two-lengths", Summary: "two Content-Length fields that disagree", Client: "a second Content-Length, 2 below the first",
			Params: `{"mode":"duplicate","value":"-2"}`},
	},
	Examples: []Example{
		{Title: "more declared than sent; all other bytes as they were", Params: `{"mode":"add","value":"10"}`, Play: `
s> HTTP/1.1 200 OK\r\nserver: x\r\ncontent-LENGTH:  2 \r\n\r\nhi
>c HTTP/1.1 200 OK\r\nserver: x\r\ncontent-LENGTH:  12 \r\n\r\nhi`},
		{Title: "below zero is written as such", Params: `{"mode":"add","value":"-10"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: -8\r\n\r\nhi`},
		{Title: "set on a chunked answer: both framings", Params: `{"mode":"set","value":"3"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`},
		{Title: "removed, from a request", Params: `{"mode":"remove"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 2\r\nA: b\r\n\r\nhi
>s POST / HTTP/1.1\r\nA: b\r\n\r\nhi`},
		{Title: "twice", Params: `{"mode":"duplicate","value":"3"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi`},
		{Title: "as a list of equals", Params: `{"mode":"list"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi`},
		{Title: "not a number", Params: `{"mode":"garbage"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nhi`},
	},
})

func (p contentLength) check() *Error {
	_, err := strconv.ParseInt(p.Value, 10, 64)
	switch {
	case p.Mode == "remove" && p.Value != "":
		return Errorf(Invalid, "value", "mode remove takes no value, got %q", p.Value)
	case p.Mode == "set" && err != nil:
		return Errorf(Invalid, "value", "mode set needs a whole number, got %q", p.Value)
	case p.Mode == "garbage":
		for _, c := range []byte(p.Value) {
			if c < ' ' || c == 0x7f {
				return Errorf(Invalid, "value", "expected no control bytes, got %q", p.Value)
			}
		}
	case p.Value != "" && err != nil:
		return Errorf(Invalid, "value", "expected a whole number such as 10 or -10, got %q", p.Value)
	}
	return nil
}

type contentLengthStage struct {
	p     contentLength
	asked bool
	done  bool
}

func (c *contentLengthStage) Segment(s wire.Segment, w *Writer) {
	if !c.asked && s.Message > 0 {
		c.asked = true
		c.begin(s, w)
	}
	switch {
	case c.done || s.Head == nil:
		w.Send(s)
	case ownField(s, "Content-Length"):
		c.field(s, w)
	case headEnds(s):
		c.done = true
		if c.p.Mode != "set" || s.Head.Find("Content-Length") >= 0 {
			w.Unfire()
			w.Miss(Miss{missField, "no Content-Length that can be rewritten"})
		} else if w.FireNow() {
			w.Insert([]byte("Content-Length: " + c.p.Value + "\r\n"))
		}
		w.Send(s)
	default:
		w.Send(s)
	}
}

// begin asks the gate, if the message has what is to be rewritten: what stands
// behind must know from the start that its length is no more the peer's.
func (c *contentLengthStage) begin(s wire.Segment, w *Writer) {
	why := w.Reframed(remade)
	if headless(s) {
		why = lostHead
	}
	if c.done = why != (Miss{}); c.done {
		w.Miss(why)
		return
	}
	acts := c.p.Mode == "set"
	if i := s.Head.Find("Content-Length"); i >= 0 {
		_, acts = c.value(string(s.Head.Value(i)), s.Head.Declared)
	}
	if acts && w.FireAs() {
		w.Reframes(remade)
	}
}

// field rewrites the field's line.
func (c *contentLengthStage) field(s wire.Segment, w *Writer) {
	line := s.Head.Fields[s.Index-1]
	old := string(s.Head.Value(s.Index - 1))
	text, ok := c.value(old, s.Head.Declared)
	if !ok || !w.FireNow() {
		w.Send(s)
		return
	}
	c.done = true
	i, j := line.Value-line.Start, line.Stop-line.Start
	switch c.p.Mode {
	case "remove":
		w.Omit(s)
	case "duplicate":
		w.Send(s)
		second := append([]byte(nil), s.Data[:i]...)
		second = append(append(second, text...), s.Data[j:]...)
		w.Insert(second)
	default:
		w.Send(s.Slice(0, i))
		w.Insert([]byte(text))
		w.Send(s.Slice(j, len(s.Data)))
	}
}

// value is what stands in the field afterwards; false if the mode needs a number
// and the field has none.
func (c *contentLengthStage) value(old string, declared int64) (string, bool) {
	sum := added(declared, c.p.Value)
	switch c.p.Mode {
	case "set":
		return c.p.Value, true
	case "garbage":
		if c.p.Value == "" {
			return "abc", true
		}
		return c.p.Value, true
	case "duplicate", "list":
		second := c.p.Value
		if second == "" {
			second = old
		} else if second[0] == '+' || second[0] == '-' {
			if declared < 0 {
				return "", false
			}
			second = sum
		}
		if c.p.Mode == "list" {
			return old + ", " + second, true
		}
		return second, true
	case "add":
		if c.p.Value == "" {
			sum = added(declared, "10")
		}
		return sum, declared >= 0
	}
	return "", true
}

// added is a length and a number together. What is declared may be as large as an
// int64 can say, and the sum larger.
func added(declared int64, number string) string {
	n, _ := new(big.Int).SetString(number, 10)
	if n == nil {
		return ""
	}
	return n.Add(n, big.NewInt(declared)).String()
}
