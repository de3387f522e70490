package middlebox

import (
	"errors"
	"fmt"

	"crimp/faults"
)

// What somebody at the controls does to a simulated world, mirrored in the model.

// draw draws a rule for a route and gives it a name.
func (w *world) draw(x *simRoute) drawnRule {
	x.nextRule++
	name := fmt.Sprintf("rule%d", x.nextRule)
	for {
		d := drawRule(w.r, name, x.http)
		if d.effect == rewrites && has(x.ever, rewrites) && x.nextRule > 1 {
			continue // two of these on one message are more than the model unravels
		}
		x.ever = append(x.ever, d)
		return d
	}
}

func has(rules []drawnRule, e effect) bool {
	for i := range rules {
		if rules[i].effect == e {
			return true
		}
	}
	return false
}

// put puts a rule last on a route of the model.
func (w *world) put(x *simRoute, d drawnRule) {
	a := &armed{drawnRule: d}
	x.rules = append(x.rules, a)
	w.arm(x, a, d.Armed)
}

// arm turns a rule of the model on or off.
func (w *world) arm(x *simRoute, a *armed, on bool) {
	if on == a.Armed && (!on || a.from != 0) {
		return
	}
	now := *a
	now.Armed = on
	if !on {
		a.to = w.step
		now.from, now.to = 0, 0
	} else {
		now.from, now.to = w.step, 0
		if now.from == 0 {
			now.from = -1 // before the first step
		}
	}
	for i := range x.rules {
		if x.rules[i] == a {
			x.rules[i] = &now
		}
	}
	if on {
		x.history = append(x.history, &now)
	}
}

func (w *world) drop(x *simRoute, i int) {
	if a := x.rules[i]; a.Armed {
		a.to = w.step
	}
	x.rules = append(x.rules[:i:i], x.rules[i+1:]...)
}

// given is the rule as the box is given it: distorted if that is the planted bug.
func (w *world) given(d drawnRule) faults.Rule {
	if w.plant != nil && w.plant.rule != nil {
		return w.plant.rule(d.Rule)
	}
	return d.Rule
}

// operate does one thing at the controls.
func (w *world) operate() {
	x := w.routes[w.r.IntN(len(w.routes))]
	if x.gone {
		return
	}
	var before map[*session]*faults.Plan
	if w.plant != nil && w.plant.swap {
		before = w.plansNow()
	}
	n := w.r.IntN(20)
	w.onTime()
	switch {
	case n < 6 && len(x.rules) < 4:
		w.setRule(x)
	case n < 13 && len(x.rules) > 0:
		w.toggle(x)
	case n == 13 && len(x.rules) > 0:
		i := w.r.IntN(len(x.rules))
		w.tracef("delete %s/%s", x.Name, x.rules[i].Name)
		_, err := w.box.DeleteRule(x.Name, x.rules[i].Name, Change{Who: "sim"})
		w.must(err)
		w.drop(x, i)
	case n == 14:
		w.panics()
	case n == 15:
		w.revert()
	case n == 16 && oneIn(w.r, 3):
		w.tracef("delete route %s", x.Name)
		_, err := w.box.DeleteRoute(x.Name, Change{Who: "sim"})
		w.must(err)
		for len(x.rules) > 0 {
			w.drop(x, 0)
		}
		x.gone = true
	case n >= 17:
		w.command()
	}
	w.goOnUnder(before)
	w.after()
	w.nothingHeld()
}

// plansNow are the plans of the live sessions, and goOnUnder, a planted bug, steps
// them back to those.
func (w *world) plansNow() map[*session]*faults.Plan {
	plans := map[*session]*faults.Plan{}
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			plans[s] = s.plan
		}
	}
	return plans
}

func (w *world) goOnUnder(plans map[*session]*faults.Plan) {
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			if old := plans[s]; old != nil && old != s.plan {
				s.perform(s.eng.Step(l.now, faults.Input{Kind: faults.InSwap, Plan: old}))
			}
		}
	}
}

func (w *world) must(err error) {
	if err != nil {
		w.failf("refused: %v", err)
	}
}

// setRule adds a rule.
func (w *world) setRule(x *simRoute) {
	if w.panicked != nil {
		return
	}
	d := w.draw(x)
	w.tracef("set %s/%s: %s %v match %v gate %+v armed %v", x.Name, d.Name, d.Fault, d.Params, d.Match, d.Gate, d.Armed)
	_, err := w.box.SetRule(x.Name, w.given(d), Change{Who: "sim"})
	var refused *faults.Error
	if errors.As(err, &refused) && (d.effect == strange || x.Protocol == "tcp") {
		x.ever = x.ever[:len(x.ever)-1]
		return
	}
	w.must(err)
	w.put(x, d)
}

func (w *world) toggle(x *simRoute) {
	a := x.rules[w.r.IntN(len(x.rules))]
	on := !a.Armed
	if on && w.panicked != nil {
		return
	}
	w.tracef("arm %s/%s: %v", x.Name, a.Name, on)
	_, err := w.box.Arm(x.Name, a.Name, on, Change{Who: "sim"})
	w.must(err)
	w.arm(x, a, on)
}

// panics disarms all, or ends a panic.
func (w *world) panics() {
	if w.panicked != nil {
		rearm := oneIn(w.r, 2)
		w.tracef("release, rearm %v", rearm)
		_, _, err := w.box.Release(rearm, Change{Who: "sim"})
		w.must(err)
		for _, x := range w.routes {
			for i := 0; rearm && i < len(x.rules); i++ {
				for _, a := range w.panicked {
					if a.Name == x.rules[i].Name && a.to > 0 && inHistory(x, a) {
						w.arm(x, x.rules[i], true)
						break
					}
				}
			}
		}
		w.panicked = nil
		return
	}
	w.tracef("panic")
	_, _, err := w.box.Panic(Change{Who: "sim"})
	w.must(err)
	w.panicked = []*armed{}
	for _, x := range w.routes {
		for _, a := range append([]*armed(nil), x.rules...) {
			if a.Armed {
				w.panicked = append(w.panicked, a)
				w.arm(x, a, false)
			}
		}
	}
}

func inHistory(x *simRoute, a *armed) bool {
	for _, h := range x.history {
		if h == a {
			return true
		}
	}
	return false
}

// revert brings the configuration back. Rules that stand as configured stay.
func (w *world) revert() {
	for _, x := range w.routes {
		if x.gone {
			return // its address is taken anew, and clients come back: another world
		}
	}
	w.tracef("revert")
	_, _, err := w.box.Revert(Change{Who: "sim"})
	w.must(err)
	w.panicked = nil
	for _, x := range w.routes {
		var kept []*armed
		for _, a := range x.rules {
			if c := configured(x, a.Name); c != nil && c.Armed == a.Armed {
				kept = append(kept, a)
			} else if a.Armed {
				a.to = w.step
			}
		}
		x.rules = nil
		for i := range x.conf {
			c := &x.conf[i]
			if old := named(kept, c.Name); old != nil {
				x.rules = append(x.rules, old)
			} else {
				w.put(x, *c)
			}
		}
	}
}

func configured(x *simRoute, name string) *drawnRule {
	for i := range x.conf {
		if x.conf[i].Name == name {
			return &x.conf[i]
		}
	}
	return nil
}

func named(rules []*armed, name string) *armed {
	for _, a := range rules {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// command acts on a session.
func (w *world) command() {
	if len(w.sessions) == 0 {
		return
	}
	s := w.sessions[w.r.IntN(len(w.sessions))]
	if s.opened == 0 || s.closed > 0 {
		return
	}
	act := pick(w.r, faults.ActStall, faults.ActResume, faults.ActStall, faults.ActResume, faults.ActRst, faults.ActClose, faults.ActFin)
	side := pick(w.r, faults.Client, faults.Server, faults.BothSides)
	w.act(s, act, side)
}

func (w *world) act(s *simSession, act faults.Act, side faults.Side) {
	w.tracef("act %d on side %d of %s", act, side, s.name())
	n, err := w.box.Act(Filter{Session: s.id}, act, side, Change{Who: "sim"})
	w.must(err)
	if n > 1 || n == 0 && s.closed == 0 {
		w.failf("act reached %d sessions called %s", n, s.id)
	}
	switch act {
	case faults.ActStall:
		s.stalled = true
	case faults.ActResume:
		s.stalled = s.stalled && side != faults.BothSides
	default:
		s.commanded = true
	}
}

// disarmAll is how the end begins: nothing armed, nothing stalled.
func (w *world) disarmAll() {
	if w.panicked == nil {
		w.panics()
	}
	w.after()
	for _, s := range w.sessions {
		if s.opened > 0 && s.closed == 0 {
			w.act(s, faults.ActResume, faults.BothSides)
			s.stalled = false
		}
	}
	w.after()
	w.nothingHeld()
}
