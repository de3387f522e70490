package faults

import (
	"fmt"
	"slices"
	"strings"
)

// Composite is a preset made of several kinds: one rule, one name, one switch, one
// match and one gate. Its parameters are those of its parts, each with its kind's
// name before it (latency_delay). The parts act in their order.
type Composite struct {
	Name, Summary, Client string
	Match                 string // laid under the rule's own
	Parts                 []PartOf
	Examples              []Example
	Words                 []string
}

// PartOf is a kind in a composite. An Optional one is left out, and a note says
// so, where this process may not filter packets; Without takes its place there.
type PartOf struct {
	Kind, Params      string
	Optional, Without bool
}

// compose registers a composite; its kinds must be declared, so it is called in an
// init function.
func compose(c Composite) {
	s := &spec{name: c.Name, summary: c.Summary, client: c.Client, group: Bytes, examples: c.Examples, words: c.Words, composite: &c, params: []Param{}}
	for _, part := range c.Parts {
		k := kinds[part.Kind]
		prep, err := k.prepare(laidUnder(part.Params, nil), "")
		if err != nil {
			panic(fmt.Sprintf("faults: %s: %v", c.Name, err))
		}
		for _, p := range k.params {
			p.Default, p.Required = prep.values[p.Name], false
			p.Name = part.param(p.Name)
			s.params = append(s.params, p)
		}
	}
	s.prepare = s.prepareParts
	register(s)
}

// param is a parameter's name in the composite.
func (p PartOf) param(name string) string {
	if p.Without {
		return "without_" + p.Kind + "_" + name
	}
	return p.Kind + "_" + name
}

// prepareParts prepares each part with what of the parameters is its own.
func (s *spec) prepareParts(params map[string]any, field string) (*prepared, *Error) {
	var errs *Error
	own := make([]map[string]any, len(s.composite.Parts))
	for _, key := range sortedKeys(params) {
		i := slices.IndexFunc(s.composite.Parts, func(p PartOf) bool { return strings.HasPrefix(canonical(key), p.param("")) })
		if i < 0 {
			if !errs.full() {
				errs = errs.And(Errorf(Invalid, key, "%s has no parameter %q%s", s.name, key, Hint(key, s.paramNames())))
			}
			continue
		}
		if own[i] == nil {
			own[i] = map[string]any{}
		}
		own[i][canonical(key)[len(s.composite.Parts[i].param("")):]] = params[key]
	}
	out := &prepared{kind: s, values: map[string]any{}, memory: func() any { return nil }}
	for i, part := range s.composite.Parts {
		prep, err := kinds[part.Kind].prepare(laidUnder(part.Params, own[i]), "")
		if err != nil {
			for _, e := range err.All() {
				e.Field = part.param(e.Field)
			}
			errs = errs.And(err)
			continue
		}
		prep.optional, prep.without = part.Optional, part.Without
		for name, v := range prep.values {
			out.values[part.param(name)] = v
		}
		out.parts = append(out.parts, prep)
	}
	return out, errs.In(field)
}

func (s *spec) paramNames() (names []string) {
	for _, p := range s.params {
		names = append(names, p.Name)
	}
	return names
}

// each is the kinds at work: the parts of a composite, else the one itself.
func (p *prepared) each() []*prepared {
	if p.parts != nil {
		return p.parts
	}
	return []*prepared{p}
}

// allows says whether a part is for this session: for its protocol, and with or
// without the right to filter packets.
func (e *Engine) allows(p *part) bool {
	return (p.only == Auto || p.only == e.protocol) && !(p.prep.optional && !e.o.Packets) && !(p.prep.without && e.o.Packets)
}

// tellWithout says of the optional parts among rules that are left out that they are.
func (e *Engine) tellWithout(rules [2][]*part) {
	for _, parts := range rules {
		for _, p := range parts {
			if !p.prep.optional || e.o.Packets {
				continue
			}
			if b := e.bondOf(p.rule.state); !b.told {
				b.told = true
				p.rule.state.miss(missPackets)
				e.tellNow(Note{Kind: NoteMissed, Rule: p.rule, Pos: inserted, Body: inserted,
					Word: missPackets, Text: "packets cannot be filtered here: stalls in place of " + p.prep.kind.name})
			}
		}
	}
}
