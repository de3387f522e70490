package faultstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// Traffic is a keep-alive session between a client that sends requests one after
// the other, or all at once, and a server that answers each it has seen whole.
// It drives an engine as a session does: it reads only what is demanded.
type Traffic struct {
	player
	Pipelined bool
	Got       [2][]byte // all bytes that came out, by direction
	Ended     bool      // any leg was ended
	r         *rand.Rand
	requests  [][]byte
	answers   [][]byte
	next      int // request to be sent
	seen      int // requests the server has answered
}

// NewTraffic makes a session with n exchanges to come, of mixed framing.
func NewTraffic(plan *faults.Plan, session uint64, cut Cut, seed uint64, n int) *Traffic {
	return newTraffic(plan, session, cut, seed, n, 4096)
}

func newTraffic(plan *faults.Plan, session uint64, cut Cut, seed uint64, n, held int) *Traffic {
	r := rand.New(rand.NewPCG(seed, 7))
	t := &Traffic{player: player{cut: cut, now: time.Unix(1_700_000_000, 0), plan: plan}}
	t.r = r
	t.More(n)
	t.e = faults.NewEngine(t.now, faults.Options{Route: "web", Session: session, Protocol: faults.HTTP, Plan: plan,
		Client: netip.MustParseAddrPort("127.0.0.1:50000"), Held: held})
	t.step(faults.Input{Kind: faults.InOpen})
	return t
}

// More adds n exchanges to come.
func (t *Traffic) More(n int) {
	for range n {
		t.requests = append(t.requests, fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: a\r\nX: %d\r\n\r\n", len(t.requests), t.r.IntN(1000)))
		body := bytes.Repeat([]byte{'a' + byte(len(t.requests)%26)}, t.r.IntN(40)+1)
		var a []byte
		switch t.r.IntN(4) {
		case 0:
			a = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: test\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		case 1:
			a = fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n3\r\nend\r\n0\r\nT: v\r\n\r\n", len(body), body)
		case 2:
			a = []byte("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 1\r\n\r\n.")
		default:
			a = []byte("HTTP/1.1 204 No Content\r\nServer: test\r\nDate: now\r\n\r\n")
		}
		t.answers = append(t.answers, a)
	}
}

// Engine is the engine at work.
func (t *Traffic) Engine() *faults.Engine { return t.e }

// Swap changes the plan under the session.
func (t *Traffic) Swap(plan *faults.Plan) {
	t.plan = plan
	t.step(faults.Input{Kind: faults.InSwap, Plan: plan})
	t.collect()
}

// Pass lets time go by.
func (t *Traffic) Pass(d time.Duration) {
	t.pass(d)
	t.collect()
}

// Turn lets each peer do what it can once; false if neither had anything to do.
func (t *Traffic) Turn() bool {
	t.collect()
	did := false
	for t.next < len(t.requests) && (t.Pipelined || t.next == t.replies()) {
		t.in[wire.Upstream].bytes = append(t.in[wire.Upstream].bytes, t.requests[t.next]...)
		t.next++
		did = true
		if !t.Pipelined {
			break
		}
	}
	for n := bytes.Count(t.Got[wire.Upstream], []byte("\r\n\r\n")); t.seen < n && t.seen < len(t.answers); t.seen++ {
		t.in[wire.Downstream].bytes = append(t.in[wire.Downstream].bytes, t.answers[t.seen]...)
		did = true
	}
	t.read()
	t.collect()
	return did
}

// Probe has the client send one more request and the server answer it, whatever
// became of those before, and says if either did not arrive as it was sent.
func (t *Traffic) Probe() error {
	for _, d := range []wire.Direction{wire.Upstream, wire.Downstream} {
		sent := []byte("GET /probe HTTP/1.1\r\nContent-Length: 2\r\n\r\n::")
		if d == wire.Downstream {
			sent = []byte("HTTP/1.1 200 Probe\r\nContent-Length: 2\r\n\r\n::")
		}
		t.in[d].bytes = append(t.in[d].bytes, sent...)
		t.read()
		t.collect()
		if !bytes.HasSuffix(t.Got[d], sent) {
			return fmt.Errorf("%v: sent %q, and what arrived ends in %q", d, sent, t.Got[d][max(0, len(t.Got[d])-2*len(sent)):])
		}
	}
	return nil
}

// replies is how many final responses the server has said.
func (t *Traffic) replies() int { return t.seen }

func (t *Traffic) collect() {
	for d := range t.out {
		t.Got[d] = append(t.Got[d], t.out[d]...)
		t.out[d] = nil
		if len(t.ends[d]) > 0 {
			t.Ended = true
		}
	}
}

// Run goes on until nothing more happens.
func (t *Traffic) Run() {
	for i := 0; i < 10_000 && t.Turn(); i++ {
	}
}

// Want is what each side should have got of a session nobody touched.
func (t *Traffic) Want(d wire.Direction) []byte {
	if d == wire.Upstream {
		return bytes.Join(t.requests, nil)
	}
	return bytes.Join(t.answers, nil)
}
