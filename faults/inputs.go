package faults

import "crimp/faults/wire"

// InputKind is what happened.
type InputKind uint8

const (
	InOpen       InputKind = iota // the client's connection was accepted
	InDialed                      // the upstream connection stands
	InDialFailed                  // it does not: Err says why
	InBytes                       // Data arrived, flowing in Dir
	InSkipped                     // N bytes that Demand said need not be seen went by, flowing in Dir
	InEOF                         // the sender of Dir sent FIN; everything before it was given
	InReset                       // the sender of Dir sent RST; everything readable before it was given
	InHangup                      // Dir is on Hold, and its sender's FIN waits unread in the kernel
	InUnread                      // Dir is on Hold with Tell, and N bytes wait unread in the kernel
	InCramped                     // more is held than may be, elsewhere too: what stages keep of Dir goes on as it is
	InSwap                        // Plan replaces the plan in force
	InTick                        // Deadline has come
	InCommand                     // an operator acts on this session: Act, Side
)

// Act is what session.act can do to a session.
type Act uint8

const (
	ActRst    Act = iota // RST to that side behind what was let out; what waits is dropped
	ActClose             // FIN in its place, and RST for what comes later
	ActFin               // FIN in its place; the other direction goes on
	ActStall             // nothing goes out to that side
	ActResume            // it goes on, with what has waited
)

// Input is one thing that happened to a session.
type Input struct {
	Kind InputKind
	Dir  wire.Direction
	Data []byte // valid during Step; actions may point into it
	N    int64  // bytes: of InSkipped and InUnread
	Plan *Plan  // of InSwap
	Err  error  // of InDialFailed
	Act  Act    // of InCommand
	Side Side   // of InCommand: the leg acted on
}

// What an engine does about each input, in the order of InputKind.

func (e *Engine) bytes(d wire.Direction, b []byte) {
	e.active = e.now
	if e.protocol == Auto && d == wire.Downstream {
		e.becomes(TCP) // a server that speaks first does not speak HTTP/1
	}
	if e.pair == nil {
		e.opaque(d, b)
	} else {
		e.pair.Whole(d, e.lanes[d].plain())
		e.pair.Feed(d, b)
	}
	if l := &e.lanes[d]; l.kept() >= e.o.Held {
		l.letGo()
	}
}

// opaque passes bytes that are not looked at as HTTP.
func (e *Engine) opaque(d wire.Direction, b []byte) {
	l := &e.lanes[d]
	l.pass(&wire.Segment{Dir: d, Part: wire.Opaque, Data: b, Off: l.off, Pos: inserted, First: l.off == 0})
}

// becomes settles what an auto session is.
func (e *Engine) becomes(p Protocol) {
	if e.protocol != Auto {
		return
	}
	e.protocol = p
	word := "http"
	if p == TCP {
		word, e.pair = "tcp", nil
	}
	e.tellNow(Note{Kind: NoteProtocol, Pos: inserted, Body: inserted, Text: word})
	e.install(e.o.Plan.stream) // rules that were for this protocol only
}

func (e *Engine) skipped(d wire.Direction, n int64) {
	l := &e.lanes[d]
	e.active = e.now
	for _, s := range l.chain {
		if k, ok := s.stage.(Counter); ok {
			k.Counted(e.now, n)
		}
	}
	l.said += n
	if l.ex != nil && (l.dir == wire.Upstream || l.final) {
		if l.dir == wire.Upstream {
			l.ex.Asked += n
		} else {
			l.ex.Sent += n
		}
	}
	l.off += n
	l.body += n
	if e.pair != nil {
		e.pair.Skip(d, n)
	}
}

// eof: the sender's FIN goes the way of its bytes.
func (e *Engine) eof(d wire.Direction) {
	l := &e.lanes[d]
	if e.proxy != nil && d == wire.Downstream && e.proxy.parts() {
		return
	}
	if l.unserved() {
		l.eof = true
		e.turnAway(nil)
		return
	}
	if !l.mute {
		if e.pair != nil {
			e.pair.EOF(d)
		}
		if e.proxy != nil && d == wire.Upstream && e.proxy.newest() != "" {
			e.proxy.noLine(l) // the rest of it never comes
		}
		l.release(true)
	}
	if l.eof = true; d == wire.Upstream {
		e.unkeep()
	}
	if p := e.proxy; p != nil && d == wire.Upstream && !l.opposite().mute && p.idle() {
		p.hangUp() // there is nobody to pass it on to
		return
	}
	if !l.mute {
		l.terminate(nil, term{op: OpShut}, e.now, nil)
		return
	}
	if l.drain = false; l.shut { // half closed: the other direction goes on
		return
	}
	if opp := l.opposite(); opp.mute && !opp.closed { // a leg that was kept has ended by itself
		opp.finish(term{op: OpFinish}, e.now, nil)
	}
}

// reset: what was meant for the peer that is gone is dropped, what it said
// before goes on with its delays, then the reset.
func (e *Engine) reset(d wire.Direction) {
	if e.proxy != nil && d == wire.Downstream && e.proxy.parts() {
		return
	}
	l, back := &e.lanes[d], e.lanes[d].opposite()
	if e.unserved() {
		e.door = nil
	}
	back.unshelve(false)
	back.out.drop(e.now)
	e.lanes[wire.Upstream].out.cutAtBar()
	back.mute, back.halted, back.gag = true, false, nil
	back.hold = nil
	if d == wire.Upstream {
		e.unkeep()
	}
	if !back.closed {
		back.closed, back.op = true, OpAbort
		e.actions = append(e.actions, Action{Op: OpAbort, Dir: back.dir})
	}
	if !l.mute {
		l.release(true)
		l.terminate(nil, term{op: OpReset}, e.now, nil)
		l.mute = true
	}
	if d == wire.Upstream || e.Over() { // nobody is there to be answered
		e.lose()
	}
}

// eachStage calls f with every slot at work, as between bytes.
func (e *Engine) eachStage(f func(*slot)) {
	for d := range e.lanes {
		l := &e.lanes[d]
		for i := 0; i < len(l.chain); i++ {
			l.chain[i].between()
			f(l.chain[i])
		}
	}
}

// unread: bytes that a stage had left unread have come.
func (e *Engine) unread(n int64) {
	e.eachStage(func(s *slot) {
		if u, ok := s.stage.(Unreader); ok && !s.w.ended {
			u.Unread(n, &s.w)
		}
	})
}

// hangup is told to the stages of the direction, and to those of the other that
// made the engine leave it unread.
func (e *Engine) hangup(d wire.Direction) {
	e.eachStage(func(s *slot) {
		if h, ok := s.stage.(Hanger); ok && (s.lane.dir == d || s.deaf) {
			h.Hangup(&s.w)
		}
	})
}

func (e *Engine) dialFailed(err error) {
	if e.proxy != nil && e.o.OnDialError == "502" {
		e.proxy.unreachable(err)
		return
	}
	down, up := &e.lanes[wire.Downstream], &e.lanes[wire.Upstream]
	down.mute, up.mute, up.closed = true, true, true
	up.out.drop(e.now) // what fired towards the server is told
	up.halted, up.gag = false, nil
	e.windUp() // the client may have had its ending before
	switch {
	case e.o.OnDialError == "502" && !down.closed:
		e.door = &door{unserved: true, until: e.now.Add(holdTime)}
	case e.o.OnDialError == "fin":
		down.finish(term{op: OpFinish}, e.now, nil)
	default:
		down.finish(term{op: OpReset}, e.now, nil)
	}
}

// command does what an operator asks of a session.
func (e *Engine) command(a Act, side Side) {
	for d := range e.lanes {
		l := &e.lanes[d]
		if side != BothSides && (side == Client) != (l.dir == wire.Downstream) {
			continue
		}
		switch a {
		case ActStall:
			l.halted = true
		case ActResume:
			l.halted = false
		case ActFin:
			l.mute = true
			l.cutOff(OpShut)
			if e.proxy != nil && l.dir == wire.Upstream {
				e.proxy.shut()
			}
		case ActClose, ActRst:
			op := OpClose
			if a == ActRst {
				op = OpReset
			}
			l.mute = true
			l.cutOff(op)
			if opp := l.opposite(); side != BothSides { // it cannot go on alone
				opp.mute = true
				opp.finish(term{op: OpClose}, e.now, nil)
			}
		}
	}
}

// wake serves what Deadline announced.
func (e *Engine) wake() {
	if e.idle() {
		return
	}
	if e.unserved() && !e.now.Before(e.door.until) {
		e.turnAway(nil)
	}
	for d := range e.lanes {
		l := &e.lanes[d]
		if due := l.hold.due(); !due.IsZero() && !due.After(e.now) {
			l.overheld("older than 1 s")
		}
		for i := 0; i < len(l.chain); i++ {
			if s := l.chain[i]; !s.alarm.IsZero() && !s.alarm.After(e.now) {
				s.wake()
			}
		}
	}
}

// facts are what is known of an exchange; status is that of its response, 0 if
// it is not known yet.
func (e *Engine) facts(x *Exchange, status int) *Facts {
	f := &e.known
	*f = Facts{Session: e.o.Session, Client: e.o.Client, Status: status}
	if x != nil {
		f.Exchange, f.Reused, f.Idle, f.HasRequest = x.N, x.reused, x.idle, true
		if x.Head.StartStop > 0 {
			f.Request = &x.Head
		}
	}
	return f
}
