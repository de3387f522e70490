package middlebox

import (
	"cmp"
	"slices"
	"sync"

	"crimp/faults"
)

// The questions: what there is, and acting on some of it. What belongs to
// sessions is asked of the loops; none of them waits for a peer.

// State is the box at one sequence number: every change of routes and rules up
// to it is in, and every later one follows as an event.
func (b *Box) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := State{Seq: b.journal.newest(), Epoch: b.epoch, Routes: []RouteState{}}
	if b.panic != nil {
		p := b.panic.PanicState
		s.Panic = &p
	}
	for _, r := range b.routes {
		s.Routes = append(s.Routes, r.state())
	}
	return s
}

// Routes lists routes in the order of the configuration.
func (b *Box) Routes(f Filter) (List[RouteState], error) {
	c, err := b.compile(f)
	if err != nil {
		return List[RouteState]{}, err
	}
	about, s := b.routesAbout(c), b.State()
	found := slices.DeleteFunc(s.Routes, func(r RouteState) bool {
		ruled := slices.ContainsFunc(r.Rules, func(x RuleState) bool { return x.Name == f.Rule })
		return f.Route != "" && f.Route != r.Name || about != nil && !about[r.Name] || about == nil && f.Rule != "" && !ruled
	})
	return listOf(b, f, found, true, s.Seq)
}

// Rules lists rules in the order of routes and plans.
func (b *Box) Rules(f Filter) (List[RuleState], error) {
	c, err := b.compile(f)
	if err != nil {
		return List[RuleState]{}, err
	}
	about, complete := b.rulesAbout(c)
	found, seq := b.rules(f, about)
	return listOf(b, f, found, complete || f.Since == "", seq)
}

func (b *Box) rules(f Filter, about map[ruleRef]bool) (found []RuleState, seq int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.routes {
		if f.Route != "" && f.Route != r.name {
			continue
		}
		force := r.force.Load()
		for i := range force.rules {
			name := force.rules[i].c.Rule.Name
			if (f.Rule == "" || f.Rule == name) && (about == nil || about[ruleRef{r.name, name}]) {
				found = append(found, force.rules[i].state(r.name))
			}
		}
	}
	return found, b.journal.newest()
}

// Sessions lists live sessions, oldest first. A filter that asks for one session, for
// since, a rule, a type, or an outcome but open, also finds those that are over, as far
// back as the journal reaches.
func (b *Box) Sessions(f Filter) (List[SessionItem], error) {
	c, err := b.compile(f)
	if err != nil {
		return List[SessionItem]{}, err
	}
	var found []SessionItem
	b.everywhere(func(*loop) int64 { return 0 })()
	seq := b.journal.newest()
	about, complete := b.sessionsAbout(c)
	if f.Session+f.Since+f.Rule+f.Type != "" || f.Outcome != "" && f.Outcome != "open" && f.Outcome != "stalled" {
		complete = b.journal.walk(c.since, func(e Event) bool {
			if it, ok := e.Data.(SessionItem); ok && e.Type == "session.closed" && (about == nil || about[it.ID]) && c.session(&it, e.heard) {
				found = append(found, it)
			}
			return false
		})
	}
	var mu sync.Mutex
	var live []SessionItem
	b.everywhere(func(l *loop) int64 {
		var some []SessionItem
		for _, s := range l.sessions {
			if it := s.item(); (about == nil || about[it.ID]) && c.session(&it, s.asHeard()) {
				some = append(some, it)
			}
		}
		mu.Lock()
		live = append(live, some...)
		mu.Unlock()
		return 0
	})()
	slices.SortStableFunc(live, func(x, y SessionItem) int {
		return cmp.Or(x.Opened.Compare(y.Opened), cmp.Compare(len(x.ID), len(y.ID)), cmp.Compare(x.ID, y.ID))
	})
	return listOf(b, f, append(found, live...), complete, seq)
}

// asHeard is what a filter can ask of a session: its newest exchange, if any.
func (s *session) asHeard() *heard {
	if s.eng != nil && !s.crashed {
		if x := s.eng.Newest(); x != nil {
			_, h := s.hear(x)
			return h
		}
	}
	return s.asItself()
}

// Exchanges lists exchanges, those that are over first, then the open ones, each
// oldest first.
func (b *Box) Exchanges(f Filter) (List[ExchangeItem], error) {
	c, err := b.compile(f)
	if err != nil {
		return List[ExchangeItem]{}, err
	}
	about := b.exchangesAbout(c)
	var found, open []ExchangeItem
	var mu sync.Mutex
	b.everywhere(func(l *loop) int64 {
		var some []ExchangeItem
		for _, s := range l.sessions {
			if s.crashed || s.eng == nil {
				continue
			}
			s.eng.Exchanges(func(x *faults.Exchange) {
				if x.Head.StartStop == 0 {
					return
				}
				if it, h := s.hear(x); (about == nil || about[it.ID]) && c.exchange(&it, *h) {
					some = append(some, it)
				}
			})
		}
		mu.Lock()
		open = append(open, some...)
		mu.Unlock()
		return 0
	})()
	seq := b.journal.newest()
	over, complete := b.journal.finishedSince(c.since)
	closed := map[string]bool{} // while the loops were asked
	for _, x := range over {
		closed[x.item.ID] = true
		if (about == nil || about[x.item.ID]) && c.exchange(&x.item, *x.heard) {
			found = append(found, x.item)
		}
	}
	open = slices.DeleteFunc(open, func(it ExchangeItem) bool { return closed[it.ID] })
	slices.SortStableFunc(open, func(x, y ExchangeItem) int { return x.Started.Compare(y.Started) })
	return listOf(b, f, append(found, open...), complete, seq)
}

// Events lists events, oldest first. What a peer has seen of a session before
// the call is among them: the loops finish the turns they are in.
func (b *Box) Events(f Filter) (List[Event], error) {
	c, err := b.compile(f)
	if err != nil {
		return List[Event]{}, err
	}
	b.everywhere(func(*loop) int64 { return 0 })()
	seq := b.journal.newest()
	var found []Event
	complete := b.journal.walk(c.since, func(e Event) bool {
		if e.Seq > seq { // it came meanwhile: whoever goes on from seq gets it then
			return true
		}
		if ok, _ := c.event(&e); ok {
			found = append(found, e)
		}
		return false
	})
	return listOf(b, f, found, complete, seq)
}

// Act acts on every live session that the filter finds, and says how many. Since
// leaves those that were opened after it, limit the newest of them.
func (b *Box) Act(f Filter, act faults.Act, side faults.Side, _ Change) (int, error) {
	c, err := b.compile(f)
	if err != nil {
		return 0, err
	}
	chosen, err := b.chosen(c)
	if err != nil {
		return 0, err
	}
	n := b.everywhere(func(l *loop) (n int64) {
		for i := len(l.sessions) - 1; i >= 0; i-- {
			s := l.sessions[i]
			if it := s.item(); c.session(&it, s.asHeard()) && (chosen == nil || chosen[it.ID]) {
				n++
				s.command(act, side)
			}
		}
		return n
	})()
	if n == 0 {
		return 0, b.unknown(f)
	}
	return int(n), nil
}

// chosen is what a filter's since, type and limit leave of the live sessions that it
// finds; nil: all.
func (b *Box) chosen(c *filter) (map[string]bool, error) {
	if c.Since == "" && c.Type == "" && c.Limit == 0 {
		return nil, nil
	}
	f := c.Filter
	f.Limit = 0
	found, err := b.Sessions(f)
	if err != nil {
		return nil, err
	}
	if c.Since != "" && !found.Complete {
		return nil, faults.Errorf(faults.Invalid, "since", "the journal no longer reaches back to %s", c.Since)
	}
	live := slices.DeleteFunc(found.Items, func(it SessionItem) bool { return it.Closed != nil })
	if c.Limit > 0 {
		live = live[max(0, len(live)-c.Limit):]
	}
	chosen := make(map[string]bool, len(live))
	for _, it := range live {
		chosen[it.ID] = true
	}
	return chosen, nil
}
