package faults

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"crimp/faults/wire"
)

// reply answers in the server's place, in its turn: answers to requests before it
// go first (RFC 9112 section 9.3.2), those after it later.
//
//	instead  the request ends here: upstream never hears of it
//	after    upstream is asked and does its work, its answer is swallowed: the
//	         gateway that times out on a server that has done it
//	early    at the end of the request's head, while the body still comes: the 413
//	         of RFC 9110 section 15.5.14 (requests#2422, okhttp#1001, clj-http#277).
//	         Upstream gets `other` in mid-request. A request without a body is
//	         answered before upstream was told anything of it
//
// A request that expects 100 (Continue) is answered at the end of its head. What
// the body needs, Content-Length, and Connection: close with an ending, is said
// unless `fields` says otherwise; an answer to HEAD has no body.
type reply struct {
	Status int        `json:"status" help:"of the made-up answer" min:"200" max:"599"`
	Fields string     `json:"fields" help:"field lines, parted by \\n"`
	Body   ByteString `json:"body" help:"text:..., hex:... or random:N; 204 and 304 have none, and an answer to HEAD leaves it out"`
	When   string     `json:"when" help:"whether upstream is asked: never, first, or cut off in the middle of the request" enum:"instead,after,early"`
	Then   Then       `json:"then" help:"what comes after it: the next exchange, or an ending"`
	Other  Other      `json:"other" help:"what upstream gets where the session ends with it"`
}

var _ = Declare(Kind[reply]{
	Name:     "reply",
	Summary:  "a made-up answer, in its turn of the pipeline",
	Client:   "an answer that the server never gave",
	Group:    Message,
	HTTP:     true,
	Both:     true,
	Adds:     true,
	Grain:    func(reply) Grain { return Line },
	Defaults: reply{Status: 503, When: "instead"},
	Words:    []string{"respond", "abort", "error_response", "mock", "synthetic"},
	Check: func(p reply) *Error {
		if bodiless(p.Status) && p.Body.Len() > 0 {
			return Errorf(Invalid, "body", "expected none with status %d: such an answer ends with its head (RFC 9112 section 6.3); inject at end says bytes behind it", p.Status)
		}
		if p.When == "early" && p.Then == ThenKeep {
			return Errorf(Invalid, "then", "expected fin or rst with when early: upstream is cut off in the middle of a request")
		}
		return nil
	},
	New: func(p reply) Stage { return &replyStage{p: p} },
	Presets: []Preset{
		{Name: "early-413", Summary: "413 while the upload still comes, then FIN", Client: "an answer before it has sent all; wget uploads again",
			Params: `{"status":413,"when":"early","then":"fin"}`, Match: `{"method":"POST"}`},
	},
	Examples: []Example{
		{Title: "upstream is never asked", Params: `{"body":"text:busy"}`, Match: `{"path":"/b"}`, Play: `
c> GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n
>s GET /a HTTP/1.1\r\n\r\nGET /c HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc
>c HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusyHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc`},
		{Title: "asked, its answer swallowed", Params: `{"status":504,"when":"after","fields":"X-By: crimp"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 504 Gateway Timeout\r\nX-By: crimp\r\nContent-Length: 0\r\n\r\n
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n`},
		{Title: "early: while the body still comes", Params: `{"status":413,"when":"early","then":"fin"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n
>s POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n
>c HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n
>c FIN
>s CLOSE`},
		{Title: "then RST", Params: `{"status":500,"then":"rst"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>c HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "an upgrade that was granted, and is not let through", Params: `{"when":"after","status":426,"then":"fin"}`, Play: `
c> GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n
>s GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n
s> HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello
>c HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n
>c FIN
>s CLOSE`},
		{Title: "a request that is malformed has no end, and an answer", Params: `{"status":400}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nabc
>c HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n
c> def`},
		{Title: "a whole pipeline, one after the other", Params: `{"body":"text:no"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nHEAD /3 HTTP/1.1\r\n\r\n
>c HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nnoHTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n`},
	},
})

type replyStage struct {
	p    reply
	ate  bool // the request's beginning is gone: the answer must be ours
	due  bool // to be said in its turn
	said bool
	out  bool // the request is through, or swallowed

	broken bool // what is swallowed is malformed: it has no end
}

func (r *replyStage) Segment(s wire.Segment, w *Writer) {
	if w.Dir() == wire.Upstream {
		r.request(s, w)
		return
	}
	switch {
	case r.p.When == "after" && w.Mine() && s.Head != nil && (s.Head.Status >= 200 || s.Head.Status == 101):
		if !r.said {
			r.say(w, false)
		}
		return // swallowed
	case s.Off >= 0 && s.End && s.Head != nil && s.Head.Status >= 200:
		w.Send(s)
		r.turn(w)
		return
	}
	w.Send(s)
}

func (r *replyStage) request(s wire.Segment, w *Writer) {
	if r.p.When != "instead" || r.out && !r.broken {
		w.Send(s)
	}
	if r.out {
		return
	}
	r.ate = r.p.When == "instead"
	head := s.Part == wire.HeadEnd && s.Last
	r.broken = r.ate && s.Part == wire.Opaque && s.Off >= 0 // it has no end: what comes is its rest
	if r.p.When != "after" && !r.due && (s.End || r.broken || head && (r.p.When == "early" || s.Head.Find("Expect") >= 0)) {
		r.due = true
		w.Back().Soon()
	}
	if s.End || r.broken {
		r.out = true
		w.Gone()
	}
}

// Unfinished: a request that was begun to be eaten is eaten and answered, an
// answer in whose place something was said is swallowed.
func (r *replyStage) Unfinished() bool {
	return r.ate && !(r.out && r.said) || r.p.When == "after" && r.said
}

func (r *replyStage) Wake(w *Writer) {
	if w.Dir() == wire.Downstream {
		r.turn(w)
	}
}

// Owes is how much it will say.
func (r *replyStage) Owes() int {
	if r.said {
		return 0
	}
	return r.p.Body.Len()
}

// turn says the answer if it is its turn.
func (r *replyStage) turn(w *Writer) {
	if !r.due || r.said || !w.Turn() {
		return
	}
	if r.say(w, true); r.p.Then == ThenKeep {
		r.next(w)
	}
}

// An answer passes the stages of all other exchanges. So those to a pipeline of
// thousands are said a few at a time, by how many stages there are, and other
// sessions have their turns in between.
const (
	passedAtOnce = 100_000 // stages
	answersAgain = time.Millisecond
)

// next has the answers said whose turn it is now: those to a pipeline become due in
// one go, and are not asked in the order of their requests.
func (r *replyStage) next(w *Writer) {
	l := w.slot.lane
	due := map[*Exchange]*slot{}
	for _, s := range l.chain {
		if o, ok := s.stage.(*replyStage); ok && o.due && !o.said && due[s.ex] == nil {
			due[s.ex] = s
		}
	}
	left := passedAtOnce / len(l.chain)
	for _, x := range l.e.q.open {
		if x.answered || x.done {
			continue
		}
		s := due[x]
		if s == nil {
			return
		}
		if left--; left < 0 {
			s.alarm = l.e.now.Add(answersAgain)
			return
		}
		s.between()
		o := s.stage.(*replyStage)
		if o.say(&s.w, true); o.p.Then != ThenKeep {
			return
		}
	}
}

// say answers: behind what is being seen, or in its place.
func (r *replyStage) say(w *Writer, behind bool) {
	r.said = true
	method := ""
	if x := w.Exchange(); x != nil {
		method = string(x.method())
	}
	answer, declared, body := r.p.message(method, w.Rand(0).Uint64)
	w.Insert(answer)
	w.Replied(r.p.Status, declared, body)
	if end := r.p.Then.Ending(); end != NoEnding {
		w.FireFor(behind)
		w.End(end, r.p.Other)
		return
	}
	w.Gone()
}

// message is the answer's bytes, what length it declares (-1: none, or no number)
// and how many of the bytes are body.
func (p reply) message(method string, random func() uint64) (answer []byte, declared, size int64) {
	declared = -1
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", p.Status, reasons[p.Status])
	lower := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(p.Fields, `\n`, "\n"), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\r\n")
			lower += "\n" + strings.ToLower(line)
			if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Content-Length") {
				if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil {
					declared = n
				}
			}
		}
	}
	body := p.Body.Bytes(random)
	if !bodiless(p.Status) && !strings.Contains(lower, "\ncontent-length:") && !strings.Contains(lower, "\ntransfer-encoding:") {
		declared = int64(len(body))
		fmt.Fprintf(&b, "Content-Length: %d\r\n", declared)
	}
	if p.Then != ThenKeep && !strings.Contains(lower, "\nconnection:") {
		b.WriteString("Connection: close\r\n")
	}
	b.WriteString("\r\n")
	if method != "HEAD" {
		b.Write(body)
		size = int64(len(body))
	}
	return b.Bytes(), declared, size
}

// bodiless says that answers of a status have no body, whatever their fields say (RFC
// 9112 section 6.3).
func bodiless(status int) bool { return status == 204 || status == 304 }

// reasons are the phrases of RFC 9110 section 15 for what is likely to be made up;
// others have none, which is allowed (RFC 9112 section 4).
var reasons = map[int]string{200: "OK", 201: "Created", 204: "No Content", 301: "Moved Permanently", 302: "Found", 304: "Not Modified",
	307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
	407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required", 413: "Content Too Large",
	417: "Expectation Failed", 421: "Misdirected Request", 425: "Too Early", 426: "Upgrade Required", 429: "Too Many Requests",
	431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway",
	503: "Service Unavailable", 504: "Gateway Timeout", 511: "Network Authentication Required"}
