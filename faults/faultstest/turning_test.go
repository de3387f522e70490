package faultstest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestProxyUnderEveryRule: whatever is armed and disarmed on a proxy that turns
// between servers, of which some cannot be had: it does not panic, does not spin,
// dials only when it may, and ends both legs when both peers have left.
func TestProxyUnderEveryRule(t *testing.T) {
	for _, rule := range append(everyRule(t), faults.Rule{Fault: "latency", Params: map[string]any{"delay": "1ms"}, Match: faults.Match{Direction: "both"}},
		faults.Rule{Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}}) {
		for seed := range uint64(12) {
			rule.Name, rule.Armed = "r", true
			p := newTurning(t, rule, seed)
			for range 30 {
				p.something()
				p.read()
				p.dials()
			}
			p.end()
		}
	}
}

// turning is a proxy in the hands of chance.
type turning struct {
	*player
	t        *testing.T
	r        *rand.Rand
	what     string // which one it is
	dialling bool
	up       bool // there is a server
}

func newTurning(t *testing.T, rule faults.Rule, seed uint64) *turning {
	p := &turning{player: &player{cut: Random(seed), rules: []faults.Rule{rule}, proxy: true, now: time.Unix(0, 0)},
		t: t, r: rand.New(rand.NewPCG(seed, 7)), what: fmt.Sprintf("%v, seed %d", rule.Describe(), seed)}
	if seed%3 == 0 {
		p.cut = Spliced(seed)
	}
	plan, err := p.compile(true)
	if err != nil {
		t.Fatal(err)
	}
	p.e = faults.NewEngine(p.now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: plan, Held: 4096, OnDialError: "502", Proxying: faults.ToOrigin})
	p.step(faults.Input{Kind: faults.InOpen})
	return p
}

func (p *turning) fatal(why string) {
	p.t.Helper()
	p.t.Fatalf("%s: %s\n%s", p.what, why, p.transcript())
}

// Chance takes the first of them most often.
var (
	turningRequests = []string{
		"GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://b?2 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"POST http://a/3 HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "HEAD http://b/4 HTTP/1.1\r\nProxy-Connection: close\r\n\r\n", "\r\n",
		"POST http://b/5 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "CONNECT c:1 HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "\x16",
	}
	turningAnswers = []string{
		"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.1 101 Up\r\n\r\n",
	}
)

// something is said by a peer, armed or disarmed, or time goes by.
func (p *turning) something() {
	r := p.r
	switch n := r.IntN(10); {
	case n < 4:
		asked := turningRequests[min(r.IntN(12), r.IntN(12))%len(turningRequests)]
		p.in[wire.Upstream].bytes = append(p.in[wire.Upstream].bytes, asked...)
	case n < 8 && p.up:
		in := &p.in[wire.Downstream]
		in.bytes = append(in.bytes, turningAnswers[min(r.IntN(7), r.IntN(7))]...)
		if r.IntN(6) == 0 {
			in.fin, p.up = true, false
		}
	case n == 8 && r.IntN(3) == 0:
		p.swap(r.IntN(2) == 0)
	default:
		p.pass(time.Duration(r.IntN(300)) * time.Millisecond)
	}
}

func (p *turning) swap(armed bool) {
	plan, err := p.compile(armed)
	if err != nil {
		p.t.Fatal(err)
	}
	p.step(faults.Input{Kind: faults.InSwap, Plan: plan})
}

// dials looks whom the proxy has dialled or left, and answers when it likes.
func (p *turning) dials() {
	for ; len(p.ends[wire.Upstream]) > 0; p.ends[wire.Upstream] = p.ends[wire.Upstream][1:] {
		switch end := p.ends[wire.Upstream][0]; {
		case end == "PART" && p.dialling:
			p.fatal("parted from nobody")
		case end == "PART":
			p.up = false
		case strings.HasPrefix(end, "DIAL"):
			if p.dialling {
				p.fatal("dialled while dialling")
			}
			p.dialling, p.up = true, false
			p.in[wire.Downstream] = unread{}
		}
	}
	if !p.dialling || p.r.IntN(2) > 0 {
		return
	}
	p.dialling = false
	if p.up = p.r.IntN(8) > 0; p.up {
		p.input(wire.Downstream, "UP")
	} else {
		p.input(wire.Downstream, "DOWN")
	}
}

// end disarms, has both peers leave, and waits until it is over.
func (p *turning) end() {
	p.swap(false)
	p.in[wire.Upstream].fin = true
	for range 20 {
		p.in[wire.Downstream].fin = p.up
		p.read()
		p.dials()
		p.pass(time.Hour)
	}
	if due := p.e.Deadline(); !due.IsZero() && !due.After(p.now) {
		p.fatal("spins")
	}
	if !p.e.Over() {
		p.fatal("not over")
	}
}
