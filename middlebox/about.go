package middlebox

import "reflect"

// A filter is the same in every list. Of what has no type or match of its own, a
// route say, it finds what the events tell of that it picks: "type" picks sessions
// and exchanges that have such an event, and all that is asked of traffic picks
// rules and routes that had to do with it.

// sessions are the IDs of those that since and type leave, by the journal; nil: they
// leave all. One counts as since it was opened or, if it is over, closed.
func (b *Box) sessionsAbout(c *filter) (ids map[string]bool, complete bool) {
	if c.Since == "" && c.Type == "" {
		return nil, true
	}
	ids = map[string]bool{}
	by := filter{Filter: Filter{Type: c.Type}}
	complete = b.journal.walk(c.since, func(e Event) bool {
		if c.Type != "" && by.typed(&e) || c.Type == "" && (e.Type == "session.opened" || e.Type == "session.closed") {
			ids[e.Session] = true
		}
		return false
	})
	return ids, complete || c.Since == ""
}

// exchangesAbout are the IDs of those that have an event of the filter's type; nil: of
// any.
func (b *Box) exchangesAbout(c *filter) (ids map[string]bool) {
	if c.Type == "" {
		return nil
	}
	ids = map[string]bool{}
	b.journal.walk(c.since, func(e Event) bool {
		if e.Exchange != "" && c.typed(&e) {
			ids[e.Exchange] = true
		}
		return false
	})
	return ids
}

// rulesAbout are the rules that the events tell of which a filter picks, and
// routesAbout the routes; nil: it asks nothing of traffic, but names or a limit.
func (b *Box) rulesAbout(c *filter) (found map[ruleRef]bool, complete bool) {
	found, complete = map[ruleRef]bool{}, true
	if !c.asksTraffic() {
		return nil, complete
	}
	by := *c
	by.Rule = "" // where an exchange or a session is told of, the rule is in its data
	complete = b.journal.walk(c.sinceArming(), func(e Event) bool {
		if ok, _ := by.event(&e); !ok {
			return false
		}
		found[ruleRef{e.Route, e.Rule}] = true
		switch d := e.Data.(type) {
		case SessionItem:
			for _, name := range d.Rules {
				found[ruleRef{e.Route, name}] = true
			}
		case ExchangeItem:
			for _, x := range d.Rules {
				found[ruleRef{e.Route, x.Rule}] = true
			}
		}
		return false
	})
	return found, complete
}

func (b *Box) routesAbout(c *filter) map[string]bool {
	if !c.asksTraffic() {
		return nil
	}
	found := map[string]bool{}
	b.journal.walk(c.sinceArming(), func(e Event) bool {
		if ok, _ := c.event(&e); ok {
			found[e.Route] = true
		}
		return false
	})
	return found
}

// asksTraffic says whether a filter asks more than which route, which rule, how many.
func (f *filter) asksTraffic() bool {
	asked := f.Filter
	asked.Route, asked.Rule, asked.Limit = "", "", 0
	return !reflect.ValueOf(asked).IsZero()
}

// sinceArming is since, but that the arming itself is told of: a rule that did nothing
// from then on was armed at least.
func (f *filter) sinceArming() int64 {
	if f.Since == "armed" {
		return f.since - 1
	}
	return f.since
}
