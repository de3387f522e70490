package middlebox

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"

	"crimp/faults"
)

// How routes come, change and go. As with rules, everything that can fail comes
// first: routes are checked and compiled beside what stands, and every address
// that is not listened on yet is bound. Only then is anything changed.

// Configure makes the routes those given, atomically, and remembers them as what
// Revert goes back to. Routes that keep their name keep their sessions, and
// rules that stand unchanged their gates; an address is bound before any other
// is let go. On an error nothing has changed; one that cannot be had is a
// *faults.Error with code bind.
func (b *Box) Configure(routes []Route, who string) error {
	b.mu.Lock()
	first := b.configured == nil
	c := Change{Who: who}
	_, wait, err := b.configure(routes, c)
	if err != nil {
		b.mu.Unlock()
		return err
	}
	b.configured = append([]Route{}, routes...)
	if !first {
		b.journal.emit(Event{Type: "box.reloaded", Data: BoxData{Who: who}})
	}
	b.mu.Unlock()
	wait()
	return nil
}

// SetRoute makes a route be r, with its rules. Live sessions go on; what is new
// holds for new ones, and the rules at once for all.
func (b *Box) SetRoute(r Route, c Change) (RouteState, int64, error) {
	b.mu.Lock()
	old, _ := b.route(r.Name)
	if c.IfRev != nil {
		rev := int64(0)
		if old != nil {
			rev = old.rev
		}
		if rev != *c.IfRev {
			b.mu.Unlock()
			return RouteState{}, 0, faults.Errorf(faults.Conflict, "if_rev", "%s is at revision %d, not %d: it was changed meanwhile", r.Name, rev, *c.IfRev)
		}
	}
	p := &plan{box: b, change: c}
	err := p.add(r, "route")
	if err == nil {
		err = p.check(old)
	}
	if err == nil {
		err = p.bind(nil)
	}
	if err != nil {
		b.mu.Unlock()
		return RouteState{}, 0, err
	}
	seq, wait := p.commit()
	now, _ := b.route(r.Name)
	state := now.state()
	b.mu.Unlock()
	wait()
	return state, seq, nil
}

// DeleteRoute stops listening and takes the route and its rules away. Its live
// sessions go on without rules.
func (b *Box) DeleteRoute(name string, c Change) (int64, error) {
	b.mu.Lock()
	r, err := b.route(name)
	if b.closed {
		err = errClosed()
	}
	if err == nil && c.IfRev != nil && *c.IfRev != r.rev {
		err = faults.Errorf(faults.Conflict, "if_rev", "%s is at revision %d, not %d: it was changed meanwhile", name, r.rev, *c.IfRev)
	}
	p := &plan{box: b, change: c}
	if err == nil {
		err = p.remove(r)
	}
	if err != nil {
		b.mu.Unlock()
		return 0, err
	}
	seq, wait := p.commit()
	b.mu.Unlock()
	wait()
	return seq, nil
}

// configure is Configure under the mutex, but for what is remembered and told; it says
// which routes changed, came or went.
func (b *Box) configure(routes []Route, c Change) (changed []string, wait func() int64, err error) {
	if b.closed {
		return nil, nil, errClosed()
	}
	if err := CheckRoutes(routes); err != nil {
		return nil, nil, err
	}
	p := &plan{box: b, change: c, whole: true}
	for i, r := range routes {
		if err := p.add(r, fmt.Sprintf("routes[%d]", i)); err != nil {
			return nil, nil, err
		}
	}
	var leaving []*route
	for _, r := range b.routes {
		if !slices.ContainsFunc(routes, func(x Route) bool { return x.Name == r.name }) {
			leaving = append(leaving, r)
			if err := p.remove(r); err != nil {
				return nil, nil, err
			}
		}
	}
	if err := p.check(b.routes...); err != nil {
		return nil, nil, err
	}
	if err := p.bind(leaving); err != nil {
		return nil, nil, err
	}
	_, wait = p.commit()
	return p.told, wait, nil
}

// plan is a change of routes that is made ready.
type plan struct {
	box    *Box
	change Change
	whole  bool // the routes are to be exactly these, in this order
	steps  []*step
	bound  []*listener // newly: to be closed if it comes to nothing
	told   []string    // routes of which an event tells
}

// step is what happens to one route.
type step struct {
	*draft
	field    string
	added    bool
	removed  bool
	changed  bool
	listener *listener
}

// add makes ready that route be as given.
func (p *plan) add(given Route, field string) error {
	b := p.box
	if b.closed {
		return errClosed()
	}
	conf, bad := checkWhole(given, field)
	if bad != nil {
		return bad
	}
	s := &step{field: field}
	r, _ := b.route(given.Name)
	if r == nil {
		s.added = true
		r = &route{name: given.Name, numbers: b.numbersOf(given.Name), fired: counters(faults.Kinds()), missed: counters(faults.MissWords)}
		r.conf.Store(conf)
		r.force.Store(&inForce{})
	}
	rules := make([]wanted, len(given.Rules))
	for i, rule := range given.Rules {
		rules[i] = wanted{rule: rule}
		if e := r.force.Load().find(rule.Name); e != nil && sameWords(e.c.Rule, rule) {
			rules[i].entry = *e
		}
	}
	conf.Rules = nil
	if err := b.mayArm(r, rules); err != nil {
		return err
	}
	var err error
	if s.draft, err = b.draft(r, conf, rules, p.change); err != nil {
		if e, ok := err.(*faults.Error); ok {
			return e.In(field)
		}
		return err
	}
	old := r.conf.Load()
	if !s.added && r.ln != nil && r.ln.is(conf.at) {
		s.listener = r.ln
	}
	moved := s.listener == nil
	s.changed = !s.added && (moved || old.Upstream != conf.Upstream || old.protocol != conf.protocol ||
		old.Mode != conf.Mode || old.OnDialError != conf.OnDialError)
	p.steps = append(p.steps, s)
	return nil
}

// remove makes ready that a route goes.
func (p *plan) remove(r *route) error {
	d, err := p.box.draft(r, nil, nil, p.change)
	if err != nil {
		return err
	}
	p.steps = append(p.steps, &step{draft: d, removed: true})
	return nil
}

// check refuses what does not go together, with each other or with the routes
// that are not replaced.
func (p *plan) check(replaced ...*route) error {
	var given []placed
	var stay []*settings
	for _, r := range p.box.routes {
		if !slices.Contains(replaced, r) && r.ln != nil {
			s := *r.conf.Load()
			s.at = r.ln.addr // port 0 is another by now
			stay = append(stay, &s)
		}
	}
	for _, s := range p.steps {
		if !s.removed {
			given = append(given, placed{s.conf, s.field})
		}
	}
	if err := checkBeside(given, stay, p.box.notToDial()); err != nil {
		return err
	}
	return nil
}

// bind listens on every address that is not listened on, or takes over the
// listener of a route that goes or moves.
func (p *plan) bind(leaving []*route) error {
	free := map[netip.AddrPort]*listener{}
	for _, r := range leaving {
		if r.ln != nil {
			free[r.ln.addr] = r.ln
		}
	}
	for _, s := range p.steps {
		if p.whole && !s.removed && !s.added && s.listener == nil && s.r.ln != nil {
			free[s.r.ln.addr] = s.r.ln
		}
	}
	for _, s := range p.steps {
		if s.removed || s.listener != nil {
			continue
		}
		if ln := free[s.conf.at]; ln != nil {
			s.listener = ln
			delete(free, s.conf.at)
			continue
		}
		ln, err := p.box.bind(s.conf.at)
		if err != nil {
			p.undo()
			return faults.Errorf(faults.Bind, s.field+".listen", "%s: %v", s.conf.Listen, err)
		}
		s.listener, p.bound = ln, append(p.bound, ln)
	}
	return nil
}

// bind listens on the first loop, which owns all listeners.
func (b *Box) bind(at netip.AddrPort) (ln *listener, err error) {
	if !b.on(b.loops[0], func(l *loop) { ln, err = l.listen(at) }) {
		return nil, errClosed()
	}
	var sysErr *faults.Error
	if err != nil && !errors.As(err, &sysErr) {
		return nil, plainBind(err)
	}
	return ln, err
}

// plainBind is the innermost reason: the address is named by who asks.
func plainBind(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

func (p *plan) undo() {
	bound := p.bound
	p.box.on(p.box.loops[0], func(l *loop) {
		for _, ln := range bound {
			ln.close(l)
		}
	})
}

// commit puts everything in force. It cannot fail.
func (p *plan) commit() (seq int64, wait func() int64) {
	b := p.box
	var routes, touched []*route
	closing := []*listener{}
	for _, s := range p.steps {
		if s.r.ln != nil && s.r.ln != s.listener {
			closing = append(closing, s.r.ln)
		}
	}
	for _, s := range p.steps {
		r := s.r
		touched = append(touched, r)
		changed := s.changed || s.draft.changed()
		seq = b.publish(s.draft)
		r.ln = s.listener
		if s.removed {
			seq = p.tell("route.removed", r)
			continue
		}
		closing = slices.DeleteFunc(closing, func(ln *listener) bool { return ln == s.listener })
		routes = append(routes, r)
		switch {
		case s.added:
			r.rev = b.nextRev()
			seq = p.tell("route.added", r)
		case changed:
			r.rev = b.nextRev()
			seq = p.tell("route.changed", r)
		}
	}
	b.setRoutes(p.newRoutes(routes))
	p.listenAnew(closing)
	return seq, b.swap(touched...)
}

// newRoutes are the box's routes after the change, in their order.
func (p *plan) newRoutes(set []*route) []*route {
	if p.whole {
		return set
	}
	out := slices.Clone(p.box.routes)
	for _, s := range p.steps {
		i := slices.Index(out, s.r)
		switch {
		case s.removed && i >= 0:
			out = slices.Delete(out, i, i+1)
		case !s.removed && i < 0:
			out = append(out, s.r)
		}
	}
	return out
}

// listenAnew tells the first loop which listener serves which route, and which
// ones go.
func (p *plan) listenAnew(closing []*listener) {
	type pair struct {
		ln *listener
		r  *route
	}
	var pairs []pair
	for _, s := range p.steps {
		if s.listener != nil {
			pairs = append(pairs, pair{s.listener, s.r})
		}
	}
	p.box.on(p.box.loops[0], func(l *loop) {
		for _, x := range pairs {
			x.ln.serve(l, x.r)
		}
		for _, ln := range closing {
			ln.close(l)
		}
	})
}

func (p *plan) tell(typ string, r *route) int64 {
	p.told = append(p.told, r.name)
	return p.box.journal.emit(Event{Type: typ, Route: r.name, Data: RouteData{Route: r.state(), Who: p.change.Who}})
}

// numbersOf counts the sessions of all routes there ever were with this name.
func (b *Box) numbersOf(name string) *atomic.Uint64 {
	n := b.numbers[name]
	if n == nil {
		n = new(atomic.Uint64)
		b.numbers[name] = n
	}
	return n
}
