package e2e

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// What is known to go wrong in the nearest relative, Toxiproxy, must not go wrong
// here: one test for each.

// There, a change of the toxics of a link waits until its reader reads.
func TestRulesChangeWhileAPeerDoesNotRead(t *testing.T) {
	flood := pattern(16 << 20) // more than all the buffers on its way
	full := "HTTP/1.1 200 OK\r\nContent-Length: " + fmt.Sprint(len(flood)) + "\r\n\r\n" + flood
	got := make(chan int, 2)
	o := newOrigin(t, func(p *peer) {
		p.request()
		p.say(full)
		_, _ = io.Copy(io.Discard, p.in)
	})
	idle := make(chan bool) // closed when the server may read
	up := newOrigin(t, func(p *peer) {
		<-idle
		n, _ := io.Copy(io.Discard, p.in)
		got <- int(n)
	})
	b := serve(t, "--route", "down=127.0.0.1:0,"+o.addr+",http", "--route", "up=127.0.0.1:0,"+up.addr+",tcp")

	reader := dial(t, b.routes["down"])
	reader.send(ask("/"))
	writer := dial(t, b.routes["up"])
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := io.WriteString(writer, flood); err != nil {
			t.Error(err)
		}
		_ = writer.CloseWrite()
	})
	time.Sleep(200 * time.Millisecond) // until all buffers are full; the less, the easier for the box

	for _, c := range []struct {
		route string
		match params
	}{{"down", params{}}, {"up", params{"direction": "upstream"}}} {
		for _, delay := range []string{"1h", "1ms", "1h"} { // set, changed, changed
			b.arm(c.route, params{"name": "late", "fault": "latency", "params": params{"delay": delay}, "match": c.match})
		}
		b.arm(c.route, params{"name": "still", "fault": "stall", "match": c.match})
		b.disarm(c.route, "still")
		b.disarm(c.route, "late")
		b.must("rule.delete", params{"route": c.route, "name": "late"}, nil)
	}
	close(idle)
	reader.expect(full)
	group.Wait()
	if n := <-got; n != len(flood) {
		t.Errorf("%d bytes reached the server, expected %d", n, len(flood))
	}
}

// There, a slicer of size 0 spins, one whose variation is above its size panics,
// and a rate of 0 or less is taken.
func TestNumbersThatMakeNoSense(t *testing.T) {
	b := newBench(t, pattern(1024))
	for _, c := range []struct{ fault, name, value string }{
		{"slice", "size", "0"}, {"slice", "size", "-1"}, {"slice", "variation", "-1"},
		{"bandwidth", "rate", "0"}, {"bandwidth", "rate", "0B/s"}, {"bandwidth", "rate", "-1MB/s"},
		{"latency", "delay", "-1s"}, {"drop", "bytes", "-1"}, {"corrupt", "rate", "-1%"},
	} {
		values := params{c.name: c.value}
		if c.name == "variation" {
			values["size"] = 10
		}
		rule := params{"fault": c.fault, "params": values}
		e, ok := asRPC(b.call("rule.set", params{"route": "web", "rule": rule}, nil))
		if !ok || e.Data.Code != "invalid" || !strings.HasSuffix(e.Data.Field, c.name) {
			t.Errorf("%s %s=%s: %v", c.fault, c.name, c.value, e)
		}
	}
	if rules := b.state().Routes[0].Rules; len(rules) > 0 {
		t.Errorf("what was refused is there: %+v", rules)
	}
	b.arm("web", params{"fault": "slice", "params": params{"size": 5, "variation": 100}})
	r := dial(t, b.addr)
	for range 10 {
		r.send(ask("/")).expect(b.full)
	}
}

// There, reset_peer acts on what comes next, if anything comes, and a connection
// that was open before sees an EOF.
func TestResetOfConnectionsOlderThanTheRule(t *testing.T) {
	hello := answer("hello")
	ends := make(chan end, 4)
	o := newOrigin(t, func(p *peer) {
		p.request()
		p.say(hello)
		_, err := io.Copy(io.Discard, readerOnly{p.TCPConn})
		ends <- endOf(err)
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http", "--route", "raw=127.0.0.1:0,"+o.addr+",tcp")
	for _, c := range []struct{ route, fault string }{{"web", "cut"}, {"raw", "cut"}, {"raw", "reset"}} {
		old := dial(t, b.routes[c.route]).send(ask("/")).expect(hello)
		time.Sleep(20 * time.Millisecond) // idle
		rule := params{"name": "rule", "fault": c.fault, "params": params{"end": "rst", "other": "rst"}}
		b.arm(c.route, rule)
		old.restIs("", rst) // nobody has said a word since
		if how := <-ends; how != rst {
			t.Errorf("%s on %s: the server saw %s", c.fault, c.route, how)
		}
		b.disarm(c.route, "rule")
	}
}

// There, a toxic of toxicity 0 still sits in the way: it copies, and can hold.
func TestProbabilityZeroDisturbsNothing(t *testing.T) {
	b := newBench(t, pattern(1024))
	never := params{"probability": 0}
	for _, rule := range []params{
		{"fault": "cut"}, {"fault": "stall"}, {"fault": "latency", "params": params{"delay": "1h"}}, {"fault": "truncate"}, {"fault": "hold_fin"},
		{"fault": "drop", "params": params{"bytes": 10}}, {"fault": "corrupt", "params": params{"rate": "100%"}}, {"fault": "length-mismatch"},
		{"fault": "swallow"}, {"fault": "dumb-proxy"}, {"fault": "hold_fin", "name": "up", "match": params{"direction": "upstream"}},
	} {
		rule["gate"] = never
		b.arm("web", rule)
	}
	r := dial(t, b.addr)
	for range 100 {
		r.send(ask("/")).expect(b.full)
	}
	_ = r.CloseWrite()
	r.restIs("", fin)
	for _, rule := range b.state().Routes[0].Rules {
		if rule.Hits != 0 {
			t.Errorf("%s fired %d times", rule.Name, rule.Hits)
		}
	}
}

// There, a client that half-closes after its request gets no reply, or a part.
func TestHalfCloseKeepsTheReply(t *testing.T) {
	t.Parallel()
	reply := pattern(1 << 20)
	o := newOrigin(t, func(p *peer) {
		all, _ := io.ReadAll(p.in) // until the client's FIN
		p.say(fmt.Sprint(len(all)) + reply)
	})
	b := serve(t)
	for i, c := range []params{
		nil,
		{"fault": "latency", "params": params{"delay": "20ms"}},
		{"fault": "latency", "params": params{"delay": "20ms"}, "match": params{"direction": "both"}},
		{"fault": "pause", "params": params{"for": "50ms"}},
		{"fault": "hold_fin", "params": params{"for": "50ms"}, "match": params{"direction": "upstream"}},
		{"fault": "half_close", "params": params{"at": "byte:5000", "side": "server"}, "match": params{"direction": "upstream"}},
	} {
		for _, protocol := range []string{"tcp", "auto"} {
			name := fmt.Sprint(protocol, i)
			r := dial(t, b.addRoute(name, o.addr, protocol))
			if c != nil {
				b.arm(name, c)
			}
			r.send(pattern(5000))
			_ = r.CloseWrite()
			r.restIs("5000"+reply, fin)
		}
	}
}

// There, a connection that limit_data has ended leaves its goroutines behind.
func TestALimitLeavesNothingBehind(t *testing.T) {
	o := newOrigin(t, func(p *peer) {
		p.say(pattern(10_000))
		_, _ = io.Copy(io.Discard, p.in) // it does not close by itself
	})
	b := serve(t, "--limit", "events=200", "--route", "raw=127.0.0.1:0,"+o.addr+",tcp")
	b.arm("raw", params{"fault": "cut", "params": params{"at": "byte:4096"}})
	limited := func(n int) {
		for range n {
			if got, how := visit(t, b.routes["raw"], "hello"); len(got) != 4096 || how != fin {
				t.Fatalf("%d bytes, then %s", len(got), how)
			}
		}
	}
	limited(20) // until the runtime is warm
	b.settled(t, usage{goroutines: 1 << 30, descriptors: 1 << 30})
	before := b.usage(t)
	limited(200)
	b.settled(t, before)
}

// There, the timer of timeout and limit starts anew whenever data comes.
func TestATimerIsNotRestartedByData(t *testing.T) {
	var late atomic.Bool
	o := newOrigin(t, func(p *peer) {
		for range 1000 { // 10 s
			if _, err := p.Write([]byte("drip ")); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		late.Store(true)
	})
	b := serve(t, "--route", "raw=127.0.0.1:0,"+o.addr+",tcp")
	for _, how := range []end{fin, rst} {
		b.arm("raw", params{"fault": "cut", "params": params{"at": "after:300ms", "end": strings.ToLower(string(how))}})
		if got, ended := visit(t, b.routes["raw"], ""); ended != how || !strings.HasPrefix(got, "drip drip ") || late.Load() {
			t.Errorf("%q, then %s, expected some of the drips, then %s", clip([]byte(got)), ended, how)
		}
	}
}
