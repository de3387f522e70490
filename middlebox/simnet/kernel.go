package simnet

import (
	"fmt"
	"net/netip"
	"sync"
	"time"

	"crimp/middlebox/sys"
)

// Readiness, as epoll has it when watching for edges:
//
//   - Something new at a socket (bytes, a FIN, a RST, a connection, room after a
//     write was short or refused) is an edge. A Wait takes the edge and reports
//     what the socket is ready for at that moment, which may be more, or nothing:
//     then it reports nothing. Without an edge it is silent, whatever there is to read.
//   - An event may come late, and a Wait may report a socket for no reason.
//
// A number is free again at the Wait after its Close, and then is the first to
// be given out. Calls with a number that is closed, or another loop's, panic: a real
// kernel would let them hit a stranger.

// Kernel is one loop's face of the world.
type Kernel struct {
	n        *Net
	buried   []*socket
	idle     bool      // the last Wait gave nothing and would have slept
	timed    bool      // and not for ever, but
	deadline time.Time // until then
	woken    bool
	freed    bool
	why      error // why the last Connect gave no socket

	// With Options.Park.
	parked bool
	turn   bool
	moved  sync.Cond
}

var _ sys.Kernel = (*Kernel)(nil)

// socket is an entry of the table of numbers.
type socket struct {
	num     sys.Socket
	k       *Kernel // nil: released, not yet adopted
	e       *end    // a connection, or
	l       *listener
	edge    bool
	starved bool // a write was short or refused: room will be an edge
	buried  bool // closed, the number not yet free
}

func (s *socket) what() string {
	if s.l != nil {
		return fmt.Sprintf("listener %v", s.l.addr)
	}
	return fmt.Sprintf("connection %v", s.e.addr)
}

// Kernel adds a Kernel to the world.
func (n *Net) Kernel() *Kernel {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := &Kernel{n: n}
	k.moved.L = &n.mu
	n.kernels = append(n.kernels, k)
	return k
}

// Now is the world's clock.
func (k *Kernel) Now() time.Time { return k.n.Now() }

// Wait looks and, unless Options.Park is set, never sleeps: d is what the loop
// says of itself. 0: it has more to do; else it would sleep, and Net.Next says
// until when.
func (k *Kernel) Wait(d time.Duration, ev []sys.Event) int {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.bury()
	k.timed = d > 0
	k.deadline = k.n.now.Add(d)
	if k.n.opt.Park && d != 0 {
		k.park()
	}
	m := k.collect(ev)
	k.idle = m == 0 && d != 0 && !k.woken
	k.woken = false
	return m
}

func (k *Kernel) bury() {
	for _, s := range k.buried {
		k.n.table[s.num] = nil
		k.n.free = append(k.n.free, int(s.num))
	}
	k.buried = k.buried[:0]
}

// collect takes the edges, in an order drawn anew each time.
func (k *Kernel) collect(ev []sys.Event) int {
	var edged, quiet []*socket
	for _, s := range k.n.table {
		switch {
		case s == nil || s.k != k || s.buried:
		case s.edge:
			edged = append(edged, s)
		default:
			quiet = append(quiet, s)
		}
	}
	k.n.rng.Shuffle(len(edged), func(i, j int) { edged[i], edged[j] = edged[j], edged[i] })
	m := 0
	for _, s := range edged {
		if m == len(ev) {
			break
		}
		r := s.ready()
		if r != 0 && k.n.oneIn(k.n.opt.LateOneIn) {
			continue
		}
		s.report()
		if r != 0 {
			ev[m] = sys.Event{Sock: s.num, Ready: r}
			m++
		}
	}
	if m < len(ev) && len(quiet) > 0 && k.n.oneIn(k.n.opt.SpuriousOneIn) {
		s := quiet[k.n.rng.IntN(len(quiet))]
		if r := s.ready(); r != 0 {
			s.report()
			ev[m] = sys.Event{Sock: s.num, Ready: r}
			m++
		}
	}
	return m
}

// report takes the edge. Looking at a socket without room asks for an edge when there is.
func (s *socket) report() {
	s.edge = false
	s.starved = s.e != nil && s.e.state == established && !s.e.writable()
}

// ready is what a socket is ready for now.
func (s *socket) ready() (r sys.Ready) {
	set := func(f sys.Ready, is bool) {
		if is {
			r |= f
		}
	}
	if s.l != nil {
		set(sys.In, len(s.l.waiting) > 0)
		return r
	}
	e := s.e
	switch e.state {
	case connecting:
		return 0
	case refused:
		return sys.In | sys.Out | sys.Fin | sys.Err
	}
	set(sys.In, e.in.Len() > 0 || e.finIn || e.dead)
	set(sys.Out, e.shut || e.dead || e.writable())
	set(sys.Fin, e.finIn || e.dead)
	set(sys.Err, e.dead || e.shut && e.finIn)
	return r
}

// pending: the loop has a reason to turn now.
func (k *Kernel) pending() bool {
	if k.freed {
		return false
	}
	if !k.idle || k.woken || len(k.buried) > 0 || k.timed && !k.deadline.After(k.n.now) {
		return true
	}
	for _, s := range k.n.table {
		if s != nil && s.k == k && s.edge && !s.buried && s.ready() != 0 {
			return true
		}
	}
	return false
}

// Wake makes the loop's next turn due.
func (k *Kernel) Wake() {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.woken = true
	k.moved.Broadcast()
}

// Free ends the Kernel. What it has not closed stays open, for Leaks to name.
func (k *Kernel) Free() {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.bury()
	k.freed = true
	k.moved.Broadcast()
}

// own is the socket with that number; it must be open and this Kernel's.
func (k *Kernel) own(s sys.Socket) *socket {
	x := k.n.open(s)
	if x.k != k {
		panic(fmt.Sprintf("simnet: socket %d (%s) is not this kernel's", s, x.what()))
	}
	return x
}

func (n *Net) open(s sys.Socket) *socket {
	if s < 0 || int(s) >= len(n.table) || n.table[s] == nil || n.table[s].buried {
		panic(fmt.Sprintf("simnet: socket %d is not open", s))
	}
	return n.table[s]
}

// number gives out the number that became free last; nil: none left.
func (k *Kernel) number() *socket {
	last := len(k.n.free) - 1
	if last < 0 {
		return nil
	}
	s := &socket{num: sys.Socket(k.n.free[last]), k: k, edge: true}
	k.n.free = k.n.free[:last]
	k.n.table[s.num] = s
	return s
}

// Release leaves the socket to be adopted.
func (k *Kernel) Release(s sys.Socket) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.own(s).k = nil
}

// Adopt takes a released socket; what it is ready for is an edge.
func (k *Kernel) Adopt(s sys.Socket) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	x := k.n.open(s)
	if x.k != nil {
		panic(fmt.Sprintf("simnet: socket %d (%s) was not released", s, x.what()))
	}
	x.k, x.edge = k, true
}

// Close closes a socket of this Kernel or one released.
func (k *Kernel) Close(s sys.Socket) { k.shut(s, (*end).close) }

// Reset closes with a RST.
func (k *Kernel) Reset(s sys.Socket) { k.shut(s, (*end).reset) }

func (k *Kernel) shut(s sys.Socket, how func(*end)) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	x := k.n.open(s)
	if x.k != nil && x.k != k {
		panic(fmt.Sprintf("simnet: socket %d (%s) is not this kernel's", s, x.what()))
	}
	if x.l != nil {
		k.n.shutListener(x.l)
	} else {
		how(x.e)
	}
	x.buried = true
	k.buried = append(k.buried, x)
}

// Listen takes an address; port 0 is given a fresh one.
func (k *Kernel) Listen(at netip.AddrPort) (sys.Socket, netip.AddrPort, error) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	if !at.Addr().IsValid() {
		at = netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())
	}
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), k.n.port())
	}
	if k.n.listenerAt(at) != nil {
		return sys.None, netip.AddrPort{}, fmt.Errorf("listen %v: address already in use", at)
	}
	s := k.number()
	if s == nil {
		return sys.None, netip.AddrPort{}, fmt.Errorf("listen %v: too many open files", at)
	}
	s.l = &listener{addr: at, sock: s}
	k.n.listeners = append(k.n.listeners, s.l)
	return s.num, at, nil
}
