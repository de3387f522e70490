package middlebox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"crimp/faults"
)

// How a change of rules comes into force. A change is drafted first: everything
// is validated and compiled beside what stands, so that an error leaves all as
// it was. Then, still under the box's mutex, it is published: the events go to
// the journal, the new plan into the route, and a letter to every loop. The
// mutex is released, and the caller waits for the loops to answer that their
// sessions have been stepped. From then on no byte that is read goes under the
// old plan, and at no point has anybody waited for a peer.

// draft is a change of one route's rules, compiled and not yet in force.
type draft struct {
	r      *route
	conf   *settings // to be the route's, nil: as it stands
	next   *inForce
	marks  []string // the event each rule is worth; empty: none
	gone   []ruleEntry
	again  bool // what it arms was armed before a panic
	sender Change
}

// wanted is a rule as it is to be, with what is to be remembered of it.
type wanted struct {
	rule  faults.Rule
	entry ruleEntry // rev and the like, of the rule it replaces
	anew  bool      // armed once more: it starts afresh though it is the same
}

// draft compiles the rules that a route is to have.
func (b *Box) draft(r *route, conf *settings, rules []wanted, c Change) (*draft, error) {
	old := r.force.Load()
	if old == nil {
		old = &inForce{}
	}
	prev, plain := old.plan, make([]faults.Rule, len(rules))
	for i := range rules {
		plain[i] = rules[i].rule
		if rules[i].anew {
			prev = prev.Without(rules[i].rule.Name)
		}
	}
	protocol := conf
	if protocol == nil {
		protocol = r.conf.Load()
	}
	plan, err := faults.Compile(prev, b.seed, r.name, protocol.protocol, plain)
	if err != nil {
		return nil, err
	}
	if err := b.mayFilter(plan); err != nil {
		return nil, err
	}
	d := &draft{r: r, conf: conf, next: &inForce{plan: plan}, sender: c}
	d.next.rules, d.marks = make([]ruleEntry, len(rules)), make([]string, len(rules))
	for i, compiled := range plan.Rules() {
		e := &d.next.rules[i]
		*e = rules[i].entry
		if e.c == nil || !sameRule(e.c, compiled) {
			e.summary, e.without = b.describe(compiled.Rule)
		}
		e.c = compiled
		if d.marks[i] = markOf(old.findNear(compiled.Rule.Name, i), e); rules[i].anew {
			d.marks[i] = "rule.armed"
		}
		if d.marks[i] != "" {
			e.rev = b.nextRev()
		}
	}
	for i := range old.rules {
		if d.next.findNear(old.rules[i].c.Rule.Name, i) == nil {
			d.gone = append(d.gone, old.rules[i])
		}
	}
	return d, nil
}

// mayFilter refuses to arm what needs a right that this process has not.
func (b *Box) mayFilter(p *faults.Plan) error {
	if b.packets == nil {
		return nil
	}
	for i, c := range p.Rules() {
		if nearest, yes := c.NeedsPackets(); yes && c.Rule.Armed {
			return faults.Errorf(faults.Unsupported, "rules["+strconv.Itoa(i)+"].fault", "%s %v; without it the nearest is %s", c.Rule.Fault, b.packets, nearest)
		}
	}
	return nil
}

// describe says what a rule does in this process, and what of it is left out for
// want of a right.
func (b *Box) describe(r faults.Rule) (does, without string) {
	if b.packets == nil {
		return r.Describe(), ""
	}
	does, left := r.DescribeWithoutPackets()
	if len(left) > 0 {
		without = fmt.Sprintf("%s, which %v", strings.Join(left, ", "), b.packets)
	}
	return does, without
}

// markOf says what became of a rule.
func markOf(old, e *ruleEntry) string {
	same := old != nil && sameRule(old.c, e.c)
	switch {
	case same && old.lease == e.lease && sameTime(old.expires, e.expires):
		return ""
	case same: // only whose it is, or how long it stays
		return "rule.changed"
	case e.c.Rule.Armed:
		return "rule.armed"
	case old != nil && old.c.Rule.Armed:
		return "rule.disarmed"
	}
	return "rule.changed"
}

// sameRule compares what two rules say.
func sameRule(a, b *faults.Compiled) bool { return a == b || sameWords(a.Rule, b.Rule) }

func sameWords(a, b faults.Rule) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

func sameTime(a, b *time.Time) bool {
	return a == b || a != nil && b != nil && a.Equal(*b)
}

// publish puts a draft in force for what is read from now on, tells the journal,
// and gives the number of its last event.
func (b *Box) publish(d *draft) (seq int64) {
	live := d.r.live.Load()
	tell := func(e *ruleEntry, m string, removed bool) {
		seq = b.journal.emitWith(Event{Type: m, Route: d.r.name, Rule: e.c.Rule.Name}, func(seq int64) any {
			if m == "rule.armed" {
				e.armedAt = seq
				if !d.again {
					e.arming = seq
				}
			}
			return RuleData{Rule: e.state(d.r.name), Who: d.sender.Who, Why: d.sender.Why, Sessions: live, Removed: removed}
		})
	}
	for i := range d.gone {
		e := d.gone[i]
		e.why = d.sender.Why
		rule := e.c.Rule
		rule.Armed = false
		gone := *e.c
		gone.Rule = rule
		e.c = &gone
		tell(&e, "rule.disarmed", true)
	}
	for i := range d.next.rules {
		if d.marks[i] != "" {
			d.next.rules[i].why = d.sender.Why
			tell(&d.next.rules[i], d.marks[i], false)
		}
	}
	if d.changed() {
		d.r.rev = b.nextRev()
	}
	d.r.force.Store(d.next)
	if d.conf != nil {
		d.r.conf.Store(d.conf)
	}
	if seq == 0 {
		seq = b.journal.newest()
	}
	return seq
}

// changed says whether any rule was.
func (d *draft) changed() bool {
	return len(d.gone) > 0 || slices.ContainsFunc(d.marks, func(m string) bool { return m != "" })
}

// swap has every session of the routes stepped to the plan in force. It posts at
// once, so that the order of changes is the order of letters; the wait is the
// caller's, to be made without the mutex.
//
// A socket that was closed is gone for the system only when its loop waits the
// next time: where a listener closes, one more letter is waited for.
func (b *Box) swap(routes ...*route) (wait func() int64) {
	all := b.everywhere(func(l *loop) (n int64) {
		for _, ln := range l.listeners {
			if slices.Contains(routes, ln.route) {
				ln.follow(l)
			}
		}
		for i := len(l.sessions) - 1; i >= 0; i-- { // from behind: a session that ends takes the last one's place
			if s := l.sessions[i]; slices.Contains(routes, s.r) {
				n++
				s.swap()
			}
		}
		return n
	})
	if !slices.ContainsFunc(routes, func(r *route) bool { return r.force.Load().plan.Closed() }) {
		return all
	}
	return func() int64 {
		n := all()
		b.everywhere(func(*loop) int64 { return 0 })()
		return n
	}
}

// everywhere has f called on every loop; wait gives the sum of what it said.
func (b *Box) everywhere(f func(*loop) int64) (wait func() int64) {
	var sum atomic.Int64
	var calls sync.WaitGroup
	for _, l := range b.loops {
		calls.Add(1)
		if !l.post(func(l *loop) {
			defer calls.Done()
			sum.Add(f(l))
		}) {
			calls.Done()
		}
	}
	return func() int64 {
		b.drive()
		calls.Wait()
		return sum.Load()
	}
}

// on has f called on one loop and waits for it.
func (b *Box) on(l *loop, f func(*loop)) bool {
	done := make(chan struct{})
	if !l.post(func(l *loop) {
		defer close(done)
		f(l)
	}) {
		return false
	}
	b.drive()
	<-done
	return true
}

// drive takes the loops' mail where there is no goroutine to do it.
func (b *Box) drive() {
	if b.driven {
		for _, l := range b.loops {
			l.takeMail()
		}
	}
}

func (b *Box) nextRev() int64 {
	b.revs++
	return b.revs
}
