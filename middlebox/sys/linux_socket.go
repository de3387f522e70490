//go:build linux

package sys

import (
	"fmt"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What is done with sockets on Linux, and what its errors mean to a relay.
//
// A connection's error is handed out once, to whichever call comes first: a
// write that fails with ECONNRESET leaves a read that says clean end of file. So
// every call that is handed one leaves markReset behind, and Read answers Reset
// from then on where the system would say EOF. EPIPE is left out: the system
// says it when the peer's FIN had come before (then EOF is the truth) and when
// the error was handed out already (then the mark is there).

// sockaddr is an address as the system takes it.
type sockaddr struct {
	family int
	len    uintptr
	v4     unix.RawSockaddrInet4
	v6     unix.RawSockaddrInet6
}

func (a *sockaddr) pointer() unsafe.Pointer {
	if a.family == unix.AF_INET {
		return unsafe.Pointer(&a.v4)
	}
	return unsafe.Pointer(&a.v6)
}

// bigEndian stores a port in network order.
func bigEndian(port uint16) (field uint16) {
	b := (*[2]byte)(unsafe.Pointer(&field))
	b[0], b[1] = byte(port>>8), byte(port)
	return field
}

func fromBigEndian(field uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&field))
	return uint16(b[0])<<8 | uint16(b[1])
}

func toSockaddr(at netip.AddrPort) sockaddr {
	ip, port := at.Addr().Unmap(), bigEndian(at.Port())
	if ip.Is4() {
		return sockaddr{family: unix.AF_INET, len: unix.SizeofSockaddrInet4,
			v4: unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: ip.As4()}}
	}
	return sockaddr{family: unix.AF_INET6, len: unix.SizeofSockaddrInet6,
		v6: unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: ip.As16(), Scope_id: scope(ip.Zone())}}
}

// fromSockaddr gives IPv4 as IPv4 also where it came in on an IPv6 socket.
func fromSockaddr(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), fromBigEndian(v4.Port))
	case unix.AF_INET6:
		v6 := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		ip := netip.AddrFrom16(v6.Addr).Unmap()
		if v6.Scope_id != 0 && ip.Is6() {
			ip = ip.WithZone(strconv.FormatUint(uint64(v6.Scope_id), 10))
		}
		return netip.AddrPortFrom(ip, fromBigEndian(v6.Port))
	}
	return netip.AddrPort{}
}

// socket opens a TCP socket: protocol 0 is plain TCP, never MPTCP, on which
// filters and other options fail. TCP_NODELAY, for a relay passes on at once
// what was said at once; SO_OOBINLINE, for urgent bytes belong to the stream.
// Sockets accepted from a listener inherit both.
func socket(family int) (Socket, error) {
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, uintptr(family),
		unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return None, fmt.Errorf("socket: %w", errno)
	}
	s := Socket(fd)
	setOption(s, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setOption(s, unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
	return s, nil
}

func setOption(s Socket, level, name uintptr, value int32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s), level, name, uintptr(unsafe.Pointer(&value)), 4, 0)
	return errno
}

// closeNow closes a socket that no loop has seen yet.
func closeNow(s Socket) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(s), 0, 0) }

// Listen: [::] takes IPv4 too, as package net has it; no address at all is [::],
// or 0.0.0.0 where there is no IPv6. SO_REUSEADDR lets a restarted box have its
// port back in spite of old connections; it shares nothing. SO_REUSEPORT would:
// a second box would take half of the first one's clients unnoticed.
func (k *linux) Listen(at netip.AddrPort) (Socket, netip.AddrPort, error) {
	if !at.Addr().IsValid() {
		l, got, err := k.Listen(netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port()))
		if err != nil && !hasIPv6() {
			return k.Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), at.Port()))
		}
		return l, got, err
	}
	a := toSockaddr(at)
	s, err := socket(a.family)
	if err != nil {
		return None, netip.AddrPort{}, fmt.Errorf("listen %v: %w", at, err)
	}
	got, err := bindAndListen(s, &a, at.Addr().IsUnspecified())
	if err == nil && !k.watch(s) {
		err = fmt.Errorf("epoll_ctl: %w", unix.ENOMEM)
	}
	if err != nil {
		closeNow(s)
		return None, netip.AddrPort{}, fmt.Errorf("listen %v: %w", at, err)
	}
	k.spare.keep()
	return s, got, nil
}

func bindAndListen(s Socket, a *sockaddr, both bool) (netip.AddrPort, error) {
	if a.family == unix.AF_INET6 {
		only := int32(1)
		if both {
			only = 0
		}
		if errno := setOption(s, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only); errno != 0 {
			return netip.AddrPort{}, fmt.Errorf("IPV6_V6ONLY: %w", errno)
		}
	}
	if errno := setOption(s, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); errno != 0 {
		return netip.AddrPort{}, fmt.Errorf("SO_REUSEADDR: %w", errno)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_BIND, uintptr(s), uintptr(a.pointer()), a.len); errno != 0 {
		return netip.AddrPort{}, fmt.Errorf("bind: %w", errno)
	}
	// The system cuts the backlog down to net.core.somaxconn.
	if _, _, errno := unix.RawSyscall(unix.SYS_LISTEN, uintptr(s), 1<<16-1, 0); errno != 0 {
		return netip.AddrPort{}, fmt.Errorf("listen: %w", errno)
	}
	var got unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(s), uintptr(unsafe.Pointer(&got)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return netip.AddrPort{}, fmt.Errorf("getsockname: %w", errno)
	}
	return fromSockaddr(&got), nil
}

func hasIPv6() bool {
	s, err := socket(unix.AF_INET6)
	if err != nil {
		return false
	}
	closeNow(s)
	return true
}

// Accept passes over connections that died in the queue: the system reports
// their network errors here, and each such report uses one up.
func (k *linux) Accept(l Socket) (Socket, netip.AddrPort, Outcome) {
	s, from, out := accept(l)
	if out == OK && !k.watch(s) {
		closeNow(s)
		return None, netip.AddrPort{}, Full
	}
	return s, from, out
}

func accept(l Socket) (Socket, netip.AddrPort, Outcome) {
	for {
		var from unix.RawSockaddrAny
		size := uint32(unix.SizeofSockaddrAny)
		fd, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(l), uintptr(unsafe.Pointer(&from)),
			uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch errno {
		case 0:
			return Socket(fd), fromSockaddr(&from), OK
		case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM:
			return None, netip.AddrPort{}, Full
		case unix.ECONNABORTED, unix.EINTR, unix.EPROTO, unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN,
			unix.ENONET, unix.EHOSTUNREACH, unix.EOPNOTSUPP, unix.ENETUNREACH, unix.EPERM:
			continue
		default: // EAGAIN; or EINVAL: shut down by a fault, no longer listening
			return None, netip.AddrPort{}, Again
		}
	}
}

// Refuse frees the spare descriptor for the moment that the connection lives. No
// loop has seen its number, so it is closed at once.
func (k *linux) Refuse(l Socket, fin bool) Outcome {
	k.spare.drop()
	defer k.spare.keep()
	s, _, out := accept(l)
	if out != OK {
		return out
	}
	if fin {
		unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(s), unix.SHUT_WR, 0)
	} else {
		lingerZero(s)
	}
	closeNow(s)
	return OK
}

// Connect is registered only after connect(2): a fresh socket counts as hung up.
// Without TCP_QUICKACK the ACK that ends the handshake waits for the first bytes, at
// most 0.2 s: a segment less, and the server is woken once for both. That is 4 % of
// what a new connection costs; asked for every time, a server that speaks first
// would be kept waiting.
func (k *linux) Connect(to netip.AddrPort, soon bool) (Socket, Outcome) {
	a := toSockaddr(to)
	s, err := socket(a.family)
	if err != nil {
		k.refused = err
		return None, Full
	}
	if soon {
		setOption(s, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 0)
	}
	_, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s), uintptr(a.pointer()), a.len)
	if errno != 0 && errno != unix.EINPROGRESS {
		closeNow(s)
		k.refused = errno
		return None, Reset
	}
	if !k.watch(s) {
		closeNow(s)
		k.refused = unix.ENOMEM
		return None, Full
	}
	if errno == 0 {
		return s, OK
	}
	return s, Again
}

// Connected asks first whether there is a peer: a connection that was made and
// has been reset since was made all the same, and what the peer said on it is
// still to be read. SYN_SENT refused is ECONNREFUSED; ECONNRESET and EPIPE come
// only to a connection that stood.
func (k *linux) Connected(s Socket) (Outcome, error) {
	if s == None {
		return Reset, k.refused
	}
	var a unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	_, _, errno := unix.RawSyscall(unix.SYS_GETPEERNAME, uintptr(s), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	if errno == 0 {
		return OK, nil
	}
	var pending int32
	size = 4
	_, _, errno = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&pending)), uintptr(unsafe.Pointer(&size)), 0)
	if errno == 0 {
		errno = unix.Errno(pending)
	}
	switch errno {
	case 0:
		return Again, nil
	case unix.ECONNRESET:
		k.marks[s] |= markReset
		return OK, nil
	case unix.EPIPE: // FIN, then RST: input ends with the FIN
		return OK, nil
	}
	return Reset, errno
}

// failed says what an error of a connected socket comes to.
func (k *linux) failed(s Socket, errno unix.Errno) Outcome {
	switch errno {
	case unix.EAGAIN, unix.EINTR:
		return Again
	case unix.EPIPE:
		return Reset
	}
	k.marks[s] |= markReset
	return Reset
}

// ended says what the system's end of file is: the peer's FIN, or an error
// that another call was handed before.
func (k *linux) ended(s Socket) Outcome {
	if k.marks[s]&markReset != 0 {
		return Reset
	}
	return EOF
}

// Read promises that a short read found the socket empty. The system stops
// also in front of an urgent byte, so a socket that has seen one is read again.
func (k *linux) Read(s Socket, b []byte) (int, Outcome) {
	n, o := k.readOnce(s, b)
	if o != OK || n == len(b) || k.marks[s]&markUrgent == 0 {
		return n, o
	}
	for n < len(b) {
		m, o := k.readOnce(s, b[n:])
		if o != OK {
			break // an end or error is there for the next Read too
		}
		n += m
	}
	return n, OK
}

// readOnce uses recvfrom: read(2) goes round by the file system's layer, some 50 ns.
func (k *linux) readOnce(s Socket, b []byte) (int, Outcome) {
	if len(b) == 0 {
		return 0, Again
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
		switch {
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return 0, k.failed(s, errno)
		case n == 0:
			return 0, k.ended(s)
		}
		return int(n), OK
	}
}

func (k *linux) Write(s Socket, b []byte) (int, Outcome) {
	if len(b) == 0 {
		return 0, OK
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)),
			unix.MSG_NOSIGNAL, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, k.failed(s, errno)
		}
		return int(n), OK
	}
}

func (k *linux) ShutdownWrite(s Socket) {
	unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(s), unix.SHUT_WR, 0)
}

func (k *linux) Unread(s Socket) int {
	var n int32
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCINQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0
	}
	return int(n)
}

func (k *linux) Unacked(s Socket) int {
	var n int32
	if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(s), unix.SIOCOUTQ, uintptr(unsafe.Pointer(&n))); errno != 0 {
		return 0
	}
	return int(n)
}
