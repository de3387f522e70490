package middlebox

import (
	"fmt"
	"runtime"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

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
	if s.unwanted() {
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
	if s.captured {
		s.captureEnd()
	}
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
		if r := recover(); r != nil {
			s.crash(r)
		}
	}()
	s.step(faults.Input{Kind: faults.InCommand, Act: faults.ActRst, Side: faults.BothSides})
}

// guard turns a panic in a session's step into the end of that session, with a
// reset to both sides; the box and all its other sessions live on.
func (s *session) guard() {
	if r := recover(); r != nil {
		s.crash(r)
		s.cause = "panic"
		s.kill("panic")
	}
}

// crash notes that the engine is not to be asked again, and tells the log why.
func (s *session) crash(r any) {
	s.crashed = true
	stack := make([]byte, 8<<10)
	stack = stack[:runtime.Stack(stack, false)]
	s.l.box.log.Error().Str("session", s.id()).Str("panic", fmt.Sprint(r)).Bytes("stack", stack).
		Msg("a session's step panicked: the session is reset, the box goes on")
}
