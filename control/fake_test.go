package control

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// fakeBox is a Box in memory: rules change and events are told, no byte flows.
type fakeBox struct {
	mu      sync.Mutex
	routes  []middlebox.RouteState
	events  []middlebox.Event // all of them: seq is the index plus one
	ring    int               // how many a cursor may lag; 0: any
	panic   *middlebox.PanicState
	watches map[*fakeWatch]struct{}
	acted   []string
	opened  int // watches ever
}

func newFakeBox(routes ...string) *fakeBox {
	b := &fakeBox{watches: map[*fakeWatch]struct{}{}}
	for _, name := range routes {
		b.routes = append(b.routes, middlebox.RouteState{Name: name, Listen: "127.0.0.1:8080", Upstream: "127.0.0.1:9000", Rev: 1, Sessions: 2})
	}
	return b
}

func (b *fakeBox) Info() middlebox.Info {
	return middlebox.Info{Epoch: "e1", Seed: 42, Limits: middlebox.Limits{Sessions: 20000}}
}

func (b *fakeBox) State() middlebox.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := middlebox.State{Seq: int64(len(b.events)), Epoch: "e1", Panic: b.panic}
	for _, r := range b.routes {
		r.Rules = append([]middlebox.RuleState{}, r.Rules...)
		s.Routes = append(s.Routes, r)
	}
	return s
}

func (b *fakeBox) Stats() middlebox.Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s middlebox.Stats
	for _, r := range b.routes {
		s.Routes = append(s.Routes, middlebox.RouteStats{Route: r.Name, Sessions: r.Sessions, Bytes: r.Bytes, Exchanges: r.Exchanges})
	}
	return s
}

func (b *fakeBox) route(name string) (*middlebox.RouteState, error) {
	for i := range b.routes {
		if b.routes[i].Name == name {
			return &b.routes[i], nil
		}
	}
	return nil, faults.Errorf(faults.NotFound, "route", "no route %q", name)
}

func (b *fakeBox) find(route, name string) (*middlebox.RouteState, int, error) {
	r, err := b.route(route)
	if err != nil {
		return nil, -1, err
	}
	for i := range r.Rules {
		if r.Rules[i].Name == name {
			return r, i, nil
		}
	}
	return r, -1, faults.Errorf(faults.NotFound, "name", "%s: no rule %q", route, name)
}

// emit is called with b.mu held.
func (b *fakeBox) emit(e middlebox.Event) int64 {
	e.Seq = int64(len(b.events)) + 1
	e.Time = time.Unix(1_700_000_000+e.Seq, 0)
	b.events = append(b.events, e)
	for w := range b.watches {
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
	return e.Seq
}

func (b *fakeBox) Emit(e middlebox.Event) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.emit(e)
}

func (b *fakeBox) SetRoute(r middlebox.Route, c middlebox.Change) (middlebox.RouteState, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Name == "" {
		return middlebox.RouteState{}, 0, faults.Errorf(faults.Invalid, "route.name", "expected a name")
	}
	have, err := b.route(r.Name)
	if err != nil {
		b.routes = append(b.routes, middlebox.RouteState{Name: r.Name})
		have = &b.routes[len(b.routes)-1]
	}
	if c.IfRev != nil && *c.IfRev != have.Rev {
		return middlebox.RouteState{}, 0, faults.Errorf(faults.Conflict, "if_rev", "%s is at rev %d", r.Name, have.Rev)
	}
	have.Listen, have.Upstream = r.Listen, r.Upstream
	have.Rev++
	have.Rules = nil
	for _, rule := range r.Rules {
		have.Rules = append(have.Rules, middlebox.RuleState{Rule: rule, Route: r.Name, Rev: 1})
	}
	return *have, b.emit(middlebox.Event{Type: "route.changed", Route: r.Name}), nil
}

func (b *fakeBox) DeleteRoute(name string, c middlebox.Change) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range b.routes {
		if b.routes[i].Name == name {
			b.routes = append(b.routes[:i], b.routes[i+1:]...)
			return b.emit(middlebox.Event{Type: "route.removed", Route: name}), nil
		}
	}
	return 0, faults.Errorf(faults.NotFound, "name", "no route %q", name)
}

func (b *fakeBox) SetRule(route string, rule faults.Rule, c middlebox.Change) (middlebox.Changed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, i, err := b.find(route, rule.Name)
	if r == nil {
		return middlebox.Changed{}, err
	}
	if i < 0 {
		r.Rules = append(r.Rules, middlebox.RuleState{})
		i = len(r.Rules) - 1
	}
	return b.changed(r, i, rule, c, "rule.changed")
}

// changed makes rule i of r what it is to be.
func (b *fakeBox) changed(r *middlebox.RouteState, i int, rule faults.Rule, c middlebox.Change, event string) (middlebox.Changed, error) {
	s := &r.Rules[i]
	if c.IfRev != nil && *c.IfRev != s.Rev {
		return middlebox.Changed{}, faults.Errorf(faults.Conflict, "if_rev", "%s/%s is at rev %d", r.Name, rule.Name, s.Rev)
	}
	if rule.Armed && b.panic != nil {
		return middlebox.Changed{}, faults.Errorf(faults.Forbidden, "", "panic by %s: %s", b.panic.Who, b.panic.Why)
	}
	*s = middlebox.RuleState{Rule: rule, Route: r.Name, Rev: s.Rev + 1, Lease: c.Lease, Expires: c.Expiry, Why: c.Why, ArmedAt: s.ArmedAt, Arming: s.Arming, Summary: rule.Fault, NearMiss: s.NearMiss}
	if rule.Armed {
		event = "rule.armed"
	}
	seq := b.emit(middlebox.Event{Type: event, Route: r.Name, Rule: rule.Name, Data: map[string]any{"who": c.Who, "why": c.Why}})
	if rule.Armed {
		s.ArmedAt, s.Arming = seq, seq
	}
	return middlebox.Changed{Rule: *s, Rev: s.Rev, Seq: seq, Sessions: r.Sessions}, nil
}

func (b *fakeBox) Arm(route, name string, armed bool, c middlebox.Change) (middlebox.Changed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, i, err := b.find(route, name)
	if err != nil {
		return middlebox.Changed{}, err
	}
	s := r.Rules[i]
	rule := s.Rule
	rule.Armed = armed
	c.Lease = s.Lease // as the box does: an arming leaves the lease, and extends a ttl only if told
	if armed && s.Armed && c.Expiry == nil {
		c.Expiry = s.Expires
	}
	if !armed {
		c.Expiry = nil
	}
	return b.changed(r, i, rule, c, "rule.disarmed")
}

func (b *fakeBox) DeleteRule(route, name string, c middlebox.Change) (middlebox.Changed, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r, i, err := b.find(route, name)
	if err != nil {
		return middlebox.Changed{}, err
	}
	s := r.Rules[i]
	if c.IfRev != nil && *c.IfRev != s.Rev {
		return middlebox.Changed{}, faults.Errorf(faults.Conflict, "if_rev", "%s is at rev %d", name, s.Rev)
	}
	r.Rules = append(r.Rules[:i:i], r.Rules[i+1:]...)
	seq := b.emit(middlebox.Event{Type: "rule.disarmed", Route: route, Rule: name, Data: map[string]any{"removed": true, "who": c.Who, "why": c.Why}})
	return middlebox.Changed{Rule: s, Rev: s.Rev, Seq: seq}, nil
}

func (b *fakeBox) Routes(middlebox.Filter) (middlebox.List[middlebox.RouteState], error) {
	s := b.State()
	return middlebox.List[middlebox.RouteState]{Items: s.Routes, Seq: s.Seq}, nil
}

func (b *fakeBox) Rules(f middlebox.Filter) (middlebox.List[middlebox.RuleState], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := middlebox.List[middlebox.RuleState]{Complete: true, Seq: int64(len(b.events))}
	var routes, rules []string
	for _, r := range b.routes {
		routes = append(routes, r.Name)
		for _, rule := range r.Rules {
			rules = append(rules, rule.Name)
			if (f.Route == "" || f.Route == r.Name) && (f.Rule == "" || f.Rule == rule.Name) {
				l.Items = append(l.Items, rule)
				l.Total++
			}
		}
	}
	switch {
	case f.Route != "" && !slices.Contains(routes, f.Route):
		return l, faults.Errorf(faults.NotFound, "route", "no route %q%s", f.Route, faults.Among(f.Route, routes))
	case f.Rule != "" && !slices.Contains(rules, f.Rule):
		return l, faults.Errorf(faults.NotFound, "rule", "no rule %q%s", f.Rule, faults.Among(f.Rule, rules))
	}
	return l, nil
}

func (b *fakeBox) Sessions(f middlebox.Filter) (middlebox.List[middlebox.SessionItem], error) {
	return middlebox.List[middlebox.SessionItem]{Items: []middlebox.SessionItem{{ID: "web/1", Route: "web"}}, Total: 1, Complete: true}, nil
}

func (b *fakeBox) Exchanges(f middlebox.Filter) (middlebox.List[middlebox.ExchangeItem], error) {
	return middlebox.List[middlebox.ExchangeItem]{Total: 0, Complete: true}, nil
}

func (b *fakeBox) Events(f middlebox.Filter) (middlebox.List[middlebox.Event], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return middlebox.List[middlebox.Event]{Items: append([]middlebox.Event{}, b.events...), Total: len(b.events), Complete: true, Seq: int64(len(b.events))}, nil
}

func (b *fakeBox) Act(f middlebox.Filter, act faults.Act, side faults.Side, c middlebox.Change) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.acted = append(b.acted, fmt.Sprint(f.Session, f.Route, " ", act, " ", side))
	if f.Session == "web/9" {
		return 0, nil
	}
	return 1, nil
}

func (b *fakeBox) Panic(c middlebox.Change) ([]string, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.panic = &middlebox.PanicState{Who: c.Who, Why: c.Why}
	var disarmed []string
	for _, r := range b.routes {
		for i := range r.Rules {
			if r.Rules[i].Armed {
				r.Rules[i].Armed = false
				r.Rules[i].Rev++
				disarmed = append(disarmed, r.Name+"/"+r.Rules[i].Name)
			}
		}
	}
	return disarmed, b.emit(middlebox.Event{Type: "box.panicked"}), nil
}

func (b *fakeBox) Release(rearm bool, c middlebox.Change) ([]string, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.panic = nil
	return nil, b.emit(middlebox.Event{Type: "box.released"}), nil
}

func (b *fakeBox) Revert(c middlebox.Change) ([]string, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.panic = nil
	return nil, b.emit(middlebox.Event{Type: "box.reverted"}), nil
}

func (b *fakeBox) Watch(int64) *middlebox.Watch { panic("the fake's cursor is its own") }

func (b *fakeBox) Capture(o middlebox.CaptureOptions) (*middlebox.Capture, error) {
	return nil, faults.Errorf(faults.Unsupported, "", "nothing flows through the fake, %s", o.Route)
}

func (b *fakeBox) Match(f middlebox.Filter) (func(middlebox.Event) (bool, string), error) {
	return func(e middlebox.Event) (bool, string) {
		if f.Route != "" && f.Route != e.Route || f.Rule != "" && f.Rule != e.Rule || f.Session != "" && f.Session != e.Session {
			return false, ""
		}
		if f.Type != "" && f.Type != e.Type && !strings.HasPrefix(e.Type, f.Type+".") {
			return false, ""
		}
		if x, ok := e.Data.(middlebox.ExchangeItem); ok && f.Match.Path != "" && f.Match.Path != x.Request.Target {
			return false, "(path): no"
		}
		return true, ""
	}, nil
}

func (b *fakeBox) Since(f middlebox.Filter) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch f.Since {
	case "":
		return -1, nil
	case "armed":
		for _, r := range b.routes {
			for _, rule := range r.Rules {
				if rule.Name == f.Rule && (f.Route == "" || f.Route == r.Name) && rule.ArmedAt > 0 {
					return rule.ArmedAt, nil
				}
			}
		}
		return 0, faults.Errorf(faults.NotFound, "rule", "no rule %q", f.Rule)
	}
	n, err := strconv.ParseInt(f.Since, 10, 64)
	if err != nil {
		return 0, faults.Errorf(faults.Invalid, "since", "%q; expected a seq, a duration or armed", f.Since)
	}
	return n, nil
}

// fakeWatch is a cursor on the fake's events.
type fakeWatch struct {
	box   *fakeBox
	at    int
	ready chan struct{}
}

func (b *fakeBox) watch(since int64) cursor {
	b.mu.Lock()
	defer b.mu.Unlock()
	if since < 0 {
		since = int64(len(b.events))
	}
	w := &fakeWatch{box: b, at: int(since), ready: make(chan struct{}, 1)}
	w.ready <- struct{}{}
	b.watches[w] = struct{}{}
	b.opened++
	return w
}

func (w *fakeWatch) Next(buf []middlebox.Event) (n int, lost int64) {
	w.box.mu.Lock()
	defer w.box.mu.Unlock()
	if oldest := len(w.box.events) - w.box.ring; w.box.ring > 0 && w.at < oldest {
		lost = int64(oldest - w.at)
		w.at = oldest
	}
	n = copy(buf, w.box.events[w.at:])
	w.at += n
	return n, lost
}

func (w *fakeWatch) Ready() <-chan struct{} { return w.ready }

func (w *fakeWatch) Close() {
	w.box.mu.Lock()
	defer w.box.mu.Unlock()
	delete(w.box.watches, w)
}
