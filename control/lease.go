package control

import (
	"sync"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file ties rules to something that ends: a lease to a WebSocket, a ttl to
// the clock. The box records both on the rule (RuleState.Lease, .Expires) and
// that record is the truth: when an end comes, the rule is looked up, and left
// alone if it has been set again since and belongs to somebody else, to no one,
// or to a later time. if_rev closes the gap between the look and the deed.

// ruleKey names a rule.
type ruleKey struct{ route, name string }

// leaseEnd is what becomes of a rule when its lease ends.
type leaseEnd uint8

const (
	removeRule leaseEnd = iota // it came with the lease
	disarmRule                 // it stood before; only its arming was leased
)

// tie fills the lease and the expiry of a change in.
func (c *call) tie(change *middlebox.Change, lease string, ttl *faults.Duration) error {
	switch {
	case lease != "" && lease != "client":
		return faults.Errorf(faults.Invalid, "lease", `%.40q; expected "client" or nothing`, lease)
	case lease != "" && c.conn == nil:
		return faults.Errorf(faults.Invalid, "lease", "needs a WebSocket that it can end with; over POST use ttl")
	case lease != "":
		change.Lease = c.conn.id
	}
	if ttl != nil {
		if *ttl <= 0 {
			return faults.Errorf(faults.Invalid, "ttl", "%s; expected more than 0s", time.Duration(*ttl))
		}
		change.Expiry = expiry(*ttl)
	}
	return nil
}

// tied remembers what a change that has been made is tied to.
func (c *call) tied(key ruleKey, change middlebox.Change, end leaseEnd) {
	if change.Expiry != nil {
		c.srv.ttls.set(key, *change.Expiry)
	} else {
		c.srv.ttls.forget(key)
	}
	if c.conn == nil {
		return
	}
	before, leased := c.conn.leases[key]
	switch {
	case change.Lease != c.conn.id:
		delete(c.conn.leases, key)
	case leased && before == removeRule:
		// arming it again does not make the rule outlive its lease
	default:
		c.conn.leases[key] = end
	}
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

// leaseOf is the lease a rule is under: arming it by another hand keeps it.
func (s *Server) leaseOf(key ruleKey) string {
	r, _ := s.rule(key)
	return r.Lease
}

// endLeases does what is due when a WebSocket is gone.
func (s *Server) endLeases(c *conn) {
	for key, end := range c.leases {
		s.ifStill(key, func(r middlebox.RuleState) bool { return r.Lease == c.id }, func(rev int64) error {
			change := middlebox.Change{Who: c.who(), Why: "its lease ended", IfRev: &rev}
			if end == disarmRule {
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
		_, err := s.box.Arm(key.route, key.name, false, middlebox.Change{Who: "ttl", Why: "its time to live ran out", IfRev: &rev, Lease: s.leaseOf(key)})
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
