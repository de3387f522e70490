package middlebox

import (
	"net/netip"
	"sync/atomic"
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
	mates  *atomic.Int32 // how many persistent connections its client has; nil: this is none

	dialled  bool // there is an upstream connection, or will be none
	ended    bool // over: it is no longer one of the loop's
	crashed  bool // a step panicked: the engine is not asked again
	starved  bool
	halted   bool // an operator stalled it
	cut      bool // a fault ended a side of it
	draining bool
	captured bool // what it reads and writes is told: see capture.go

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
	if s.captured = s.isCaptured(); s.captured {
		s.leg[wire.Downstream].captureOpen()
	}
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
		more = more && s.stirs()
		if more && (n >= l.tune.Rounds || l.spent >= l.tune.TurnBytes) {
			l.enqueue(&s.task)
			break
		}
	}
	if s.settle(); more {
		s.eng.Behind()
	}
}

// stirs says whether another round could find anything to do. After a short read, as
// most are, it could not.
func (s *session) stirs() bool {
	for d := range s.leg {
		if g := &s.leg[d]; g.flags&sys.In != 0 || g.piped > 0 || g.pend != nil || g.ending != nil {
			return true
		}
	}
	return false
}

// step steps the engine and does what it answers. What a rule delays it delays from
// when it came, which in a long turn is well after the turn's beginning. (A new plan
// is no such thing, and thousands of sessions get it at once.)
func (s *session) step(in faults.Input) {
	if in.Kind != faults.InSwap && s.plan.Armed() {
		s.l.look()
	}
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
	g.depart()
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
