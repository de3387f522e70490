package middlebox

import (
	"fmt"
	"strings"
	"time"

	"crimp/faults"
)

// finish disarms everything and lets all peers come to their end.
func (w *world) finish() {
	w.step++
	w.onTime()
	w.disarmAll()
	w.finishing, w.since = true, w.net.Now()
	for _, a := range w.actors {
		a.deaf = false
	}
	for round := 0; !w.over(); round++ {
		w.step++
		moved := w.sweep()
		took := w.net.Now().Sub(w.since)
		switch {
		case round > 30_000, took > 100*time.Second:
			w.failf("not at an end after %d rounds and %v: %s", round, took, w.state())
		case moved || !w.net.Quiet():
		default:
			if next, ok := w.net.Next(); ok && (took < 45*time.Second || !w.giveUp()) {
				w.tracef("quiet until %v", next.Sub(w.net.Now()))
				w.advance(next)
			} else if !ok && !w.giveUp() {
				w.failf("stuck: %s", w.state())
			}
		}
	}
}

// giveUp has one of those leave whom a cut has kept waiting: nobody else ends that.
func (w *world) giveUp() bool {
	for _, s := range w.sessions {
		e, d := w.ending(s)
		// Or who waits for what a rule has lost: then the next server's turn does not come.
		if (e == nil || d.other != faults.OtherKeep) && !(s.turns != nil && s.route.muddled()) && !s.route.leaves {
			continue
		}
		for _, a := range []*actor{s.client, s.server} {
			if a != nil && !a.gone && !a.fin && !a.weary {
				a.weary = true
				return true
			}
		}
	}
	return false
}

// sweep gives everything and everybody a chance.
func (w *world) sweep() (moved bool) {
	for range 1 + w.r.IntN(20) {
		moved = w.net.Step() || moved
	}
	before := w.calls()
	w.turn()
	w.accept()
	for _, a := range w.actors {
		moved = a.move() || moved
	}
	return moved || w.calls() != before
}

func (w *world) calls() (n int) {
	for _, k := range w.spies {
		n += k.calls
	}
	return n
}

// over says that every peer has gone and the box has nothing left.
func (w *world) over() bool {
	for _, a := range w.actors {
		if !a.gone {
			return false
		}
	}
	for _, l := range w.box.loops {
		if len(l.sessions)+l.retirees+len(l.queue)-l.head > 0 || l.hasMail() {
			return false
		}
	}
	return true
}

// state tells what is left, for a world that does not end.
func (w *world) state() string {
	var b strings.Builder
	for _, a := range w.actors {
		if !a.gone {
			fmt.Fprintf(&b, "\n  %s: said %d of %d (may %d), FIN %v, heard %d, then %v, %d unread", a, a.sent, len(a.says.raw), a.may(), a.fin, len(a.p.Got()), a.p.End(), a.p.Buffered())
		}
	}
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			down, up := s.eng.HeldBytes()
			fmt.Fprintf(&b, "\n  session %s: held %d down %d up, pending %d and %d, demand %+v and %+v", s.id(), down, up,
				s.leg[0].pending(), s.leg[1].pending(), s.eng.Demand(0), s.eng.Demand(1))
			for d := range s.leg {
				g := &s.leg[d]
				fmt.Fprintf(&b, "\n    leg to %v: socket %d, flags %b, up %v, eof %v, broken %v, shut %v, gone %v, ending %+v",
					g.to, g.sock, g.flags, g.up, g.eof, g.broken, g.shut, g.gone, g.ending)
			}
		}
		fmt.Fprintf(&b, "\n  loop: %d retirees, %d queued", l.retirees, len(l.queue)-l.head)
	}
	return b.String()
}
