package faults

import "crimp/faults/wire"

// Nearly all that waits does so in the outbox. A stage that must see more before it
// can say anything keeps it itself: the end of a body whose length nobody knows
// (tail.go), a body that can be decoded only when whole (coded.go), a send buffer that
// is to be lost (unread_close.go). It counts as held like the rest, but leaving the
// source unread until it is less would be for ever: so where it comes to more than may
// be held it goes on as it came, and its rule misses.

// Keeper is a stage that keeps bytes itself.
type Keeper interface {
	// Kept is how many bytes of a direction it keeps now.
	Kept(d wire.Direction) int
	// LetGo has it say them, and miss.
	LetGo(w *Writer)
}

var tooMuch = Miss{missHeld, "more than may be held"}

// kept is how many bytes of the direction stages keep.
func (l *lane) kept() (n int) {
	for _, s := range l.chain {
		n += s.kept()
	}
	return n
}

func (s *slot) kept() int {
	if k, ok := s.stage.(Keeper); ok {
		return k.Kept(s.lane.dir)
	}
	return s.tail.bytes
}

// holding is how many bytes of the direction wait.
func (l *lane) holding() int { return l.out.holds() + l.kept() }

// letGo has what stages keep said.
func (l *lane) letGo() {
	for _, s := range l.chain {
		if s.kept() == 0 {
			continue
		}
		s.between()
		if k, ok := s.stage.(Keeper); ok {
			k.LetGo(&s.w)
			continue
		}
		s.at.done, s.asked = true, true
		s.miss(tooMuch)
		s.letGo()
	}
}

// Keeps says that stages keep bytes of a direction themselves: they wait for more of
// it, and go on without if told InCramped.
func (e *Engine) Keeps(d wire.Direction) bool { return e.lanes[d].kept() > 0 }
