package e2e

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// crowdSize is how many sessions a crowd has: ten thousand, or as many as this
// process, which is their clients and their server, may have descriptors for. The
// race detector slows all of it tenfold and counts goroutines.
func crowdSize(t *testing.T) int {
	if len(raceFlag) > 0 {
		return 1000
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	n := min(10_000, (int(files.Cur)-200)/2)
	if n < 10_000 {
		t.Logf("%d file descriptors: %d sessions, not 10,000", files.Cur, n)
	}
	return n
}

// echoes is a server that sends back what it gets, with little memory for each.
func echoes(t testing.TB) string {
	return serving(t, func(c *net.TCPConn) {
		b := make([]byte, 512)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			if _, err := c.Write(b[:n]); err != nil {
				return
			}
		}
	})
}

// times are how long calls took.
type times []time.Duration

func (ts times) median() time.Duration { return ts.at(0.5) }

func (ts times) at(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(ts))
	return sorted[int(share*float64(len(sorted)-1))]
}

// meanwhile calls the box over and over until stop is called, which says how long
// each call took.
func (b *box) meanwhile(method string) (stop func() times) {
	var done atomic.Bool
	var took times
	var group sync.WaitGroup
	group.Go(func() {
		for !done.Load() {
			begun := time.Now()
			if err := b.call(method, nil, nil); err != nil {
				b.t.Errorf("%s: %v", method, err)
				return
			}
			took = append(took, time.Since(begun))
			time.Sleep(2 * time.Millisecond)
		}
	})
	return func() times { done.Store(true); group.Wait(); return took }
}

// within fails if a time is far above what a quiet machine takes.
func within(t *testing.T, what string, got, most time.Duration) {
	t.Helper()
	if got > most {
		t.Errorf("%s took %v, expected at most %v", what, got, most)
	}
}

// A crowd on one route: a rule is armed on all of it at once, whether a peer
// stalls or not, and no other call waits; woken, all relay while the box answers;
// gone, they leave nothing behind.
func TestCrowd(t *testing.T) {
	n := crowdSize(t)
	b := serve(t, "--limit", "events=1000", "--log-level", "error", "--route", "web=127.0.0.1:0,"+echoes(t)+",tcp")
	b.arm("web", params{"fault": "latency", "params": params{"delay": "20ms"}, "armed": false})
	throughEcho(t, dial(t, b.routes["web"]), "warm").Close()
	b.settled(t, usage{goroutines: 1 << 30, descriptors: 1 << 30})
	before := b.usage(t)
	before.descriptors += 8 // pipes that were used are kept for the next

	begun := time.Now()
	crowd := make([]*raw, n)
	for i := range crowd {
		crowd[i] = dial(t, b.routes["web"])
		_ = crowd[i].SetDeadline(time.Now().Add(60 * time.Second))
	}
	b.eventually("all sessions are there", func() error {
		if b.metrics(t)[`crimp_sessions{route="web"}`] != float64(n) {
			return errNotYet
		}
		return nil
	})
	t.Logf("%d sessions in %v", n, time.Since(begun))

	stalled := crowd[0] // says more than all the buffers take, and never reads
	_ = stalled.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	_, _ = io.Copy(stalled.TCPConn, io.LimitReader(zeros{}, 64<<20))
	toggles(t, b, crowd[1:], n)
	delays(t, b, crowd[1:])

	// Woken, all at once.
	text := strings.Repeat("0123456789abcdef", 4)
	answers := b.meanwhile("state.get")
	begun = time.Now()
	for _, r := range crowd[1:] {
		r.send(text)
	}
	for _, r := range crowd[1:] {
		r.expect(text)
	}
	t.Logf("all have relayed after %v", time.Since(begun))
	took := answers()
	t.Logf("state.get meanwhile: median %v, worst %v of %d", took.median(), took.at(1), len(took))
	within(t, "state.get beside a woken crowd (median)", took.median(), 500*time.Millisecond)

	for i, r := range crowd {
		if i%10 == 0 {
			r.reset()
		} else {
			r.Close()
		}
	}
	b.settled(t, before)
}

// toggles arms and disarms a rule that the sessions of a crowd can tell.
func toggles(t *testing.T, b *box, crowd []*raw, n int) {
	t.Helper()
	others := b.meanwhile("ping")
	var took times
	for i := range 60 {
		armed := i%2 == 0
		var changed struct{ Sessions int }
		begun := time.Now()
		b.must([]string{"rule.arm", "rule.disarm"}[i%2], params{"route": "web", "name": "latency"}, &changed)
		took = append(took, time.Since(begun))
		if changed.Sessions != n {
			t.Fatalf("in force on %d sessions, expected %d", changed.Sessions, n)
		}
		r := crowd[i*len(crowd)/60]
		begun = time.Now()
		throughEcho(t, r, "is it in force?")
		if trip := time.Since(begun); armed && trip < 20*time.Millisecond {
			t.Errorf("a trip took %v under a latency of 20 ms", trip)
		}
	}
	t.Logf("toggles on %d sessions: median %v, p90 %v, worst %v", n, took.median(), took.at(0.9), took.at(1))
	within(t, "a toggle (median)", took.median(), 200*time.Millisecond)
	p := others()
	t.Logf("ping meanwhile: median %v, worst %v of %d", p.median(), p.at(1), len(p))
	within(t, "a ping beside the toggles (median)", p.median(), 200*time.Millisecond)
}

// delays has all sessions of a crowd make a trip under a latency of a second, thousands
// of them on their way at a time: none is early, half of them are less than a
// millisecond late, and no thread and no goroutine of the box comes of it. Late is what
// a trip takes longer than the delay and the median trip of a wave before it without
// any: what the load costs, of which there is as much in both, is not measured.
func delays(t *testing.T, b *box, crowd []*raw) {
	t.Helper()
	const delay, pace = time.Second, 250 * time.Microsecond
	most := time.Millisecond
	if len(raceFlag) > 0 {
		most *= 10
	}
	b.must("rule.set", params{"route": "web", "rule": params{"fault": "latency", "params": params{"delay": delay.String()}, "armed": false}}, nil)
	// On a machine that is busy with something else a wave may not fit in: then half as
	// many go.
	for part := 1; ; part *= 2 {
		var some []*raw
		for i := 0; i < len(crowd); i += part {
			some = append(some, crowd[i])
		}
		calm := wave(t, some[:len(some)/5], pace*time.Duration(part), func() {})
		b.must("rule.arm", params{"route": "web", "name": "latency"}, nil)
		threads, before := b.threads(t), b.usage(t)
		took := wave(t, some, pace*time.Duration(part), func() {
			if n, u := b.threads(t), b.usage(t); n > threads+2 || u.goroutines > before.goroutines+3 {
				t.Errorf("%d threads and %d goroutines with %d sessions under way, %d and %d before", n, u.goroutines, len(some), threads, before.goroutines)
			}
		})
		b.disarm("web", "latency")
		if took.at(0) < delay {
			t.Fatalf("a trip took %v under a latency of %v", took.at(0), delay)
		}
		late := took.median() - delay - calm.median()
		t.Logf("%d of %d sessions under a latency of %v: median %v late, p99 %v, shortest %v; undisturbed %v", len(some), len(crowd), delay,
			late, took.at(0.99)-delay-calm.median(), took.at(0), calm.median())
		if late < most {
			return
		}
		if part == 32 {
			t.Fatalf("half of all trips are more than %v late", late)
		}
	}
}

// wave lets one session after the other make a trip, and says how long each took; said
// is called when the last has begun.
func wave(t *testing.T, sessions []*raw, pace time.Duration, said func()) times {
	t.Helper()
	sent, took := make([]time.Time, len(sessions)), make(times, len(sessions))
	next := make(chan int, len(sessions))
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() {
		defer close(next)
		begun := time.Now()
		for i, r := range sessions {
			time.Sleep(time.Until(begun.Add(time.Duration(i) * pace)))
			_ = r.SetDeadline(time.Now().Add(60 * time.Second))
			sent[i] = time.Now()
			if _, err := io.WriteString(r, "0123456789abcdef"); err != nil {
				t.Error(err)
				return
			}
			next <- i
		}
		said()
	})
	for i := range next {
		sessions[i].expect("0123456789abcdef")
		took[i] = time.Since(sent[i])
	}
	return took
}

// throughEcho says something and hears it again.
func throughEcho(t testing.TB, r *raw, text string) *raw {
	t.Helper()
	return r.send(text).expect(text)
}

// zeros is a reader without end.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }
