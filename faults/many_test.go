package faults_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
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

// A pipeline of thousands of requests that a rule answers is answered whole and in
// order, but not in one Step: the other sessions of a loop have their turns between.
func TestLongPipelineIsAnsweredInSteps(t *testing.T) {
	const requests = 2000
	plan, err := faults.Compile(nil, 1, "web", faults.HTTP, []faults.Rule{
		{Name: "no", Fault: "reply", Armed: true, Params: map[string]any{"status": 503}}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: plan})
	answered, most := 0, 0
	step := func(in faults.Input) {
		said := 0
		for _, a := range e.Step(now, in) {
			if a.Op == faults.OpSend && a.Dir == wire.Downstream {
				said += bytes.Count(a.Data, []byte("HTTP/1.1 503"))
			}
		}
		answered, most = answered+said, max(most, said)
	}
	step(faults.Input{Kind: faults.InOpen})
	step(faults.Input{Kind: faults.InDialed})
	step(faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: bytes.Repeat([]byte("GET / HTTP/1.1\r\n\r\n"), requests)})
	for at := e.Deadline(); !at.IsZero() && answered < requests; at = e.Deadline() {
		if at.After(now) {
			now = at
		}
		step(faults.Input{Kind: faults.InTick})
	}
	if answered != requests {
		t.Errorf("%d of %d requests were answered", answered, requests)
	}
	if most > 100 {
		t.Errorf("%d answers in one Step, each past the stages of %d exchanges", most, requests)
	}
}
