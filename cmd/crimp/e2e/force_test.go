package e2e

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Promise 3: immediate and certain.

// Each request sent after the answer of an arm or disarm sees the new state,
// while other requests run; over the WebSocket and over POST.
func TestArmAnsweredMeansInForce(t *testing.T) {
	b := newBench(t, "0123456789")
	damaged := strings.Replace(b.full, "Content-Length: 10", "Content-Length: 20", 1)
	b.arm("web", params{"fault": "length-mismatch", "armed": false})
	stop := running(t, b, 4)
	defer stop()
	control := b.ws(t)
	var live []*raw // all of them must see it, not just the newest or the first
	for range 5 {
		live = append(live, b.warm(t))
	}
	for i := range 500 {
		for _, c := range []struct{ method, want string }{{"rule.arm", damaged}, {"rule.disarm", b.full}} {
			p := params{"route": "web", "name": "length-mismatch"}
			if i%2 == 0 {
				control.must(c.method, p, nil)
			} else {
				b.must(c.method, p, nil)
			}
			r := live[i%len(live)]
			_ = r.SetDeadline(time.Now().Add(patience))
			r.send(ask("/")).expect(c.want)
		}
	}
}

// running keeps n clients asking until the returned function is called.
func running(t *testing.T, b *bench, n int) (stop func()) {
	var group sync.WaitGroup
	var done atomic.Bool
	for range n {
		group.Go(func() {
			c, err := net.Dial("tcp", b.addr)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(4 * patience))
			answer := make([]byte, len(b.full)) // damage here keeps the length
			for !done.Load() {
				_, _ = io.WriteString(c, ask("/running"))
				if _, err := io.ReadFull(c, answer); err != nil {
					t.Errorf("a running client: %v", err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() { done.Store(true); group.Wait() }
}

// With 500 live sessions, one of which does not read what is sent to it, arming
// is answered within 50 ms (median).
func TestNoPeerDelaysTheAnswer(t *testing.T) {
	full := answer("hello")
	o := newOrigin(t, func(p *peer) {
		for head := p.request(); head != ""; head = p.request() {
			if strings.HasPrefix(head, "GET /flood") {
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
				for line := pattern(64 << 10); ; {
					if _, err := io.WriteString(p.TCPConn, line); err != nil {
						return
					}
				}
			}
			p.say(full)
		}
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	for range 499 {
		dial(t, b.routes["web"]).send(ask("/")).expect(full)
	}
	stalled := dial(t, b.routes["web"])
	_ = stalled.SetReadBuffer(4096)
	stalled.send(ask("/flood"))
	time.Sleep(300 * time.Millisecond) // until its buffers are full; the less, the easier for the box

	b.arm("web", params{"fault": "latency", "params": params{"delay": "10ms"}, "armed": false})
	var took []time.Duration
	for i := range 101 {
		var changed struct {
			Sessions int `json:"sessions"`
		}
		start := time.Now()
		b.must([]string{"rule.arm", "rule.disarm"}[i%2], params{"route": "web", "name": "latency"}, &changed)
		took = append(took, time.Since(start))
		if i%2 == 0 && changed.Sessions != 500 {
			t.Fatalf("in force on %d sessions, expected 500", changed.Sessions)
		}
	}
	slices.Sort(took)
	if median := took[len(took)/2]; median > 50*time.Millisecond {
		t.Errorf("the median answer took %v, expected at most 50ms", median)
	}
}

// A continuous transfer loses and doubles no byte over 1,000 toggles of rules
// that do not touch it.
func TestTogglesLeaveATransferAlone(t *testing.T) {
	var sent atomic.Int64
	var enough atomic.Bool
	o := newOrigin(t, func(p *peer) {
		if strings.HasPrefix(p.request(), "GET /stream") {
			p.say("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
		}
		block := make([]byte, 16<<10)
		for at := uint64(0); !enough.Load(); at += uint64(len(block)) {
			for i := 0; i < len(block); i += 8 {
				binary.LittleEndian.PutUint64(block[i:], at+uint64(i))
			}
			if _, err := p.Write(block); err != nil {
				return
			}
			sent.Add(int64(len(block)))
			time.Sleep(time.Millisecond) // the machine's cores are for the toggles
		}
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http", "--route", "raw=127.0.0.1:0,"+o.addr+",tcp")
	b.arm("web", params{"name": "elsewhere", "fault": "truncate", "match": params{"path": "/elsewhere"}, "armed": false})
	b.arm("web", params{"name": "upwards", "fault": "latency", "params": params{"delay": "1s"}, "match": params{"direction": "upstream"}, "armed": false})
	b.arm("raw", params{"name": "later", "fault": "cut", "params": params{"at": "byte:1000000000000"}, "armed": false})

	var received atomic.Int64
	var group sync.WaitGroup
	for _, route := range []string{"web", "raw"} {
		r := dial(t, b.routes[route])
		_ = r.SetDeadline(time.Now().Add(60 * time.Second))
		r.send("GET /stream HTTP/1.1\r\nHost: lab\r\n\r\n")
		group.Go(func() {
			n, err := checkWords(r)
			if err != nil {
				t.Errorf("%s: %v", route, err)
			}
			received.Add(n)
		})
	}
	toggles := [][2]string{{"web", "elsewhere"}, {"raw", "later"}, {"web", "upwards"}}
	for i := range 1000 {
		rule := toggles[i/2%3]
		b.must([]string{"rule.arm", "rule.disarm"}[i%2], params{"route": rule[0], "name": rule[1]}, nil)
	}
	enough.Store(true)
	group.Wait()
	if received.Load() != sent.Load() || sent.Load() < 1<<20 {
		t.Errorf("%d bytes arrived of %d", received.Load(), sent.Load())
	}
}

// checkWords reads numbered words, after a head if there is one, to the end.
func checkWords(r io.Reader) (int64, error) {
	in := bufio.NewReader(r)
	if start, _ := in.Peek(5); string(start) == "HTTP/" {
		for line := ""; line != "\r\n"; {
			var err error
			if line, err = in.ReadString('\n'); err != nil {
				return 0, err
			}
		}
	}
	var word [8]byte
	for at := int64(0); ; at += 8 {
		_, err := io.ReadFull(in, word[:])
		if err == io.EOF {
			return at, nil
		}
		if err != nil {
			return at, err
		}
		if got := int64(binary.LittleEndian.Uint64(word[:])); got != at {
			return at, fmt.Errorf("at %d stands what belongs at %d", at, got)
		}
	}
}
