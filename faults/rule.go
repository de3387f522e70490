package faults

import (
	"fmt"
	"strings"
)

// Rule is a fault with parameter values, a match and a gate, on a route. The same
// object stands in the configuration, the control protocol and the plan.
type Rule struct {
	Name   string         `json:"name"`             // its fault's name if not given; letters, digits, '-', '_', '.', at most 64
	Fault  string         `json:"fault"`            // the name of a kind or preset
	Params map[string]any `json:"params,omitempty"` // JSON values, or text; what is not given is the preset's, else the default
	Match  Match          `json:"match,omitzero"`
	Gate   Gate           `json:"gate,omitzero"`
	Armed  bool           `json:"armed"` // true if not given
}

// DecodeRule reads a rule from JSON, strictly, with its defaults: armed, and
// named as its fault. The fault, its parameters, the match and the gate are
// checked too.
func DecodeRule(raw []byte, field string) (Rule, *Error) {
	var r Rule
	err := r.UnmarshalStrict(raw, field)
	return r, err
}

// plainRule is a Rule without its method, to be decoded as it stands.
type plainRule Rule

// UnmarshalStrict is DecodeRule into r, for DecodeStrict.
func (r *Rule) UnmarshalStrict(raw []byte, field string) *Error {
	p := plainRule{Armed: true}
	errs := DecodeStrict(raw, &p, field)
	if p.Fault == "" {
		errs = errs.Then(Errorf(Invalid, join(field, "fault"), "is required: the name of a fault or preset"))
	}
	if p.Name == "" {
		p.Name = p.Fault
	}
	*r = Rule(p)
	return errs.Then(r.Check(field))
}

// Check validates everything that can be known without the route.
func (r Rule) Check(field string) *Error {
	_, _, _, err := r.resolve(field)
	return err
}

// ValidName says whether s may be the name of a rule.
func ValidName(s string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c)) {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// resolve finds the rule's kind, lays its preset's parameters, match and gate
// under the rule's own, and validates all of it.
func (r Rule) resolve(field string) (*prepared, Match, Gate, *Error) {
	var errs *Error
	if !ValidName(r.Name) && r.Name+r.Fault != "" { // without both it is the fault that is missing
		errs = Errorf(Invalid, "name", "expected 1 to 64 letters, digits, - _ or ., got %q", r.Name)
	}
	s := specOf(r.Fault)
	params, match, gate := r.Params, r.Match, r.Gate
	if s == nil {
		errs = errs.And(Errorf(NotFound, "fault", "no fault %q%s", r.Fault, FaultHint(r.Fault)))
		_, err := match.compile("match")
		return nil, match, gate, errs.And(err).And(gate.check("gate")).In(field)
	}
	if p := presets[canonical(r.Fault)]; p != nil {
		under, underGate := p.filters()
		params, match, gate = laidUnder(p.Params, params), under.With(match), underGate.With(gate)
	}
	if s.composite != nil {
		match = (&Preset{Name: s.name, Match: s.composite.Match}).matched(match)
	}
	prep, err := s.prepare(params, "params")
	m, bad := match.compile("match")
	if errs = errs.And(err).And(bad).And(gate.check("gate")); errs == nil {
		errs = s.fits(prep, match, m, gate)
	}
	return prep, match, gate, errs.In(field)
}

// fits says what of a match and gate does not go with the fault, each being right
// by itself.
func (s *spec) fits(prep *prepared, match Match, m *matcher, gate Gate) *Error {
	for _, p := range prep.each() {
		if p.kind.group != Connect {
			continue
		}
		if err := forArrivals(s.name, p.door, match, m, gate); err != nil {
			return err
		}
	}
	if want := prep.scope.direction(); prep.scope.Fixed && match.Direction != "" && match.Direction != want {
		return Errorf(Invalid, "match.direction", "%s with these parameters acts %s, got %q", s.name, want, match.Direction)
	}
	if _, up := prep.directions(m, match); m.NeedsStatus() && (up || s.both) {
		return Errorf(Invalid, "match.status", "can never be known while the request is held: it is for rules on responses (direction downstream)")
	}
	return nil
}

// direction is the one that a scope means.
func (s Scope) direction() string {
	if s.Direction == "" {
		return "downstream"
	}
	return s.Direction
}

// directions are those that a rule acts in.
func (p *prepared) directions(m *matcher, match Match) (down, up bool) {
	if match.Direction != "" {
		return m.Directions()
	}
	d := p.scope.direction()
	return d != "upstream", d != "downstream"
}

// Keeps says that the rule only delays: it changes, adds and loses no byte, and
// ends no connection. A rule that is not valid does not.
func (r Rule) Keeps() bool {
	prep, _, _, err := r.resolve("")
	return err == nil && prep.keeps
}

// matched is the preset's match with a rule's own laid over it.
func (p *Preset) matched(own Match) Match {
	under, _ := p.filters()
	return under.With(own)
}

// forArrivals says what of a match and gate can never be known when a session is
// made, or by a listening socket.
func forArrivals(kind string, door Door, match Match, m *Matcher, gate Gate) *Error {
	switch key := m.HTTPKey(); {
	case key != "":
		return Errorf(Invalid, "match."+key, "%s acts before anything was said: it can match session and client only", kind)
	case gate.HTTPKey():
		return Errorf(Invalid, "gate.key", "%s acts before anything was said: expected client, got %q", kind, gate.Key)
	case door == DoorOpen:
		return nil
	case gate != Gate{}:
		return Errorf(Invalid, "gate", "the listening socket does this to everyone: it has no gate")
	case match.Session != "":
		return Errorf(Invalid, "match.session", "there is no session yet")
	case door == DoorClosed && match.Client != "":
		return Errorf(Invalid, "match.client", "the listening socket is closed to everyone: drop can match a client")
	}
	return nil
}

// filters decodes the preset's match and gate. They are written by us: a mistake
// in one is found by the first test, so it panics.
func (p *Preset) filters() (m Match, g Gate) {
	if err := decodeOurs(p.Match, &m); err != nil {
		panic(fmt.Sprintf("faults: preset %s: match: %v", p.Name, err))
	}
	if err := decodeOurs(p.Gate, &g); err != nil {
		panic(fmt.Sprintf("faults: preset %s: gate: %v", p.Name, err))
	}
	return m, g
}

// decodeOurs decodes JSON of a declaration; the empty string is nothing.
func decodeOurs(raw string, into any) error {
	if raw == "" {
		return nil
	}
	if err := DecodeStrict([]byte(raw), into, ""); err != nil {
		return err
	}
	return nil
}

// laidUnder is params with what the JSON object under says where params does not,
// key by key.
func laidUnder(under string, params map[string]any) map[string]any {
	out := map[string]any{}
	if err := decodeOurs(under, &out); err != nil {
		panic("faults: a preset's parameters: " + err.Error())
	}
	own := map[string]string{}
	for key := range out {
		own[canonical(key)] = key
	}
	for _, key := range sortedKeys(params) {
		if laid, ok := own[canonical(key)]; ok {
			delete(out, laid)
		}
		out[key] = params[key]
	}
	return out
}

// Describe says what the rule does, in the catalogue's words: "cut at body:50%,
// fin". For a rule that is not valid it is its fault's name.
func (r Rule) Describe() string {
	does, _ := r.describe(true)
	return does
}

// DescribeWithoutPackets is Describe where packets cannot be filtered, and the kinds
// that are left out there, none of most rules: what stands in for them is described.
func (r Rule) DescribeWithoutPackets() (does string, without []string) { return r.describe(false) }

func (r Rule) describe(packets bool) (does string, without []string) {
	if r.Name == "" {
		r.Name = r.Fault
	}
	prep, _, _, err := r.resolve("")
	if err != nil {
		return r.Fault, nil
	}
	var parts []string
	for _, part := range prep.each() {
		switch {
		case part.optional && !packets:
			without = append(without, part.kind.name)
		case !part.without || !packets:
			parts = append(parts, part.describe())
		}
	}
	return strings.Join(parts, " + "), without
}

// describe is the kind and what its parameters say beyond the defaults: what it
// does, where, then the rest, and how it ends. What it does and how it ends are
// said even if that is the default.
func (p *prepared) describe() string {
	var does, where, rest, ends []string
	for _, param := range p.kind.params {
		text := fmt.Sprint(p.values[param.Name])
		changed := param.Required || text != fmt.Sprint(param.Default)
		if len(text) > 40 {
			text = text[:40] + "..."
		}
		switch name := param.Name; {
		case text == "" || name == "at" && text == "now" || name == "then" && text == "keep":
		case name == "at":
			where = append(where, "at "+text)
		case name == "mode", changed && (name == "value" || param.Type == "bytes"):
			does = append(does, text)
		case name == "end":
			ends = append(ends, ", "+text)
		case !changed:
		case name == "then", name == "other":
			ends = append(ends, ", "+name+" "+text)
		case param.Type == "bool" && text == "true":
			rest = append(rest, name)
		default:
			rest = append(rest, name+" "+text)
		}
	}
	words := append([]string{p.kind.name}, does...)
	return strings.Join(append(append(words, where...), rest...), " ") + strings.Join(ends, "")
}
