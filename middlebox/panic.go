package middlebox

import (
	"time"

	"crimp/faults"
)

// panicked is a box whose rules were all disarmed at once and that refuses to
// arm any until it is released or reverted.
type panicked struct {
	PanicState
	rules []ruleRef // what it disarmed
}

// ruleRef names a rule of the box.
type ruleRef struct{ route, rule string }

func (r ruleRef) String() string { return r.route + "/" + r.rule }

// panicError refuses an arming during a panic.
func (b *Box) panicError() error {
	p := b.panic
	why := ""
	if p.Why != "" {
		why = " (" + p.Why + ")"
	}
	return faults.Errorf(faults.Forbidden, "", "panic by %s%s at %s: arming is refused until release or revert", p.Who, why, p.When.Format(time.TimeOnly))
}

// Panic disarms every rule of the box and refuses to arm any, until Release or
// Revert. It says which rules it disarmed, as route/rule. A panic during a
// panic changes nothing.
func (b *Box) Panic(c Change) (disarmed []string, seq int64, err error) {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, 0, errClosed()
	}
	if b.panic != nil {
		seq = b.journal.newest()
		b.mu.Unlock()
		return []string{}, seq, nil
	}
	p := &panicked{PanicState: PanicState{Who: c.Who, Why: c.Why, When: b.now()}}
	var drafts []*draft
	for _, r := range b.routes {
		d, refs, err := b.disarmed(r, c)
		if err != nil { // what was valid armed is valid disarmed
			b.mu.Unlock()
			return nil, 0, err
		}
		drafts, p.rules = append(drafts, d), append(p.rules, refs...)
	}
	b.panic = p
	names := refNames(p.rules)
	return names, b.putInForce(drafts, "box.panicked", BoxData{Who: c.Who, Why: c.Why, Rules: names}), nil
}

// disarmed drafts a route with none of its rules armed.
func (b *Box) disarmed(r *route, c Change) (*draft, []ruleRef, error) {
	var refs []ruleRef
	rules := r.wanted()
	for i := range rules {
		if rules[i].rule.Armed {
			refs = append(refs, ruleRef{r.name, rules[i].rule.Name})
			rules[i].rule.Armed = false // its ttl goes on: a release may arm it again, for what is left
		}
	}
	d, err := b.draft(r, nil, rules, c)
	return d, refs, err
}

// Release ends a panic: arming is allowed again. With rearm, the rules that the
// panic disarmed are armed again, until their ttl runs out if they have one; it
// says which. Not those that were changed meanwhile, or whose ttl has run out.
func (b *Box) Release(rearm bool, c Change) (rearmed []string, seq int64, err error) {
	b.mu.Lock()
	if b.panic == nil || b.closed {
		b.mu.Unlock()
		return nil, 0, faults.Errorf(faults.Conflict, "", "there is no panic to release")
	}
	was := map[ruleRef]bool{}
	for _, ref := range b.panic.rules {
		was[ref] = rearm
	}
	var drafts []*draft
	var refs []ruleRef
	for _, r := range b.routes {
		rules := r.wanted()
		for i := range rules {
			if e := rules[i].entry.expires; e != nil && !e.After(b.now()) {
				continue
			}
			if ref := (ruleRef{r.name, rules[i].rule.Name}); was[ref] && !rules[i].rule.Armed {
				rules[i].rule.Armed = true
				refs = append(refs, ref)
			}
		}
		d, err := b.draft(r, nil, rules, c)
		if err != nil {
			b.mu.Unlock()
			return nil, 0, err
		}
		d.again = true
		drafts = append(drafts, d)
	}
	b.panic = nil
	rearmed = refNames(refs)
	return rearmed, b.putInForce(drafts, "box.released", BoxData{Who: c.Who, Why: c.Why, Rules: rearmed}), nil
}

// putInForce puts drafts of all routes in force and tells of it. It lets go of the lock,
// which its caller holds, and returns when every session has its new plan.
func (b *Box) putInForce(drafts []*draft, what string, data BoxData) (seq int64) {
	b.publishAll(drafts)
	seq = b.journal.emit(Event{Type: what, Data: data})
	wait := b.swap(b.routes...)
	b.mu.Unlock()
	wait()
	return seq
}

// Revert makes the routes and rules those of the configuration again, and ends a
// panic. It says which routes changed for it, in themselves or in their rules. If it
// cannot, nothing has changed.
func (b *Box) Revert(c Change) (changed []string, seq int64, err error) {
	b.mu.Lock()
	kept := b.panic
	b.panic = nil
	changed, wait, err := b.configure(b.configured, c)
	if err != nil {
		b.panic = kept
		b.mu.Unlock()
		return nil, 0, err
	}
	seq = b.journal.emit(Event{Type: "box.reverted", Data: BoxData{Who: c.Who, Why: c.Why}})
	b.mu.Unlock()
	wait()
	return changed, seq, nil
}

func refNames(refs []ruleRef) []string {
	names := make([]string, 0, len(refs))
	for _, r := range refs {
		names = append(names, r.String())
	}
	return names
}

func (b *Box) publishAll(drafts []*draft) (seq int64) {
	for _, d := range drafts {
		seq = b.publish(d)
	}
	return seq
}

func errClosed() error { return faults.Errorf(faults.Conflict, "", "the box is closed") }
