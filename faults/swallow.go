package faults

import (
	"bytes"

	"crimp/faults/wire"
)

// swallow loses one message and keeps the connection: a worker that dies behind
// a relay, a queue that drops. What comes after is paired right: a request that
// never arrived is not waited for, an answer that never arrived has been given.
//
// `continue` is 100 alone (RFC 9110 section 10.1.1): java.net.http and Node then
// wait for ever to send the body, curl and Go for a second. `interim` is every
// 1xx but 101, which ends HTTP. A response whose body lasts until the close takes
// the close along as its end: that FIN is passed on.
type swallow struct {
	What string `json:"what" help:"the message that never arrives" enum:"request,response,interim,continue"`
}

var _ = Declare(Kind[swallow]{
	Name:     "swallow",
	Summary:  "that message never arrives, the connection stays",
	Client:   "silence: no answer to a request that was sent whole, or no 100 before its body",
	Group:    Message,
	HTTP:     true,
	Defaults: swallow{What: "request"},
	Words:    []string{"no_response", "ignore_request", "eat"},
	Grain: func(p swallow) Grain {
		if p.What == "interim" || p.What == "continue" {
			return Line // whether it is one is known by the whole status line
		}
		return Fragment
	},
	Scope: func(p swallow) Scope {
		switch p.What {
		case "request":
			return Scope{Direction: "upstream", Fixed: true}
		case "response":
			return Scope{Fixed: true}
		}
		return Scope{Fixed: true, Interim: true}
	},
	New: func(p swallow) Stage { return &swallowStage{what: p.What} },
	Presets: []Preset{
		{Name: "continue-then-nothing", Summary: "100 Continue, the body is taken, and no answer", Client: "100 for its `Expect: 100-continue`, then silence: hardly a client ends that by itself",
			Params: `{"what":"response"}`, Match: `{"header":{"Expect":"100-*"}}`,
			Examples: []Example{{Title: "100, the body, and no answer", Play: `
c> POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
>s POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
s> HTTP/1.1 100 Continue\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\n
c> hi
>s hi
s> HTTP/1.1 204 No Content\r\n\r\n
+1h`}}},
		{Name: "ignore-expect", Summary: "the server's 100 Continue never comes", Client: "no 100: it sends the body after a while, or never (java.net.http, Node)",
			Params: `{"what":"continue"}`,
			Examples: []Example{{Title: "no 100: the client has to go on by itself", Play: `
c> POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
>s POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
s> HTTP/1.1 100 Continue\r\n\r\n
c> hi
>s hi
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`}}},
	},
	Examples: []Example{
		{Title: "a request: the next one is answered", Params: `{"what":"request"}`, Match: `{"path":"/lost"}`, Play: `
c> POST /lost HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "a response: what was in the pipe behind it is answered", Params: `{"what":"response"}`, Match: `{"path":"/lost"}`, Play: `
c> GET /lost HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /lost HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "100 Continue alone; early hints pass", Params: `{"what":"continue"}`, Play: `
c> POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
>s POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n
>c HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n
c> hi
>s hi
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "every interim response", Params: `{"what":"interim"}`, Play: `
s> HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
	},
})

type swallowStage struct {
	what  string
	eats  bool
	asked bool
}

func (k *swallowStage) Segment(s wire.Segment, w *Writer) {
	if !k.asked && s.Message > 0 {
		k.asked = true
		k.eats = k.means(s.Head) && w.Fire()
		if x := w.Exchange(); k.eats && x != nil && (k.what == "request" || k.what == "response") {
			x.Outcome = "stalled"
		}
	}
	if !k.eats || made(s) {
		w.Send(s)
	}
}

// means says whether an interim response is one that is meant.
func (k *swallowStage) means(h *wire.Head) bool {
	return k.what != "continue" || bytes.Contains(h.StartLine(), []byte(" 100"))
}

// Unfinished: a message half of which is gone is gone.
func (k *swallowStage) Unfinished() bool { return k.eats }
