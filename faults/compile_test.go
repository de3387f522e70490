package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// manyRules is n rules of several sorts, armed.
func manyRules(n int) []Rule {
	out := make([]Rule, n)
	for i := range out {
		r := Rule{Name: fmt.Sprint("r", i), Armed: true}
		switch i % 4 {
		case 0:
			r.Fault, r.Match.Path = "truncate", fmt.Sprintf("/%d/*", i)
		case 1:
			r.Fault, r.Match.Session = "latency", "7-"
		case 2:
			r.Fault, r.Match.Direction, r.Params = "latency", "both", map[string]any{"delay": "0s"}
		case 3:
			r.Fault, r.Match.Header = "reset", map[string]string{"X-N": fmt.Sprint(i)}
		}
		out[i] = r
	}
	return out
}

func compiled(t *testing.T, prev *Plan, rules []Rule) *Plan {
	t.Helper()
	p, err := Compile(prev, 1, "web", Auto, rules)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A change of one rule among two thousand compiles one rule, and a session that sees
// the change looks at one.
func TestAChangeCostsWhatChanged(t *testing.T) {
	rules := manyRules(2000)
	before := compiled(t, nil, rules)
	for i, c := range before.Rules() {
		rules[i] = c.Rule // as who changes one of them has the others
	}
	for _, change := range []struct {
		name string
		to   func(r *Rule)
	}{
		{"disarmed", func(r *Rule) { r.Armed = false }},
		{"armed", func(r *Rule) { r.Armed = true }},
		{"another delay", func(r *Rule) { r.Params = map[string]any{"delay": "1s"} }},
	} {
		change.to(&rules[1001])
		after := compiled(t, before, rules)
		for i, c := range after.Rules() {
			if same := c == before.Rules()[i]; same != (i != 1001) {
				t.Fatalf("%s: rule %d: taken over is %v", change.name, i, same)
			}
		}
		if n := testing.AllocsPerRun(3, func() { compiled(t, before, rules) }); n > 500 {
			t.Errorf("%s: %v allocations", change.name, n)
		}
		before = after
	}

	e := NewEngine(time.Now(), Options{Route: "web", Session: 1, Plan: before})
	e.Step(time.Now(), Input{Kind: InOpen})
	rules[1001].Armed = false
	e.Step(time.Now(), Input{Kind: InSwap, Plan: compiled(t, before, rules)})
	for i, c := range before.Rules() {
		if n := c.Counters().Misses["session"]; i%4 == 1 && n != 1 {
			t.Fatalf("rule %d, which is for other sessions, missed %d times on this one", i, n)
		}
	}
}

// However a plan came about, it and the sessions under it are as if it were the first.
func TestPlansInSteps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	rules := manyRules(12)
	spare := manyRules(24)[12:]
	plan := compiled(t, nil, rules)
	now := time.Now()
	open := func(p *Plan) *Engine {
		e := NewEngine(now, Options{Route: "web", Session: 1, Protocol: TCP, Plan: p})
		e.Step(now, Input{Kind: InOpen})
		return e
	}
	steady, lazy := open(plan), open(plan)
	for step := range 2000 {
		rules = slices.Clone(rules)
		i := rnd.IntN(len(rules))
		switch rnd.IntN(6) {
		case 0, 1:
			rules[i].Armed = !rules[i].Armed
		case 2:
			rules[i].Params = map[string]any{"at": "byte:1"}
			if rules[i].Fault == "latency" {
				rules[i].Params = map[string]any{"delay": fmt.Sprint(rnd.IntN(3), "s")}
			}
		case 3:
			if len(rules) > 1 {
				spare = append(spare, rules[i])
				rules = slices.Delete(rules, i, i+1)
			}
		case 4:
			if len(spare) > 0 {
				rules = slices.Insert(rules, i, spare[0])
				spare = spare[1:]
			}
		case 5:
			k := rnd.IntN(len(rules))
			rules[i], rules[k] = rules[k], rules[i]
		}
		prev := plan
		plan = compiled(t, prev, rules)
		first := compiled(t, nil, rules)
		for d := range plan.stream {
			if a, b := partNames(plan.stream[d]), partNames(first.stream[d]); a != b {
				t.Fatalf("step %d: stream rules %s, expected %s", step, a, b)
			}
			if a, b := partNames(plan.message[d]), partNames(first.message[d]); a != b {
				t.Fatalf("step %d: message rules %s, expected %s", step, a, b)
			}
		}
		for k, c := range plan.Rules() {
			old := prev.Rule(c.Name())
			carries := old != nil && old.state == c.state
			if want := old != nil && fmt.Sprint(old.key) == fmt.Sprint(first.rules[k].key) && (old.Rule.Armed || !c.Rule.Armed); carries != want {
				t.Fatalf("step %d: %s carries its counters: %v", step, c.Name(), carries)
			}
			for j, x := range c.parts {
				if x.rule != c || x.k != j || k > 0 && x.n <= plan.rules[k-1].parts[len(plan.rules[k-1].parts)-1].n {
					t.Fatalf("step %d: %s has part %+v", step, c.Name(), x)
				}
			}
		}
		steady.Step(now, Input{Kind: InSwap, Plan: plan})
		want := open(first)
		for _, e := range []*Engine{steady, lazy} {
			if e == lazy { // it does not see every plan
				if rnd.IntN(3) > 0 {
					continue
				}
				e.Step(now, Input{Kind: InSwap, Plan: plan})
			}
			for d := range e.lanes {
				if a, b := slotNames(e.lanes[d].chain), slotNames(want.lanes[d].chain); a != b {
					t.Fatalf("step %d: a session (lazy: %v) has %s at work, expected %s", step, e == lazy, a, b)
				}
				for _, s := range e.lanes[d].chain {
					if plan.Rule(s.part.rule.Name()).state != s.bond.state {
						t.Fatalf("step %d: %s is at work for a rule that is gone", step, s.part.rule.Name())
					}
				}
			}
		}
	}
}

func partNames(parts []*part) (out string) {
	for _, p := range parts {
		out += fmt.Sprint(p.rule.Name(), "/", p.k, " ")
	}
	return out
}

func slotNames(chain []*slot) (out string) {
	for i, s := range chain {
		if out += s.part.rule.Name() + " "; s.i != i {
			out += "(out of place) "
		}
	}
	return out
}
