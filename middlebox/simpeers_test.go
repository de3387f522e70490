package middlebox

import (
	"crimp/middlebox/simnet"
)

// temper is what a peer does that no protocol asks for.
type temper uint8

const (
	gentle temper = iota
	abrupt        // says FIN in the middle of what it has to say
	slams         // resets at any moment
	leaves        // closes at any moment, whatever is unread
)

// actor is a client or a server of a session, moved at random by the driver.
type actor struct {
	w    *world
	s    *simSession
	p    *simnet.Peer
	dir  int    // of what it says: a client's flows in 1, upstream
	says text   // what it has to say
	gets []byte // in a proxy's turn: what it is to hear

	temper temper
	fuse   int // moves until the temper shows
	parts  bool
	deaf   bool // reads nothing for now
	sent   int
	fin    bool // it said FIN, by CloseWrite
	harsh  bool // it has reset, or closed before its time
	gone   bool
	unread float64 // seconds for which there was something to read and it did not
	weary  bool    // it waits for nothing more
	lazy   bool    // longer than the box waits for anybody
}

func (w *world) newActor(s *simSession, p *simnet.Peer, dir int, says text) *actor {
	a := &actor{w: w, s: s, p: p, dir: dir, says: says, parts: oneIn(w.r, 2)}
	if n := len(says.msgs); n > 0 && says.msgs[n-1].framing == untilFIN {
		a.parts = true // its FIN is the end of its last answer
	}
	if oneIn(w.r, w.calm) {
		a.temper = pick(w.r, abrupt, slams, leaves, slams)
		a.fuse = w.r.IntN(30)
		if a.temper == abrupt {
			a.says.raw = says.raw[:w.r.IntN(len(says.raw)+1)]
			a.parts = true
		}
	}
	w.actors = append(w.actors, a)
	return a
}

// waited counts seconds in which the peer let things lie.
func (a *actor) waited(d float64) {
	if a.unread += d; a.unread > 4.9 {
		a.lazy = true
	}
}

// move does one thing the peer could do; false: there was none.
func (a *actor) move() bool {
	if a.gone || !a.p.Connected() {
		refused := !a.gone && a.p.Refused()
		a.gone = a.gone || refused
		return refused
	}
	if a.temper >= slams && !a.w.finishing {
		if a.fuse--; a.fuse < 0 {
			a.part()
			return true
		}
	}
	if a.w.r.IntN(2) == 0 {
		return a.speak() || a.hear()
	}
	return a.hear() || a.speak()
}

// part shows a bad temper.
func (a *actor) part() {
	a.harsh, a.gone = true, true
	a.w.tracef("%s: %s", a, [...]string{slams: "resets", leaves: "closes"}[a.temper])
	if a.temper == slams {
		a.p.Reset()
	} else {
		a.p.Close()
	}
}

func (a *actor) speak() bool {
	if a.fin || a.p.Broken() {
		return false
	}
	if most := a.may() - a.sent; most > 0 {
		n := a.p.Send(a.says.raw[a.sent : a.sent+a.w.some(most)])
		if n > 0 {
			a.w.tracef("%s: sends %q", a, a.says.raw[a.sent:a.sent+n])
		}
		a.sent += n
		return n > 0
	}
	ended := a.p.End() != simnet.Open || a.weary
	if a.sent < len(a.says.raw) && !ended || !a.parts && !ended && !(a.w.finishing && a.dir == 1) {
		return false
	}
	a.fin = true
	a.w.tracef("%s: FIN", a)
	a.p.CloseWrite()
	return true
}

// may is how far the peer may have spoken by now: to its first pause for what it
// has not heard. At the end clients wait no more, but where servers leave meanwhile.
func (a *actor) may() int {
	if a.w.finishing && a.dir == 1 && !a.s.route.leaves {
		return len(a.says.raw)
	}
	for _, p := range a.says.pause {
		if p.heard > len(a.p.Got()) {
			return min(p.at, len(a.says.raw))
		}
	}
	return len(a.says.raw)
}

func (a *actor) hear() bool {
	if a.deaf {
		return false
	}
	if n := a.p.Buffered(); n > 0 {
		b := a.p.Read(a.w.some(n))
		a.unread = 0
		a.w.tracef("%s: reads %q", a, b)
		a.w.heard(a, len(b))
		return true
	}
	before := a.p.End()
	a.p.Read(0)
	end := a.p.End()
	if end != before {
		a.w.tracef("%s: reads %v", a, end)
	}
	if end == simnet.RST || end == simnet.FIN && (a.fin || a.p.Broken()) {
		a.p.Close()
		a.gone = true
		return true
	}
	return end != before
}

// String is who it is: the session's number in the world and the side.
func (a *actor) String() string {
	side := "server"
	if a.dir == 1 {
		side = "client"
	}
	if a.s == nil {
		return side + " ?"
	}
	return side + " " + a.s.name()
}
