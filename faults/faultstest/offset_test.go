package faultstest

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestOffset: every byte that came counts, held, dropped or unseen ones too.
func TestOffset(t *testing.T) {
	const request, head = "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
	type in struct {
		d    wire.Direction
		data string
		skip int64
	}
	up, down := wire.Upstream, wire.Downstream
	for _, c := range []struct {
		name     string
		protocol faults.Protocol
		proxying faults.Proxying
		rules    []faults.Rule
		ins      []in
	}{
		{"tcp", faults.TCP, faults.Forward, nil, []in{{up, "ab", 0}, {down, "c", 0}, {down, "", 1 << 20}}},
		{"http, a body unseen", faults.HTTP, faults.Forward, nil, []in{{up, request, 0}, {down, head, 0}, {down, "", 4}, {down, "efghi", 0}}},
		{"auto that is tcp", faults.Auto, faults.Forward, nil, []in{{down, "220 hello\r\n", 0}, {up, "quit", 0}}},
		{"a head that is held", faults.HTTP, faults.Forward, []faults.Rule{{Name: "s", Fault: "stall", Match: faults.Match{Status: "5xx"}, Armed: true}},
			[]in{{up, request, 0}, {down, head[:10], 0}, {down, head[10:], 0}}},
		{"what comes behind a cut", faults.HTTP, faults.Forward, []faults.Rule{{Name: "c", Fault: "cut", Params: map[string]any{"at": "byte:3"}, Armed: true}},
			[]in{{up, request, 0}, {down, head, 0}, {down, "abc", 0}}},
		{"a request line that a proxy waits for", faults.HTTP, faults.ToOrigin, nil, []in{{up, "\r\nGET http://a", 0}, {up, "/ HTTP/1.1\r\n\r\n", 0}}},
	} {
		plan, err := faults.Compile(nil, 1, "web", c.protocol, c.rules)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Unix(1_800_000_000, 0)
		e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: c.protocol, Proxying: c.proxying, Plan: plan})
		e.Step(now, faults.Input{Kind: faults.InOpen})
		if c.proxying == faults.Forward {
			e.Step(now, faults.Input{Kind: faults.InDialed})
		}
		var want [2]int64
		for i, in := range c.ins {
			if in.data != "" {
				e.Step(now, faults.Input{Kind: faults.InBytes, Dir: in.d, Data: []byte(in.data)})
			} else {
				e.Step(now, faults.Input{Kind: faults.InSkipped, Dir: in.d, N: in.skip})
			}
			want[in.d] += int64(len(in.data)) + in.skip
			if got := [2]int64{e.Offset(down), e.Offset(up)}; got != want {
				t.Errorf("%s: after %d inputs it is at %d, expected %d", c.name, i+1, got, want)
			}
		}
	}
}
