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

// holding is how many bytes of the direction wait, and for how many of them its source
// is left unread: the beginning of a message, which has bounds of its own, would else
// never be whole.
func (l *lane) holding() int { return l.out.holds() + l.kept() }

// held is how many bytes of the direction wait in all.
func (l *lane) held() int { return l.holding() + l.hold.size() }

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

// Of what rules add, one message's may be large, and a single read may bring hundreds:
// their receiver takes nothing before the Step is over. So once that comes to more than
// may be held, rules of kinds that add (Kind.Adds) miss.

// Ower is a stage that is to say so many bytes of its own, and has not yet.
type Ower interface{ Owes() int }

// crammed says that rules have added, or are to add, as much as may be held.
func (s *slot) crammed() bool {
	e := s.lane.e
	n := e.made
	for d := range e.lanes {
		l := &e.lanes[d]
		if l == s.lane || s.part.prep.kind.both {
			n += l.holding()
		}
		for _, x := range l.chain {
			if o, ok := x.stage.(Ower); ok && l.dir == wire.Downstream {
				n += o.Owes()
			}
		}
	}
	return n >= e.o.Held
}
