package faultstest

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// The beginning of a message that is held for a rule counts as held until it goes on:
// whole, disarmed, or when its time is up. However little may be held, it is read on.
func TestHeldHeadCounts(t *testing.T) {
	const start, rest = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Le", "ngth: 2\r\n\r\nhi"
	status := faults.Rule{Name: "status", Fault: "cut", Params: map[string]any{"at": "body:1"}, Match: faults.Match{Status: "200"}}
	whole := faults.Rule{Name: "whole", Fault: "content_length", Params: map[string]any{"mode": "add", "value": "10"}}
	lines := faults.Rule{Name: "lines", Fault: "field", Params: map[string]any{"name": "server", "mode": "remove"}}
	for _, c := range []struct {
		name string
		rule faults.Rule
		come string // of start
		held int    // of it
		goes bool   // through with the message it has begun on, disarmed or not
	}{
		{"a status line that is not whole", status, start[:12], 12, false},
		{"a status line that is", status, start[:17], 0, false},
		{"a head that is not", whole, start, len(start), false},
		{"a line that is not", lines, start, len("Content-Le"), true},
	} {
		for _, end := range []string{"whole", "disarmed", "too late"} {
			t.Run(c.name+", "+end, func(t *testing.T) {
				c.rule.Armed = true
				now := time.Unix(0, 0)
				e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Held: 4, Plan: compile(t, nil, c.rule)})
				e.Step(now, faults.Input{Kind: faults.InOpen})
				e.Step(now, faults.Input{Kind: faults.InDialed})
				e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: []byte("GET / HTTP/1.1\r\n\r\n")})
				for i := range c.come {
					e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: []byte(c.come[i : i+1])})
				}
				if down, up := e.HeldBytes(); down != c.held || up != 0 {
					t.Errorf("%d and %d bytes are held, want %d and 0", down, up, c.held)
				}
				if mode := e.Demand(wire.Downstream).Mode; mode != faults.Read {
					t.Errorf("the server is not read on: %v", mode)
				}
				switch end {
				case "whole":
					e.Step(now, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: []byte(start[len(c.come):] + rest)})
				case "disarmed":
					e.Step(now, faults.Input{Kind: faults.InSwap, Plan: compile(t, nil)})
				case "too late":
					e.Step(now.Add(time.Second), faults.Input{Kind: faults.InTick})
				}
				want := 0
				if end == "disarmed" && c.goes {
					want = c.held
				}
				if down, up := e.HeldBytes(); down != want || up != 0 {
					t.Errorf("then %d and %d bytes are held, want %d and 0", down, up, want)
				}
			})
		}
	}
}
