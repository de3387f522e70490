package faults

import (
	"testing"
	"time"

	"crimp/faults/wire"
)

func TestHistogram(t *testing.T) {
	var h Histogram
	last := len(HistogramBounds)
	for d, bucket := range map[time.Duration]int{
		-time.Second: 0, 0: 0, 10 * time.Microsecond: 0, 10*time.Microsecond + 1: 1, time.Millisecond: 6, time.Minute: last - 1, time.Hour: last,
	} {
		before := h.Counts()
		h.Add(d)
		after := h.Counts()
		if after.Buckets[bucket] != before.Buckets[bucket]+1 || after.Total() != before.Total()+1 || after.Sum != before.Sum+max(d, 0) {
			t.Errorf("%v: %+v after %+v", d, after, before)
		}
	}
	if sum := h.Counts().Plus(h.Counts()); sum.Total() != 2*h.Counts().Total() || sum.Sum != 2*h.Counts().Sum {
		t.Errorf("twice %+v is %+v", h.Counts(), sum)
	}
	if n := testing.AllocsPerRun(100, func() { h.Add(time.Second) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a rule delays is counted when it goes out, with the time it stayed; what
// passes untouched, what only stands behind it and what is inserted is not.
func TestDelaysAreCounted(t *testing.T) {
	for _, test := range []struct {
		name, fault string
		params      map[string]any
		after       time.Duration
		disarm      bool
		n           uint64
		sum         time.Duration
	}{
		{"latency", "latency", map[string]any{"delay": "50ms"}, 50 * time.Millisecond, false, 1, 50 * time.Millisecond},
		{"late loop", "latency", map[string]any{"delay": "50ms"}, 70 * time.Millisecond, false, 1, 70 * time.Millisecond},
		{"latency 0", "latency", map[string]any{"delay": "0s"}, 0, false, 0, 0},
		{"stall", "stall", map[string]any{"at": "now"}, 2 * time.Second, true, 1, 2 * time.Second},
		{"inserted", "inject", map[string]any{"at": "byte:0", "bytes": "text:x"}, 0, false, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			rules := []Rule{{Name: "r", Fault: test.fault, Params: test.params, Armed: true}}
			plan, err := Compile(nil, 1, "raw", TCP, rules)
			if err != nil {
				t.Fatal(err)
			}
			now := time.Unix(1000, 0)
			e := NewEngine(now, Options{Route: "raw", Session: 1, Protocol: TCP, Plan: plan})
			e.Step(now, Input{Kind: InOpen})
			e.Step(now, Input{Kind: InDialed})
			e.Step(now, Input{Kind: InBytes, Dir: wire.Upstream, Data: []byte("untouched")})
			e.Step(now, Input{Kind: InBytes, Dir: wire.Downstream, Data: []byte("delayed")})
			now = now.Add(test.after)
			if test.disarm {
				rules[0].Armed = false
				if plan, err = Compile(plan, 1, "raw", TCP, rules); err != nil {
					t.Fatal(err)
				}
				e.Step(now, Input{Kind: InSwap, Plan: plan})
			}
			e.Step(now, Input{Kind: InTick})
			if got := e.Delays.Counts(); got.Total() != test.n || got.Sum != test.sum {
				t.Errorf("%d delays of %v, want %d of %v", got.Total(), got.Sum, test.n, test.sum)
			}
		})
	}
}
