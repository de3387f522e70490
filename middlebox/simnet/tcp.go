package simnet

import (
	"bytes"
	"net/netip"
	"time"

	"crimp/middlebox/sys"
)

// TCP as far as a relay can tell. A connection is two ends; bytes wait in the
// sender's queue until the network moves them, within the receiver's window,
// into the receiver's buffer, and are acknowledged by that. The rules, all
// Linux's:
//
//   - A FIN stands behind the data, needs a window like data, and counts as one unacknowledged.
//   - A RST drops what its receiver has queued to send; what its receiver has
//     already been delivered stays readable. The sender of a RST drops its own queue.
//   - Close with unread input is a RST. Data that reaches a closed end is answered with one.
//   - After a RST reads end in an error, unless the FIN had come before: then in EOF.
//   - A connection with FINs both ways is over; nothing resets it any more.

// state is how far the making of a connection got.
type state uint8

const (
	connecting state = iota
	established
	refused
)

// end is one end of a connection, the loop's or a peer's.
type end struct {
	other *end
	addr  netip.AddrPort
	state state
	sock  *socket // whose end it is, if a loop's

	out  bytes.Buffer // written, not yet in the other's kernel
	in   bytes.Buffer // delivered, not yet read
	room struct{ out, in int }

	shut    bool // FIN queued behind out
	finSent bool // and delivered
	finIn   bool // the other's FIN was delivered
	rst     bool // a RST is on its way to the other
	dead    bool // reset, by either
	told    bool // some call was handed the error
	closed  bool // the application let go of it
	lost    int  // unacknowledged when it was reset
}

func (n *Net) newEnd(addr netip.AddrPort) *end {
	e := &end{addr: addr}
	e.room.out, e.room.in = n.buffer(), n.buffer()
	return e
}

// space is how much may be written, window how much may arrive.
func (e *end) space() int  { return max(0, e.room.out-e.out.Len()) }
func (e *end) window() int { return max(0, e.room.in-e.in.Len()) }

// writable is when the system calls it worth reporting: a third is free.
func (e *end) writable() bool { return 3*e.out.Len() <= 2*e.room.out }

// over: FINs went both ways.
func (e *end) over() bool { return e.finIn && e.finSent }

func (e *end) unacked() int {
	switch {
	case e.dead:
		return e.lost
	case e.shut && !e.finSent:
		return e.out.Len() + 1
	}
	return e.out.Len()
}

func (e *end) write(b []byte) (int, sys.Outcome) {
	switch {
	case e.state == connecting:
		return 0, sys.Again
	case e.dead || e.shut || e.state == refused:
		e.told = true
		return 0, sys.Reset
	case len(b) == 0:
		return 0, sys.OK
	case e.space() == 0:
		return 0, sys.Again
	}
	b = b[:min(len(b), e.space())]
	e.out.Write(b)
	return len(b), sys.OK
}

// readable says what a read would come to.
func (e *end) readable(once bool) sys.Outcome {
	switch {
	case e.in.Len() > 0:
		return sys.OK
	case e.finIn:
		return sys.EOF
	case e.dead && e.told && once:
		return sys.EOF
	case e.dead || e.state == refused:
		return sys.Reset
	}
	return sys.Again
}

func (e *end) read(b []byte, once bool) (int, sys.Outcome) {
	if len(b) == 0 {
		return 0, sys.Again
	}
	o := e.readable(once)
	switch o {
	case sys.OK:
		n, _ := e.in.Read(b)
		return n, o
	case sys.Reset:
		e.told = true
	}
	return 0, o
}

func (e *end) shutdownWrite() {
	if e.state == established && !e.dead {
		e.shut = true
	}
}

// close lets go of the end: with unread input that is a reset.
func (e *end) close() {
	if e.in.Len() > 0 {
		e.reset()
		return
	}
	e.shutdownWrite()
	e.closed = true
}

// reset ends the connection from this side, by a RST if the other side still has one to hear.
func (e *end) reset() {
	if e.state == established && !e.dead {
		e.die()
		e.rst = !e.over()
	}
	e.closed = true
}

// die drops what was queued.
func (e *end) die() {
	e.lost = e.unacked()
	e.dead = true
	e.out.Reset()
}

// canTransmit says whether something can get from this end to the other.
func (e *end) canTransmit() bool {
	if e.rst {
		return true
	}
	if e.dead || e.other.dead {
		return false
	}
	takes := e.other.closed || e.other.window() > 0
	return takes && (e.out.Len() > 0 || e.shut && !e.finSent)
}

// transmit moves one thing from an end to the other.
func (n *Net) transmit(e *end) {
	to := e.other
	switch {
	case e.rst:
		e.rst = false
		if !to.dead && !to.over() {
			to.die()
			to.notify()
		}
	case e.out.Len() > 0 && to.closed:
		to.reset()
	case e.out.Len() > 0:
		to.in.Write(e.out.Next(n.some(min(e.out.Len(), to.window()))))
		to.notify()
		if e.sock != nil && e.sock.starved && e.writable() {
			e.notify()
		}
	default:
		e.finSent, to.finIn = true, true
		to.notify()
	}
}

// notify is an edge: the owner of the end, if a loop, is to look at it.
func (e *end) notify() {
	if e.sock != nil {
		e.sock.edge = true
	}
}

// listener is an address that takes connections: a loop's socket or a server of the driver's.
type listener struct {
	addr    netip.AddrPort
	waiting []*end
	sock    *socket // nil: a server
}

func (n *Net) listenerAt(at netip.AddrPort) *listener {
	for _, l := range n.listeners {
		if l.addr == at || l.addr.Port() == at.Port() && (l.addr.Addr().IsUnspecified() || at.Addr().IsUnspecified()) {
			return l
		}
	}
	return nil
}

// shut resets those that wait and frees the address.
func (n *Net) shutListener(l *listener) {
	for _, e := range l.waiting {
		e.reset()
	}
	l.waiting = nil
	for i, x := range n.listeners {
		if x == l {
			n.listeners = append(n.listeners[:i], n.listeners[i+1:]...)
			break
		}
	}
}

// attempt is a connect under way.
type attempt struct {
	e      *end
	to     netip.AddrPort
	due    time.Time
	refuse bool // whatever is there
}

func (n *Net) attempt(e *end, to netip.AddrPort, refuse bool) {
	due := n.now
	if n.opt.ConnectDelay > 0 {
		due = due.Add(time.Duration(n.rng.Int64N(int64(n.opt.ConnectDelay) + 1)))
	}
	n.attempts = append(n.attempts, &attempt{e, to, due, refuse})
}

// answerable: a full backlog does not answer, the connect is tried again later.
func (n *Net) answerable(a *attempt) bool {
	l := n.listenerAt(a.to)
	return a.refuse || a.e.closed || l == nil || len(l.waiting) < n.opt.Backlog
}

// arrive settles an attempt: made or refused, or given up by its maker.
func (n *Net) arrive(a *attempt) {
	for i, x := range n.attempts {
		if x == a {
			n.attempts = append(n.attempts[:i], n.attempts[i+1:]...)
			break
		}
	}
	if a.e.closed {
		return
	}
	l := n.listenerAt(a.to)
	if l == nil || a.refuse {
		a.e.state = refused
		a.e.notify()
		return
	}
	e := n.newEnd(a.to)
	e.other, a.e.other = a.e, e
	e.state, a.e.state = established, established
	n.wires = append(n.wires, e)
	l.waiting = append(l.waiting, e)
	a.e.notify()
	if l.sock != nil {
		l.sock.edge = true
	}
}
