package faultstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// The tests here hold for every kind and preset of the registry by construction:
// a new one cannot forget them. They take each fault with the parameters of each
// of its examples.

func everyRule(t *testing.T) []faults.Rule {
	t.Helper()
	var rules []faults.Rule
	for _, f := range faults.Catalogue() {
		variants := f.Examples
		if len(variants) == 0 {
			variants = append(variants, faults.FaultExample{})
		}
		for _, ex := range variants {
			raw := fmt.Sprintf(`{"fault":%q,"params":%s,"match":%s}`, f.Name, orEmpty(ex.Params), orEmpty(ex.Match))
			rule, err := faults.DecodeRule(json.RawMessage(raw), "")
			if err != nil {
				t.Fatalf("%s: %v", raw, err)
			}
			rules = append(rules, rule)
		}
	}
	return rules
}

func compile(t *testing.T, prev *faults.Plan, rules ...faults.Rule) *faults.Plan {
	t.Helper()
	for i := range rules {
		rules[i].Name = fmt.Sprintf("%s-%d", rules[i].Fault, i)
	}
	plan, err := faults.Compile(prev, 42, "web", faults.HTTP, rules)
	if err != nil {
		t.Fatalf("%+v: %v", rules, err)
	}
	return plan
}

// TestUnmatchedTrafficIsUntouched: a rule for another path changes no byte, in
// either direction, however the stream is cut.
func TestUnmatchedTrafficIsUntouched(t *testing.T) {
	for _, rule := range everyRule(t) {
		rule = elsewhere(rule)
		for seed := range uint64(10) {
			cut := Random(seed)
			if seed%3 == 0 {
				cut = Spliced(seed)
			}
			tr := NewTraffic(compile(t, nil, rule), 1, cut, seed, 8)
			tr.Pipelined = seed%2 == 0
			tr.Run()
			tr.Pass(time.Hour)
			untouched(t, tr, fmt.Sprintf("%s %v seed %d", rule.Fault, rule.Params, seed))
		}
	}
}

// elsewhere makes the rule one for other traffic; what acts on a listening socket
// can match none, and does nothing to a session.
func elsewhere(rule faults.Rule) faults.Rule {
	for _, m := range []faults.Match{{Direction: rule.Match.Direction, Path: "/elsewhere"}, {Client: "203.0.113.9"}, {}} {
		if rule.Match = m; rule.Check("") == nil {
			break
		}
	}
	return rule
}

func untouched(t *testing.T, tr *Traffic, what string) {
	t.Helper()
	for _, d := range []wire.Direction{wire.Downstream, wire.Upstream} {
		if !bytes.Equal(tr.Got[d], tr.Want(d)) {
			t.Fatalf("%s: %v\n got %q\nwant %q", what, d, tr.Got[d], tr.Want(d))
		}
	}
	if tr.Ended {
		t.Fatalf("%s: a leg was ended", what)
	}
}

// TestDisarmAnywhere: at whatever moment a rule is disarmed, what it held goes
// out in order, and unless it ended the session the exchanges that start after
// are clean. Nothing stays in the engine.
func TestDisarmAnywhere(t *testing.T) {
	for _, rule := range everyRule(t) {
		for seed := range uint64(24) {
			r := rand.New(rand.NewPCG(seed, 3))
			off := compile(t, nil)
			cut := Random(seed)
			if seed%3 == 0 {
				cut = Spliced(seed)
			}
			tr := NewTraffic(off, 1, cut, seed, 6)
			for range r.IntN(8) {
				tr.Turn()
			}
			tr.Swap(compile(t, off, rule))
			for range r.IntN(8) {
				tr.Turn()
				tr.Pass(time.Duration(r.IntN(300)) * time.Millisecond)
			}
			tr.Swap(off)
			what := fmt.Sprintf("%s %v seed %d", rule.Fault, rule.Params, seed)
			if down, up := tr.Engine().HeldBytes(); down+up > 0 {
				t.Fatalf("%s: %d and %d bytes are still held", what, down, up)
			}
			if tr.Ended {
				continue
			}
			tr.Run()
			tr.More(1)
			tr.Run()
			if rule.Keeps() {
				untouched(t, tr, what)
			}
			if err := tr.Probe(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
}

// TestSameSeedSameFaults: which exchanges a probability hits turns on seed, route,
// rule, session and exchange alone: not on cuts, nor on other rules.
func TestSameSeedSameFaults(t *testing.T) {
	third := faults.Percent(0.3)
	hits := func(cut Cut, others ...faults.Rule) []uint64 {
		rule := faults.Rule{Name: "x", Fault: "inject", Armed: true, Params: map[string]any{"at": "end", "bytes": "text:!"}, Gate: faults.Gate{Probability: &third}}
		plan, err := faults.Compile(nil, 42, "web", faults.HTTP, append(others, rule))
		if err != nil {
			t.Fatal(err)
		}
		var fired []uint64
		for session := range uint64(20) {
			tr := NewTraffic(plan, session, cut, session, 20)
			tr.Run()
			for i, off := range tr.fired {
				if tr.firedBy[i] == "x" {
					fired = append(fired, session<<32|uint64(off))
				}
			}
		}
		return fired
	}
	want := hits(Whole)
	if n := len(want); n < 60 || n > 180 {
		t.Fatalf("%d of 400 exchanges were hit with probability 0.3", n)
	}
	for name, got := range map[string][]uint64{
		"again":            hits(Whole),
		"byte by byte":     hits(Bytewise),
		"cut at random":    hits(Random(5)),
		"with other rules": hits(Whole, faults.Rule{Name: "a", Fault: "latency", Armed: true, Params: map[string]any{"delay": "0s"}}, faults.Rule{Name: "b", Fault: "surplus", Armed: true, Match: faults.Match{Path: "/none"}}),
	} {
		if !slices.Equal(got, want) {
			t.Errorf("%s: other exchanges were hit", name)
		}
	}
}

// TestPairsKeepOrder: any two faults armed together neither panic nor hold
// anything once disarmed. If nobody was ended the session goes on, and where both
// only delay, every byte has come, in order.
func TestPairsKeepOrder(t *testing.T) {
	rules := everyRule(t)
	for i, a := range rules {
		for j, b := range rules {
			if j > 0 && rules[j-1].Fault == b.Fault { // with each fault once, in any of its forms
				continue
			}
			seed := uint64(i*len(rules) + j)
			off := compile(t, nil)
			tr := NewTraffic(compile(t, off, a, b), 1, Random(seed), seed, 4)
			for range 6 {
				tr.Turn()
				tr.Pass(200 * time.Millisecond)
			}
			tr.Swap(off)
			tr.Run()
			if down, up := tr.Engine().HeldBytes(); down+up > 0 {
				t.Fatalf("%s with %s: %d and %d bytes are still held", a.Fault, b.Fault, down, up)
			}
			if tr.Ended {
				continue
			}
			tr.More(1)
			tr.Run()
			what := fmt.Sprintf("%s %v %v with %s %v %v", a.Fault, a.Params, a.Match, b.Fault, b.Params, b.Match)
			if a.Keeps() && b.Keeps() {
				untouched(t, tr, what)
			}
			if err := tr.Probe(); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
	}
}

// TestHeldIsBounded: with a fast source and everything held back, the engine
// stops reading at its bound.
func TestHeldIsBounded(t *testing.T) {
	for _, rule := range everyRule(t) {
		e := faults.NewEngine(time.Unix(0, 0), faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Held: 64 << 10, Plan: compile(t, nil, rule)})
		now := time.Unix(0, 0)
		e.Step(now, faults.Input{Kind: faults.InOpen})
		e.Step(now, faults.Input{Kind: faults.InDialed})
		head := []byte("HTTP/1.1 200 OK\r\nA: b\r\nC: d\r\nContent-Length: 1000000000\r\n\r\n")
		e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: head})
		chunk := make([]byte, 32<<10)
		for range 40 {
			if e.Demand(wire.Downstream).Mode == faults.Hold {
				break
			}
			e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: chunk})
		}
		if down, _ := e.HeldBytes(); down > 96<<10+len(head) {
			t.Errorf("%s %v: %d bytes held with a bound of 64 KiB", rule.Fault, rule.Params, down)
		}
	}
}
