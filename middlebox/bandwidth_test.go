package middlebox

import (
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crimp/faults"
)

// TestBandwidth: what a client gets in a while is what the rate says, and clients
// of one link get the same. The lower bound is a loaded test machine's; on a quiet
// one it is within 2 % over 2 s.
func TestBandwidth(t *testing.T) {
	for _, tt := range []struct {
		rate, share string
		want        float64
		clients     int
	}{
		{"10kB/s", "session", 1e4, 1},
		{"1MB/s", "session", 1e6, 1},
		{"100MB/s", "session", 1e8, 1},
		{"1MB/s", "session", 2e6, 2},
		{"1MB/s", "route", 1e6, 4},
		{"20MB/s", "route", 2e7, 4},
	} {
		t.Run(tt.rate+" by "+tt.share, func(t *testing.T) {
			b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, flood), Rules: []faults.Rule{
				{Name: "b", Fault: "bandwidth", Armed: true, Params: map[string]any{"rate": tt.rate, "share": tt.share}}}})
			const during = 700 * time.Millisecond
			got := rates(t, b, tt.clients, during)
			var sum float64
			for _, r := range got {
				sum += r
				if equal := tt.want / float64(tt.clients); r < equal/5 || r > equal*2 {
					t.Errorf("a client got %.0f bytes a second of %.0f", r, tt.want)
				}
			}
			t.Logf("%.2f %%", 100*sum/tt.want)
			if sum < 0.3*tt.want || sum > 1.05*tt.want {
				t.Errorf("%.0f bytes a second, wanted %.0f", sum, tt.want)
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

// rates is how many bytes a second each of n clients reads, once all have begun.
func rates(t *testing.T, b *Box, n int, during time.Duration) []float64 {
	read, done := make([]atomic.Int64, n), make(chan struct{})
	var all sync.WaitGroup
	for i := range read {
		c := dial(t, b, "web")
		all.Go(func() {
			buf := make([]byte, 256<<10)
			for {
				k, err := c.Read(buf)
				if err != nil {
					return
				}
				read[i].Add(int64(k))
				select {
				case <-done:
					c.Close()
					return
				default:
				}
			}
		})
	}
	until(t, "all have begun", func() bool {
		for i := range read {
			if read[i].Load() == 0 {
				return false
			}
		}
		return true
	})
	got, begun := make([]float64, n), time.Now()
	for i := range read {
		got[i] = -float64(read[i].Load())
	}
	time.Sleep(during)
	took := time.Since(begun).Seconds()
	for i := range read {
		got[i] = (got[i] + float64(read[i].Load())) / took
	}
	close(done)
	all.Wait()
	return got
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
	if d := time.Since(begun); d > 10*time.Second || math.IsNaN(d.Seconds()) {
		t.Fatalf("%v for what should have gone at once", d)
	}
}
