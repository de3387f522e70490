package faults

import (
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"crimp/faults/wire"
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
	n    int      // place among the plan's parts: rules act in their order
	// twice says that both messages of an exchange may be hit: the gate is asked
	// once for them.
	twice bool
	k     int // place among its rule's parts
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

// Rule finds a rule by name, nil if there is none.
func (p *Plan) Rule(name string) *Compiled {
	for _, c := range p.rules {
		if c.Rule.Name == name {
			return c
		}
	}
	return nil
}

// Compile validates rules and makes the plan of a route. The gates and counters
// of rules that stand unchanged in prev (which may be nil) are carried on; an
// arming or a change starts them afresh. On error, which names the fields as
// rules[i].… of all that is wrong, nothing has changed.
func Compile(prev *Plan, seed uint64, route string, protocol Protocol, rules []Rule) (*Plan, *Error) {
	p := &Plan{seed: seed, route: route, protocol: protocol, armed: map[*state][]*part{}}
	var errs *Error
	named := make(map[string]bool, len(rules))
	n := 0
	for i, r := range rules {
		if errs.full() {
			break
		}
		field := "rules[" + strconv.Itoa(i) + "]"
		if named[r.Name] && r.Name != "" {
			errs = errs.And(Errorf(Conflict, field+".name", "%s: there is a rule %q already", route, r.Name))
		}
		named[r.Name] = true
		c, err := p.compile(r, field)
		if errs = errs.And(err); errs != nil {
			continue
		}
		c.state = carried(prev, c)
		for _, part := range c.parts {
			part.n = n
			n++
			if r.Armed {
				p.place(part)
			}
		}
		p.rules = append(p.rules, c)
	}
	if errs != nil {
		return nil, errs
	}
	return p, nil
}

// compile makes one rule, in each of the two forms that its sessions may need.
func (p *Plan) compile(r Rule, field string) (*Compiled, *Error) {
	var tcp string
	if preset := presets[canonical(r.Fault)]; preset != nil {
		tcp = preset.TCP
	}
	forms := []struct {
		rule Rule
		only Protocol
	}{{r, Auto}}
	if tcp != "" {
		under := r
		under.Params = laidUnder(tcp, r.Params)
		switch p.protocol {
		case TCP:
			forms[0].rule = under
		case Auto:
			forms[0].only = HTTP
			forms = append(forms, forms[0])
			forms[1].rule, forms[1].only = under, TCP
		}
	}
	c := &Compiled{Rule: r}
	for _, form := range forms {
		prep, match, gate, err := form.rule.resolve(field)
		if err != nil {
			return nil, err
		}
		m, err := match.compile(join(field, "match"))
		if err != nil {
			return nil, err
		}
		http := gate.HTTPKey() || slices.ContainsFunc(prep.each(), func(p *prepared) bool { return needsHTTP(p, m) })
		if http && form.only == TCP {
			continue // as it is given, the rule is for the http sessions of this route only
		}
		if http && p.protocol == TCP {
			return nil, Errorf(Invalid, join(field, "fault"), "%s needs an http route; %q is tcp", r.Fault, p.route)
		}
		c.match, c.client = m, match.Client
		for _, p := range prep.each() {
			c.parts = append(c.parts, &part{rule: c, prep: p, only: form.only, k: len(c.parts)})
		}
		c.key.Match, c.key.Gate = match, gate
		c.key.Values = append(c.key.Values, prep.values)
		c.key.Kind = prep.kind.name
	}
	c.key.Name = r.Name
	return c, nil
}

func needsHTTP(prep *prepared, m *matcher) bool {
	return prep.kind.http || m.HTTPKeys() || !prep.at.IsStream()
}

// carried is the state of the same rule in the previous plan, or a fresh one.
func carried(prev *Plan, c *Compiled) *state {
	if prev != nil {
		if old := prev.Rule(c.Rule.Name); old != nil && reflect.DeepEqual(old.key, c.key) && (old.Rule.Armed || !c.Rule.Armed) {
			return old.state
		}
	}
	st := &state{gate: c.key.Gate.compile()}
	for _, p := range c.parts {
		st.shared = append(st.shared, p.prep.memory())
	}
	return st
}

// place sorts an armed part to where sessions look for it.
func (p *Plan) place(part *part) {
	prep, m := part.prep, part.rule.match
	p.armed[part.rule.state] = append(p.armed[part.rule.state], part)
	if prep.kind.group == Connect {
		p.connect = append(p.connect, part)
		return
	}
	by := &p.stream
	if prep.kind.http || !prep.at.IsStream() || m.HTTPKeys() {
		by = &p.message
	}
	down, up := prep.directions(m, part.rule.key.Match)
	part.twice = down && up
	if prep.kind.both { // its first message is a request, whatever it does to the answer
		down, up = false, true
	}
	if down {
		by[wire.Downstream] = append(by[wire.Downstream], part)
	}
	if up {
		by[wire.Upstream] = append(by[wire.Upstream], part)
	}
}
