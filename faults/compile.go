package faults

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	"crimp/faults/wire"
)

// A route may have thousands of rules, set one after the other, and a change is of
// one of them. So what a plan knows of a rule that stands is taken over from the plan
// before, and a session that comes from that plan looks only at what is not the same.

// Compile validates rules and makes the plan of a route. The gates and counters
// of rules that stand unchanged in prev (which may be nil) are carried on; an
// arming or a change starts them afresh. On error, which names the fields as
// rules[i].… of all that is wrong, nothing has changed.
func Compile(prev *Plan, seed uint64, route string, protocol Protocol, rules []Rule) (*Plan, *Error) {
	p := &Plan{
		seed: seed, route: route, protocol: protocol, rules: make([]*Compiled, 0, len(rules)),
		armed: make(map[*state][]*part, len(rules)), index: make(map[string]int, len(rules)), mark: new(mark),
	}
	var errs *Error
	last := 0 // of the parts so far
	for i := range rules {
		if errs.full() {
			break
		}
		r := &rules[i]
		if _, named := p.index[r.Name]; named && r.Name != "" {
			errs = errs.And(Errorf(Conflict, fieldOf(i)+".name", "%s: there is a rule %q already", route, r.Name))
		}
		p.index[r.Name] = i
		c, err := p.taken(prev, r, i)
		if errs = errs.And(err); errs != nil {
			continue
		}
		if c = c.behind(last); len(c.parts) > 0 {
			last = c.parts[len(c.parts)-1].n
		}
		p.rules = append(p.rules, c)
		if c.Rule.Armed {
			p.place(c)
		}
	}
	if errs != nil {
		return nil, errs
	}
	p.change = p.since(prev)
	return p, nil
}

func fieldOf(i int) string { return "rules[" + strconv.Itoa(i) + "]" }

// taken is the i-th rule: taken over from the plan before if it says the same there,
// else compiled. Its parts may still be numbered as they were.
func (p *Plan) taken(prev *Plan, r *Rule, i int) (*Compiled, *Error) {
	var old *Compiled
	if at := prev.Index(r.Name, i); at >= 0 {
		old = prev.rules[at]
	}
	if old != nil && prev.seed == p.seed && prev.protocol == p.protocol && prev.route == p.route && old.Rule.says(r) {
		if old.Rule.Armed == r.Armed {
			return old, nil
		}
		c := old.copy()
		if c.Rule.Armed = r.Armed; r.Armed {
			c.state = c.afresh()
		}
		return c, nil
	}
	c, err := p.compile(*r, fieldOf(i))
	if err != nil {
		return nil, err
	}
	c.state = carried(old, c)
	return c, nil
}

// says compares two rules but for being armed. It looks no further where maps are
// one: a plan's are its own.
func (r *Rule) says(o *Rule) bool {
	m, n := &r.Match, &o.Match
	return r.Name == o.Name && r.Fault == o.Fault &&
		m.Direction == n.Direction && m.Session == n.Session && m.Client == n.Client && m.Exchange == n.Exchange && m.Idle == n.Idle &&
		m.Method == n.Method && m.Host == n.Host && m.Path == n.Path && m.Status == n.Status && alike(m.Reused, n.Reused) &&
		r.Gate.Skip == o.Gate.Skip && r.Gate.Every == o.Gate.Every && r.Gate.Times == o.Gate.Times && r.Gate.Key == o.Gate.Key &&
		alike(r.Gate.Probability, o.Gate.Probability) &&
		sameMap(r.Params, o.Params) && sameMap(m.Header, n.Header)
}

func sameMap[V any](a, b map[string]V) bool {
	return len(a) == len(b) && (len(a) == 0 || reflect.ValueOf(a).Pointer() == reflect.ValueOf(b).Pointer() || reflect.DeepEqual(a, b))
}

func alike[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

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
	r.Params, r.Match.Header = maps.Clone(r.Params), maps.Clone(r.Match.Header)
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
			return nil, p.tcpCannot(r, prep, m, field)
		}
		c.match, c.client = m, match.Client
		for _, p := range prep.each() {
			c.parts = append(c.parts, newPart(c, p, m, match, form.only))
		}
		c.key.Match, c.key.Gate = match, gate
		c.key.Values = append(c.key.Values, prep.values)
		c.key.Kind = prep.kind.name
	}
	c.key.Name = r.Name
	return c, nil
}

// tcpCannot says what of a rule needs an http route: the fault, with its place, or
// else what it is matched or drawn by.
func (p *Plan) tcpCannot(r Rule, prep *prepared, m *matcher, field string) *Error {
	key := "gate.key"
	if m.HTTPKeys() {
		key = "match." + m.HTTPKey()
	}
	if slices.ContainsFunc(prep.each(), func(p *prepared) bool { return p.kind.http || !p.at.IsStream() }) {
		return Errorf(Invalid, join(field, "fault"), "%s needs an http route; %q is tcp", r.Fault, p.route)
	}
	return Errorf(Invalid, join(field, key), "needs an http route; %q is tcp", p.route)
}

func needsHTTP(prep *prepared, m *matcher) bool {
	return prep.kind.http || m.HTTPKeys() || !prep.at.IsStream()
}

// newPart makes the next part of a rule, and says where it acts.
func newPart(c *Compiled, prep *prepared, m *matcher, match Match, only Protocol) *part {
	x := &part{rule: c, prep: prep, only: only, k: len(c.parts), message: needsHTTP(prep, m)}
	down, up := prep.directions(m, match)
	x.twice = down && up
	if prep.kind.both { // its first message is a request, whatever it does to the answer
		down, up = false, true
	}
	x.in[wire.Downstream], x.in[wire.Upstream] = down, up
	return x
}

// carried is the state of the same rule in the previous plan, or a fresh one.
func carried(old, c *Compiled) *state {
	if old != nil && reflect.DeepEqual(old.key, c.key) && (old.Rule.Armed || !c.Rule.Armed) {
		return old.state
	}
	return c.afresh()
}

// afresh is the state of a rule that nothing has happened to yet.
func (c *Compiled) afresh() *state {
	st := &state{made: statesMade.Add(1), gate: c.key.Gate.compile()}
	for _, p := range c.parts {
		st.shared = append(st.shared, p.prep.memory())
	}
	return st
}

// copy is the rule with parts of its own: those that a plan has never change.
func (c *Compiled) copy() *Compiled {
	own := *c
	own.parts = make([]*part, len(c.parts))
	for i, x := range c.parts {
		y := *x
		y.rule = &own
		own.parts[i] = &y
	}
	return &own
}

// behind is the rule with its parts numbered beyond last. Numbers only have to grow,
// so most rules keep theirs.
func (c *Compiled) behind(last int) *Compiled {
	if len(c.parts) == 0 || c.parts[0].n > last {
		return c
	}
	if c.parts[0].n > 0 {
		c = c.copy()
	}
	for i, x := range c.parts {
		x.n = last + 1 + i
	}
	return c
}

// place sorts the parts of an armed rule to where sessions look for them.
func (p *Plan) place(c *Compiled) {
	p.armed[c.state] = c.parts
	for _, x := range c.parts {
		if x.prep.kind.group == Connect {
			p.connect = append(p.connect, x)
			continue
		}
		by := &p.stream
		if x.message {
			by = &p.message
		}
		for d := range by {
			if x.in[d] {
				by[d] = append(by[d], x)
			}
		}
	}
}
