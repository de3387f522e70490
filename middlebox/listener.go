package middlebox

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"crimp/faults"
	"crimp/middlebox/sys"
)

// listener is a listening socket. All listeners belong to the first loop, which
// accepts and hands sessions round; which route a listener serves may change,
// so that a renamed route keeps its port.
type listener struct {
	task
	sock  sys.Socket
	asked netip.AddrPort  // as it was configured: port 0 stays that listener's port
	addr  netip.AddrPort  // as it was bound
	route *route          // the loop's
	full  bool            // the last accept found no descriptor
	shut  bool            // a rule keeps it closed
	drops []faults.Caller // whose SYNs are lost
}

const (
	// acceptBatch is how many connections a listener accepts in its turn.
	acceptBatch = 64
	// acceptRetry is how long a listener rests when there is no descriptor for
	// another connection. No event tells when there is one again.
	acceptRetry = 20 * time.Millisecond
)

// is says whether this is the listener for an address as it may be said: as it
// was asked for, port 0 included, or as it was bound.
func (ln *listener) is(at netip.AddrPort) bool { return at == ln.asked || at == ln.addr }

// listen binds, on the first loop.
func (l *loop) listen(at netip.AddrPort) (*listener, error) {
	sock, addr, err := l.k.Listen(at)
	if err != nil {
		return nil, err
	}
	ln := &listener{sock: sock, asked: at, addr: addr}
	ln.do = ln
	return ln, nil
}

// serve begins to accept for r, or goes on with it for another.
func (ln *listener) serve(l *loop, r *route) {
	ln.route = r
	if !slices.Contains(l.listeners, ln) {
		l.listeners = append(l.listeners, ln)
	}
	if ln.sock != sys.None {
		l.own(ln.sock, ln)
		l.enqueue(&ln.task) // the edge may have come before there was an owner
	}
	ln.follow(l)
}

// follow does what the route's plan wants of its listening socket. Closed, the
// kernel answers for it, and resets what it had not accepted yet; it listens
// again at the same address when no rule keeps it closed any more.
func (ln *listener) follow(l *loop) {
	plan := ln.route.force.Load().plan
	closed := plan.Closed()
	defer func() { ln.filter(l, plan.Drops()) }()
	switch {
	case closed && !ln.shut:
		ln.run(l) // who is connected already is no newcomer
		ln.shut = true
		ln.stop(l)
	case !closed && ln.shut:
		ln.reopen(l)
	}
}

// filter has the SYNs of some, or of all, lost.
func (ln *listener) filter(l *loop, drops []faults.Caller) {
	if ln.sock == sys.None || slices.Equal(drops, ln.drops) {
		return
	}
	ln.drops = drops
	var f sys.Filter
	for _, c := range drops {
		if f.From = append(f.From, sys.Caller{Prefix: c.From, Port: c.Port}); !c.From.IsValid() {
			f.All = true
		}
	}
	if err := l.k.Filter(ln.sock, f); err != nil {
		l.box.log.Warn().Str("route", ln.route.name).Err(err).Msg("no packet filter")
	}
}

// reopen listens again. Another process may have taken the port meanwhile: then it
// tries until it has it back.
func (ln *listener) reopen(l *loop) {
	sock, _, err := l.k.Listen(ln.addr)
	if err != nil {
		if !ln.full {
			ln.full = true
			l.box.log.Warn().Str("route", ln.route.name).Err(err).Msg("cannot listen again yet")
			l.box.journal.emit(Event{Type: "session.failed", Route: ln.route.name, Data: FailedData{
				Upstream: ln.route.conf.Load().Upstream, Error: "cannot listen again yet: " + err.Error()}})
		}
		l.alarms.set(&ln.task, l.now.Add(acceptRetry))
		return
	}
	ln.sock, ln.shut, ln.full, ln.drops = sock, false, false, nil
	l.own(sock, ln)
	l.enqueue(&ln.task)
}

// stop closes the socket.
func (ln *listener) stop(l *loop) {
	l.alarms.set(&ln.task, time.Time{})
	if ln.sock != sys.None {
		l.own(ln.sock, nil)
		l.k.Close(ln.sock)
		ln.sock = sys.None
	}
}

// close stops listening. Sessions go on.
func (ln *listener) close(l *loop) {
	ln.stop(l)
	ln.shut = false
	l.listeners = slices.DeleteFunc(l.listeners, func(x *listener) bool { return x == ln })
}

func (ln *listener) ready(l *loop, _ sys.Ready) { l.enqueue(&ln.task) }

// run accepts what waits.
func (ln *listener) run(l *loop) {
	if ln.shut { // it was to listen again and could not
		ln.follow(l)
	}
	for range acceptBatch {
		if ln.sock == sys.None {
			return
		}
		sock, peer, out := l.k.Accept(ln.sock)
		switch out {
		case sys.OK:
			ln.full = false
			if len(ln.drops) > 0 { // a socket that is accepted inherits the filter
				l.k.Filter(sock, sys.Filter{})
			}
			l.admit(ln.route, sock, peer)
		case sys.Full:
			if !ln.full || !ln.refuse(l) {
				ln.rest(l)
				return
			}
		case sys.Again:
			return
		}
	}
	l.enqueue(&ln.task)
}

// rest waits for descriptors, and says so once. If there is still none after the
// rest, who waits is refused, so that nobody hangs.
func (ln *listener) rest(l *loop) {
	if !ln.full {
		ln.full = true
		l.box.log.Warn().Str("route", ln.route.name).Msg("no file descriptor left: accepting backs off")
		l.box.journal.emit(Event{Type: "session.failed", Route: ln.route.name, Data: FailedData{
			Upstream: ln.route.conf.Load().Upstream, Error: "no file descriptor left: new connections are refused until one is free"}})
	}
	l.alarms.set(&ln.task, l.now.Add(acceptRetry))
}

// refuse ends the next connection, for which there is no descriptor; false: not
// even that is possible, or none waits.
func (ln *listener) refuse(l *loop) bool {
	if l.k.Refuse(ln.sock, l.box.limits.Excess == "fin") != sys.OK {
		return false
	}
	ln.route.refused.Add(1)
	return true
}

// noRoom says why a connection was turned away.
func (b *Box) noRoom() string {
	if b.room < int64(b.limits.Sessions) {
		return fmt.Sprintf("there are %d sessions already, and file descriptors for no more (limits.sessions is %d)", b.room, b.limits.Sessions)
	}
	return fmt.Sprintf("limits.sessions: there are %d sessions already", b.room)
}

// turnAway ends a connection that limits.sessions has no room for.
func (l *loop) turnAway(sock sys.Socket) {
	if l.box.limits.Excess == "fin" {
		l.k.ShutdownWrite(sock)
		l.linger(sock, 0, true, false) // or what it has said already would make a RST of it
		return
	}
	l.k.Reset(sock)
}

// admit makes an accepted connection a session, of this loop or another.
func (l *loop) admit(r *route, sock sys.Socket, peer netip.AddrPort) {
	b := l.box
	num := r.numbers.Add(1)
	if b.live.Add(1) > b.room {
		b.live.Add(-1)
		r.refused.Add(1) // first: who sees the ending finds it in the figures and the journal
		b.journal.emit(Event{Type: "session.failed", Route: r.name, Data: FailedData{
			Client: peer.String(), Upstream: r.conf.Load().Upstream, Error: b.noRoom()}})
		l.turnAway(sock)
		return
	}
	r.live.Add(1)
	r.total.Add(1)
	r.crowd.enter(num, peer.Addr().Unmap())
	b.next++
	to := b.loops[b.next%len(b.loops)]
	if to == l {
		l.open(r, num, sock, peer)
		return
	}
	l.k.Release(sock)
	took := to.post(func(to *loop) {
		to.k.Adopt(sock)
		to.open(r, num, sock, peer)
	})
	if !took { // the box is closing
		l.k.Reset(sock)
		r.live.Add(-1)
		r.crowd.leave(num)
		b.live.Add(-1)
	}
}
