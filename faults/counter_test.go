package faults_test

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestNoLimitIsNoCost: a rule that does not limit, once it was asked, lets bytes
// go by unseen.
func TestNoLimitIsNoCost(t *testing.T) {
	for _, rule := range []faults.Rule{
		{Name: "l", Fault: "latency", Armed: true, Params: map[string]any{"delay": "0s"}},
		{Name: "b", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": "10GB/s"}},
		{Name: "g", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": "1B/s"}, Gate: faults.Gate{Skip: 9}},
	} {
		e := session(t, faults.TCP, rule)
		now := time.Now()
		if d := e.Demand(wire.Downstream); d.Mode != faults.Read {
			t.Errorf("%s: %+v before the gate was asked", rule.Fault, d)
		}
		e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: make([]byte, 1000)})
		e.Step(now.Add(time.Second), faults.Input{Kind: faults.InTick})
		if d := e.Demand(wire.Downstream); d.Mode != faults.Splice || d.N < 1<<20 {
			t.Errorf("%s: %+v where nothing is limited", rule.Fault, d)
		}
	}
}

// TestCountedBytesTakeTheLink: what goes by unseen is paid for as what is seen.
func TestCountedBytesTakeTheLink(t *testing.T) {
	const rate = 10e6
	e := session(t, faults.TCP, faults.Rule{Name: "b", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": "10MB/s"}})
	start := time.Now()
	var sent, spliced int64
	e.Step(start, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: make([]byte, 1)})
	for ms := range 500 { // as much as it wants, for half a second in which it is often late
		now := start.Add(time.Duration(ms) * time.Millisecond)
		if ms%20 > 12 {
			continue
		}
		for _, a := range e.Step(now, faults.Input{Kind: faults.InTick}) {
			sent += int64(len(a.Data))
		}
		for {
			d := e.Demand(wire.Downstream)
			if d.Mode == faults.Hold {
				break
			}
			if d.Mode == faults.Splice {
				e.Step(now, faults.Input{Kind: faults.InSkipped, Dir: wire.Downstream, N: d.N})
				sent, spliced = sent+d.N, spliced+d.N
				continue
			}
			for _, a := range e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: make([]byte, d.N)}) {
				sent += int64(len(a.Data))
			}
		}
	}
	if most := int64(rate*0.5 + rate*0.02); sent > most || sent < most*9/10 {
		t.Errorf("%d bytes in half a second, at most %d were due", sent, most)
	}
	if spliced == 0 {
		t.Error("no byte went by unseen")
	}
}
