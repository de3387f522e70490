package middlebox

import (
	"slices"

	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

// How sessions tell captures what they read and write. All of it is called only
// where a session is captured (session.captured).

// captures is what a loop knows of them; nil where there are none.
type captures struct {
	all  []*Capture
	seen map[*session]*captured // those of which something was told; never iterated
}

// captured is a session of which something was told.
type captured struct {
	views []view
	reset [2]bool // by leg: it was told that its peer had reset
	names [2]legNames
}

// view is what one capture was told of a session.
type view struct {
	c      *Capture
	opened [2]bool // by leg: that the connection stands
}

// capture puts a capture in force, and says on how many sessions.
func (l *loop) capture(c *Capture) int64 {
	if l.captures == nil {
		l.captures = &captures{seen: map[*session]*captured{}}
	}
	l.captures.all = append(l.captures.all, c)
	return l.capturing(c)
}

// capturing marks the sessions that a capture wants, and counts them.
func (l *loop) capturing(c *Capture) (n int64) {
	for _, s := range l.sessions {
		if c.wants(s) {
			s.captured = true
			n++
		}
	}
	return n
}

// uncapture takes a capture out of force.
func (l *loop) uncapture(c *Capture) {
	if l.captures == nil {
		return
	}
	all := slices.DeleteFunc(l.captures.all, func(x *Capture) bool { return x == c })
	l.captures.all = all
	for _, s := range l.sessions {
		if !s.captured {
			continue
		}
		s.captured = s.isCaptured()
		if k := l.captures.seen[s]; !s.captured {
			delete(l.captures.seen, s)
		} else if k != nil {
			k.views = slices.DeleteFunc(k.views, func(v view) bool { return v.c == c })
		}
	}
	if len(all) == 0 {
		l.captures = nil
	}
}

// isCaptured says whether a capture in force wants the session.
func (s *session) isCaptured() bool {
	return s.l.captures != nil && slices.ContainsFunc(s.l.captures.all, func(c *Capture) bool { return c.wants(s) })
}

// sight is what was told of the session, each capture's part of it included.
func (s *session) sight() *captured {
	all := s.l.captures
	k := all.seen[s]
	if k == nil {
		k = &captured{}
		all.seen[s] = k
	}
	for _, c := range all.all {
		if c.wants(s) && !slices.ContainsFunc(k.views, func(v view) bool { return v.c == c }) {
			k.views = append(k.views, view{c: c})
		}
	}
	return k
}

// captureEnd tells that the session is over.
func (s *session) captureEnd() {
	s.captureTell(&sighting{what: chunkClosed})
	delete(s.l.captures.seen, s)
}

// captureFired tells that a fault acted, as the event of that number does.
func (s *session) captureFired(f *firing, seq int64) {
	k := sighting{what: chunkFired, fired: f, seq: seq, offset: f.data.Offset, bytes: f.data.Bytes}
	if f.data.Direction == wire.Upstream.String() {
		k.leg = wire.Upstream
	}
	s.captureTell(&k)
}

// captureTell tells every capture what is of the session as a whole.
func (s *session) captureTell(k *sighting) {
	k.at, k.route, k.num = s.l.k.Now(), s.r.name, s.num
	for _, v := range s.sight().views {
		v.c.put(k)
	}
}

// captureOpen tells that the leg's connection stands now.
func (g *leg) captureOpen() {
	k := g.s.sight()
	k.names[g.to] = legNames{}
	k.reset[g.to] = false
	for i := range k.views {
		k.views[i].opened[g.to] = false
	}
	g.captureTell(k, &sighting{what: chunkOpened}, false)
}

// captureIn tells what a read of the leg came to.
func (g *leg) captureIn(b []byte, out sys.Outcome) {
	k, at := g.s.sight(), g.place()
	switch out {
	case sys.OK:
		g.captureBytes(k, wayIn, at, b)
	case sys.EOF:
		g.captureTell(k, &sighting{what: chunkFin, offset: at}, true)
	case sys.Reset:
		g.captureRst(wayIn)
	}
}

// place is where in its stream the leg's next byte to be read stands. The engine is
// not told of what is read away after an ending.
func (g *leg) place() (at int64) {
	if g.s.eng != nil {
		at = g.s.eng.Offset(g.to.Other())
	}
	if g.ending != nil {
		at += g.ending.away
	}
	return at
}

// captureOut tells what the system took to be sent to the leg's peer.
func (g *leg) captureOut(b []byte) {
	if len(b) > 0 {
		g.captureBytes(g.s.sight(), wayOut, g.said-int64(len(b)), b)
	}
}

func (g *leg) captureBytes(k *captured, way byte, at int64, b []byte) {
	for len(b) > 0 {
		piece := b[:min(len(b), capturePiece)]
		g.captureTell(k, &sighting{what: chunkBytes, way: way, offset: at, bytes: int64(len(piece)), data: piece}, true)
		at, b = at+int64(len(piece)), b[len(piece):]
	}
}

// captureFin tells that our FIN goes out.
func (g *leg) captureFin() {
	g.captureTell(g.s.sight(), &sighting{what: chunkFin, way: wayOut, offset: g.said}, true)
}

// captureRst tells, once, of the RST that ends the leg: its peer's, or ours.
func (g *leg) captureRst(way byte) {
	k := g.s.sight()
	if !g.up || k.reset[g.to] {
		return
	}
	k.reset[g.to] = true
	x := sighting{what: chunkRst, way: way, offset: g.said}
	if way == wayIn {
		x.offset = g.place()
	}
	g.captureTell(k, &x, true)
}

// captureOver tells how the leg ends now; first what its ending had to tell.
func (g *leg) captureOver(how string) {
	g.depart()
	if g.ending != nil {
		g.tell(g.ending)
	}
	switch {
	case how == "fin" || g.sock == sys.None:
	case g.dead():
		g.captureRst(wayIn)
	default:
		g.captureRst(wayOut)
	}
}

// captureTell tells every capture that wants this side, and before the first chunk of
// a connection that it stands.
func (g *leg) captureTell(k *captured, x *sighting, stood bool) {
	s := g.s
	x.at, x.route, x.num, x.leg = s.l.k.Now(), s.r.name, s.num, g.to
	for i := range k.views {
		v := &k.views[i]
		if !v.c.side[g.to] {
			continue
		}
		if !v.opened[g.to] {
			v.opened[g.to] = v.c.put(g.captureNames(k, x, stood))
		}
		if x.what == chunkOpened {
			continue
		}
		whole := x.data
		x.data = whole[:min(len(whole), v.c.most)]
		v.c.put(x)
		x.data = whole
	}
}

// captureNames is the chunk that tells, before another, that the leg's connection stands. Who the
// peer is is asked of the system once: it does not know after a reset.
func (g *leg) captureNames(k *captured, before *sighting, stood bool) *sighting {
	names := &k.names[g.to]
	if !names.own.IsValid() && g.sock != sys.None {
		names.own, names.peer = g.s.l.k.Names(g.sock)
		if g.to == wire.Downstream {
			names.peer = g.s.peer
		} else if !names.peer.IsValid() {
			names.peer = g.s.conf.addr
		}
	}
	names.given, names.stood = g.said, stood
	x := &sighting{what: chunkOpened, at: before.at, route: before.route, num: before.num, leg: g.to, offset: g.place(), opened: names}
	if before.way == wayOut {
		names.given = before.offset
	}
	return x
}
