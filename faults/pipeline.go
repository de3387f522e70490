package faults

import (
	"time"

	"crimp/faults/wire"
)

// pipeline does to requests that were sent without waiting what RFC 9112 section
// 9.3.2 forbids, and what it allows and clients still fall for. A server may work
// on pipelined requests at the same time, but must answer them in the order in
// which they came; a client must be ready to ask again what was left unanswered,
// and not to pipeline behind a method that is not idempotent. No client in use
// pipelines by itself: those that do were told to, and proxies and load generators.
//
// Everything begins with a request that matches and ends when nothing more is
// asked: that is one occurrence, and the next one begins with the next match. Where
// nothing was asked behind it there is no pipe, and the rule misses.
//
//	reorder       the answer to that request leaves behind the n answers after it
//	              (1), or fewer if no more was asked: the server that answers from
//	              a pool of workers (mummy#142). Nothing tells the client which
//	              answer is whose
//	answer_first  that request and those after it are answered up to the n-th
//	              answer (1), and the connection ends there as end says with the
//	              rest still queued (helidon#2580). All of it was forwarded when it
//	              came: a POST behind the n-th may have done its work and is never
//	              answered. Its exchange says how much of it was delivered. Where it
//	              is not to reach the server, keep_alive close_after is the fault
//	merge         the n answers from that one on (2), or as many as were asked for,
//	              leave in one write and one segment, as far as the path lets a
//	              segment be that large: a reader that drops what lies behind one
//	              answer in its buffer waits for ever. With match direction=upstream
//	              that is done to n requests, or to what comes within 100 ms
//	serialize     the server has one request at a time: the next is forwarded when
//	              the answer before it is out, as by a proxy that does not pipeline.
//	              What waits is read, and never reaches the server if the session
//	              ends before
//
// What reorder and merge keep are whole answers, interim ones between them too,
// as all other rules have made them, whatever the order of the rules. When the rule
// is disarmed, when anything ends the connection, or when they come to more than a
// session may hold (then it misses), they leave in the order the server gave. An
// answer that lasts until the close, or makes a tunnel, is not kept. A session keeps
// messages for one rule at a time: a second one that would keep some meanwhile
// misses, and its rule.missed names the first, which is served as if alone.
type pipeline struct {
	Mode string `json:"mode" help:"an answer is overtaken; the first ones are all; several leave in one segment; the server is asked one at a time" enum:"reorder,answer_first,merge,serialize"`
	N    int    `json:"n" help:"how many answers: that overtake (1), that are given (1), that leave together (2); 0: the mode's own" min:"0" max:"1000"`
	End  Ending `json:"end" help:"of answer_first: how the client's connection ends"`
}

// mergeTime bounds how long requests wait for others to leave with.
const mergeTime = 100 * time.Millisecond

var pipelineN = map[string]int{"reorder": 1, "answer_first": 1, "merge": 2}

var _ = Declare(Kind[pipeline]{
	Name:     "pipeline",
	Summary:  "answers to a pipeline leave in another order, only in part or all in one segment; or the server is asked one request at a time",
	Client:   "another request's answer; or no more answers, then the ending; or several answers in one read",
	Group:    Message,
	HTTP:     true,
	Both:     true,
	Asks:     true,
	Defaults: pipeline{Mode: "reorder", End: Fin},
	Words:    []string{"pipelining", "reorder", "out_of_order", "head_of_line"},
	Check: func(p pipeline) *Error {
		switch {
		case p.Mode == "serialize" && p.N > 0:
			return Errorf(Invalid, "n", "mode serialize takes no n: it is one at a time")
		case p.Mode == "merge" && p.N == 1:
			return Errorf(Invalid, "n", "mode merge needs 2 or more")
		}
		return nil
	},
	Grain: func(pipeline) Grain { return WholeHead },
	Scope: func(p pipeline) Scope { return Scope{Fixed: p.Mode != "merge"} },
	Keeps: func(p pipeline) bool { return p.Mode == "merge" || p.Mode == "serialize" },
	New: func(p pipeline) Stage {
		if p.N == 0 {
			p.N = pipelineN[p.Mode]
		}
		return &pipelineStage{p: p}
	},
	Examples: []Example{
		{Title: "the second answer before the first", Params: `{"mode":"reorder"}`, Match: `{"path":"/1"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwoHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "behind all that was asked; not where nothing was", Params: `{"mode":"reorder","n":9}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 Alone\r\n\r\n
>c HTTP/1.1 204 Alone\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 Two\r\n\r\nHTTP/1.1 204 Three\r\n\r\nHTTP/1.1 204 Four\r\n\r\n
>c HTTP/1.1 204 Three\r\n\r\nHTTP/1.1 204 Four\r\n\r\nHTTP/1.1 204 Two\r\n\r\n`},
		{Title: "disarmed meanwhile: in the right order", Params: `{"mode":"reorder"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\nHTTP/1.1 200 Two\r\nContent-Length: 2\r\n\r\na
disarm
>c HTTP/1.1 204 One\r\n\r\nHTTP/1.1 200 Two\r\nContent-Length: 2\r\n\r\na
s> b
>c b`},
		{Title: "the first of a pipe is answered; the POST behind it arrived, and nobody will say so", Params: `{"mode":"answer_first"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
>s GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
s> HTTP/1.1 204 One\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>c FIN
>s CLOSE`},
		{Title: "two of three, then RST", Params: `{"mode":"answer_first","n":2,"end":"rst"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
s> HTTP/1.1 204 Two\r\n\r\n
>c HTTP/1.1 204 Two\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "two answers leave together, though the second came later", Params: `{"mode":"merge"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
+100ms
s> HTTP/1.1 204 Two\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\nHTTP/1.1 204 Two\r\n\r\n
s> HTTP/1.1 204 Three\r\n\r\n
>c HTTP/1.1 204 Three\r\n\r\n`},
		{Title: "two requests leave together; a lone one waits for 100 ms", Params: `{"mode":"merge"}`, Match: `{"direction":"upstream"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
+50ms
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
c> GET /3 HTTP/1.1\r\n\r\n
+99ms
+1ms
>s GET /3 HTTP/1.1\r\n\r\n`},
		{Title: "the server has one request at a time", Params: `{"mode":"serialize"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /3 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>s POST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Two\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 Two\r\n\r\n
>s GET /3 HTTP/1.1\r\n\r\n`},
		{Title: "one at a time; disarmed: the rest at once", Params: `{"mode":"serialize"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
c> FIN
>s GET /1 HTTP/1.1\r\n\r\n
disarm
>s GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
>s FIN`},
	},
})

type pipelineStage struct {
	p     pipeline
	first uint64 // the exchange that it began with
	seen  [2]int // whole messages from that one on, by direction
	over  bool   // acted, or missed: what comes is no more of it
}

func (k *pipelineStage) Segment(s wire.Segment, w *Writer) {
	x := w.slot.lane.ex
	if s.Off < 0 || s.Message == 0 || x == nil || k.over {
		w.Send(s)
		return
	}
	if k.first == 0 {
		k.first = w.Exchange().N
	}
	switch {
	case w.Dir() == wire.Upstream:
		k.request(s, w)
	case s.Head.Framing == wire.Tunnel:
		k.leave(w)
		w.Send(s)
	case s.Head.Status < 200 || x.N < k.first:
		w.Send(s)
	default:
		k.answer(s, w)
	}
}

// request sends a request on, in its turn or in its company.
func (k *pipelineStage) request(s wire.Segment, w *Writer) {
	switch {
	case !s.Start:
	case k.p.Mode == "serialize" && w.Busy() && w.Fire():
		w.Queue()
	case k.p.Mode == "merge" && w.Means(wire.Upstream) && k.seen[wire.Upstream] == 0:
		if k.shelve(w, bar{}); !k.over {
			w.Alarm(w.Now().Add(mergeTime))
		}
	}
	w.Send(s)
	if s.End {
		if k.seen[wire.Upstream]++; k.seen[wire.Upstream] == k.p.N {
			w.Unshelve()
		}
	}
}

// Wake: no other request came in time.
func (k *pipelineStage) Wake(w *Writer) { w.Unshelve() }

// answer keeps an answer, or lets it out and ends.
func (k *pipelineStage) answer(s wire.Segment, w *Writer) {
	first := k.seen[wire.Downstream] == 0
	if s.Start && first && (k.p.Mode == "reorder" || k.p.Mode == "merge" && w.Means(wire.Downstream)) {
		k.keep(s, w)
	}
	if s.Start && !first && s.Head.Framing == wire.UntilClose && w.Shelving() {
		w.slot.miss(Miss{missFraming, "an answer behind it lasts until the close"})
		k.leave(w) // nothing can stand behind that one
	}
	w.Send(s)
	if !s.End || k.over {
		return
	}
	k.seen[wire.Downstream]++
	switch n := k.seen[wire.Downstream]; k.p.Mode {
	case "reorder":
		if first {
			w.Mark()
		}
		if n > k.p.N {
			w.Unshelve()
		}
	case "merge":
		if n >= k.p.N {
			w.Unshelve()
		}
	case "answer_first":
		if n == k.p.N {
			k.end(w)
		}
	default:
		if !w.Piped(false) {
			k.leave(w)
		}
	}
}

// keep begins to keep answers, if this is the first of a pipe.
func (k *pipelineStage) keep(s wire.Segment, w *Writer) {
	switch {
	case s.Head.Framing == wire.UntilClose:
		k.miss(Miss{missFraming, "it lasts until the close"}, w)
	case !w.Piped(true):
		k.miss(Miss{missAlone, "nothing was asked behind it"}, w)
	default:
		k.shelve(w, bar{swap: k.p.Mode == "reorder"})
	}
}

// shelve asks the gate, and begins to keep messages.
func (k *pipelineStage) shelve(w *Writer, b bar) {
	if k.p.Mode == "merge" {
		b.lone = mix(w.Key()) | 1
	}
	switch kept := w.slot.lane.e.shelf; {
	case kept != nil:
		k.miss(Miss{missRule, "the session's messages are kept by " + kept.slot.part.rule.Name()}, w)
	case !w.Fire():
		k.leave(w)
	default:
		w.Shelve(b)
	}
}

// end ends a pipe of which enough is answered.
func (k *pipelineStage) end(w *Writer) {
	switch {
	case !w.Piped(false):
		k.miss(Miss{missAlone, "nothing was asked behind it"}, w)
	case w.FireBehind():
		w.End(k.p.End, OtherClose)
	default:
		k.leave(w)
	}
}

func (k *pipelineStage) miss(why Miss, w *Writer) {
	w.Miss(why)
	k.leave(w)
}

func (k *pipelineStage) leave(w *Writer) {
	k.over = true
	w.Free()
	w.Leave()
}
