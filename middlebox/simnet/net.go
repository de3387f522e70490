package simnet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// Options are the sizes and the whims of a world. They are parameters because
// bugs sit at the thresholds: with buffers as large as Linux's nothing is ever
// full. Zero means the default; for a "one in", below zero means never.
type Options struct {
	Start time.Time // the clock at first; default 2000-01-01 UTC

	Sockets int // numbers the loops have in all, listeners included; default 64
	Backlog int // connections that may wait to be accepted at an address; default 8

	// Send and receive buffers take BufferMin to BufferMax bytes (default 1 to
	// 300), drawn for each; one in HugeOneIn (default 4) takes a MiB.
	BufferMin, BufferMax int
	HugeOneIn            int

	Pipes                    int // there are so many; default 2, below zero none
	PipeSizeMin, PipeSizeMax int // bytes each takes; default 1 to 300

	LateOneIn     int // an event is withheld until a later Wait; default 4
	SpuriousOneIn int // a Wait reports a socket without reason; default 8

	RefuseOneIn  int           // the loop's connects that are refused; default never
	ConnectDelay time.Duration // a connect takes up to this long; default 0

	// ErrorOnce makes Read forget what Write or Drain was told: after a failed
	// Write a reset input ends in EOF, as the bare system call has it. This is
	// harsher than sys.Kernel promises.
	ErrorOnce bool

	// Park is for loops in goroutines of their own: Wait blocks until Turn.
	Park bool
}

const huge = 1 << 20

func (o Options) withDefaults() Options {
	def := func(field *int, value int) {
		if *field == 0 {
			*field = value
		}
	}
	if o.Start.IsZero() {
		o.Start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	def(&o.Sockets, 64)
	def(&o.Backlog, 8)
	def(&o.BufferMin, 1)
	def(&o.BufferMax, max(300, o.BufferMin))
	def(&o.HugeOneIn, 4)
	def(&o.Pipes, 2)
	def(&o.PipeSizeMin, 1)
	def(&o.PipeSizeMax, max(300, o.PipeSizeMin))
	def(&o.LateOneIn, 4)
	def(&o.SpuriousOneIn, 8)
	def(&o.RefuseOneIn, -1)
	return o
}

// Net is a simulated world. Its methods and those of its peers are for the
// driver; they may be called while parked loops run, but what happens is
// repeatable only if they are not.
type Net struct {
	mu  sync.Mutex
	opt Options
	rng *rand.Rand
	now time.Time

	kernels   []*Kernel
	table     []*socket // by number; nil: free
	free      []int     // numbers to give out, the last one first
	pipes     []*pipe
	listeners []*listener
	attempts  []*attempt // connects under way, in the order they were made
	wires     []*end     // one end of each connection that may still carry something
	nextPort  uint16
	nextHost  uint32
}

// New gives an empty world. Same seed, same calls: same world.
func New(seed uint64, o Options) *Net {
	o = o.withDefaults()
	n := &Net{opt: o, rng: rand.New(rand.NewPCG(seed, 0x6372696d70)), now: o.Start, nextPort: 40000}
	n.table = make([]*socket, o.Sockets)
	for i := o.Sockets - 1; i >= 0; i-- {
		n.free = append(n.free, i)
	}
	for range o.Pipes {
		n.pipes = append(n.pipes, &pipe{size: n.between(o.PipeSizeMin, o.PipeSizeMax)})
	}
	return n
}

// Rand is the world's own source of randomness, for the driver to draw from too.
func (n *Net) Rand() *rand.Rand { return n.rng }

// Now is the world's clock.
func (n *Net) Now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// AdvanceTo moves the clock, never back.
func (n *Net) AdvanceTo(t time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if t.After(n.now) {
		n.now = t
	}
}

// Advance moves the clock by d.
func (n *Net) Advance(d time.Duration) { n.AdvanceTo(n.Now().Add(d)) }

// Step lets the network do one thing, drawn from all it could do now: a
// connect arrives, some bytes, a FIN, a RST. False: there is nothing.
func (n *Net) Step() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	acts := n.possible()
	if len(acts) == 0 {
		return false
	}
	acts[n.rng.IntN(len(acts))].run(n)
	return true
}

// Flow steps until the network has nothing to do.
func (n *Net) Flow() {
	for n.Step() {
	}
}

// Quiet says that nothing moves at this instant unless a peer acts: the network
// has nothing to do, no event waits to be reported, and every loop would sleep:
// its last Wait gave nothing, was not one of 0, and is not over.
func (n *Net) Quiet() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.possible()) > 0 {
		return false
	}
	for _, k := range n.kernels {
		if k.pending() {
			return false
		}
	}
	return true
}

// Next is when, at the latest, something happens by itself: a connect arrives
// or a loop's sleep ends. False: never.
func (n *Net) Next() (time.Time, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var next time.Time
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, a := range n.attempts {
		if a.due.After(n.now) {
			earlier(a.due)
		}
	}
	for _, k := range n.kernels {
		if k.timed && !k.freed {
			earlier(k.deadline)
		}
	}
	return next, !next.IsZero()
}

// Leaks names what the loops have not given back: sockets not closed, pipes not returned.
func (n *Net) Leaks() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var leaks []string
	for _, s := range n.table {
		if s != nil && !s.buried {
			leaks = append(leaks, fmt.Sprintf("socket %d (%s) is open", s.num, s.what()))
		}
	}
	for i, p := range n.pipes {
		if p.lent {
			leaks = append(leaks, fmt.Sprintf("pipe %d is lent, %d bytes in it", i, p.data.Len()))
		}
	}
	return leaks
}

// act is one thing the network could do.
type act struct {
	e *end     // something arrives from this end, or
	a *attempt // a connect arrives
}

func (x act) run(n *Net) {
	if x.a != nil {
		n.arrive(x.a)
	} else {
		n.transmit(x.e)
	}
}

// possible lists what the network could do now, in an order that depends on
// nothing but the past, and forgets connections that are over.
func (n *Net) possible() []act {
	var acts []act
	for _, a := range n.attempts {
		if !a.due.After(n.now) && n.answerable(a) {
			acts = append(acts, act{a: a})
		}
	}
	live := n.wires[:0]
	for _, e := range n.wires {
		before := len(acts)
		for _, side := range [2]*end{e, e.other} {
			if side.canTransmit() {
				acts = append(acts, act{e: side})
			}
		}
		if len(acts) > before || !e.closed || !e.other.closed {
			live = append(live, e)
		}
	}
	clear(n.wires[len(live):])
	n.wires = live
	return acts
}

// oneIn draws: true once in x times on average.
func (n *Net) oneIn(x int) bool { return x > 0 && n.rng.IntN(x) == 0 }

// between draws a number from low to high.
func (n *Net) between(low, high int) int {
	if high <= low {
		return low
	}
	return low + n.rng.IntN(high-low+1)
}

// some draws how much of most happens at once: often all, often little.
func (n *Net) some(most int) int {
	switch n.rng.IntN(3) {
	case 0:
		return most
	case 1:
		return n.between(1, min(most, 3))
	}
	return n.between(1, most)
}

// buffer draws the size of a buffer.
func (n *Net) buffer() int {
	if n.oneIn(n.opt.HugeOneIn) {
		return huge
	}
	return n.between(n.opt.BufferMin, n.opt.BufferMax)
}

// port gives a fresh port.
func (n *Net) port() uint16 {
	n.nextPort++
	return n.nextPort
}

// clientAddr gives a fresh address for a client.
func (n *Net) clientAddr() netip.AddrPort {
	n.nextHost++
	h := n.nextHost
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(h >> 16), byte(h >> 8), byte(h)}), n.port())
}
