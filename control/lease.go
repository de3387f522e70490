package control

import (
	"sync"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file ties rules to something that ends: a lease to a WebSocket, a ttl to
// the clock. The box knows of both (RuleState.Lease, .Expires, .Arming), and
// what it says is the truth: when an end comes, the rule is looked up, and left
// alone if it has been set or armed again since and belongs to somebody else, to
// no one, or to a later time. if_rev closes the gap between look and deed.

// ruleKey names a rule.
type ruleKey struct{ route, name string }

// leaseEnd is what becomes of a rule when its lease ends.
type leaseEnd uint8

const (
	removeRule leaseEnd = iota // it came with the lease
	disarmRule                 // it stood before; only its arming was leased
)

// lease is a connection's hold on a rule.
type lease struct {
	end    leaseEnd
	arming int64 // of disarmRule: the one that was leased
}

// holds says whether the rule is still the one that the lease is for.
func (l lease) holds(owner string, r middlebox.RuleState) bool {
	if l.end == disarmRule {
		return r.Arming == l.arming // a panic may have disarmed it, and a release arm it again
	}
	return r.Lease == owner
}

// tie fills the lease and the expiry of a change in.
func (c *call) tie(change *middlebox.Change, lease string, ttl *faults.Duration) error {
	switch {
	case lease != "" && c.conn == nil:
		return faults.Errorf(faults.Invalid, "lease", "needs a WebSocket to end with; over POST use ttl")
	case lease != "":
		change.Lease = c.conn.id
	}
	if ttl != nil {
		if *ttl <= 0 {
			return faults.Errorf(faults.Invalid, "ttl", "expected more than 0s, got %s", *ttl)
		}
		change.Expiry = expiry(*ttl)
	}
	return nil
}

// tied remembers what a rule that was set or armed is tied to now.
func (c *call) tied(done middlebox.Changed, owner string, end leaseEnd) {
	key := ruleKey{done.Rule.Route, done.Rule.Name}
	if done.Rule.Expires != nil {
		c.srv.ttls.set(key, *done.Rule.Expires)
	} else {
		c.srv.ttls.forget(key)
	}
	if c.conn == nil {
		return
	}
	if l, leased := c.conn.leases[key]; end == disarmRule && leased && l.end == removeRule {
		return // arming it again does not make the rule outlive its lease
	}
	if owner == "" {
		delete(c.conn.leases, key)
		return
	}
	c.conn.leases[key] = lease{end, done.Rule.Arming}
}

// rule looks a rule up.
func (s *Server) rule(key ruleKey) (middlebox.RuleState, bool) {
	l, err := s.box.Rules(middlebox.Filter{Route: key.route, Rule: key.name})
	if err != nil {
		return middlebox.RuleState{}, false
	}
	for _, r := range l.Items {
		if r.Route == key.route && r.Name == key.name {
			return r, true
		}
	}
	return middlebox.RuleState{}, false
}

// endLeases does what is due when a WebSocket is gone.
func (s *Server) endLeases(c *conn) {
	for key, l := range c.leases {
		s.ifStill(key, func(r middlebox.RuleState) bool { return l.holds(c.id, r) }, func(rev int64) error {
			change := middlebox.Change{Who: c.who(), Why: "its lease ended", IfRev: &rev}
			if l.end == disarmRule {
				_, err := s.box.Arm(key.route, key.name, false, change)
				return err
			}
			_, err := s.box.DeleteRule(key.route, key.name, change)
			return err
		})
	}
}

// ifStill does something to a rule as long as it is as expected, however often
// somebody else changes it in between.
func (s *Server) ifStill(key ruleKey, expected func(middlebox.RuleState) bool, do func(rev int64) error) {
	for range 100 {
		r, ok := s.rule(key)
		if !ok || !expected(r) {
			return
		}
		err := do(r.Rev)
		if e, ok := err.(*faults.Error); ok && e.Code == faults.Conflict {
			continue
		}
		if err != nil {
			s.log.Warn().Err(err).Str("route", key.route).Str("rule", key.name).Msg("what a rule was tied to ended, and the rule could not be changed")
		}
		return
	}
}

// ttls are the timers of rules that disarm by themselves.
type ttls struct {
	srv     *Server
	mu      sync.Mutex
	timers  map[ruleKey]*ttl
	closed  bool
	running sync.WaitGroup
}

type ttl struct {
	at    time.Time
	timer *time.Timer
}

// set starts the timer of a rule; an earlier one is replaced.
func (t *ttls) set(key ruleKey, at time.Time) {
	t.forget(key)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	if t.timers == nil {
		t.timers = map[ruleKey]*ttl{}
	}
	one := &ttl{at: at}
	t.running.Add(1)
	one.timer = time.AfterFunc(time.Until(at), func() {
		defer t.running.Done()
		t.expire(key, one)
	})
	t.timers[key] = one
}

// forget stops the timer of a rule, if it has one.
func (t *ttls) forget(key ruleKey) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.timers[key]; one != nil {
		delete(t.timers, key)
		if one.timer.Stop() {
			t.running.Done()
		}
	}
}

// expire disarms the rule, if it still has this very time to end at.
func (t *ttls) expire(key ruleKey, one *ttl) {
	t.mu.Lock()
	if t.timers[key] == one {
		delete(t.timers, key)
	}
	t.mu.Unlock()
	s := t.srv
	s.ifStill(key, func(r middlebox.RuleState) bool {
		return r.Armed && r.Expires != nil && r.Expires.Equal(one.at)
	}, func(rev int64) error {
		_, err := s.box.Arm(key.route, key.name, false, middlebox.Change{Who: "ttl", Why: "its time to live ran out", IfRev: &rev})
		return err
	})
}

// close stops all timers and waits for those that are running.
func (t *ttls) close() {
	t.mu.Lock()
	t.closed = true
	for key, one := range t.timers {
		delete(t.timers, key)
		if one.timer.Stop() {
			t.running.Done()
		}
	}
	t.mu.Unlock()
	t.running.Wait()
}
