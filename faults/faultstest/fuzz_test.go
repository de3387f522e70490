package faultstest

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
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
		p := fuzzed(t, faults.Auto, nil, up, down, seed)
		if got := p.out; !bytes.Equal(got[wire.Upstream], up) || !bytes.Equal(got[wire.Downstream], down) {
			t.Fatalf("up %q -> %q, down %q -> %q", up, got[wire.Upstream], down, got[wire.Downstream])
		}
		if a, b := p.e.HeldBytes(); a+b > 0 {
			t.Fatalf("%d bytes are held", a+b)
		}
	})
}

// FuzzAnyPlan: any two faults of the catalogue, at any place, against any bytes: no
// panic, and what is held stays within its bound; disarmed, nothing is.
func FuzzAnyPlan(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), uint64(1), uint8(0), uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), uint64(1), uint8(9), uint8(5))
	f.Add([]byte("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 OK\r\n\r\n"), uint64(6), uint8(20), uint8(33))
	f.Fuzz(func(t *testing.T, up, down []byte, seed uint64, a, b uint8) {
		p := fuzzed(t, faults.Auto, anyRules(seed, a, b), up, down, seed)
		if x, y := p.e.HeldBytes(); x > 4096+len(down) || y > 4096+len(up) {
			t.Fatalf("%d and %d bytes are held of %d and %d", x, y, len(down), len(up))
		}
		off, err := faults.Compile(p.plan, seed, "web", faults.Auto, nil)
		if err != nil {
			t.Fatal(err)
		}
		p.step(faults.Input{Kind: faults.InSwap, Plan: off})
		if x, y := p.e.HeldBytes(); x+y > 0 {
			t.Fatalf("disarmed, %d and %d bytes are held", x, y)
		}
	})
}

// FuzzUnmatched: the same rules for other traffic: any bytes come out as they went in.
func FuzzUnmatched(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), uint64(1), uint8(0), uint8(3))
	f.Add([]byte("GET /a HTTP/1.1\r\nA: b\r\n c\r\n\r\n\r\nGET /b HTTP/1.0\n\n"), []byte("HTTP/1.1 103 E\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: v\r\n\r\n"), uint64(2), uint8(9), uint8(5))
	f.Fuzz(func(t *testing.T, up, down []byte, seed uint64, a, b uint8) {
		if bytes.Contains(up, []byte("/elsewhere")) {
			return
		}
		rules := anyRules(seed, a, b)
		for i := range rules {
			rules[i] = elsewhere(rules[i])
		}
		p := fuzzed(t, faults.Auto, rules, up, down, seed)
		if !bytes.Equal(p.out[wire.Upstream], up) || !bytes.Equal(p.out[wire.Downstream], down) {
			t.Fatalf("%+v: up %q -> %q, down %q -> %q", rules, up, p.out[wire.Upstream], down, p.out[wire.Downstream])
		}
	})
}

// FuzzPlain: where nothing is armed heads are not taken apart, and where a rule is they
// are, be it for other sessions: what goes out and what is told are the same.
func FuzzPlain(f *testing.F) {
	for i, c := range [][2]string{
		{"GET /a HTTP/1.1\r\nHost: b\r\n\r\nHEAD /c HTTP/1.1\nConnection: close\n\nPOST /d HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi",
			"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200\r\nContent-Length: 5\r\n\r\nHTTP/1.1 404 No\r\n\r\nrest"},
		{"GET / HTTP/1.1\r\nUpgrade: x\r\n\r\nx", "HTTP/1.1 101 Up\r\n\r\ny"},
		{"CONNECT a:1 HTTP/1.1\r\n\r\nx", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ny"},
		{"POST / HTTP/1.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nGET /e HTTP/1.1\r\n\r\n",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nA: b\r\n\r\nHTTP/1.1 204 N\r\n\r\n"},
		{"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n"},
		{"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n\r\n\nGET / HTTP/1.1\r\n\r\n", "HTTP/1.1 304 N\r\nContent-Length: 7\r\n\r\nHTTP/1.1 103 E\r\n\r\nHTTP/1.0 200 OK\r\n\r\n"},
		{"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 nobody asked\r\n\r\n"},
	} {
		f.Add([]byte(c[0]), []byte(c[1]), uint64(2*i))
		f.Add([]byte(c[0]), []byte(c[1]), uint64(2*i+1))
	}
	var rules []faults.Rule
	for _, way := range []string{"upstream", "downstream"} {
		rules = append(rules, faults.Rule{Name: way, Fault: "truncate", Match: faults.Match{Direction: way, Session: "2-"}, Armed: true})
	}
	f.Fuzz(func(t *testing.T, up, down []byte, seed uint64) {
		plain := fuzzed(t, faults.HTTP, nil, up, down, seed)
		apart := fuzzed(t, faults.HTTP, rules, up, down, seed)
		for d := range plain.out {
			if !bytes.Equal(plain.out[d], apart.out[d]) || !slices.Equal(plain.ends[d], apart.ends[d]) {
				t.Fatalf("%q %v, apart %q %v", plain.out[d], plain.ends[d], apart.out[d], apart.ends[d])
			}
		}
		if !slices.Equal(plain.told, apart.told) {
			t.Fatalf("told\n%s\napart\n%s", strings.Join(plain.told, "\n"), strings.Join(apart.told, "\n"))
		}
	})
}

var catalogue = sync.OnceValue(faults.Catalogue) // made once: it takes longer than a run

// anyRules are the a-th and the b-th fault of the catalogue with the parameters of
// one of their examples, and in two of three cases at another place.
func anyRules(seed uint64, a, b uint8) (rules []faults.Rule) {
	places := []string{"", "now", "byte:7", "next:3", "after:1s", "idle:500ms", "start", "message:9", "start_line", "field:1", "field:host", "field_name:2", "head_end",
		"head", "body:1", "body:-1", "body:50%", "chunk:1", "chunk_size:1", "chunk_data:1", "last_chunk", "end"}
	all := catalogue()
	for i, n := range []uint8{a, b} {
		fault := all[int(n)%len(all)]
		raw := fmt.Appendf(nil, `{"name":"r%d","fault":%q}`, i, fault.Name)
		if n := len(fault.Examples); n > 0 {
			ex := fault.Examples[int(seed%uint64(n))]
			raw = fmt.Appendf(nil, `{"name":"r%d","fault":%q,"params":%s,"match":%s}`, i, fault.Name, orEmpty(ex.Params), orEmpty(ex.Match))
		}
		rule, err := faults.DecodeRule(raw, "")
		if err != nil {
			continue // a fault without examples may need parameters
		}
		moved := rule
		moved.Params = maps.Clone(rule.Params)
		if place := places[seed/7%uint64(len(places))]; place != "" && seed%3 > 0 && moved.Params != nil {
			moved.Params["at"] = place
			if moved.Check("") == nil { // else it has no place, or cannot have this one
				rule = moved
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

func fuzzed(t *testing.T, protocol faults.Protocol, rules []faults.Rule, up, down []byte, seed uint64) *player {
	plan, err := faults.Compile(nil, seed, "web", protocol, rules)
	if err != nil {
		t.Fatalf("%+v: %v", rules, err)
	}
	p := &player{cut: Random(seed), now: time.Unix(0, 0), plan: plan, others: int(seed % 4)}
	switch {
	case seed%5 == 4:
		p.cut = Whole
	case seed%2 == 1:
		p.cut = Spliced(seed)
	}
	p.e = faults.NewEngine(p.now, faults.Options{Route: "web", Session: 1, Protocol: protocol, Plan: plan, Held: 4096, Packets: true, Census: p})
	p.step(faults.Input{Kind: faults.InOpen})
	p.in[wire.Upstream].bytes = append([]byte(nil), up...)
	p.in[wire.Downstream].bytes = append([]byte(nil), down...)
	p.read()
	p.pass(2 * time.Second)
	p.in[wire.Upstream].fin, p.in[wire.Downstream].fin = true, true
	p.read()
	p.pass(time.Hour)
	return p
}
