package middlebox

import (
	"fmt"
	"slices"
	"strings"

	"crimp/faults"
)

// The calls that change one rule. Each answers when the change is in force on
// every live session of the route (see change.go).

// SetRule makes a route's rule be r: a new one goes last or before c.Before, one
// with its name is replaced in its place, and an identical one changes nothing. Without a name
// it is called as its fault.
func (b *Box) SetRule(route string, r faults.Rule, c Change) (Changed, error) {
	or(&r.Name, r.Fault)
	return b.changeRule(route, r.Name, c, func(rules []wanted, i int) ([]wanted, error) {
		w := wanted{rule: r}
		if i >= 0 {
			w.entry = rules[i].entry
			w.entry.lease, w.entry.expires = c.Lease, c.Expiry
			rules[i] = w
			return rules, nil
		}
		w.entry.lease, w.entry.expires = c.Lease, c.Expiry
		if c.Before == "" {
			return append(rules, w), nil
		}
		at := indexRule(rules, c.Before)
		if at < 0 {
			return nil, noRule(route, c.Before, "before", rules)
		}
		return slices.Insert(rules, at, w), nil
	})
}

// Arm arms or disarms a rule as it stands. One that is armed is armed anew: its
// counts start afresh, and it comes into force on live sessions as if it were new.
func (b *Box) Arm(route, name string, armed bool, c Change) (Changed, error) {
	return b.changeRule(route, name, c, func(rules []wanted, i int) ([]wanted, error) {
		if i < 0 {
			return nil, noRule(route, name, "name", rules)
		}
		w := &rules[i]
		switch {
		case !armed:
			w.entry.expires = nil
		case c.Expiry != nil || !w.rule.Armed:
			w.entry.expires = c.Expiry
		}
		w.anew = armed && w.rule.Armed
		w.rule.Armed = armed
		return rules, nil
	})
}

// DeleteRule takes a rule away.
func (b *Box) DeleteRule(route, name string, c Change) (Changed, error) {
	return b.changeRule(route, name, c, func(rules []wanted, i int) ([]wanted, error) {
		if i < 0 {
			return nil, noRule(route, name, "name", rules)
		}
		return slices.Delete(rules, i, i+1), nil
	})
}

// changeRule applies edit to a copy of the route's rules, i being the place of
// the one called name, and puts the result in force.
func (b *Box) changeRule(route, name string, c Change, edit func(rules []wanted, i int) ([]wanted, error)) (Changed, error) {
	b.mu.Lock()
	r, d, seq, err := b.tryRule(route, name, c, edit)
	if err != nil {
		b.mu.Unlock()
		return Changed{}, err
	}
	if b.panic != nil { // whoever changes a rule now says himself what is to become of it
		b.panic.rules = slices.DeleteFunc(b.panic.rules, func(ref ruleRef) bool { return ref == ruleRef{route, name} })
	}
	wait := b.swap(r)
	b.mu.Unlock()
	e := d.next.find(name)
	if e == nil && len(d.gone) > 0 {
		e = &d.gone[0]
	}
	out := Changed{Seq: seq, Sessions: wait()}
	if e != nil {
		out.Rule, out.Rev = e.state(route), e.rev
	}
	return out, nil
}

// tryRule drafts and publishes a change of one rule, under the mutex.
func (b *Box) tryRule(route, name string, c Change, edit func([]wanted, int) ([]wanted, error)) (*route, *draft, int64, error) {
	if b.closed {
		return nil, nil, 0, errClosed()
	}
	r, err := b.route(route)
	if err != nil {
		return nil, nil, 0, err
	}
	rules := r.wanted()
	i := indexRule(rules, name)
	if err := checkRev(c, i, rules, route, name); err != nil {
		return nil, nil, 0, err
	}
	if rules, err = edit(rules, i); err != nil {
		return nil, nil, 0, err
	}
	if err := b.mayArm(r, rules); err != nil {
		return nil, nil, 0, err
	}
	d, err := b.draft(r, nil, rules, c)
	if err != nil {
		return nil, nil, 0, ruleField(err, rules, name)
	}
	return r, d, b.publish(d), nil
}

// checkRev refuses a change of something that is not as the caller knew it;
// revision 0 is that of a rule that does not exist.
func checkRev(c Change, i int, rules []wanted, route, name string) error {
	if c.IfRev == nil {
		return nil
	}
	rev := int64(0)
	if i >= 0 {
		rev = rules[i].entry.rev
	}
	if rev != *c.IfRev {
		return faults.Errorf(faults.Conflict, "if_rev", "%s/%s is at revision %d, not %d: it was changed meanwhile", route, name, rev, *c.IfRev)
	}
	return nil
}

// wanted is the route's rules as they stand, to be edited.
func (r *route) wanted() []wanted {
	f := r.force.Load()
	out := make([]wanted, len(f.rules), len(f.rules)+1)
	for i := range f.rules {
		out[i] = wanted{rule: f.rules[i].c.Rule, entry: f.rules[i]}
	}
	return out
}

func indexRule(rules []wanted, name string) int {
	return slices.IndexFunc(rules, func(w wanted) bool { return w.rule.Name == name })
}

// noRule says that a route has no such rule, and which one may have been meant.
func noRule(route, name, field string, rules []wanted) error {
	var names []string
	for i := range rules {
		names = append(names, rules[i].rule.Name)
	}
	return faults.Errorf(faults.NotFound, field, "%s: no rule %q%s", route, name, faults.Among(name, names))
}

// mayArm refuses, during a panic, what would arm a rule.
func (b *Box) mayArm(r *route, rules []wanted) error {
	if b.panic == nil {
		return nil
	}
	for i := range rules {
		if rules[i].rule.Armed {
			return b.panicError()
		}
	}
	return nil
}

// ruleField says rule where the plan's error says rules[i] and means the one in hand.
func ruleField(err error, rules []wanted, name string) error {
	e, ok := err.(*faults.Error)
	if !ok {
		return err
	}
	prefix := fmt.Sprintf("rules[%d]", indexRule(rules, name))
	for _, x := range e.All() {
		if rest, found := strings.CutPrefix(x.Field, prefix); found {
			x.Field = "rule" + rest
		}
	}
	return e
}
