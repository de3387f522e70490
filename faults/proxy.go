package faults

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"crimp/faults/wire"
)

// Proxying is how a route stands between its clients and their servers.
type Proxying uint8

const (
	// Forward: the route's upstream is dialled as soon as a client is accepted.
	Forward Proxying = iota
	// ToOrigin: the client's request line names the server (RFC 9112 sections
	// 3.2.2 and 3.2.3), which is dialled when something is to be said to it.
	ToOrigin
	// ToProxy: the route's upstream is a proxy itself: it is dialled with the
	// first request and gets all of them as they came, CONNECT too.
	ToProxy
)

// proxy is what the engine of an explicit proxy knows besides: which server the
// session is connected to, and which ones it turns to next.
//
// A session has one server at a time: turn.go has when it turns to another, and
// when it goes on without any.
//
// Bytes are the client's own, with nothing armed, but for two things without
// which origins could not be reached: `http://host` is cut out of the request
// line (origin-form: RFC 9112 section 3.2.1; old servers know no other), by place,
// so a line whose beginning a rule has rewritten goes out as the rule says; and
// CONNECT is answered here. Connection, Keep-Alive, Proxy-Connection and Host pass:
// a relay that does better is the fault `hop_by_hop` in mode `correct`. Rules
// for requests do not act on a CONNECT, no byte of which goes on; those for
// responses see its answer, as every answer made here.
type proxy struct {
	base int64 // how far the answers had come when the present connection began
	e    *Engine
	next bool // ToProxy

	start wire.Segment // the first piece of a request line that came in pieces
	line  []byte       // all of it so far: which server it names must be known
	named string       // what the request in progress names: host:port
	heard bool         // the request in progress is a CONNECT that ends here

	asked   uint64 // the newest exchange that has turned to its server
	first   *turn  // to be made at once: nobody is connected
	origin  string // the server that the last turn led to; empty: nobody is connected
	dialing bool   // OpDial was said, and not answered yet
	tunnel  bool   // for a CONNECT

	apart   *state // the rule by which the last answer's two connections persist each for itself
	parting bool   // the server's is over with the message in progress
}

// nextProxy stands for the route's upstream where a server's name does.
const nextProxy = "upstream"

// take looks at what the client says before anything else does. It hands back
// the segment to go on with, if there is one.
func (p *proxy) take(l *lane, s wire.Segment) (wire.Segment, bool) {
	_, turned := p.e.pair.Opaque(wire.Upstream)
	switch {
	case l.mute:
		return s, true
	case p.heard:
		p.connectHead(l, s, turned)
	case s.Part == wire.StartLine:
		return p.requestLine(l, s)
	case s.Part != wire.Opaque:
		return s, true
	case p.newest() != "":
		p.noLine(l)
		return s, true
	case turned:
		p.line = nil
		p.refuse(l, 400, "a request line with http:// or CONNECT was expected")
		return s, true
	}
	l.off = s.Off + int64(len(s.Data)) // an empty line before the first request
	return s, false
}

// noLine passes on what began like a request line and is none: it is for whom the
// request before was for.
func (p *proxy) noLine(l *lane) {
	if len(p.line) > 0 {
		s := p.joined()
		l.proceed(&wire.Segment{Dir: s.Dir, Part: wire.Opaque, Data: s.Data, Off: s.Off, Pos: inserted, First: true})
	}
}

// joined is the request line, or what there is of it, in one piece.
func (p *proxy) joined() wire.Segment {
	s := p.start
	s.Data, p.line = p.line, nil
	return s
}

// requestLine waits for the whole line and finds the server in it. The next proxy
// gets it as it comes.
func (p *proxy) requestLine(l *lane, s wire.Segment) (wire.Segment, bool) {
	if p.next {
		p.named = nextProxy
		return s, true
	}
	if !s.Last || len(p.line) > 0 {
		if len(p.line) == 0 {
			p.start = s
		}
		if p.line = append(p.line, s.Data...); !s.Last {
			return s, false
		}
		s = p.joined()
		s.Last = true
	}
	connect := wire.MethodOf(s.Head.Method()) == wire.MethodConnect
	named, why := p.origins(s.Head.Target(), connect)
	if !connect && why == "" {
		p.named = named
		return s, true
	}
	l.open()
	l.headline(&s)
	l.off = s.Off + int64(len(s.Data))
	if why != "" {
		p.refuse(l, 400, why)
		return s, false
	}
	p.named, p.heard = named, true
	return s, false
}

// origins is the server that a request target names, as host:port; or why none.
func (p *proxy) origins(target []byte, connect bool) (named, why string) {
	authority, form := target, "CONNECT host:port"
	if !connect {
		form = "http://host in the request line"
		var ok bool
		authority, _, ok = splitAbsolute(target)
		if ok = ok && len(target) > 7 && equalFold(target[:7], "http://"); !ok {
			return "", "this is a proxy: " + form + " was expected"
		}
	}
	host, port := splitPort(authority)
	if port == nil && !connect {
		port = []byte("80")
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	if len(bare(host)) == 0 || err != nil || n == 0 {
		return "", "this is a proxy: " + form + " was expected"
	}
	if o := p.origin; len(o) == len(host)+1+len(port) && equalFold(host, o[:len(host)]) && o[len(host)+1:] == string(port) {
		return o, "" // the same as before: nothing to allocate
	}
	return string(bytes.ToLower(host)) + ":" + string(port), ""
}

// connectHead follows a CONNECT to the end of its message: what comes then is
// for the server, and no HTTP to us.
func (p *proxy) connectHead(l *lane, s wire.Segment, turned bool) {
	l.off = s.Off + int64(len(s.Data))
	switch {
	case turned && s.Part == wire.Opaque:
		p.heard = false
		p.refuse(l, 400, "the head of a CONNECT was expected")
		return
	case s.Part == wire.HeadEnd && s.Last:
		l.headline(&s)
	}
	if !s.End {
		return
	}
	p.heard = false
	l.ex.requested = true
	p.asked = l.ex.N
	p.turnTo(l, turn{exchange: l.ex.N, target: p.named, connect: true}, entry{at: p.e.now})
	l.ex = nil
	p.e.pair.Opaquely(wire.Upstream, wire.TunnelReason)
}

// refuse answers in the turn of the request that was just read, and reads
// nothing more of the client.
func (p *proxy) refuse(l *lane, status int, why string) {
	t := turn{exchange: p.e.q.n + 1}
	if x := l.ex; x != nil {
		t.exchange, x.requested, l.ex = x.N, true, nil
	}
	t.refusal = answer(status, why)
	l.mute = true
	p.turnTo(l, t, entry{at: p.e.now})
}

// dialled: a CONNECT has its answer, everything else waits in the outbox.
func (p *proxy) dialled() {
	if p.dialing = false; p.tunnel {
		p.reply("HTTP/1.1 200 Connection established\r\n\r\n")
	}
}

// unreachable answers a request whose server could not be connected.
func (p *proxy) unreachable(err error) {
	status, why := 502, "the server cannot be connected"
	if t := (interface{ Timeout() bool })(nil); errors.As(err, &t) && t.Timeout() {
		status, why = 504, "the server did not answer in time"
	}
	p.reply(answer(status, why))
	p.hangUp()
}

// reply gives the client an answer of our own as if its server had: rules see it.
// It is for the oldest exchange that has none.
func (p *proxy) reply(text string) {
	e := p.e
	for _, x := range e.q.open {
		if x.answered || x.done {
			continue
		}
		if !x.asked {
			x.asked = true
			e.pair.Expect(x.forwarded())
		}
		if x.forwarded() == wire.MethodHead {
			text = text[:bytes.Index([]byte(text), []byte("\r\n\r\n"))+4]
		}
		break
	}
	e.pair.Feed(wire.Downstream, []byte(text))
}

// hangUp ends both legs after what was said; of a leg that never was, it says
// that there will be none.
func (p *proxy) hangUp() {
	up, down := &p.e.lanes[wire.Upstream], &p.e.lanes[wire.Downstream]
	op := OpClose
	if !p.e.dialed {
		op = OpAbort
	}
	p.first, up.mute, up.halted = nil, true, false
	up.out.drop(p.e.now)
	up.close(op, nil)
	if !down.mute {
		down.terminate(nil, term{op: OpFinish}, p.e.now, nil)
		down.mute = true
	}
}

// answer is a response of our own, the last on its connection.
func answer(status int, why string) string {
	reason := map[int]string{400: "Bad Request", 502: "Bad Gateway", 504: "Gateway Timeout"}[status]
	body := "crimp: " + why + ".\n"
	return fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, reason, len(body), body)
}

// originForm parts a piece of the request line in what stands before and behind
// the server's name, where it is the client's own; between is what belongs there
// instead: the path that was left out (RFC 9112 sections 3.2.1 and 3.2.4).
func originForm(s wire.Segment) (before []byte, between string, behind []byte) {
	h := s.Head
	_, rest, ok := splitAbsolute(h.Target())
	if !ok {
		return s.Data, "", nil
	}
	from := int64(h.Word[1][0])
	to := int64(h.Word[1][1] - len(rest))
	a, b := max(from-s.Pos, 0), min(to-s.Pos, int64(len(s.Data)))
	if a >= b || !bytes.Equal(s.Data[a:b], h.Raw[s.Pos+a:s.Pos+b]) {
		return s.Data, "", nil
	}
	if s.Pos+b == to && (len(rest) == 0 || rest[0] != '/') {
		if between = "/"; len(rest) == 0 && string(h.Method()) == "OPTIONS" {
			between = "*"
		}
	}
	return s.Data[:a], between, s.Data[b:]
}
