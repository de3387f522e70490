//go:build darwin

package sys

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// What is done with sockets on macOS, and what its errors mean to a relay.
//
// As on Linux a connection's error is handed out once, to whichever call comes
// first. Unlike on Linux a read after FIN and RST is told of the RST; markFin,
// from kqueue, puts that right wherever a Wait came between the two.

func toSockaddr(at netip.AddrPort) (family int, a unix.Sockaddr) {
	ip := at.Addr().Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(at.Port()), Addr: ip.As4()}
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(at.Port()), Addr: ip.As16(), ZoneId: scope(ip.Zone())}
}

// fromSockaddr gives IPv4 as IPv4 also where it came in on an IPv6 socket.
func fromSockaddr(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(a.Addr).Unmap()
		if a.ZoneId != 0 && ip.Is6() {
			ip = ip.WithZone(strconv.FormatUint(uint64(a.ZoneId), 10))
		}
		return netip.AddrPortFrom(ip, uint16(a.Port))
	}
	return netip.AddrPort{}
}

// socket opens a TCP socket. There is no call that opens it closed to child
// processes, so none may be forked meanwhile.
func socket(family int) (Socket, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return None, fmt.Errorf("socket: %w", err)
	}
	if err := equip(fd); err != nil {
		unix.Close(fd)
		return None, err
	}
	return Socket(fd), nil
}

// equip sets what every socket needs: TCP_NODELAY, for a relay passes on at once
// what was said at once; SO_OOBINLINE, for urgent bytes belong to the stream;
// SO_NOSIGPIPE, for a broken pipe is an answer and not a signal. A connection
// that is dead already refuses options; that does no harm.
func equip(fd int) error {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_NOSIGPIPE, 1)
	if err := unix.SetNonblock(fd, true); err != nil {
		return fmt.Errorf("O_NONBLOCK: %w", err)
	}
	return nil
}

// Listen: [::] takes IPv4 too, as package net has it; no address at all is [::],
// or 0.0.0.0 where there is no IPv6. SO_REUSEADDR lets a restarted box have its
// port back in spite of old connections; it shares nothing, as SO_REUSEPORT would.
func (k *bsd) Listen(at netip.AddrPort) (Socket, netip.AddrPort, error) {
	if !at.Addr().IsValid() {
		l, got, err := k.Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port()))
		if errors.Is(err, unix.EAFNOSUPPORT) {
			return k.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()))
		}
		return l, got, err
	}
	family, a := toSockaddr(at)
	s, err := socket(family)
	if err != nil {
		return None, netip.AddrPort{}, fmt.Errorf("listen %v: %w", at, err)
	}
	got, err := bindAndListen(int(s), family, a, at.Addr().IsUnspecified())
	if err == nil && !k.watch(s) {
		err = fmt.Errorf("kevent: %w", unix.ENOMEM)
	}
	if err != nil {
		unix.Close(int(s))
		return None, netip.AddrPort{}, fmt.Errorf("listen %v: %w", at, err)
	}
	return s, got, nil
}

func bindAndListen(fd, family int, a unix.Sockaddr, both bool) (netip.AddrPort, error) {
	if family == unix.AF_INET6 {
		only := 1
		if both {
			only = 0
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); err != nil {
			return netip.AddrPort{}, fmt.Errorf("IPV6_V6ONLY: %w", err)
		}
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return netip.AddrPort{}, fmt.Errorf("SO_REUSEADDR: %w", err)
	}
	if err := unix.Bind(fd, a); err != nil {
		return netip.AddrPort{}, fmt.Errorf("bind: %w", err)
	}
	// The system cuts the backlog down to kern.ipc.somaxconn.
	if err := unix.Listen(fd, 1<<15-1); err != nil {
		return netip.AddrPort{}, fmt.Errorf("listen: %w", err)
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", err)
	}
	return fromSockaddr(got), nil
}

// Accept passes over connections that died in the queue.
func (k *bsd) Accept(l Socket) (Socket, netip.AddrPort, Outcome) {
	s, from, out := accept(l)
	if out == OK && (equip(int(s)) != nil || !k.watch(s)) {
		unix.Close(int(s))
		return None, netip.AddrPort{}, Full
	}
	return s, from, out
}

func accept(l Socket) (Socket, netip.AddrPort, Outcome) {
	for {
		syscall.ForkLock.RLock()
		fd, from, err := unix.Accept(int(l))
		if err == nil {
			unix.CloseOnExec(fd)
		}
		syscall.ForkLock.RUnlock()
		switch err {
		case nil:
			return Socket(fd), fromSockaddr(from), OK
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return None, netip.AddrPort{}, Full
		case unix.ECONNABORTED, unix.EINTR:
			continue
		default:
			return None, netip.AddrPort{}, Again
		}
	}
}

// Refuse frees the spare descriptor for the moment that the connection lives. No
// loop has seen its number, so it is closed at once.
func (k *bsd) Refuse(l Socket, fin bool) Outcome {
	k.spare.drop()
	defer k.spare.keep()
	s, _, out := accept(l)
	if out != OK {
		return out
	}
	if fin {
		unix.Shutdown(int(s), unix.SHUT_WR)
	} else {
		unix.SetsockoptLinger(int(s), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	unix.Close(int(s))
	return OK
}

func (k *bsd) Connect(to netip.AddrPort, _ bool) (Socket, Outcome) {
	family, a := toSockaddr(to)
	s, err := socket(family)
	if err != nil {
		k.refused = err
		return None, Full
	}
	err = unix.Connect(int(s), a)
	if err != nil && err != unix.EINPROGRESS && err != unix.EINTR {
		unix.Close(int(s))
		k.refused = err
		return None, Reset
	}
	if !k.watch(s) {
		unix.Close(int(s))
		k.refused = unix.ENOMEM
		return None, Full
	}
	if err == nil {
		return s, OK
	}
	return s, Again
}

// Connected asks first whether there is a peer: a connection that was made and
// has been reset since was made all the same, and what the peer said on it is
// still to be read.
func (k *bsd) Connected(s Socket) (Outcome, error) {
	if s == None {
		return Reset, k.refused
	}
	if _, err := unix.Getpeername(int(s)); err == nil {
		return OK, nil
	}
	pending, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && pending != 0 {
		err = unix.Errno(pending)
	}
	switch err {
	case nil:
		return Again, nil
	case unix.ECONNRESET:
		k.marks[s] |= markReset
		return OK, nil
	}
	return Reset, err
}

// failed says what an error of a connected socket comes to.
func (k *bsd) failed(s Socket, err error) Outcome {
	switch err {
	case unix.EAGAIN, unix.EINTR:
		return Again
	case unix.EPIPE: // the error was handed out already, or is our own FIN
		return Reset
	}
	k.marks[s] |= markReset
	return Reset
}

func (k *bsd) Read(s Socket, b []byte) (int, Outcome) {
	if len(b) == 0 {
		return 0, Again
	}
	n, err := unix.Read(int(s), b)
	for err == unix.EINTR {
		n, err = unix.Read(int(s), b)
	}
	switch {
	case n > 0:
		return n, OK
	case err != nil && k.failed(s, err) == Again:
		return 0, Again
	case k.marks[s]&markFin == 0 && (err != nil || k.marks[s]&markReset != 0):
		return 0, Reset
	}
	return 0, EOF
}

func (k *bsd) Write(s Socket, b []byte) (int, Outcome) {
	if len(b) == 0 {
		return 0, OK
	}
	n, err := unix.Write(int(s), b)
	for err == unix.EINTR {
		n, err = unix.Write(int(s), b)
	}
	if err != nil {
		return 0, k.failed(s, err)
	}
	return n, OK
}

// WriteMany has no call for many.
func (k *bsd) WriteMany(ws []Writing) { WriteInTurn(k, ws) }

// WriteApart: each write is pushed as it is, TCP_NODELAY being set, but what the
// peer's window holds up may be joined.
func (k *bsd) WriteApart(s Socket, pieces [][]byte) (int, Outcome) { return WriteEach(k, s, pieces) }

func (k *bsd) ShutdownWrite(s Socket) {
	unix.Shutdown(int(s), unix.SHUT_WR)
	k.marks[s] |= markShut
}

// States of a connection whose FIN is not acknowledged (netinet/tcp_fsm.h).
const (
	stateFinWait1 = 6
	stateClosing  = 7
	stateLastAck  = 8
)

// Unacked asks for the send buffer, which has no byte for a FIN: that is read
// off the connection's state. A reset empties the buffer, so that nothing is
// unacknowledged from then on.
// Filter: there is no filter on a socket here.
func (k *bsd) Filter(s Socket, f Filter) error { return fmt.Errorf("needs Linux") }

func (k *bsd) Unread(s Socket) int {
	n, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_NREAD)
	if err != nil {
		return 0
	}
	return n
}

func (k *bsd) Names(s Socket) (own, peer netip.AddrPort) {
	if a, err := unix.Getsockname(int(s)); err == nil {
		own = fromSockaddr(a)
	}
	if a, err := unix.Getpeername(int(s)); err == nil {
		peer = fromSockaddr(a)
	}
	return own, peer
}

func (k *bsd) Unacked(s Socket) int {
	n, err := unix.GetsockoptInt(int(s), unix.SOL_SOCKET, unix.SO_NWRITE)
	if err != nil {
		return 0
	}
	if k.marks[s]&markShut != 0 {
		info, err := unix.GetsockoptTCPConnectionInfo(int(s), unix.IPPROTO_TCP, unix.TCP_CONNECTION_INFO)
		if err == nil && (info.State == stateFinWait1 || info.State == stateClosing || info.State == stateLastAck) {
			n++
		}
	}
	return n
}
