package faults

// mark is a plan's identity: the next one remembers it, and not the plan, lest a
// route keep all it ever had.
type mark struct{ _ byte }

// change is how a plan differs from the one before it, for sessions that come from
// there. It is of stream rules and of those at work: message rules are looked for at
// every message anyway.
type change struct {
	from  *mark      // the plan before
	fresh [2][]*part // stream rules that it did not have, by direction
	moved bool       // a rule is gone, or stands and its parts are not those of before
}

// since says how p differs from the plan before it.
func (p *Plan) since(prev *Plan) change {
	if prev == nil {
		return change{}
	}
	c := change{from: prev.mark}
	for d := range p.stream {
		for _, x := range p.stream[d] {
			if prev.armed[x.rule.state] == nil {
				c.fresh[d] = append(c.fresh[d], x)
			}
		}
	}
	for st, parts := range prev.armed {
		if now := p.armed[st]; now == nil || now[0] != parts[0] {
			c.moved = true
		}
	}
	return c
}

// of is the change for a session under old: where that is not the plan before, all
// of it is new.
func (p *Plan) of(old *Plan) change {
	if p.change.from == old.mark {
		return p.change
	}
	return change{fresh: p.stream, moved: true}
}
