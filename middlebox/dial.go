package middlebox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

// dialing is a session's upstream connection in the making. Names are resolved
// on a goroutine of their own and arrive by mail; connecting is the loop's work,
// like everything else: an alarm bounds each address, and the addresses of a
// name are tried in order.
type dialing struct {
	target string
	addrs  []netip.AddrPort // still to be tried
	at     netip.AddrPort   // being tried
	wait   bool             // for the name
	until  time.Time        // the present attempt's limit
	rest   time.Time        // no descriptor was left: the attempt is made again then
	err    error            // why the last one failed
}

// alarm is when the dial has something to do by itself.
func (d *dialing) alarm() time.Time {
	if !d.rest.IsZero() {
		return d.rest
	}
	return d.until
}

// lookupTimeout bounds the resolution of a name.
const lookupTimeout = 10 * time.Second

// startDial begins to connect to target, or to the route's upstream.
func (s *session) startDial(target string) {
	host, port, addr := s.conf.host, s.conf.port, s.conf.addr
	d := &dialing{target: s.conf.Upstream}
	s.dial = d
	s.r.crowd.served(s.num)
	if target != "" {
		d.target, s.target = target, &target
		var err error
		if host, port, addr, err = parseUpstream(target); err != nil {
			d.err = err
			s.l.enqueue(&s.task)
			return
		}
	}
	if addr.IsValid() {
		d.addrs = []netip.AddrPort{addr}
		s.l.enqueue(&s.task)
		return
	}
	d.wait = true
	s.l.box.resolve(s.l, host, port, func(addrs []netip.AddrPort, err error) {
		if s.dial == d && !s.ended {
			d.addrs, d.err, d.wait = addrs, err, false
			s.l.enqueue(&s.task)
		}
	})
}

// resolve looks a name up, without a cache, and posts the answer to the loop.
func (b *Box) resolve(l *loop, host string, port uint16, done func([]netip.AddrPort, error)) {
	b.helpers.Go(func() {
		ctx, cancel := context.WithTimeout(b.ctx, lookupTimeout)
		defer cancel()
		found, err := b.lookup(ctx, host)
		var addrs []netip.AddrPort
		for _, a := range found {
			addrs = append(addrs, netip.AddrPortFrom(a.Unmap(), port))
		}
		if err == nil && len(addrs) == 0 {
			err = fmt.Errorf("%s has no address", host)
		}
		l.post(func(*loop) { done(addrs, err) })
	})
}

// lookupHost is how names are resolved unless Config says otherwise.
func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// dialOn goes on with a dial: takes what the kernel says of the present attempt,
// starts the next, and tells the engine how it ended.
func (s *session) dialOn() {
	d := s.dial
	if d == nil || d.wait {
		return
	}
	g := &s.leg[wire.Upstream]
	for {
		if g.sock != sys.None {
			switch out, err := s.connected(g, d); out {
			case sys.OK:
				s.dial, s.dialled, g.up = nil, true, true
				g.flags |= sys.Out
				if s.captured {
					g.captureOpen()
				}
				s.step(faults.Input{Kind: faults.InDialed})
				return
			case sys.Again:
				return
			default:
				d.err = fmt.Errorf("connect to %s: %w", d.at, err)
				s.l.own(g.sock, nil)
				s.l.k.Close(g.sock)
				g.sock = sys.None
			}
		}
		if d.rest.After(s.l.now) {
			return
		}
		if len(d.addrs) == 0 {
			s.dialFailed(d)
			return
		}
		s.attempt(g, d)
	}
}

// attempt connects to the next address.
func (s *session) attempt(g *leg, d *dialing) {
	to := d.addrs[0]
	d.at, d.addrs = to, d.addrs[1:]
	d.rest = time.Time{}
	if why := s.l.box.forbidden(s.r, to); why != "" {
		d.err = errors.New(why)
		return
	}
	sock, out := s.l.k.Connect(to, s.asked())
	switch {
	case out != sys.Full:
		d.until = s.l.now.Add(s.l.box.dialTimeout)
	case d.until.IsZero():
		// As accepting backs off, so does this: the client waits meanwhile, as one that is
		// not accepted would, and no longer. Sessions that wait each have a descriptor,
		// which others wait for.
		d.until = s.l.now.Add(min(s.l.box.dialTimeout, acceptRetry))
	}
	switch {
	case out == sys.OK || out == sys.Again:
		g.sock, g.flags = sock, 0
		if out == sys.OK {
			g.flags = sys.Out
		}
		s.l.own(sock, g)
	case out == sys.Full && s.l.now.Before(d.until):
		d.addrs = append([]netip.AddrPort{to}, d.addrs...)
		d.rest = s.l.now.Add(acceptRetry)
	case out == sys.Full:
		d.err = errors.New("no file descriptor left for the upstream connection")
	default:
		_, d.err = s.l.k.Connected(sys.None)
		if d.err == nil {
			d.err = errors.New("connection refused")
		}
		d.err = fmt.Errorf("connect to %s: %w", to, d.err)
	}
}

// asked says that the client's first bytes are here, and will go to the server as soon
// as there is one.
func (s *session) asked() bool {
	g := &s.leg[wire.Downstream]
	return !g.gone && !s.plan.Armed() && s.l.k.Unread(g.sock) > 0
}

// connected says how the present attempt stands.
func (s *session) connected(g *leg, d *dialing) (sys.Outcome, error) {
	if g.flags&(sys.Out|sys.Err) != 0 {
		g.flags &^= sys.Out
		out, err := s.l.k.Connected(g.sock)
		if out != sys.Again {
			return out, err
		}
	}
	if !s.l.now.Before(d.until) {
		return sys.Reset, tooLate(s.l.box.dialTimeout)
	}
	return sys.Again, nil
}

// tooLate is why a dial was given up that nobody answered for so long.
type tooLate time.Duration

func (t tooLate) Error() string { return fmt.Sprintf("timed out after %s", time.Duration(t)) }

// Timeout says that it is no refusal: a proxy answers 504 then.
func (tooLate) Timeout() bool { return true }

// dialFailed tells that no address could be had; the engine ends the client's
// leg as on_dial_error says.
func (s *session) dialFailed(d *dialing) {
	s.dial, s.dialled = nil, true
	g := &s.leg[wire.Upstream]
	g.ended = "refused"
	g.leave()
	s.r.failed.Add(1)
	s.blame("dial")
	s.emit("session.failed", FailedData{Client: s.peer.String(), Upstream: d.target, Error: d.err.Error()})
	s.step(faults.Input{Kind: faults.InDialFailed, Err: d.err})
}

// unwanted says that nobody wants the server any more that is, or would be, dialled:
// the client has reset, or is gone and nothing is to be said to the server. A rule that
// ends both sides says something, if a dial has begun, or a connect rule lets it wait: a
// proxy's may never.
func (s *session) unwanted() bool {
	client, server := &s.leg[wire.Downstream], &s.leg[wire.Upstream]
	if !client.gone || s.dialled {
		return false
	}
	return client.broken || s.dial == nil && !s.eng.AtDoor() || server.ending == nil && !s.eng.Owes(wire.Upstream)
}

// dropDial gives up a dial that nobody wants any more.
func (s *session) dropDial() { s.dial = nil }
