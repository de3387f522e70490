package middlebox

import (
	"bytes"
	"strings"
	"time"

	"crimp/faults/wire"
	"crimp/middlebox/simnet"
)

// What must hold in a world while it goes on.

// after is called whenever the box has done something.
func (w *world) after() {
	for _, k := range w.spies {
		for _, t := range k.fresh {
			w.assign(t)
		}
		k.fresh = k.fresh[:0]
	}
	w.readEvents()
	for _, s := range w.sessions {
		w.notEarly(s, 0, s.out, s.in)
		w.notEarly(s, 1, s.in, s.out)
	}
}

// assign finds out which session a connection is of that the box has begun.
func (w *world) assign(t *tap) {
	for _, l := range w.box.loops {
		g, ok := l.owner(t.sock).(*leg)
		if !ok || g.to != wire.Upstream {
			continue
		}
		for _, s := range w.sessions {
			if s.client.p.Addr() == g.s.peer && t.closed.step == 0 {
				s.out = t
				s.dials++
				w.dialled(s, t)
				return
			}
		}
	}
}

func (w *world) readEvents() {
	var buf [32]Event
	for {
		n, lost := w.watch.Next(buf[:])
		if lost > 0 {
			w.failf("%d events were lost", lost)
		}
		if n == 0 {
			return
		}
		for _, e := range buf[:n] {
			w.event(e)
		}
	}
}

// event takes one event of the journal for what it claims.
func (w *world) event(e Event) {
	s := w.about(e)
	switch data := e.Data.(type) {
	case SessionItem:
		if s == nil {
			w.failf("%s of a client that is none: %+v", e.Type, data)
		}
		if e.Type == "session.opened" {
			s.opened++
			s.in = w.taps[s.client.p.Addr()]
		} else {
			s.closed++
			s.item = data
		}
		w.tracef("%s %s", e.Type, e.Session)
		if s.opened != 1 || s.closed > 1 {
			w.failf("%s was opened %d times and closed %d times", e.Session, s.opened, s.closed)
		}
	case FailedData:
		if s != nil {
			s.failed = data.Error
		}
		w.tracef("%s %s: %s", e.Type, e.Session, data.Error)
	case FiredData:
		w.tracef("%s fired on %s at %+v", e.Rule, e.Session, data)
		if s == nil || s.closed > 0 {
			w.failf("%s fired on %s, which is not there", e.Rule, e.Session)
		}
		s.fired = append(s.fired, e)
		w.seen("fired " + data.Fault)
	default:
		switch e.Type {
		case "exchange.started":
			s.exchanges++
		case "exchange.finished":
			s.exchanges--
			w.seen("exchanges")
		case "session.opaque":
			w.seen(e.Type)
		}
	}
}

// about finds the session an event is of.
func (w *world) about(e Event) *simSession {
	item, ok := e.Data.(SessionItem)
	if !ok {
		for _, s := range w.sessions {
			if s.id == e.Session && s.id != "" {
				return s
			}
		}
		return nil
	}
	for _, s := range w.sessions {
		if s.client.p.Addr().String() == item.Client {
			s.id = item.ID
			return s
		}
	}
	return nil
}

// edited says that some rule there ever was may have changed bytes of that
// direction of a route, or lost some.
func (x *simRoute) edited(dir int) bool {
	for i := range x.ever {
		switch d := &x.ever[i]; d.effect {
		case inserts, rewrites:
			if d.covers(dir) {
				return true
			}
		case deafens:
			if dir == 1 {
				return true
			}
		case strange:
			return true
		}
	}
	return false
}

// wild says that the model does not know what the bytes may be.
func (x *simRoute) wild() bool { return has(x.ever, strange) }

// heard checks what a peer has just read, n bytes: so far it must be a prefix of
// what it is to get.
func (w *world) heard(a *actor, n int) {
	s, dir := a.s, 1-a.dir
	if s == nil {
		w.failf("a connection of no session was sent %q", a.p.Got())
	}
	if s.turns != nil {
		w.heardInTurn(a)
		return
	}
	got := a.p.Got()
	from := s.sender(dir)
	switch {
	case from == nil || s.failed != "":
		w.badGateway(s, got)
	case s.route.wild():
	case s.route.edited(dir):
		if _, ok := s.align(dir, got); !ok {
			w.failf("%s got\n%q\nwhich cannot have come of\n%q", a, got, from.says.raw[:from.sent])
		}
	default:
		at := len(got) - n
		if len(got) > from.sent || !bytes.Equal(got[at:], from.says.raw[at:len(got)]) {
			w.failf("%s got, from byte %d on,\n%q, but was sent\n%q", a, at, got[at:], from.says.raw[:from.sent][min(at, from.sent):])
		}
	}
}

// badGateway checks an answer that no server has given.
func (w *world) badGateway(s *simSession, got []byte) {
	const line = "HTTP/1.1 502 Bad Gateway\r\n"
	got = unmarked(got)
	if s.route.wild() || len(got) == 0 || s.route.OnDialError == "502" && strings.HasPrefix(line, string(got[:min(len(got), len(line))])) {
		return
	}
	w.failf("%s got %q of no server", s.client, got)
}

// sender is who says what flows in a direction; nil: nobody does.
func (s *simSession) sender(dir int) *actor {
	if dir == 1 {
		return s.client
	}
	return s.server
}

// notEarly checks what the box has written since it last looked: not before the
// latencies in force since those bytes were read allow it.
func (w *world) notEarly(s *simSession, dir int, from, to *tap) {
	if from == nil || to == nil || s.turns != nil {
		return
	}
	if s.route.edited(dir) {
		s.said[dir] = len(to.out)
		return
	}
	for ; s.said[dir] < len(to.out); s.said[dir]++ {
		out := to.out[s.said[dir]]
		last := out.total - 1
		if in := when(from.in, last); in.step > 0 {
			w.delayed(s, dir, in, out, "byte", last)
		}
	}
	if to.shut.step == w.step && from.eof.step > 0 && len(s.fired) == 0 && !s.commanded && !w.untold(s) {
		w.delayed(s, dir, from.eof, to.shut, "FIN after byte", total(from.in))
	}
}

// untold says that a fault is ending the session, and is told when that is out; or may
// be, where an operator lets nothing out.
func (w *world) untold(s *simSession) bool {
	if s.stalled {
		return true
	}
	for _, l := range w.box.loops {
		for _, v := range l.sessions {
			for d := range v.leg {
				if e := v.leg[d].ending; v.id() == s.id && e != nil && len(e.firings) > 0 {
					return true
				}
			}
		}
	}
	return false
}

// delayed checks that what came in at one time and went out at another was under
// way for as long as the latencies in force all the while demand.
func (w *world) delayed(s *simSession, dir int, in, out stamp, what string, at int) {
	var least time.Duration
	for _, a := range s.route.history {
		if a.delay > 0 && a.plain && a.covers(dir) && a.from < in.step && (a.to == 0 || a.to > out.step) {
			least += a.delay
		}
	}
	if took := out.at.Sub(in.at); took < least {
		w.failf("%s, %s: %s %d took %v, and the least is %v", s.name(), wire.Direction(dir), what, at, took, least)
	} else if least > 0 {
		w.seen("delayed")
	}
}

// nothingHeld checks that nothing is held back for rules that are not in force. What
// has come of a line may be, where a rule has begun on its message: then it goes
// through with it. That takes nothing of the room that there is for what waits.
func (w *world) nothingHeld() {
	room := int(w.box.limits.HeldBytesPerSession / 2)
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			v := w.byID(s.id())
			if v == nil || v.stalled || v.route.armedNow() {
				continue
			}
			down, up := room-s.eng.Room(wire.Downstream), room-s.eng.Room(wire.Upstream)
			if !s.dialled || v.turns != nil { // for the next server
				up = 0
			}
			if down+up > 0 {
				w.failf("%s: %d bytes are held downstream and %d upstream, and no rule is armed", s.id(), down, up)
			}
		}
	}
}

func (w *world) byID(id string) *simSession {
	for _, s := range w.sessions {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (x *simRoute) armedNow() bool {
	for _, a := range x.rules {
		if a.Armed {
			return true
		}
	}
	return false
}

// ruleOf is the rule that an event is of.
func (x *simRoute) ruleOf(e Event) *drawnRule {
	for i := range x.ever {
		if x.ever[i].Name == e.Rule {
			return &x.ever[i]
		}
	}
	return nil
}

// ending is the event of the fault that ended a session, if one did.
func (w *world) ending(s *simSession) (*Event, *drawnRule) {
	var found *Event
	var rule *drawnRule
	for i := range s.fired {
		e := &s.fired[i]
		d := s.route.ruleOf(*e)
		if d == nil {
			w.failf("%s fired and is no rule of %s", e.Rule, s.route.Name)
		}
		if (d.effect == ends || d.effect == inserts) && e.Data.(FiredData).End != "" {
			if found != nil {
				w.failf("%s was ended by %s and by %s", s.name(), found.Rule, e.Rule)
			}
			found, rule = e, d
		}
	}
	return found, rule
}

// ended is how a peer's connection ended, as the peer saw it.
func (a *actor) ended() simnet.End { return a.p.End() }
