package middlebox

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/middlebox/sys"
)

// Whether the simulation would notice. Each plant is a bug of a kind that relays
// have: in what the box asks of its kernel, in what the loop does between turns, or
// in what a rule comes to. The simulation must find every one of them within so
// many worlds, or it has gone blind.
type plant struct {
	name   string
	within int    // worlds
	says   string // what the failure tells; empty: whatever
	kernel func(w *world, k *spy) sys.Kernel
	after  func(w *world) // a turn
	rule   func(faults.Rule) faults.Rule
	swap   bool // sessions go on under the plan they had
}

var plants = []plant{
	{name: "a FIN overtakes the last byte", within: 300, kernel: func(w *world, k *spy) sys.Kernel { return &overtaken{spy: k} }},
	{name: "a pending byte is lost", within: 100, kernel: func(w *world, k *spy) sys.Kernel { return &miscounting{k, +1} }},
	{name: "a byte is doubled after a short write", within: 100, kernel: func(w *world, k *spy) sys.Kernel { return &miscounting{k, -1} }},
	{name: "two bytes change places", within: 100, kernel: func(w *world, k *spy) sys.Kernel { return &swapping{k} }},
	{name: "a reset is taken for a FIN", within: 500, kernel: func(w *world, k *spy) sys.Kernel { return &confused{spy: k, from: sys.Reset, to: sys.EOF} }},
	{name: "a FIN is taken for a reset", within: 100, kernel: func(w *world, k *spy) sys.Kernel { return &confused{spy: k, from: sys.EOF, to: sys.Reset} }},
	{name: "a reset goes out as a FIN", within: 500, kernel: func(w *world, k *spy) sys.Kernel { return &polite{k} }},
	{name: "a connection is closed with data unacknowledged", within: 2000, kernel: func(w *world, k *spy) sys.Kernel { return &hasty{k} }},
	{name: "a FIN is never said", within: 300, kernel: func(w *world, k *spy) sys.Kernel { return &silent{spy: k} }},
	{name: "an edge gets lost", within: 300, kernel: func(w *world, k *spy) sys.Kernel { return &dozing{spy: k} }},
	{name: "a socket is not closed", within: 300, kernel: func(w *world, k *spy) sys.Kernel { return &leaking{spy: k} }},
	{name: "a full table is not tried again", within: 2000, kernel: func(w *world, k *spy) sys.Kernel { return &resigned{k} }},
	{name: "a byte is lost on its way out of a pipe", within: 300, kernel: func(w *world, k *spy) sys.Kernel { return &leaky{k} }},
	{name: "what is taken back out of a pipe is lost", within: 3000, kernel: func(w *world, k *spy) sys.Kernel { return &forgetful{k} }},
	{name: "a session's step panics", within: 100, says: "planted", kernel: func(w *world, k *spy) sys.Kernel { return &bursting{spy: k} }},
	{name: "the clock is fast", within: 2000, kernel: func(w *world, k *spy) sys.Kernel { return &fast{k} }},
	{name: "what waits for one peer goes to another", within: 1000, after: mixUp},
	{name: "what waits is forgotten when a rule goes", within: 2000, after: forgetHeld},
	{name: "sessions go on under the plan they had", within: 1000, swap: true},
	{name: "a cut is a byte late", within: 1000, rule: late("byte:10", "byte:11")},
	{name: "a cut in a message is a byte late", within: 3000, rule: late("head", "body:1")},
	{name: "a latency is a little short", within: 1000, rule: short},
	{name: "a cut says FIN for RST", within: 1000, rule: mild},
	{name: "a gate is not asked", within: 2000, rule: func(r faults.Rule) faults.Rule { r.Gate = faults.Gate{}; return r }},
}

// TestSimulationFinds: the simulation sees planted bugs.
func TestSimulationFinds(t *testing.T) {
	for i := range plants {
		p := &plants[i]
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= uint64(p.within); seed++ {
				if _, err := simulate(seed, p, false); err != nil {
					if !strings.Contains(err.Error(), p.says) {
						t.Errorf("in world %d: expected %q in %v", seed, p.says, err)
					}
					t.Logf("found in world %d: %.200v", seed, err)
					return
				}
			}
			t.Errorf("not found in %d worlds", p.within)
		})
	}
}

// overtaken keeps back the last byte of a write until the next call: a FIN
// passes it, and behind a FIN nothing can be said.
type overtaken struct {
	*spy
	sock sys.Socket
	last []byte
}

func (k *overtaken) Write(s sys.Socket, b []byte) (int, sys.Outcome) {
	k.flush()
	if len(b) < 2 {
		return k.spy.Write(s, b)
	}
	n, out := k.spy.Write(s, b[:len(b)-1])
	if out == sys.OK && n == len(b)-1 {
		k.sock, k.last = s, append([]byte(nil), b[n:]...)
		n++
	}
	return n, out
}

func (k *overtaken) ShutdownWrite(s sys.Socket) { k.spy.ShutdownWrite(s); k.flush() }
func (k *overtaken) Wait(d time.Duration, ev []sys.Event) int {
	k.flush()
	return k.spy.Wait(d, ev)
}
func (k *overtaken) Close(s sys.Socket) { k.flush(); k.spy.Close(s) }
func (k *overtaken) Reset(s sys.Socket) { k.flush(); k.spy.Reset(s) }

func (k *overtaken) flush() {
	if last := k.last; last != nil {
		k.last = nil
		k.spy.Write(k.sock, last)
	}
}

// miscounting is wrong by one about how much of a short write was taken.
type miscounting struct {
	*spy
	by int
}

func (k *miscounting) Write(s sys.Socket, b []byte) (int, sys.Outcome) {
	n, out := k.spy.Write(s, b)
	if n > 0 && n < len(b) {
		n += k.by
	}
	return n, out
}

// swapping changes the places of two bytes at the border of a read.
type swapping struct{ *spy }

func (k *swapping) Read(s sys.Socket, b []byte) (int, sys.Outcome) {
	n, out := k.spy.Read(s, b)
	if n > 1 && n == len(b) {
		b[n-1], b[n-2] = b[n-2], b[n-1]
	}
	return n, out
}

// confused takes one end of a connection for another.
type confused struct {
	*spy
	from, to sys.Outcome
}

func (k *confused) Read(s sys.Socket, b []byte) (int, sys.Outcome) {
	n, out := k.spy.Read(s, b)
	if out == k.from {
		out = k.to
	}
	return n, out
}

// polite never resets.
type polite struct{ *spy }

func (k *polite) Reset(s sys.Socket) { k.spy.Close(s) }

// hasty believes that everything is acknowledged.
type hasty struct{ *spy }

func (k *hasty) Unacked(sys.Socket) int { return 0 }

// silent forgets every third FIN.
type silent struct {
	*spy
	n int
}

func (k *silent) ShutdownWrite(s sys.Socket) {
	if k.n++; k.n%3 != 0 {
		k.spy.ShutdownWrite(s)
	}
}

// dozing misses an event now and then.
type dozing struct {
	*spy
	n int
}

func (k *dozing) Wait(d time.Duration, ev []sys.Event) int {
	n := k.spy.Wait(d, ev)
	if k.n += n; n > 0 && k.n%10 == 0 {
		n--
	}
	return n
}

// leaking does not close every fifth socket.
type leaking struct {
	*spy
	n int
}

func (k *leaking) Close(s sys.Socket) {
	if k.n++; k.n%5 != 0 {
		k.spy.Close(s)
	}
}

// resigned says that nobody waits where there is no number for another connection.
type resigned struct{ *spy }

func (k *resigned) Accept(l sys.Socket) (sys.Socket, netip.AddrPort, sys.Outcome) {
	s, peer, out := k.spy.Accept(l)
	if out == sys.Full {
		out = sys.Again
	}
	return s, peer, out
}

// leaky says that a pipe gave a byte more than it did, where it gave some.
type leaky struct{ *spy }

func (k *leaky) Drain(p sys.Pipe, to sys.Socket, n int) (int, sys.Outcome) {
	if n < 2 {
		return k.spy.Drain(p, to, n)
	}
	m, out := k.spy.Drain(p, to, n-1)
	var b [1]byte
	if m == n-1 {
		m += k.Kernel.Recall(p, b[:])
	}
	return m, out
}

// forgetful takes bytes back out of a pipe and hands over zeroes.
type forgetful struct{ *spy }

func (k *forgetful) Recall(p sys.Pipe, b []byte) int {
	n := k.spy.Recall(p, b)
	clear(b[:n])
	return n
}

// bursting panics where a session reads for the third time.
type bursting struct {
	*spy
	n int
}

func (k *bursting) Read(s sys.Socket, b []byte) (int, sys.Outcome) {
	if k.n++; k.n == 3 {
		panic("planted")
	}
	return k.spy.Read(s, b)
}

// fast has a clock that is 2 ms ahead now and then.
type fast struct{ *spy }

func (k *fast) Now() time.Time {
	now := k.spy.Now()
	if k.calls%3 == 0 { // out of step with turns, which often are a read and a write
		now = now.Add(2 * time.Millisecond)
	}
	return now
}

// mixUp exchanges what waits for two peers.
func mixUp(w *world) {
	for _, l := range w.box.loops {
		var g *leg
		for _, s := range l.sessions {
			for d := range s.leg {
				switch next := &s.leg[d]; {
				case next.pending() == 0:
				case g == nil:
					g = next
				default:
					g.pend, next.pend = next.pend, g.pend
				}
			}
		}
	}
}

// forgetHeld drops a byte of what waits for a peer while no rule is armed.
func forgetHeld(w *world) {
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			for d := range s.leg {
				if g := &s.leg[d]; g.pending() > 1 && len(s.rules) > 0 {
					g.pend.bytes = g.pend.bytes[:len(g.pend.bytes)-1]
				}
			}
		}
	}
}

func late(from, to string) func(faults.Rule) faults.Rule {
	return func(r faults.Rule) faults.Rule {
		return changed(r, "cut", "at", func(at string) string {
			if at == from {
				return to
			}
			return at
		})
	}
}

func short(r faults.Rule) faults.Rule {
	return changed(r, "latency", "delay", func(d string) string { return strings.Replace(d, "20ms", "19ms", 1) })
}

func mild(r faults.Rule) faults.Rule {
	return changed(r, "cut", "end", func(end string) string { return strings.Replace(end, "rst", "fin", 1) })
}

// changed is the rule with another value of a parameter.
func changed(r faults.Rule, fault, param string, how func(string) string) faults.Rule {
	if r.Fault != fault || r.Params[param] == nil {
		return r
	}
	params := map[string]any{}
	for k, v := range r.Params {
		params[k] = v
	}
	params[param] = how(fmt.Sprint(params[param]))
	r.Params = params
	return r
}
