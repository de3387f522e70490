package faults

import (
	"encoding/json"
	"sort"
)

// Fault is an entry of the catalogue: a kind, or a preset of one. All of it comes
// from the declaration.
type Fault struct {
	Name     string         `json:"name"`
	PresetOf *string        `json:"preset_of"` // the kind's name; null for a kind
	Group    string         `json:"group"`
	Summary  string         `json:"summary"`
	Client   string         `json:"client"`
	Is       string         `json:"is,omitempty"`    // of a preset: "cut at body:50%, fin"
	Params   map[string]any `json:"params"`          // JSON Schema of the parameters object
	Defaults map[string]any `json:"defaults"`        // with what a preset fills in
	Match    *Match         `json:"match,omitempty"` // that a preset lays under the rule's own
	Gate     *Gate          `json:"gate,omitempty"`  // the same
	Examples []FaultExample `json:"examples"`
	Headline bool           `json:"headline,omitempty"` // one of the five the page shows first
	HTTP     bool           `json:"http,omitempty"`     // needs an http route whatever its position

	List []Param `json:"-"` // the parameters in their order, defaults as in Defaults
}

// FaultExample is an example as people and programs read it.
type FaultExample struct {
	Title  string          `json:"title"`
	Params json.RawMessage `json:"params,omitempty"`
	Match  json.RawMessage `json:"match,omitempty"`
	Play   string          `json:"play"`
}

// headlines are the presets shown first, in their order.
var headlines = []string{"dumb-proxy", "truncate", "cut-head", "reset", "length-mismatch"}

var groupOrder = map[Group]int{Connect: 0, Bytes: 1, Packet: 2, Message: 3}

// Catalogue lists every fault: the headline presets, the other presets by name,
// then the kinds by group and name.
func Catalogue() []Fault {
	var first, rest, kindsOnly []Fault
	for _, s := range allKinds() {
		if s.composite != nil {
			rest = append(rest, s.entry())
			continue
		}
		kindsOnly = append(kindsOnly, s.entry())
		for i := range s.presets {
			if f := s.presetEntry(&s.presets[i]); f.Headline {
				first = append(first, f)
			} else {
				rest = append(rest, f)
			}
		}
	}
	sort.SliceStable(first, func(i, j int) bool { return headlineRank(first[i]) < headlineRank(first[j]) })
	sort.SliceStable(rest, func(i, j int) bool { return rest[i].Name < rest[j].Name })
	sort.SliceStable(kindsOnly, func(i, j int) bool {
		return groupOrder[Group(kindsOnly[i].Group)] < groupOrder[Group(kindsOnly[j].Group)]
	})
	return append(append(first, rest...), kindsOnly...)
}

func headlineRank(f Fault) int {
	for i, name := range headlines {
		if f.Name == name {
			return i
		}
	}
	return len(headlines)
}

// Lookup finds a fault by name, '-' and '_' being the same. Where a preset bears
// its kind's name it is the preset unless the name is written as the kind's.
func Lookup(name string) (Fault, *Error) {
	if s := kinds[name]; s != nil {
		return s.entry(), nil
	}
	if p := presets[canonical(name)]; p != nil {
		return presetOf[canonical(name)].presetEntry(p), nil
	}
	if s := kinds[canonical(name)]; s != nil {
		return s.entry(), nil
	}
	return Fault{}, Errorf(NotFound, "", "no fault %q%s", name, FaultHint(name))
}

func (s *spec) entry() Fault {
	f := Fault{Name: s.name, Group: string(s.group), Summary: s.summary, Client: s.client, HTTP: s.http,
		Params: schema(s.params), Defaults: defaultsOf(s.params), Examples: shown(s.examples), List: s.params}
	if c := s.composite; c != nil {
		f.PresetOf, f.Is = &c.Parts[0].Kind, Rule{Fault: s.name}.Describe()
		if match := (&Preset{Name: s.name, Match: c.Match}).matched(Match{}); c.Match != "" {
			f.Match = &match
		}
	}
	return f
}

func (s *spec) presetEntry(p *Preset) Fault {
	f := s.entry()
	f.Name, f.PresetOf, f.Headline = p.Name, &s.name, p.Headline
	f.Summary = p.Summary
	if p.Client != "" {
		f.Client = p.Client
	}
	f.Is = Rule{Fault: p.Name}.Describe()
	f.HTTP = p.needsHTTP(s)
	f.Examples = shown(p.Examples)
	match, gate := p.filters()
	if p.Match != "" {
		f.Match = &match
	}
	if p.Gate != "" {
		f.Gate = &gate
	}
	f.List = append([]Param{}, s.params...)
	if prep, err := s.prepare(laidUnder(p.Params, nil), "params"); err == nil {
		for i := range f.List {
			f.List[i].Default, f.List[i].Required = prep.values[f.List[i].Name], false
		}
	}
	f.Params, f.Defaults = schema(f.List), defaultsOf(f.List)
	return f
}

// needsHTTP says that the preset as it stands cannot work on a tcp route.
func (p *Preset) needsHTTP(s *spec) bool {
	under := p.Params
	if p.TCP != "" {
		under = p.TCP
	}
	prep, err := s.prepare(laidUnder(under, nil), "params")
	match, _ := p.filters()
	m, bad := match.compile("match")
	return err == nil && bad == nil && needsHTTP(prep, m)
}

func shown(examples []Example) []FaultExample {
	out := []FaultExample{}
	for _, e := range examples {
		x := FaultExample{Title: e.Title, Play: e.Play}
		if e.Params != "" {
			x.Params = json.RawMessage(e.Params)
		}
		if e.Match != "" {
			x.Match = json.RawMessage(e.Match)
		}
		out = append(out, x)
	}
	return out
}

func defaultsOf(params []Param) map[string]any {
	out := map[string]any{}
	for _, p := range params {
		if !p.Required {
			out[p.Name] = p.Default
		}
	}
	return out
}

// schema is the JSON Schema (2020-12) of a params object. Bounds of values with a
// unit cannot be said by JSON Schema: they stand as x-min and x-max, and x-type
// is Param.Type.
func schema(params []Param) map[string]any {
	properties, order, required := map[string]any{}, []string{}, []string{}
	for _, p := range params {
		properties[p.Name] = p.schema()
		order = append(order, p.Name)
		if p.Required {
			required = append(required, p.Name)
		}
	}
	out := map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "x-order": order}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

func (p Param) schema() map[string]any {
	out := map[string]any{"description": p.Help, "x-type": p.Type, "type": "string"}
	switch p.Type {
	case "size", "percent":
		out["type"] = []string{"string", "number"}
	case "int":
		out["type"] = []string{"integer", "string"}
	case "number":
		out["type"] = []string{"number", "string"}
	case "bool":
		out["type"] = []string{"boolean", "string"}
	}
	if p.Enum != nil {
		out["enum"] = p.Enum
	}
	if !p.Required {
		out["default"] = p.Default
	}
	bound := func(key, text string) {
		if text == "" {
			return
		}
		out["x-"+map[string]string{"minimum": "min", "maximum": "max"}[key]] = text
		if p.Type == "int" || p.Type == "number" {
			out[key] = json.Number(text)
		}
	}
	bound("minimum", p.Min)
	bound("maximum", p.Max)
	return out
}
