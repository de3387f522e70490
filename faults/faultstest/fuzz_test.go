package faultstest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// FuzzNoPlan: with nothing armed, any bytes either way, however cut, come out as
// they went in.
func FuzzNoPlan(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), uint64(1))
	f.Add([]byte("\x16\x03\x01"), []byte("SSH-2.0-x\r\n"), uint64(2))
	f.Fuzz(func(t *testing.T, up, down []byte, seed uint64) {
		e, got := fuzzed(t, nil, up, down, seed)
		if !bytes.Equal(got[wire.Upstream], up) || !bytes.Equal(got[wire.Downstream], down) {
			t.Fatalf("up %q -> %q, down %q -> %q", up, got[wire.Upstream], down, got[wire.Downstream])
		}
		if a, b := e.HeldBytes(); a+b > 0 {
			t.Fatalf("%d bytes are held", a+b)
		}
	})
}

// FuzzAnyPlan: any two faults of the catalogue against any bytes: no panic, and
// what is held stays within its bound.
func FuzzAnyPlan(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), uint64(1), uint8(0), uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), uint64(1), uint8(9), uint8(5))
	f.Fuzz(func(t *testing.T, up, down []byte, seed uint64, a, b uint8) {
		var rules []faults.Rule
		all := faults.Catalogue()
		for i, n := range []uint8{a, b} {
			fault := all[int(n)%len(all)]
			raw := fmt.Appendf(nil, `{"name":"r%d","fault":%q}`, i, fault.Name)
			if n := len(fault.Examples); n > 0 {
				ex := fault.Examples[int(seed)%n]
				raw = fmt.Appendf(nil, `{"name":"r%d","fault":%q,"params":%s,"match":%s}`, i, fault.Name, orEmpty(ex.Params), orEmpty(ex.Match))
			}
			rule, err := faults.DecodeRule(raw, "")
			if err != nil {
				continue // a fault without examples may need parameters
			}
			rules = append(rules, rule)
		}
		e, _ := fuzzed(t, rules, up, down, seed)
		if x, y := e.HeldBytes(); x > 4096+len(down) || y > 4096+len(up) {
			t.Fatalf("%d and %d bytes are held of %d and %d", x, y, len(down), len(up))
		}
	})
}

func fuzzed(t *testing.T, rules []faults.Rule, up, down []byte, seed uint64) (*faults.Engine, [2][]byte) {
	plan, err := faults.Compile(nil, seed, "web", faults.Auto, rules)
	if err != nil {
		t.Fatalf("%+v: %v", rules, err)
	}
	p := &player{cut: Random(seed), now: time.Unix(0, 0), plan: plan}
	if seed%2 == 1 {
		p.cut = Spliced(seed)
	}
	p.e = faults.NewEngine(p.now, faults.Options{Route: "web", Session: 1, Plan: plan, Held: 4096})
	p.step(faults.Input{Kind: faults.InOpen})
	p.step(faults.Input{Kind: faults.InDialed})
	p.in[wire.Upstream].bytes = append([]byte(nil), up...)
	p.in[wire.Downstream].bytes = append([]byte(nil), down...)
	p.read()
	p.pass(2 * time.Second)
	p.in[wire.Upstream].fin, p.in[wire.Downstream].fin = true, true
	p.read()
	p.pass(time.Hour)
	return p.e, p.out
}
