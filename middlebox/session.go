package middlebox

import (
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

// session is one accepted client connection and its one upstream connection (an
// explicit proxy's: one at a time): it
// reads what its engine demands, steps it, and does what the engine answers. All
// that is decided about bytes is decided by the engine; all that is known about
// sockets is known by the two legs.
//
// Performing an action never steps the engine again, because a step overwrites
// the actions of the one before; what follows from an action (a dial that fails
// at once, a write that meets a reset) is found by the next round.
//
// Ten thousand of them may be idle: with its legs it fits in 448 bytes, the
// engine in 640, which are sizes that the allocator has. What only a busy one needs
// is lent to it: backlogs by the loop, the engine's outboxes and exchanges by what
// the loop's engines share.
type session struct {
	task
	l      *loop
	r      *route
	conf   *settings // of the route when the session was accepted
	eng    *faults.Engine
	plan   *faults.Plan
	leg    [2]leg // by the direction of what is written to it: the client's is leg[Downstream]
	dial   *dialing
	index  int // among the loop's sessions
	num    uint64
	peer   netip.AddrPort
	opened time.Time
	last   time.Duration // since then, a byte was read

	dialled  bool // there is an upstream connection, or will be none
	ended    bool // over: it is no longer one of the loop's
	crashed  bool // a step panicked: the engine is not asked again
	starved  bool
	halted   bool // an operator stalled it
	cut      bool // a fault ended a side of it
	draining bool

	stalled   *stall  // the newest that a rule made
	target    *string // what a proxy's session dialled; nil: the route's upstream
	cause     string
	rules     []string // that fired
	exchanges int64
	held      int64 // as accounted for the box
	counted   [2]int64
}

// upstream is what the session dials, for people.
func (s *session) upstream() string {
	if s.target != nil {
		return *s.target
	}
	return s.conf.Upstream
}

// open makes a session of an accepted connection.
func (l *loop) open(r *route, num uint64, sock sys.Socket, peer netip.AddrPort) {
	s := &session{l: l, r: r, num: num, conf: r.conf.Load(), plan: r.force.Load().plan, peer: peer, opened: l.now}
	s.do = s
	s.leg[wire.Downstream] = leg{s: s, to: wire.Downstream, sock: sock, up: true, flags: sys.Out}
	s.leg[wire.Upstream] = leg{s: s, to: wire.Upstream, sock: sys.None}
	s.index = len(l.sessions)
	l.sessions = append(l.sessions, s)
	l.own(sock, &s.leg[wire.Downstream])
	defer s.guard()
	s.eng = faults.NewEngine(l.now, faults.Options{
		Route: r.name, Session: num, Client: peer, Protocol: s.conf.protocol, Plan: s.plan,
		Held: int(l.box.limits.HeldBytesPerSession / 2), OnDialError: s.conf.OnDialError, Proxying: s.conf.proxying,
		Census: s, Packets: l.box.packets == nil, Scratch: &l.scratch,
	})
	s.tell(sessionOpened)
	s.step(faults.Input{Kind: faults.InOpen})
	s.rounds()
}

// run is the session's turn.
func (s *session) run(*loop) {
	if s.ended {
		return
	}
	defer s.guard()
	s.rounds()
}

// rounds relays alternately in both directions, until nothing more is to be had
// or the turn's bounds are reached, then carries out what ends.
func (s *session) rounds() {
	l := s.l
	s.dialOn()
	if at := s.eng.Deadline(); !at.IsZero() && !at.After(l.now) {
		s.step(faults.Input{Kind: faults.InTick})
	}
	more := true
	for n := 1; more; n++ {
		more = false
		for d := range s.leg {
			s.leg[d].flush()
		}
		for d := range s.leg {
			if s.relay(wire.Direction(d)) {
				more = true
			}
		}
		s.tally() // each round, or a turn could hold a turn's bytes past the bound
		if more && (n >= l.tune.Rounds || l.spent >= l.tune.TurnBytes) {
			l.enqueue(&s.task)
			break
		}
	}
	if s.settle(); more {
		s.eng.Behind()
	}
}

// relay moves at most one buffer in direction d; it says whether there may be more.
func (s *session) relay(d wire.Direction) bool {
	from, to := &s.leg[d.Other()], &s.leg[d]
	switch {
	case from.gone || !from.up:
		return false
	case from.ending != nil && from.ending.op == faults.OpDesert: // its input is to stay unread
		return false
	case from.ending != nil && from.ending.op > faults.OpShut:
		return from.discard()
	case from.flags&sys.In == 0 && from.piped == 0:
		return false
	case from.eof: // a RST may come after the FIN
		if from.dead() {
			s.reset(d)
			return true
		}
		return false
	case to.pending() > 0:
		return false
	}
	want := s.eng.Demand(d)
	if want.Mode == faults.Hold {
		return want.Tell && s.unread(d) || s.lastWords(d) || s.hangup(d)
	}
	if s.l.box.full() && s.holds(d) {
		s.starve()
		return false
	}
	if want.Mode == faults.Splice {
		if out, done := s.carry(d, want.N); done {
			return s.took(d, out)
		}
	}
	n := len(s.l.buf)
	if want.N > 0 && want.N < int64(n) {
		n = int(want.N)
	}
	b, out := from.input(n)
	if out == sys.OK {
		s.last = s.l.now.Sub(s.opened)
		s.step(faults.Input{Kind: faults.InBytes, Dir: d, Data: b})
	}
	return s.took(d, out)
}

// took goes on after bytes of d were moved, or none; it says whether there may
// be more.
func (s *session) took(d wire.Direction, out sys.Outcome) bool {
	switch out {
	case sys.OK:
	case sys.EOF:
		s.step(faults.Input{Kind: faults.InEOF, Dir: d})
	case sys.Reset:
		s.reset(d)
	default:
		return false
	}
	return true
}

// unread tells the engine that bytes of d wait unread, each time there are more.
func (s *session) unread(d wire.Direction) bool {
	from := &s.leg[d.Other()]
	if n := int32(s.l.k.Unread(from.sock)); n > from.unread {
		from.unread = n
		s.step(faults.Input{Kind: faults.InUnread, Dir: d, N: int64(n)})
		return true
	}
	return false
}

// lastWords reads what a sender that has reset said before, though its direction is
// left unread, as far as there is room: it goes on with its delays, then the reset.
// What there is no room for is lost, as it is with any reset.
func (s *session) lastWords(d wire.Direction) bool {
	from, n := &s.leg[d.Other()], min(s.eng.Room(d), len(s.l.buf))
	if !from.dead() || from.eof || n == 0 || s.l.box.full() {
		return false
	}
	b, out := from.input(n)
	if out != sys.OK {
		return false // hangup tells
	}
	s.last = s.l.now.Sub(s.opened)
	s.step(faults.Input{Kind: faults.InBytes, Dir: d, Data: b})
	return true
}

// hangup tells the engine that the sender of a direction that is left unread
// has gone: by its FIN, or by a RST, which is told at once, or else would never
// be noticed.
func (s *session) hangup(d wire.Direction) bool {
	from := &s.leg[d.Other()]
	switch {
	case from.dead():
		s.reset(d)
		return true
	case from.flags&sys.Fin != 0 && !from.hup:
		from.hup = true
		s.step(faults.Input{Kind: faults.InHangup, Dir: d})
		return true
	}
	return false
}

// reset tells the engine that the sender of d reset its connection.
func (s *session) reset(d wire.Direction) {
	from := &s.leg[d.Other()]
	from.broken = true
	s.step(faults.Input{Kind: faults.InReset, Dir: d})
	if from.broken { // a proxy may have parted from it
		from.over("rst")
	}
}

// holds says whether the engine keeps bytes of d back.
func (s *session) holds(d wire.Direction) bool {
	down, up := s.eng.HeldBytes()
	if d == wire.Upstream {
		return up > 0
	}
	return down > 0
}

func (s *session) starve() {
	if !s.starved {
		s.starved = true
		s.l.starved = append(s.l.starved, s)
	}
}

// step steps the engine and does what it answers.
func (s *session) step(in faults.Input) {
	s.perform(s.eng.Step(s.l.now, in))
}

// perform does what an engine answered, in its order.
func (s *session) perform(acts []faults.Action) {
	for i := range acts {
		a := &acts[i]
		switch a.Op {
		case faults.OpSend:
			g := &s.leg[a.Dir]
			g.send(a.Data, a.Apart)
			if a.Apart != 0 && (i+1 == len(acts) || acts[i+1].Apart == 0 || acts[i+1].Dir != a.Dir) {
				g.flush()
			}
		case faults.OpNote:
			s.note(a.Note)
		case faults.OpFilter:
			s.leg[a.Dir].filter(a.Filter)
		case faults.OpPart:
			s.leaveServer()
		case faults.OpDial:
			s.leaveServer()
			s.startDial(a.Target)
		default:
			s.leg[a.Dir].ask(a.Op, s.firing(a.Note))
		}
	}
}

// leaveServer hands the connection to a server that answered all it was asked to the
// loop, which ends it; what still comes from it is read away there. One that has
// reset it is gone. The leg is made ready for another.
func (s *session) leaveServer() {
	if !s.dialled {
		return // the first: what was asked of its leg before stands
	}
	g := &s.leg[wire.Upstream]
	switch {
	case g.broken:
		g.over("rst")
	case g.up:
		g.fin()
		g.retire(faults.OpFinish)
	}
	*g = leg{s: s, to: wire.Upstream, sock: sys.None, said: g.said}
	s.dialled = false
}

// settle carries out endings, sets the alarm, keeps the books, and ends the
// session when both legs are gone.
func (s *session) settle() {
	for d := range s.leg {
		s.leg[d].settle()
	}
	s.leftover()
	s.account()
	if s.draining {
		s.drain()
	}
	client, server := &s.leg[wire.Downstream], &s.leg[wire.Upstream]
	// A dial that nobody wants any more is given up: the client reset, or nothing
	// is to be said to the server. A rule that ends both sides says something, if
	// a dial has begun, or a connect rule lets it wait: a proxy's may never.
	if client.gone && !s.dialled && (client.broken || s.dial == nil && !s.eng.AtDoor() || server.ending == nil && !s.eng.Owes(wire.Upstream)) {
		s.dropDial()
		s.step(faults.Input{Kind: faults.InReset, Dir: wire.Downstream}) // what was meant for the server is told to be lost
		server.over(server.ended)
	}
	owed := s.eng.AtDoor() && s.eng.Owes(wire.Upstream)
	if client.gone && server.sock == sys.None && s.dial == nil && !owed {
		s.end()
		return
	}
	at := s.eng.Deadline()
	for d := range s.leg {
		if e := s.leg[d].ending; e != nil {
			at = sooner(at, e.look)
		}
	}
	if s.dial != nil {
		at = sooner(at, s.dial.alarm())
	}
	s.l.alarms.set(&s.task, at)
}

// leftover ends a leg that nobody will end any more: the other one is gone, and
// this one only waits for its peer's FIN after the engine has said its last; or
// it was kept, and its peer has said FIN. If the other peer reset after its FIN,
// this is where that is passed on.
func (s *session) leftover() {
	for d := range s.leg {
		g, other := &s.leg[d], &s.leg[d^1]
		if !other.gone || g.gone || !g.up || g.ending != nil || s.eng.Owes(wire.Direction(d)) {
			continue
		}
		if !(g.shut && s.eng.Over()) && !(g.eof && !g.shut) {
			continue
		}
		op := faults.OpFinish
		if other.broken {
			op = faults.OpReset
		}
		g.ask(op, nil)
		g.settle()
	}
}

func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// tally tells the route and the box what is held.
func (s *session) tally() {
	down, up := s.eng.HeldBytes()
	held := int64(down+up+s.leg[0].pending()+s.leg[1].pending()) + int64(s.leg[0].piped+s.leg[1].piped)
	if held != s.held {
		s.r.held.Add(held - s.held)
		s.l.box.held.Add(held - s.held)
		s.held = held
	}
}

// account tells the route and the box what moved and what is held.
func (s *session) account() {
	s.tally()
	for d := range s.leg {
		if n := s.leg[d].said - s.counted[d]; n != 0 {
			s.counted[d] += n
			s.r.bytes[d].Add(n)
		}
	}
}

// end takes the session, both legs of which are gone, out of the loop.
func (s *session) end() {
	if s.ended {
		return
	}
	s.ended = true
	l := s.l
	l.alarms.set(&s.task, time.Time{})
	s.r.held.Add(-s.held)
	l.box.held.Add(-s.held)
	s.r.live.Add(-1)
	s.r.crowd.leave(s.num)
	l.box.live.Add(-1)
	last := l.sessions[len(l.sessions)-1]
	l.sessions[s.index], last.index = last, s.index
	l.sessions[len(l.sessions)-1] = nil
	l.sessions = l.sessions[:len(l.sessions)-1]
	s.tell(sessionClosed)
}

// swap puts the route's plan in force, whichever is the newest. The engine lets
// go at once what only the old plan held; no peer is waited for.
func (s *session) swap() {
	plan := s.r.force.Load().plan
	if s.plan == plan || s.ended {
		return
	}
	defer s.guard()
	s.plan = plan
	if s.stalled != nil {
		if c := plan.Rule(s.stalled.rule); c == nil || !c.Rule.Armed {
			s.stalled = nil
		}
	}
	s.step(faults.Input{Kind: faults.InSwap, Plan: plan})
	s.l.enqueue(&s.task)
}

// command carries out what an operator wants of this session.
func (s *session) command(act faults.Act, side faults.Side) {
	defer s.guard()
	if act <= faults.ActFin {
		s.blame("command")
	}
	switch act {
	case faults.ActStall:
		s.halted = true
	case faults.ActResume:
		s.halted = false
	}
	s.step(faults.Input{Kind: faults.InCommand, Act: act, Side: side})
	s.l.enqueue(&s.task)
}

// blame notes what the session's end will be put down to: the first cause counts.
func (s *session) blame(cause string) {
	if s.cause == "" {
		s.cause = cause
	}
}

// drain closes the session as soon as no exchange is open on it. A session that
// speaks no HTTP, or not yet, is idle only to its peers: it is left to them.
func (s *session) drain() {
	if s.ended || s.eng.Protocol() == faults.TCP || s.eng.Protocol() == faults.Auto && s.leg[wire.Upstream].said > 0 {
		return
	}
	open := false
	s.eng.Exchanges(func(*faults.Exchange) { open = true })
	if open {
		return
	}
	s.draining = false // once
	s.blame("drain")
	s.step(faults.Input{Kind: faults.InCommand, Act: faults.ActClose, Side: faults.BothSides})
	s.l.enqueue(&s.task)
}

// kill ends the session at once, both legs with a RST.
func (s *session) kill(cause string) {
	if s.ended {
		return
	}
	s.blame(cause)
	s.finalStep()
	s.dropDial()
	for d := range s.leg {
		s.leg[d].over("rst")
	}
	s.end()
}

// finalStep lets the engine tell of what is cut off; if it cannot even do that,
// the session ends without.
func (s *session) finalStep() {
	if s.crashed || s.eng == nil {
		return
	}
	defer func() {
		if recover() != nil {
			s.crashed = true
		}
	}()
	s.step(faults.Input{Kind: faults.InCommand, Act: faults.ActRst, Side: faults.BothSides})
}

// guard turns a panic in a session's step into the end of that session, with a
// reset to both sides; the box and all its other sessions live on.
func (s *session) guard() {
	r := recover()
	if r == nil {
		return
	}
	stack := make([]byte, 8<<10)
	stack = stack[:runtime.Stack(stack, false)]
	s.l.box.log.Error().Str("session", s.id()).Str("panic", fmt.Sprint(r)).Bytes("stack", stack).
		Msg("a session's step panicked: the session is reset, the box goes on")
	s.crashed, s.cause = true, "panic"
	s.kill("panic")
}
