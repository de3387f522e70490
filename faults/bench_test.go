package faults_test

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// The engine's cost for one exchange in two reads, without any socket.

var (
	request  = []byte("GET /index.html HTTP/1.1\r\nHost: example.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	response = append([]byte("HTTP/1.1 200 OK\r\nServer: bench\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n"), make([]byte, 1024)...)
)

func session(b testing.TB, protocol faults.Protocol, rules ...faults.Rule) *faults.Engine {
	return sharing(b, nil, protocol, rules...)
}

// sharing is session for one of those that a loop has.
func sharing(b testing.TB, shared *faults.Scratch, protocol faults.Protocol, rules ...faults.Rule) *faults.Engine {
	plan, err := faults.Compile(nil, 1, "web", protocol, rules)
	if err != nil {
		b.Fatal(err)
	}
	e := faults.NewEngine(time.Now(), faults.Options{Route: "web", Session: 1, Protocol: protocol, Plan: plan, Scratch: shared})
	e.Step(time.Now(), faults.Input{Kind: faults.InOpen})
	e.Step(time.Now(), faults.Input{Kind: faults.InDialed})
	return e
}

func exchange(e *faults.Engine, now time.Time) {
	e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: request})
	e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: response})
}

func BenchmarkExchange(b *testing.B) {
	third := faults.Rule{Name: "x", Fault: "truncate", Armed: true, Match: faults.Match{Path: "/other"}}
	for name, e := range map[string]*faults.Engine{
		"tcp":            session(b, faults.TCP),
		"http idle":      session(b, faults.HTTP),
		"http unmatched": session(b, faults.HTTP, third),
		"tcp latency 0":  session(b, faults.TCP, faults.Rule{Name: "l", Fault: "latency", Armed: true, Params: map[string]any{"delay": "0s"}}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			now := time.Now()
			for b.Loop() {
				exchange(e, now)
			}
		})
	}
}

// TestNoAllocations: in steady state nothing is allocated for a chunk or a message.
func TestNoAllocations(t *testing.T) {
	now := time.Now()
	for name, e := range map[string]*faults.Engine{
		"tcp":                              session(t, faults.TCP),
		"http":                             session(t, faults.HTTP),
		"tcp latency 0":                    session(t, faults.TCP, faults.Rule{Name: "l", Fault: "latency", Armed: true, Params: map[string]any{"delay": "0s"}}),
		"http, a rule that does not match": session(t, faults.HTTP, faults.Rule{Name: "x", Fault: "truncate", Armed: true, Match: faults.Match{Path: "/other"}}),
	} {
		for range 10 {
			exchange(e, now)
		}
		if n := testing.AllocsPerRun(1000, func() { exchange(e, now) }); n > 0 {
			t.Errorf("%s: %v allocations for an exchange", name, n)
		}
	}
}

// TestNoAllocationsAmidMessages: nor where many sessions of a loop are in the middle of
// a message at once, as where bodies come in several reads.
func TestNoAllocationsAmidMessages(t *testing.T) {
	now, shared := time.Now(), &faults.Scratch{}
	var all []*faults.Engine
	for range 64 {
		all = append(all, sharing(t, shared, faults.HTTP))
	}
	turn := func() {
		for _, part := range [][]byte{request, response[:len(response)-10], response[len(response)-10:]} {
			dir := wire.Downstream
			if &part[0] == &request[0] {
				dir = wire.Upstream
			}
			for _, e := range all {
				e.Step(now, faults.Input{Kind: faults.InBytes, Dir: dir, Data: part})
			}
		}
	}
	for range 10 {
		turn()
	}
	if n := testing.AllocsPerRun(100, turn); n > 0 {
		t.Errorf("%v allocations for an exchange of %d sessions each", n, len(all))
	}
}

// TestNoAllocationsOfMany: nor where many sessions of a loop are asked before any is
// answered, or wait for their time at once.
func TestNoAllocationsOfMany(t *testing.T) {
	late := faults.Rule{Name: "l", Fault: "latency", Armed: true, Params: map[string]any{"delay": "1s"}}
	for name, rules := range map[string][]faults.Rule{"idle": nil, "late": {late}} {
		now, shared := time.Now(), &faults.Scratch{}
		var all []*faults.Engine
		for range 200 {
			all = append(all, sharing(t, shared, faults.HTTP, rules...))
		}
		each := func(in faults.Input) {
			for _, e := range all {
				e.Step(now, in)
			}
		}
		turn := func() {
			each(faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: request})
			now = now.Add(time.Second)
			each(faults.Input{Kind: faults.InTick})
			each(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: response})
			now = now.Add(time.Second)
			each(faults.Input{Kind: faults.InTick})
		}
		for range 10 {
			turn()
		}
		if n := testing.AllocsPerRun(100, turn); n > 0 {
			t.Errorf("%s: %v allocations for an exchange of %d sessions each", name, n, len(all))
		}
	}
}
