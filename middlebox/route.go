package middlebox

import (
	"net/netip"
	"sync/atomic"
	"time"

	"crimp/faults"
)

// route is a listening address and the upstream it relays to. What sessions need
// of it are two pointers to things that never change, stored by whoever changes
// the route under the box's mutex and loaded by the loops; the counters are the
// only thing that both write.
type route struct {
	name  string
	conf  atomic.Pointer[settings] // what new sessions are made with
	force atomic.Pointer[inForce]  // the plan in force, for every session

	bound atomic.Pointer[netip.AddrPort] // where it listens

	ln  *listener // under the box's mutex
	rev int64     // likewise

	numbers *atomic.Uint64 // sessions so far; by name, so that an ID is never used twice
	live    atomic.Int64
	crowd   crowd
	total   atomic.Int64
	failed  atomic.Int64
	held    atomic.Int64
	// Bytes written to the peers, by direction, and exchanges begun.
	bytes     [2]atomic.Int64
	exchanges atomic.Int64
	refused   atomic.Int64             // connections beyond the limits
	fired     map[string]*atomic.Int64 // by kind; the map never changes
	missed    map[string]*atomic.Int64 // by faults.MissWords; nor does this one
}

// settings is a route as it was set, checked.
type settings struct {
	Route
	protocol faults.Protocol
	proxying faults.Proxying
	at       netip.AddrPort // where it listens
	host     string         // of the upstream
	port     uint16
	addr     netip.AddrPort // of the upstream if it is no name
}

// inForce is the plan of a route and what is known of each of its rules.
type inForce struct {
	plan  *faults.Plan
	rules []ruleEntry // in the plan's order
}

// ruleEntry is a rule of a plan in force.
type ruleEntry struct {
	c       *faults.Compiled
	summary string
	without string // what of it is left out here, and why
	rev     int64
	armedAt int64 // seq of its last arming
	arming  int64 // the same, but that a release after a panic goes on with the one before
	lease   string
	expires *time.Time
	why     string
}

func (f *inForce) find(name string) *ruleEntry { return f.findNear(name, 0) }

// findNear is find, with a guess at the rule's place.
func (f *inForce) findNear(name string, likely int) *ruleEntry {
	if i := f.plan.Index(name, likely); i >= 0 {
		return &f.rules[i]
	}
	return nil
}

// state is the rule as people see it.
func (e *ruleEntry) state(route string) RuleState {
	n := e.c.Counters()
	expires := e.expires
	if !e.c.Rule.Armed {
		expires = nil // kept through a panic, and nobody else's business
	}
	if n.Misses == nil {
		n.Misses = map[string]int64{}
	}
	return RuleState{
		Rule: e.c.Rule, Route: route, Summary: e.summary, Without: e.without, Rev: e.rev, Hits: n.Hits, Misses: n.Misses,
		Spent: n.Spent, NearMiss: n.NearMiss, Lease: e.lease, Expires: expires, Why: e.why, ArmedAt: e.armedAt, Arming: e.arming,
	}
}

// stateOf is the state of a rule that a session speaks of, which may have been
// changed or removed meanwhile.
func (f *inForce) stateOf(r *route, c *faults.Compiled) RuleState {
	e := f.find(c.Rule.Name)
	if e == nil {
		e = &ruleEntry{summary: c.Rule.Describe()}
	}
	now := *e
	now.c = c
	return now.state(r.name)
}

// flow is how many bytes went each way.
func (r *route) flow() Flow {
	return Flow{Downstream: r.bytes[0].Load(), Upstream: r.bytes[1].Load()}
}

// state is the route as people see it. Under the box's mutex.
func (r *route) state() RouteState {
	c := r.conf.Load()
	out := RouteState{
		Name: r.name, Listen: c.Listen, Upstream: c.Upstream, Protocol: protocolWord(c.protocol), Mode: c.Mode, OnDialError: c.OnDialError,
		Rev: r.rev, Rules: []RuleState{}, Sessions: r.live.Load(), SessionsTotal: r.total.Load(), Failed: r.failed.Load(),
		Exchanges: r.exchanges.Load(), Bytes: r.flow(),
	}
	if r.ln != nil {
		out.Listen = r.ln.addr.String()
	}
	f := r.force.Load()
	for i := range f.rules {
		out.Rules = append(out.Rules, f.rules[i].state(r.name))
	}
	return out
}
