package faultstest

import (
	"fmt"
	"math"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// link is sessions whose servers send as fast as they are read, in fake time. late
// is how much too late a turn comes; nil: never.
type link struct {
	engines []*faults.Engine
	now     time.Time
	late    func(n int) time.Duration
	dry     bool // the servers have nothing to say just now
	turns   int
	got     []int64
	total   int64
}

func newLink(t *testing.T, sessions, held int, rule faults.Rule) *link {
	t.Helper()
	rule.Name, rule.Armed = "r", true
	plan, err := faults.Compile(nil, 42, "web", faults.TCP, []faults.Rule{rule})
	if err != nil {
		t.Fatal(err)
	}
	k := &link{now: time.Unix(1_700_000_000, 0), got: make([]int64, sessions)}
	for n := range sessions {
		e := faults.NewEngine(k.now, faults.Options{Route: "web", Session: uint64(n + 1), Protocol: faults.TCP, Plan: plan, Held: held})
		k.engines = append(k.engines, e)
		k.step(n, faults.Input{Kind: faults.InOpen})
		k.step(n, faults.Input{Kind: faults.InDialed})
	}
	return k
}

func (k *link) step(n int, in faults.Input) {
	for _, a := range k.engines[n].Step(k.now, in) {
		if a.Op == faults.OpSend {
			k.got[n] += int64(len(a.Data))
			k.total += int64(len(a.Data))
		}
	}
}

// run goes on for d, as a loop does: it wakes for the first that is due.
func (k *link) run(d time.Duration) {
	block := make([]byte, 32<<10)
	for end := k.now.Add(d); k.now.Before(end); k.turns++ {
		next := end
		for n, e := range k.engines {
			for demand := e.Demand(wire.Downstream); demand.Mode != faults.Hold && !k.dry; demand = e.Demand(wire.Downstream) {
				most := int64(len(block))
				if demand.N > 0 {
					most = min(most, demand.N)
				}
				k.step(n, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: block[:most]})
			}
			if at := e.Deadline(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		if k.late != nil && next.Before(end) {
			next = next.Add(k.late(k.turns))
		}
		k.now = next
		for n := range k.engines {
			if at := k.engines[n].Deadline(); !at.IsZero() && !at.After(k.now) {
				k.step(n, faults.Input{Kind: faults.InTick})
			}
		}
	}
}

func bandwidth(words ...string) faults.Rule {
	p := map[string]any{}
	for i := 0; i < len(words); i += 2 {
		p[words[i]] = words[i+1]
	}
	return faults.Rule{Fault: "bandwidth", Params: p}
}

// near says that got is want, within a part of it.
func near(t *testing.T, what string, got, want, part float64) {
	t.Helper()
	if math.Abs(got-want) > part*want {
		t.Errorf("%s: %.0f, expected %.0f within %.2f %%", what, got, want, 100*part)
	}
}

// TestBandwidthKeepsItsSchedule: over 2 s what goes out is what the rate says, to a
// thousandth or a piece, whatever the rate, for one session and for several of one
// link; each window of 50 ms is within a fifth; sessions of one link get the same.
// The turns come late now and then, as on any machine.
func TestBandwidthKeepsItsSchedule(t *testing.T) {
	for _, c := range []struct {
		rate, share string
		bytes       float64
		sessions    int
	}{
		{"10kB/s", "session", 1e4, 1}, {"1MB/s", "session", 1e6, 1}, {"10MB/s", "session", 1e7, 1}, {"100MB/s", "session", 1e8, 1},
		{"1MB/s", "session", 3e6, 3},
		{"10kB/s", "route", 1e4, 4}, {"1MB/s", "route", 1e6, 4}, {"10MB/s", "route", 1e7, 4}, {"100MB/s", "route", 1e8, 4},
	} {
		for name, late := range map[string]func(int) time.Duration{
			"in time": nil,
			"late":    func(n int) time.Duration { return time.Duration(n*7919%13) * 200 * time.Microsecond },
		} {
			k := newLink(t, c.sessions, 0, bandwidth("rate", c.rate, "share", c.share))
			k.late = late
			k.run(time.Second)
			before, shares, began, odd := k.total, append([]int64(nil), k.got...), k.now, 0
			for range 40 {
				sofar, since := k.total, k.now
				k.run(50 * time.Millisecond)
				if part := float64(k.total-sofar) / c.bytes / k.now.Sub(since).Seconds(); part < 0.8 || part > 1.2 {
					odd++
				}
			}
			what := fmt.Sprintf("%s by %s, %s", c.rate, c.share, name)
			want := c.bytes * k.now.Sub(began).Seconds()
			near(t, what, float64(k.total-before), want, max(0.001, 0.003*c.bytes/want)) // or one piece, and what is late
			if odd > 2 {
				t.Errorf("%s: %d of 40 windows are off by more than a fifth", what, odd)
			}
			for n := range k.got {
				near(t, fmt.Sprintf("%s, session %d", what, n+1), float64(k.got[n]-shares[n]), want/float64(c.sessions), 0.05)
			}
		}
	}
}

// TestBandwidthMakesUpForLateness: what a link could not carry because its box was
// busy elsewhere it carries as soon as it can. What it did not carry because there
// was nothing to carry is lost but for the burst, and it never carries more than
// its rate since it began, and the burst.
func TestBandwidthMakesUpForLateness(t *testing.T) {
	for _, share := range []string{"session", "route"} {
		k := newLink(t, 2, 0, bandwidth("rate", "50MB/s", "share", share))
		rate, began := map[string]float64{"session": 1e8, "route": 5e7}[share], k.now
		k.late = func(n int) time.Duration {
			if n%500 == 499 {
				return 150 * time.Millisecond
			}
			return 0
		}
		for range 100 {
			k.run(20 * time.Millisecond)
			if most := rate * (k.now.Sub(began).Seconds() + 0.01 + 0.001); float64(k.total) > most {
				t.Fatalf("%s: %d bytes in %v, at most %.0f were due", share, k.total, k.now.Sub(began), most)
			}
		}
		if k.turns < 1000 {
			t.Errorf("%s: never late in %d turns", share, k.turns)
		}
		near(t, share+": with turns 150 ms late", float64(k.total), rate*(k.now.Sub(began).Seconds()+0.01), 0.005)

		k.late, k.dry = nil, true
		k.run(time.Second)
		before := k.total
		k.dry = false
		k.run(100 * time.Millisecond)
		near(t, share+": after a second without a byte", float64(k.total-before), rate*0.11, 0.02)
	}
}

// TestBandwidthRamp: the rate begins with a segment in each ramp and doubles with
// each, up to the rate; after a second's rest it begins anew.
func TestBandwidthRamp(t *testing.T) {
	k := newLink(t, 1, 0, bandwidth("rate", "1MB/s", "ramp", "100ms", "burst", "1"))
	for range 2 {
		for n := range 9 {
			before := k.total
			k.run(100 * time.Millisecond)
			near(t, fmt.Sprintf("step %d", n+1), float64(k.total-before), min(1460*math.Pow(2, float64(n)), 100_000), 0.1)
		}
		k.dry = true
		k.run(1500 * time.Millisecond)
		k.dry = false
	}
}

// TestLatencyKeepsItsThroughput: as much goes through a delay line as its bound
// allows. With jitter nothing overtakes, so the longest delays tell.
func TestLatencyKeepsItsThroughput(t *testing.T) {
	const held = 1 << 20
	for jitter, delay := range map[string]float64{"0s": 0.1, "20ms": 0.12} {
		k := newLink(t, 1, held, faults.Rule{Fault: "latency", Params: map[string]any{"delay": "100ms", "jitter": jitter}})
		k.late = func(n int) time.Duration { return time.Duration(n%7) * 50 * time.Microsecond }
		k.run(time.Second)
		before, began := k.total, k.now
		k.run(2 * time.Second)
		near(t, "jitter "+jitter, float64(k.total-before), held/delay*k.now.Sub(began).Seconds(), 0.1)
	}
}
