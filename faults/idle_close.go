package faults

import (
	"math"
	"time"

	"crimp/faults/wire"
)

// idleClose closes a connection that nobody uses, as every server, load balancer
// and NAT does by its own clock (RFC 9112 section 9.5). Quiet is: no exchange
// open and no byte either way; waiting for an answer is not quiet.
//
// With `race` the close crosses the client's next request on its way, which is
// the failure that pooled clients meet in production and cannot reproduce: the
// client has sent a request on a connection that looked alive, and gets FIN, then
// RST. Whether the request was executed it cannot know (RFC 9112 section 9.3.1:
// node#20256, hyper#3553, agentkeepalive#23, aiohttp#3609). Here it never was: the
// request stays unread in the kernel, and nothing of it reaches the server. A
// session that has served nothing yet is spared if `after` is 0s: then the close
// comes right after an answer.
type idleClose struct {
	After Duration `json:"after" help:"how long the connection is quiet; 0s: right after an answer" min:"0s" required:"true"`
	End   Ending   `json:"end" help:"how it is closed" enum:"close,fin,rst"`
	Race  bool     `json:"race" help:"wait for the first byte of the next request and close with it unread"`
}

var _ = Declare(Kind[idleClose]{
	Name:     "idle_close",
	Summary:  "a connection quiet for `after` is closed; with `race` just as the next request comes, which is not relayed",
	Client:   "FIN on an idle connection; with `race` FIN, then RST, instead of an answer to a request on a pooled connection",
	Group:    Bytes,
	Defaults: idleClose{End: Close},
	Words:    []string{"keepalive_timeout", "keep_alive_race", "idle_timeout", "stale_connection"},
	New:      func(p idleClose) Stage { return &idleStage{p: p} },
	Presets: []Preset{
		{Name: "idle-race", Summary: "close as the next request leaves", Client: "its second request on a connection gets FIN and RST, and was never seen by the server",
			Params: `{"after":"0s","race":true}`, Words: []string{"keepalive-race"}},
	},
	Examples: []Example{
		{Title: "a second without a byte", Params: `{"after":"1s"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
+900ms
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+999ms
+1ms
>c CLOSE
>s CLOSE`},
		{Title: "waiting for an answer is not quiet", Params: `{"after":"1s","end":"rst"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
+1m
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+999ms
+1ms
>c RST
>s CLOSE`},
		{Title: "the race: the second request crosses the close", Params: `{"after":"0s","race":true}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+1h
c> GET /2 HTTP/1.1\r\n\r\n
>c FIN
>c RST
>s CLOSE`},
		{Title: "the race after a while only: sooner is served", Params: `{"after":"1s","race":true,"end":"rst"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+999ms
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+1s
c> GET /3 HTTP/1.1\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "disarmed while it waits: the next request is served", Params: `{"after":"0s","race":true}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
disarm
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n`},
		{Title: "a client that leaves meanwhile just leaves", Params: `{"after":"1s","race":true}`, Play: `
+2s
c> FIN
>s FIN`},
	},
})

type idleStage struct {
	p       idleClose
	waiting bool // for the next request
	spared  bool // the gate said no
}

func (i *idleStage) Open(w *Writer) { w.Alarm(w.Now().Add(time.Duration(i.p.After))) }

// Segment: with after 0s it must see what is said, to wake when it is over.
func (i *idleStage) Segment(s wire.Segment, w *Writer) {
	w.Send(s)
	if i.p.After == 0 && !i.waiting {
		w.Alarm(w.Now())
	}
}

func (i *idleStage) Blind(int64) int64 {
	if i.p.After == 0 && !i.spared {
		return 0
	}
	return math.MaxInt64
}

// AtRest: an exchange may end long after its last byte was read.
func (i *idleStage) AtRest() bool { return !i.spared && !i.waiting }

func (i *idleStage) Wake(w *Writer) {
	since, rests := w.Quiet()
	due := since.Add(time.Duration(i.p.After))
	switch {
	case i.spared:
	case !rests || due.After(w.Now()):
		if i.waiting {
			i.waiting = false
			w.Deaf(false)
		}
		if due.After(w.Now()) {
			w.Alarm(due)
		} else if i.p.After > 0 {
			w.Alarm(w.Now().Add(time.Duration(i.p.After)))
		}
	case i.p.After == 0 && !w.Used():
	case i.p.Race:
		i.waiting = true
		w.Deaf(true)
	default:
		i.close(w)
	}
}

// Unread: the next request has come.
func (i *idleStage) Unread(_ int64, w *Writer) {
	since, rests := w.Quiet()
	if !i.waiting {
		return
	}
	i.waiting = false
	w.Deaf(false)
	if !rests || since.Add(time.Duration(i.p.After)).After(w.Now()) {
		i.Wake(w) // the server has spoken since
		return
	}
	i.close(w)
}

// Hangup: the client has left; its FIN is to pass.
func (i *idleStage) Hangup(w *Writer) {
	i.waiting = false
	w.Deaf(false)
}

func (i *idleStage) close(w *Writer) {
	switch {
	case !w.FireAs():
		i.spared = true
	case i.p.Race && i.p.End == Close:
		w.Desert(OtherClose)
	default:
		w.End(i.p.End, OtherClose)
	}
}
