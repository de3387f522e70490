package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func hup(b *box)  { _ = b.cmd.Process.Signal(syscall.SIGHUP) }
func term(b *box) { _ = b.cmd.Process.Signal(syscall.SIGTERM) }

// Promise 6, the other half: random bytes at every port for five seconds, and it
// still serves, with goroutines, descriptors and memory back where they were.
func TestRandomBytesEverywhere(t *testing.T) {
	span := 5 * time.Second
	if testing.Short() {
		span = time.Second
	}
	full := answer("hello")
	o := always(t, full)
	noise := newOrigin(t, func(p *peer) { // an upstream that is no better
		r := rand.New(rand.NewPCG(1, uint64(p.LocalAddr().(*net.TCPAddr).Port)))
		for range r.IntN(20) {
			if _, err := p.Write(garbage(r)); err != nil {
				return
			}
		}
	})
	// The journal is bounded; with a small bound it is full before the first look.
	b := serve(t, "--limit", "events=2000", "--limit", "exchanges=500", "--log-level", "error", "--route", "web=127.0.0.1:0,"+o.addr+",http", "--route", "raw=127.0.0.1:0,"+o.addr+",tcp", "--route", "noise=127.0.0.1:0,"+noise.addr)
	for _, route := range []string{"web", "noise"} {
		b.arm(route, params{"fault": "truncate", "match": params{"path": "/x*"}})
		b.arm(route, params{"fault": "latency", "params": params{"delay": "1ms"}})
		b.arm(route, params{"fault": "length-mismatch"})
	}
	throw(t, b, time.Second) // until journal, pools and runtime are warm
	b.settled(t, usage{goroutines: 1 << 30, descriptors: 1 << 30})
	before := b.usage(t)
	throw(t, b, span)
	b.settled(t, before)

	b.must("panic", nil, nil)
	dial(t, b.routes["web"]).send(ask("/")).expect(full)
	b.must("ping", nil, nil)
	b.ws(t).must("ping", nil, nil)
}

// throw sends random bytes at all ports for that long.
func throw(t *testing.T, b *box, span time.Duration) {
	targets := []string{strings.TrimPrefix(b.api, "http://"), b.routes["web"], b.routes["raw"], b.routes["noise"]}
	var group sync.WaitGroup
	until := time.Now().Add(span)
	for i, addr := range targets {
		group.Go(func() {
			r := rand.New(rand.NewPCG(42, uint64(i)))
			for time.Now().Before(until) {
				c, err := net.Dial("tcp", addr)
				if err != nil {
					t.Errorf("%s: %v", addr, err)
					return
				}
				_ = c.SetDeadline(time.Now().Add(200 * time.Millisecond))
				for range r.IntN(8) {
					if _, err := c.Write(garbage(r)); err != nil {
						break
					}
				}
				switch r.IntN(3) {
				case 0:
					_ = c.(*net.TCPConn).SetLinger(0)
				case 1:
					_ = c.(*net.TCPConn).CloseWrite()
					_, _ = io.CopyN(io.Discard, c, 4096)
				}
				c.Close()
			}
		})
	}
	group.Wait()
}

// garbage is random bytes, some of them dressed as what a port expects.
func garbage(r *rand.Rand) []byte {
	b := make([]byte, r.IntN(3000))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	dress := []string{"", "GET / HTTP/1.1\r\n", "GET /x HTTP/1.1\r\nHost: lab\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "POST /v1/rpc HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: crimp.v1\r\n\r\n"}
	return append([]byte(dress[r.IntN(len(dress))]), b...)
}

// usage is what a box holds.
type usage struct {
	goroutines, descriptors, sessions int
	memory                            int // bytes of heap in use
}

func (b *box) usage(t testing.TB) usage {
	t.Helper()
	values := b.metrics(t)
	for _, name := range []string{"go_goroutines", "go_memstats_heap_inuse_bytes"} {
		if values[name] == 0 {
			t.Fatalf("/metrics has no %s", name)
		}
	}
	u := usage{goroutines: int(values["go_goroutines"]), memory: int(values["go_memstats_heap_inuse_bytes"])}
	if fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid)); err == nil {
		u.descriptors = len(fds)
	}
	var list struct {
		Items []any `json:"items"`
	}
	b.must("session.list", params{"outcome": "open"}, &list)
	u.sessions = len(list.Items)
	return u
}

// threads is how many threads of the system a box has; 0 where nobody says.
func (b *box) threads(t testing.TB) (n int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "\nThreads:")
	if _, err := fmt.Sscan(rest, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until a box holds no session and no more than before.
func (b *box) settled(t testing.TB, before usage) {
	t.Helper()
	const slack = 32 << 20 // the collector is in no hurry
	b.eventually("goroutines, descriptors and memory back", func() error {
		u := b.usage(t)
		if u.sessions > 0 || u.goroutines > before.goroutines+3 || u.descriptors > before.descriptors+3 || before.memory > 0 && u.memory > before.memory+slack {
			return fmt.Errorf("before %+v, now %+v", before, u)
		}
		return nil
	})
}
