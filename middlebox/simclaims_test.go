package middlebox

import (
	"fmt"
	"strings"
	"time"

	"crimp/faults"
)

// What the journal says of faults, checked against where things really stand;
// and what it must say.

// claims checks the place of every fault that fired on a session.
func (w *world) claims(s *simSession) {
	for _, e := range s.fired {
		data := e.Data.(FiredData)
		dir := 0
		if data.Direction == "upstream" {
			dir = 1
		}
		d := s.route.ruleOf(e)
		from := s.sender(dir)
		if d == nil || from == nil || d.effect == strange || d.effect == delays || d.effect == deafens || d.effect == rewrites {
			continue
		}
		off := int(data.Offset)
		switch d.at.Kind {
		case faults.NoPosition, faults.After, faults.Idle:
		case faults.ByteN:
			if off != int(d.at.N) && !d.http {
				w.failf("%s fired on %s at byte %d: %+v", d.Describe(), s.name(), off, data)
			}
		case faults.Now, faults.Next:
			if !d.http && !w.fromArming(s, d, dir, off-int(d.at.N)) {
				w.failf("%s fired on %s at byte %d, which had not been reached when it was armed", d.Describe(), s.name(), off)
			}
		default:
			w.claim(s, d, dir, e.Exchange, off)
		}
	}
}

// fromArming says that a stream rule that counts from its arming counts from a
// byte that the box had read by then at the latest.
func (w *world) fromArming(s *simSession, d *drawnRule, dir, from int) bool {
	t := s.in
	if dir == 0 {
		if s.dials > 1 { // downstream counts on from one server to the next, the tap is the last one's
			return true
		}
		t = s.out
	}
	if t == nil {
		return from == 0
	}
	for _, a := range s.route.history {
		if a.Name == d.Name && from <= readBy(t.in, a.from) {
			return true
		}
	}
	return false
}

func readBy(in []stamp, step int) (n int) {
	for _, x := range in {
		if x.step > step {
			break
		}
		n = x.total
	}
	return n
}

// claim checks that a message rule fired where its position is in the message.
func (w *world) claim(s *simSession, d *drawnRule, dir int, exchange string, off int) {
	if !s.talk.http || s.route.edited(1) || exchange == "" || d.Match.Status != "" {
		return
	}
	n := exchange[len(exchange)-1] - '0' // there are no more than nine
	for i := range s.sender(dir).says.msgs {
		m := &s.sender(dir).says.msgs[i]
		if m.exchange != uint64(n) || m.status >= 100 && m.status < 200 && m.status != 101 {
			continue
		}
		at, found, sure := m.place(d.at)
		if sure && (!found || off != m.at+at) {
			w.failf("%s fired on %s at byte %d of the stream; in message %q, which begins at %d, it is at %d (%v)", d.Describe(), exchange, off, m.raw, m.at, at, found)
		}
		w.seen("claims")
		return
	}
	w.failf("%s fired on exchange %s, which does not exist", d.Describe(), exchange)
}

// mustHaveFired looks, on a session that no rule has ended, for one that must have.
func (w *world) mustHaveFired(s *simSession) {
	if s.disturbed() || has(s.route.ever, deafens) || has(s.route.ever, strange) {
		return
	}
	for _, a := range s.route.history {
		if a.effect != ends || !a.plain {
			continue
		}
		for dir, t := range []*tap{s.out, s.in} {
			if !a.covers(dir) {
				continue
			}
			if at := w.due(s, a, dir, t.in); at >= 0 {
				w.failf("%s was armed from step %d to %d, read byte %d of %s in the midst of it, and was not ended", a.Describe(), a.from, a.to, at, s.name())
			}
		}
	}
}

// due is a byte at which an armed rule must have acted, below 0 if there is none.
// What the engine may hold until a head is whole does not count before that,
// nor what took so long to come that it may have been let go.
func (w *world) due(s *simSession, a *armed, dir int, in []stamp) int {
	within := func(first, last int) bool {
		begin, end := when(in, first), when(in, last)
		return begin.step > a.from && end.step > 0 && (a.to == 0 || end.step < a.to) && end.at.Sub(begin.at) < time.Second
	}
	switch {
	case a.at.Kind == faults.ByteN && !s.talk.http && s.route.Protocol == "tcp":
		if n := int(a.at.N); within(n, n) {
			return n
		}
	case a.at.IsStream(), !s.talk.http, s.route.edited(1):
	default:
		for _, m := range s.sender(dir).says.msgs {
			at, found, sure := m.place(a.at)
			if !sure || !found || m.status >= 100 && m.status < 200 {
				continue
			}
			known := max(at, m.head)
			if a.at.Kind == faults.ChunkSizeMid || a.at.Kind == faults.ChunkAt { // its line must be whole, for this rule or another
				if known = m.chunks[a.at.N-1].data; known == 0 {
					known = m.zero // of the last one
				}
			}
			if within(m.at, m.at+known) && !s.route.keepsBack(a) {
				return m.at + at
			}
		}
	}
	return -1
}

// keepsBack says that another rule may have kept bytes from this one: for a place
// that counts from an end nobody knew yet.
func (x *simRoute) keepsBack(a *armed) bool {
	for i := range x.ever {
		if d := &x.ever[i]; d.Name != a.Name && strings.HasPrefix(fmt.Sprint(d.Params["at"]), "body:-") {
			return true
		}
	}
	return false
}
