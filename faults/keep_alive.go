package faults

import (
	"fmt"
	"strings"
	"time"

	"crimp/faults/wire"
)

// keep_alive sets apart what is said of the connection's future and what is done
// with it (RFC 9112 sections 9.3 and 9.6; the numbers of Keep-Alive are a hint and
// no standard, appendix C.2.2): promises kept, broken early, outlived,
// contradicted. From the first matching request on it is for the whole session.
//
// Said: `say` rewrites Connection in every final answer (other words in it stay),
// with Keep-Alive if timeout or max is given; `nothing` leaves both fields alone.
// Done: after `close_after` answered exchanges, or `close_idle` without an open
// one, the client's connection ends as `end` says and the server's with it, and a
// request that is under way then is not forwarded: to retry it is the client's
// affair: curl, Chromium and fasthttp send even a POST again, requests and Node not
// even a GET. With `hold_open` nothing of that is
// carried out, nor a FIN from the server passed on: what the client asks after a
// due close waits unread, as behind a NAT that has forgotten the connection, until
// disarmed or until the client leaves. `announce` has the last answer say close.
type keepAlive struct {
	Say        string   `json:"say" help:"what answers say in Connection; nothing: what the server says" enum:"keep-alive,close,nothing"`
	Timeout    Duration `json:"timeout" help:"said in Keep-Alive, in whole seconds; 0s: not said" min:"0s"`
	Max        int64    `json:"max" help:"said in Keep-Alive, one less in each answer; 0: not said" min:"0"`
	CloseAfter int64    `json:"close_after" help:"exchanges after which the connection is closed; 0: never" min:"0"`
	CloseIdle  Duration `json:"close_idle" help:"how long after an answer it is closed if nothing is asked; 0s: never" min:"0s"`
	HoldOpen   bool     `json:"hold_open" help:"an announced or due close is not carried out"`
	Announce   bool     `json:"announce" help:"the last answer before close_after says close"`
	End        Ending   `json:"end" help:"how the client's connection is closed" enum:"fin,close,rst"`
}

var _ = Declare(Kind[keepAlive]{
	Name:     "keep_alive",
	Summary:  "what answers say of persistence and what becomes of the connection, each settable apart",
	Client:   "a promise to keep the connection that is broken, or one to close it that is not carried out",
	Group:    Message,
	HTTP:     true,
	Both:     true,
	Defaults: keepAlive{Say: "keep-alive", End: Fin},
	Words:    []string{"keepalive", "persistence", "connection_close", "max_requests"},
	Check:    keepAlive.check,
	Grain:    func(keepAlive) Grain { return WholeHead },
	New:      func(p keepAlive) Stage { return &keepAliveStage{p: p} },
	Presets: []Preset{
		{Name: "lying-keep-alive", Summary: "keep-alive is promised and the connection closed at once", Client: "`Connection: keep-alive` with a minute to come, then FIN right behind the answer",
			Params: `{"say":"keep-alive","timeout":"1m","close_after":1}`,
			Examples: []Example{{Title: "promised, and closed", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=60\r\n\r\n
>c FIN
>s CLOSE`}}},
		{Name: "keep-alive-timeout-lie", Summary: "idle connections are closed long before the time that was said", Client: "`Keep-Alive: timeout=5`, and FIN after one second",
			Params: `{"say":"keep-alive","timeout":"5s","close_idle":"1s"}`,
			Examples: []Example{{Title: "five seconds said, one kept", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n
+1s
>c FIN
>s CLOSE`}}},
		{Name: "say-close-stay-open", Summary: "close is said and never done", Client: "`Connection: close` and no FIN: it has to close by itself",
			Params: `{"say":"close","hold_open":true}`,
			Examples: []Example{{Title: "close is said, the server closes, and the client does not hear of it", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
+1h`}}},
	},
	Examples: []Example{
		{Title: "promised and closed at once; what was in the pipe is not asked", Params: `{"timeout":"1m","close_after":1}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nConnection: close, X\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive, X\r\nKeep-Alive: timeout=60\r\n\r\nhi
>c FIN
>s CLOSE`},
		{Title: "max counts down and the last answer says close", Params: `{"max":2,"close_after":2,"announce":true,"end":"rst"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: max=2\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "closed long before the time that was said", Params: `{"timeout":"5s","close_idle":"1s"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
+1h
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n
+900ms
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
+1h
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\n
+999ms
+1ms
>c FIN
>s CLOSE`},
		{Title: "close is said and not done, not even the server's own", Params: `{"say":"close","hold_open":true}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=5\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
+1h
c> FIN
>s FIN
>c FIN`},
		{Title: "a due close that is not carried out: nobody hears the next request", Params: `{"say":"nothing","close_after":1,"hold_open":true}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
+1h
disarm
>s GET /2 HTTP/1.1\r\n\r\n`},
	},
})

func (p keepAlive) check() *Error {
	switch {
	case p.Say != "keep-alive" && p.Timeout > 0:
		return Errorf(Invalid, "timeout", "is said with say keep-alive alone, got say %s", p.Say)
	case p.Say != "keep-alive" && p.Max > 0:
		return Errorf(Invalid, "max", "is said with say keep-alive alone, got say %s", p.Say)
	case time.Duration(p.Timeout)%time.Second != 0:
		return Errorf(Invalid, "timeout", "expected whole seconds, which is what Keep-Alive can say, got %s", p.Timeout)
	case p.Announce && p.CloseAfter == 0:
		return Errorf(Invalid, "announce", "needs close_after: which answer is the last")
	}
	return nil
}

type keepAliveStage struct {
	p        keepAlive
	first    uint64 // the exchange that it came into force with
	asked    int64  // requests since then
	answered int64  // final answers to them
	said     bool   // the fields of the answer in progress
	due      bool   // the close is
	over     bool   // it was carried out
	deaf     bool   // no further request is forwarded
	held     bool   // the server's FIN is
	tunnel   bool   // no HTTP any more: nothing is promised
	quiet    time.Time
}

func (k *keepAliveStage) Segment(s wire.Segment, w *Writer) {
	switch {
	case k.tunnel:
		w.Send(s)
	case w.Dir() == wire.Upstream:
		k.request(s, w)
	case s.Message == 0 || s.Off < 0 || s.Head.Status < 200 && s.Head.Framing != wire.Tunnel || !k.ours(w):
		w.Send(s)
	default:
		k.answer(s, w)
	}
}

// ours says that the answer is to a request since it came into force.
func (k *keepAliveStage) ours(w *Writer) bool {
	x := w.slot.lane.ex
	return x != nil && x.N >= k.first
}

func (k *keepAliveStage) request(s wire.Segment, w *Writer) {
	if k.over {
		return
	}
	if k.first == 0 {
		k.first = w.Exchange().N
	}
	if s.Start {
		k.asked++
	}
	w.Send(s)
	if s.End && k.asked == k.p.CloseAfter {
		k.deaf = true
		w.Until(Never)
	}
}

func (k *keepAliveStage) answer(s wire.Segment, w *Writer) {
	if s.Start {
		k.said = false
	}
	word := k.word()
	switch {
	case s.Head.Framing == wire.Tunnel:
		k.tunnel = true
		w.Free()
		w.Send(s)
	case word != "" && (ownField(s, "Connection") || ownField(s, "Keep-Alive")):
		w.Omit(s)
	case word != "" && headEnds(s) && !k.said:
		k.said = true
		w.Told(word == "close")
		w.Insert([]byte(k.fields(s.Head, word)))
		w.Send(s)
	default:
		w.Send(s)
	}
	if s.End && !k.tunnel {
		k.done(w)
	}
}

// word is what the answer in progress says in Connection, empty if the server's own.
func (k *keepAliveStage) word() string {
	switch {
	case k.p.Announce && k.answered+1 >= k.p.CloseAfter:
		return "close"
	case k.p.Say == "nothing":
		return ""
	}
	return k.p.Say
}

// fields are Connection, with the other words that the server put there, and
// Keep-Alive.
func (k *keepAliveStage) fields(h *wire.Head, word string) string {
	words := []string{word}
	for i := range h.Fields {
		if !equalFold(h.Name(i), "Connection") {
			continue
		}
		for _, item := range strings.Split(string(h.Value(i)), ",") {
			if item = strings.TrimSpace(item); item != "" && !strings.EqualFold(item, "close") && !strings.EqualFold(item, "keep-alive") {
				words = append(words, item)
			}
		}
	}
	var hints []string
	if k.p.Timeout > 0 {
		hints = append(hints, fmt.Sprintf("timeout=%d", time.Duration(k.p.Timeout)/time.Second))
	}
	if k.p.Max > 0 {
		hints = append(hints, fmt.Sprintf("max=%d", max(0, k.p.Max-k.answered)))
	}
	out := "Connection: " + strings.Join(words, ", ") + "\r\n"
	if len(hints) > 0 && word == "keep-alive" {
		out += "Keep-Alive: " + strings.Join(hints, ", ") + "\r\n"
	}
	return out
}

// done counts an answer, and closes if that is due.
func (k *keepAliveStage) done(w *Writer) {
	k.answered++
	k.quiet = w.Now().Add(time.Duration(k.p.CloseIdle))
	switch {
	case k.p.CloseAfter > 0 && k.answered >= k.p.CloseAfter:
		k.close(w)
	case k.p.CloseIdle > 0 && k.asked == k.answered:
		w.Alarm(k.quiet)
	}
}

// Wake: it may have been quiet for long enough.
func (k *keepAliveStage) Wake(w *Writer) {
	if k.asked == k.answered && !k.quiet.After(w.Now()) {
		k.close(w)
	}
}

// close carries out what is due, from the writer of the answers. What was asked
// meanwhile is never forwarded.
func (k *keepAliveStage) close(w *Writer) {
	if k.due = true; !k.p.HoldOpen {
		k.over = true
		w.Discard()
		w.FireBehind()
		w.End(k.p.End, OtherClose)
		return
	}
	if up := w.Opposite(); up != nil && !k.deaf {
		k.deaf = true
		up.Until(Never)
	}
}

// End holds the server's FIN, if it is to stay open, until the client leaves.
func (k *keepAliveStage) End(w *Writer) {
	switch {
	case !k.p.HoldOpen || k.tunnel || w.Resetting():
	case w.Dir() == wire.Downstream:
		k.held = true
		w.Until(Never)
	case k.held:
		w.Free()
	}
	w.Shut()
}

// Hangup: the client leaves while its last request waits unread.
func (k *keepAliveStage) Hangup(w *Writer) {
	if down := w.Opposite(); k.due && w.Dir() == wire.Upstream && down != nil {
		k.over = true
		down.Discard()
		down.FireAs()
		down.End(Fin, OtherClose)
	}
}
