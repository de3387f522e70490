package middlebox

import (
	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

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
		if s.eng.Keeps(d) {
			s.step(faults.Input{Kind: faults.InCramped, Dir: d})
			return true
		}
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
	if s.captured {
		from.captureRst(wayIn)
	}
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
