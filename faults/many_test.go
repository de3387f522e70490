package faults_test

import (
	"fmt"
	"testing"
	"time"

	"crimp/faults"
)

// A route may have thousands of armed stream rules, one for each device of a lab, say.

func manyRules(t testing.TB, n int, match faults.Match) *faults.Plan {
	var rules []faults.Rule
	for i := range n {
		rules = append(rules, faults.Rule{Name: fmt.Sprint("r", i), Fault: "cut", Armed: true, Params: map[string]any{"at": "byte:1000000"}, Match: match})
	}
	plan, err := faults.Compile(nil, 1, "web", faults.TCP, rules)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func open(now time.Time, plan *faults.Plan) {
	e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.TCP, Plan: plan})
	e.Step(now, faults.Input{Kind: faults.InOpen})
}

// Rules that are for other sessions cost a session no memory; they only count that
// they missed. Those that match cost each the same, however many there are.
func TestManyRules(t *testing.T) {
	now := time.Now()
	allocs := func(n int, match faults.Match) float64 {
		plan := manyRules(t, n, match)
		return testing.AllocsPerRun(10, func() { open(now, plan) })
	}
	none := allocs(0, faults.Match{})
	for _, other := range []faults.Match{{Client: "10.0.0.1"}, {Session: "7-9"}} {
		if got := allocs(2000, other); got > none {
			t.Errorf("2000 rules for %+v: %v allocations to open a session, %v without them", other, got, none)
		}
	}
	if few, many := allocs(100, faults.Match{}), allocs(2000, faults.Match{}); many-none > 20*(few-none)+20 {
		t.Errorf("%v allocations to open a session with 2000 rules, %v with 100", many, few)
	}
}

func BenchmarkOpen(b *testing.B) {
	for name, match := range map[string]faults.Match{
		"all match": {}, "other client": {Client: "10.0.0.1"}, "other session": {Session: "7-9"},
	} {
		for _, n := range []int{250, 2000} {
			plan := manyRules(b, n, match)
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				now := time.Now()
				for b.Loop() {
					open(now, plan)
				}
			})
		}
	}
}
