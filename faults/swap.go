package faults

import (
	"cmp"
	"slices"
	"time"

	"crimp/faults/wire"
)

// Rules take and leave their places on a session here: at open, when a message
// is theirs, and when the plan changes under a live session.

// install puts to work those of some stream rules that are for this session and are
// not at work yet.
func (e *Engine) install(rules [2][]*part) {
	facts := e.facts(nil, 0)
	for d := range e.lanes {
		l := &e.lanes[d]
		for _, p := range rules[d] {
			if !e.allows(p) || l.has(p) {
				continue
			}
			if answer, key := p.rule.match.Session(facts); answer == No {
				p.rule.state.miss(key)
				continue
			}
			l.newSlot(p, false).open()
			facts = e.facts(nil, 0) // they were asked for others
		}
	}
	e.tellWithout(rules)
}

// installed says that a kind for both directions is at work already.
func (e *Engine) installed(p *part) bool {
	return p.prep.kind.both && e.lanes[wire.Upstream].has(p)
}

// activate puts a rule to work on the message that just matched. A kind for both
// directions stays from here on, until it leaves; its gate is asked now.
func (e *Engine) activate(l *lane, p *part) {
	if !p.prep.kind.both {
		l.newSlot(p, true).open()
		return
	}
	up := l.newSlot(p, false)
	up.ex = l.ex
	up.w.at = e.now
	if !p.prep.placed && !p.prep.kind.asks { // one that has a place asks there
		note := up.note(wire.Segment{Dir: l.dir, Part: wire.StartLine, Off: l.off, Message: 1}, 0)
		if !up.ask() {
			l.remove(func(s *slot) bool { return s == up })
			return
		}
		up.tell(note)
	}
	down := l.opposite().newSlot(p, false)
	down.stage, down.asked, down.fires, down.ex = up.stage, up.asked, up.fires, l.ex
}

// bondOf is the bond of a rule on this session. They are in the order in which their
// rules were made: a session may have thousands.
func (e *Engine) bondOf(st *state) *bond {
	i, ok := slices.BinarySearchFunc(e.bonds, st, func(b *bond, st *state) int { return cmp.Compare(b.state.made, st.made) })
	if !ok {
		e.bonds = slices.Insert(e.bonds, i, &bond{state: st})
	}
	return e.bonds[i]
}

// swap puts the session under a new plan. Rules that stand unchanged keep their
// stages; those that are gone let go what they held, in order and at once; new
// stream rules act at once, new message rules from the next message on.
func (e *Engine) swap(p *Plan) {
	c := p.of(e.o.Plan)
	e.o.Plan = p
	if c.moved {
		for d := range e.lanes {
			e.lanes[d].rehouse(p)
		}
		e.bonds = slices.DeleteFunc(e.bonds, e.leaves)
	}
	if e.waitsAtDoor() {
		e.knock()
	}
	if !e.refused() {
		e.install(c.fresh)
	}
	for d := range e.lanes {
		e.lanes[d].afresh()
	}
}

// leaves lets go what a rule held back that is gone.
func (e *Engine) leaves(b *bond) bool {
	if e.o.Plan.armed[b.state] != nil {
		return false
	}
	e.ungag(b)
	for d := range e.lanes {
		e.lanes[d].free(b)
	}
	return true
}

// rehouse moves the slots of a lane to their places in a new plan, and closes
// those whose rule is gone.
func (l *lane) rehouse(p *Plan) {
	for i := 0; i < len(l.chain); i++ {
		s := l.chain[i]
		parts := p.armed[s.part.rule.state]
		k := slices.IndexFunc(parts, s.part.same)
		if k >= 0 {
			s.part = parts[k]
			continue
		}
		if f, ok := s.stage.(Finisher); ok && (s.msg || s.part.prep.kind.both) && (s.leaving || f.Unfinished()) {
			if d, ok := s.stage.(Disarmer); ok && !s.leaving {
				s.between()
				s.w.cursor = time.Time{}
				d.Disarm(&s.w)
			}
			s.leaving, s.w.cursor = true, time.Time{}
			continue
		}
		s.close()
		l.remove(func(x *slot) bool { return x == s })
		i--
	}
	slices.SortStableFunc(l.chain, func(a, b *slot) int { return a.part.n - b.part.n })
	l.number(0)
}
