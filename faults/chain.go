package faults

import "slices"

// insert puts a slot into the chain at its rule's place.
func (l *lane) insert(s *slot) {
	i := l.placeOf(s.part)
	l.chain = slices.Insert(l.chain, i, s)
	l.number(i)
}

// remove takes slots out of the chain.
func (l *lane) remove(gone func(*slot) bool) {
	if len(l.chain) > 0 {
		l.chain = slices.DeleteFunc(l.chain, gone)
		l.number(0)
	}
}

// number says to the slots from i on where they are.
func (l *lane) number(i int) {
	for ; i < len(l.chain); i++ {
		l.chain[i].i = i
	}
}

// newSlot puts a part to work on this direction, for the message in progress if msg.
func (l *lane) newSlot(p *part, msg bool) *slot {
	s := &slot{part: p, lane: l, msg: msg, bond: l.e.bondOf(p.rule.state), at: locator{pos: p.prep.at}}
	s.w.slot = s
	if msg {
		s.ex = l.ex
	}
	if p.prep.new != nil {
		s.stage = p.prep.new()
	}
	l.insert(s)
	return s
}

func (l *lane) dropMessageSlots() {
	if s := l.shelf(); s != nil && s.slot.msg {
		l.unshelve(false)
	}
	for _, s := range l.chain {
		if s.msg {
			s.untold()
		}
	}
	l.remove(func(s *slot) bool { return s.msg })
}

// missed tells of the rules that matched the message and found no place in it.
func (l *lane) missed() {
	for _, s := range l.chain {
		if s.msg && s.stage == nil && !s.at.done && !s.asked {
			s.w.at, s.w.by, s.asked = l.e.now, nil, true
			s.miss(l.noPlace())
		}
	}
}

// placeOf is where in the chain a part is, or would be.
func (l *lane) placeOf(p *part) int {
	i, _ := slices.BinarySearchFunc(l.chain, p.n, func(x *slot, n int) int { return x.part.n - n })
	return i
}

// has says that a part of the plan in force is at work on the lane.
func (l *lane) has(p *part) bool {
	for _, s := range l.chain[l.placeOf(p):] {
		if s.part.n != p.n {
			break
		}
		if s.part == p {
			return true
		}
	}
	return false
}

// same says that two plans' parts are one and the same rule at work.
func (p *part) same(q *part) bool {
	return p.rule.state == q.rule.state && p.only == q.only && p.k == q.k
}
