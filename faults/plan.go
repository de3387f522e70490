package faults

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Plan is the compiled, immutable rules of a route. Sessions hold a pointer to
// one; a change is a new Plan and one [InSwap] to each session. The only thing
// that sessions and plans share is each rule's gate and counters (atomics).
type Plan struct {
	seed     uint64
	route    string
	protocol Protocol
	rules    []*Compiled
	// What is armed, sorted by where it acts, so that a session with nothing to
	// do finds that out by looking at empty slices.
	stream  [2][]*part // by direction: from session open, or at once
	message [2][]*part // by direction: from the next message on
	armed   map[*state][]*part
	connect []*part // when a session is made

	index  map[string]int // of rules, by name
	mark   *mark
	change change
}

// Compiled is a rule of a plan.
type Compiled struct {
	Rule   Rule // with its fault's own name; Armed as it is in this plan
	match  *matcher
	state  *state
	parts  []*part
	key    identity
	client string // of its match
}

// part is one kind at work for a rule. A rule has one, or one for each protocol
// where a preset says so; a preset made of several kinds would have several.
type part struct {
	rule *Compiled
	prep *prepared
	only Protocol // Auto: whatever the session is
	n    int      // grows along the plan's parts: rules act in their order
	// Where it acts: in which directions, and on messages or on the stream. twice
	// says that both messages of an exchange may be hit: the gate is asked once for
	// them.
	in             [2]bool
	message, twice bool
	k              int // place among its rule's parts
}

// identity is everything by which two rules do the same.
type identity struct {
	Name   string
	Kind   string
	Values []map[string]any
	Match  Match
	Gate   Gate
}

// state is what a rule remembers over sessions and plans while it is unchanged.
type state struct {
	made   uint64 // grows from one to the next
	gate   *gate
	shared []any // by part: what its stages share over all sessions
	hits   atomic.Int64
	spent  atomic.Bool
	misses [missKeys]atomic.Int64
	near   struct {
		sync.Mutex // only ever tried, never waited for
		text       [320]byte
		n          int
	}
}

// statesMade counts them: they have an order, and no two the same place in it.
var statesMade atomic.Uint64

// The keys under which a rule counts why it did not fire: the match keys in the
// order they are asked, the gate's words, and those of misses.
var missNames = [...]string{"direction", "session", "client", "exchange", "reused", "idle", "method", "host", "path", "header", "status", "skip", "every", "probability", "spent",
	missPosition, missField, missFraming, missCoding, missRule, missAlone, missRead, missHeld, missParams, missPackets}

const missKeys = len(missNames)

func (s *state) miss(key string) {
	for i, n := range missNames {
		if n == key {
			s.misses[i].Add(1)
			return
		}
	}
}

// nearly remembers the last exchange that failed on a single match key, and why. If
// somebody is reading, this one is not remembered: nobody waits for a hint.
func (s *state) nearly(x *Exchange, m *matcher, f *Facts) {
	if m.Near(f) == "" || !s.near.TryLock() {
		return
	}
	b := append(s.near.text[:0], x.method()...)
	b = append(b, ' ')
	b = append(clipped(append(b, x.target()...), len(b)), ' ')
	s.near.n = copy(s.near.text[:], m.Explain(b, f))
	s.near.Unlock()
}

// Counters is what became of a rule since it was last armed or changed.
type Counters struct {
	Hits     int64            // occurrences in which it acted
	Misses   map[string]int64 // by match key, gate word or MissWords; only what is not 0
	Spent    bool             // its gate says no from here on
	NearMiss string           // the last exchange that failed on one match key alone, as [Matcher.Explain] has it: "GET /apis/x (path): path /apis/x is not /api/*"
}

// Counters reads the rule's counters. Safe from any goroutine.
func (c *Compiled) Counters() Counters {
	out := Counters{Hits: c.state.hits.Load(), Spent: c.state.spent.Load()}
	for i := range c.state.misses {
		if n := c.state.misses[i].Load(); n > 0 {
			if out.Misses == nil {
				out.Misses = map[string]int64{}
			}
			out.Misses[missNames[i]] = n
		}
	}
	c.state.near.Lock()
	out.NearMiss = string(c.state.near.text[:c.state.near.n])
	c.state.near.Unlock()
	return out
}

// Name is the rule's name.
func (c *Compiled) Name() string { return c.Rule.Name }

// Fault is the name of the fault or preset the rule is of.
func (c *Compiled) Fault() string { return c.Rule.Fault }

// Kind is the name of the kind at work, whatever preset the rule is of; a
// composite is a kind of its own.
func (c *Compiled) Kind() string { return c.key.Kind }

// Seed is the box's seed, from which every draw comes.
func (p *Plan) Seed() uint64 { return p.seed }

// Closed says that the route's listening socket is to be closed.
func (p *Plan) Closed() bool {
	return slices.ContainsFunc(p.connect, func(x *part) bool { return x.prep.door == DoorClosed })
}

// Armed says that a rule of the plan is armed.
func (p *Plan) Armed() bool { return len(p.armed) > 0 }

// Rules are the plan's rules in their order, disarmed ones included.
func (p *Plan) Rules() []*Compiled { return p.rules }

// Index is the place of a rule among Rules, -1 if there is none of that name; a nil
// plan has none. It looks first at the place where it may well be, from 0.
func (p *Plan) Index(name string, likely int) int {
	if p == nil {
		return -1
	}
	if likely < len(p.rules) && p.rules[likely].Rule.Name == name {
		return likely
	}
	if i, ok := p.index[name]; ok {
		return i
	}
	return -1
}

// Rule finds a rule by name, nil if there is none.
func (p *Plan) Rule(name string) *Compiled {
	if i := p.Index(name, 0); i >= 0 {
		return p.rules[i]
	}
	return nil
}

// Without is the plan but for one rule: as Compile's prev it makes that rule start
// afresh though it stands unchanged.
func (p *Plan) Without(name string) *Plan {
	out := *p
	out.rules = slices.DeleteFunc(slices.Clone(p.rules), func(c *Compiled) bool { return c.Rule.Name == name })
	out.index = make(map[string]int, len(out.rules))
	for i, c := range out.rules {
		out.index[c.Rule.Name] = i
	}
	return &out
}
