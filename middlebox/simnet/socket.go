package simnet

import (
	"errors"
	"net/netip"

	"crimp/middlebox/sys"
)

// What a loop does with connections.

var (
	errRefused = errors.New("connection refused")
	errFull    = errors.New("too many open files")
)

// Accept takes the connection that waits longest; Full leaves it waiting, and no edge will tell of it again.
func (k *Kernel) Accept(l sys.Socket) (sys.Socket, netip.AddrPort, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	from := k.own(l).l
	if len(from.waiting) == 0 {
		return sys.None, netip.AddrPort{}, sys.Again
	}
	s := k.number()
	if s == nil {
		return sys.None, netip.AddrPort{}, sys.Full
	}
	s.e = from.waiting[0]
	s.e.sock = s
	from.waiting = from.waiting[1:]
	return s.num, s.e.other.addr, sys.OK
}

// Refuse ends the connection that waits longest; this world always has a number for that.
func (k *Kernel) Refuse(l sys.Socket, fin bool) sys.Outcome {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	from := k.own(l).l
	if len(from.waiting) == 0 {
		return sys.Again
	}
	e := from.waiting[0]
	from.waiting = from.waiting[1:]
	if fin {
		e.close()
	} else {
		e.reset()
	}
	return sys.OK
}

// Connect starts a connection. One that is to be refused (Options.RefuseOneIn)
// is refused at once or later, as drawn.
func (k *Kernel) Connect(to netip.AddrPort, _ bool) (sys.Socket, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	refuse := k.n.oneIn(k.n.opt.RefuseOneIn)
	if refuse && k.n.oneIn(2) {
		k.why = errRefused
		return sys.None, sys.Reset
	}
	s := k.number()
	if s == nil {
		k.why = errFull
		return sys.None, sys.Full
	}
	s.e = k.n.newEnd(k.n.clientAddr())
	s.e.sock = s
	k.n.attempt(s.e, to, refuse)
	return s.num, sys.Again
}

// Connected says how a Connect ended.
func (k *Kernel) Connected(s sys.Socket) (sys.Outcome, error) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	if s == sys.None {
		return sys.Reset, k.why
	}
	switch k.own(s).e.state {
	case established:
		return sys.OK, nil
	case refused:
		return sys.Reset, errRefused
	}
	return sys.Again, nil
}

// Read takes all there is, up to len(b).
func (k *Kernel) Read(s sys.Socket, b []byte) (int, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.own(s).e.read(b, k.n.opt.ErrorOnce)
}

// Write takes what there is room for.
func (k *Kernel) Write(s sys.Socket, b []byte) (int, sys.Outcome) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	x := k.own(s)
	n, o := x.e.write(b)
	if o == sys.Again || o == sys.OK && n < len(b) {
		x.starved = true
	}
	return n, o
}

// WriteMany is a Write each.
func (k *Kernel) WriteMany(ws []sys.Writing) { sys.WriteInTurn(k, ws) }

// WriteApart is Write: this world has bytes, no segments.
func (k *Kernel) WriteApart(s sys.Socket, pieces [][]byte) (int, sys.Outcome) {
	return sys.WriteEach(k, s, pieces)
}

// ShutdownWrite queues the FIN.
func (k *Kernel) ShutdownWrite(s sys.Socket) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	k.own(s).e.shutdownWrite()
}

// Filter is taken and does nothing: this world has bytes, no segments to lose.
func (k *Kernel) Filter(sys.Socket, sys.Filter) error { return nil }

// Unread counts what has arrived and was not read.
func (k *Kernel) Unread(s sys.Socket) int {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.own(s).e.in.Len()
}

// Names are known of a connection as long as it is not reset.
func (k *Kernel) Names(s sys.Socket) (own, peer netip.AddrPort) {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	e := k.own(s).e
	if own = e.addr; e.other != nil && !e.dead {
		peer = e.other.addr
	}
	return own, peer
}

// Unacked counts what has not reached the peer's kernel.
func (k *Kernel) Unacked(s sys.Socket) int {
	k.n.mu.Lock()
	defer k.n.mu.Unlock()
	return k.own(s).e.unacked()
}
