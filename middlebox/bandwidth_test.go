package middlebox

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crimp/faults"
)

// TestBandwidth: what clients get in 2 s is what the rate says. Never is it more,
// from the first byte on. It is as much on a machine that gives the box its time:
// of three runs one must see it, at 100 MB/s the most that such a machine may be
// kept from. That the schedule itself is exact is proven in package faultstest.
func TestBandwidth(t *testing.T) {
	for _, tt := range []struct {
		rate, share string
		want, least float64
		clients     int
	}{
		{"10kB/s", "session", 1e4, 0.95, 1},
		{"10kB/s", "route", 1e4, 0.95, 3},
		{"1MB/s", "session", 1e6, 0.95, 1},
		{"1MB/s", "session", 2e6, 0.95, 2},
		{"1MB/s", "route", 1e6, 0.95, 4},
		{"10MB/s", "session", 1e7, 0.8, 1},
		{"100MB/s", "session", 1e8, 0.3, 1},
		{"100MB/s", "route", 1e8, 0.3, 4},
	} {
		t.Run(fmt.Sprintf("%s by %s for %d", tt.rate, tt.share, tt.clients), func(t *testing.T) {
			if tt.want < 1e7 {
				t.Parallel() // they need little of the machine
			}
			for run := 1; ; run++ {
				b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, flood), Rules: []faults.Rule{
					{Name: "b", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": tt.rate, "share": tt.share}}}})
				sum, least := carried(t, b, tt.clients, tt.want)
				b.Kill()
				t.Logf("%.2f %%, the least of a client %.2f of its share", 100*sum, least)
				if sum >= tt.least && least >= 0.5*tt.least {
					return
				}
				if run == 3 {
					t.Fatalf("%.1f %% of the rate, and of its share a client got %.2f", 100*sum, least)
				}
			}
		})
	}
}

// flood sends until it cannot.
func flood(c *net.TCPConn) {
	defer c.Close()
	b := make([]byte, 64<<10)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// carried has n clients read for 2 s and says which part of the rate they got
// together, and which part of an equal share the one with the least got. Times are
// taken where bytes come, so that a reader's own pauses count little.
func carried(t *testing.T, b *Box, n int, rate float64) (sum, least float64) {
	t.Helper()
	const during = 2 * time.Second
	type read struct {
		at    time.Time
		bytes int64
	}
	var all sync.WaitGroup
	begun, last := time.Now(), make([]read, n)
	var total atomic.Int64
	for i := range last {
		c := dial(t, b, "web")
		all.Go(func() {
			defer c.Close()
			buf := make([]byte, 256<<10)
			for last[i].at.Before(begun.Add(during)) {
				k, err := c.Read(buf)
				if err != nil {
					t.Error(err)
					return
				}
				last[i].bytes += int64(k)
				so, now := total.Add(int64(k)), time.Now()
				last[i].at = now
				most := rate * (now.Sub(begun).Seconds() + 0.010 + 0.005) // the burst, and a piece
				if float64(so) > most {
					t.Errorf("%d bytes after %v, at most %.0f were due", so, now.Sub(begun), most)
					return
				}
			}
		})
	}
	all.Wait()
	least = 1
	for _, r := range last {
		part := float64(r.bytes) / r.at.Sub(begun).Seconds() / rate
		sum += part
		least = min(least, part*float64(n))
	}
	return sum, least
}

// TestBandwidthGoes: removing the rule lets everything go at once, in order.
func TestBandwidthGoes(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo), Rules: []faults.Rule{
		{Name: "b", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": "100B/s"}, Match: faults.Match{Direction: "both"}}}})
	c := dial(t, b, "web")
	sent := make([]byte, 200_000)
	for i := range sent {
		sent[i] = byte(i ^ i>>8)
	}
	go c.Write(sent)
	io.ReadFull(c, make([]byte, 1))
	begun := time.Now()
	if _, err := b.DeleteRule("web", "b", Change{}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(sent)-1)
	if _, err := io.ReadFull(c, got); err != nil || string(got) != string(sent[1:]) {
		t.Fatalf("other bytes, %v", err)
	}
	if d := time.Since(begun); d > 10*time.Second {
		t.Fatalf("%v for what should have gone at once", d)
	}
}
