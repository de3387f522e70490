//go:build linux

package sys

import (
	"fmt"
	"runtime"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The Kernel of Linux: epoll, edge-triggered, every socket watched for
// everything from birth to close, so no call is ever spent on changing what is
// watched. This file has readiness and the life of a socket's number;
// linux_doze.go how it sleeps, linux_socket.go what is done with sockets, linux_ring.go,
// linux_apart.go and linux_pipe.go io_uring, sendmmsg and splice.
//
// Calls that cannot block are made by RawSyscall, past Go's scheduler: it
// would otherwise note two hand-overs for each of the half microsecond a read
// takes. Only a long sleep in epoll says to the scheduler that it sleeps.

// watched is what every socket is watched for. EPOLLPRI is there for one
// reason: reads stop short at an urgent byte, see (*linux).Read.
const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

// Marks the kernel keeps for each socket, by number.
const (
	markReset  uint8 = 1 << iota // the connection's error was handed out: input ends in Reset, not in EOF
	markUrgent                   // urgent data was seen: a short read may have left bytes
	markMade                     // it was writable and no error was on it: no connection in the making is
)

type linux struct {
	epoll  int
	batch  []unix.EpollEvent // as long as the ev of Wait
	marks  []uint8           // by socket number
	buried []Socket          // closed by the loop, not yet by the system: see Wait
	lost   lost
	coarse bool // no epoll_pwait2 here: whole milliseconds
	procs  int  // how many threads run Go at a time

	waker struct {
		sync.Mutex     // so that no Wake writes into a number that Free has given back
		fd         int // eventfd; -1 after Free
	}

	refused error // why the last Connect gave no socket
	spare   spare
	pipes   pipes
	apart   apart
	ring    *ring
}

// New gives the system's Kernel. Each loop has its own.
func New() (Kernel, error) {
	k := &linux{spare: -1, ring: newRing(), procs: runtime.GOMAXPROCS(0)}
	var err error
	if k.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		k.ring.free()
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if k.waker.fd, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		k.ring.free()
		unix.Close(k.epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(k.waker.fd)}
	if err = unix.EpollCtl(k.epoll, unix.EPOLL_CTL_ADD, k.waker.fd, &e); err != nil {
		k.ring.free()
		unix.Close(k.waker.fd)
		unix.Close(k.epoll)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	kernels.Add(1)
	return k, nil
}

func (k *linux) Now() time.Time { return time.Now() }

// Wait closes what the loop has closed since the last Wait (only now, so that
// no number was given out twice in one batch), looks once without sleeping, for
// a busy loop nearly always finds something, and only then sleeps, a little first.
func (k *linux) Wait(d time.Duration, ev []Event) int {
	k.bury()
	if len(ev) == 0 {
		return 0
	}
	if len(k.lost) > 0 {
		return k.lost.report(ev)
	}
	if len(k.batch) != len(ev) {
		k.batch = make([]unix.EpollEvent, len(ev))
	}
	n := k.look()
	if n == 0 && d != 0 {
		n = k.rest(d)
	}
	return k.translate(n, ev)
}

// look asks epoll without sleeping.
func (k *linux) look() int {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(k.epoll),
		uintptr(unsafe.Pointer(&k.batch[0])), uintptr(len(k.batch)), 0, 0, 0)
	if errno != 0 { // EINTR
		return 0
	}
	return int(n)
}

// kernelTimespec is __kernel_timespec: 64 bits each on every architecture.
type kernelTimespec struct{ sec, nsec int64 }

// sleep asks epoll and sleeps up to d. An interrupted sleep is a short one.
func (k *linux) sleep(d time.Duration) int {
	if !k.coarse {
		n, ok := k.sleepExactly(d)
		if ok {
			return n
		}
		k.coarse = true
	}
	ms := -1
	if d >= 0 {
		// Rounded up: a timer may be late, never early.
		ms = int(min((d+time.Millisecond-1)/time.Millisecond, 1<<30))
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(k.epoll),
		uintptr(unsafe.Pointer(&k.batch[0])), uintptr(len(k.batch)), uintptr(ms), 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// sleepExactly sleeps by the nanosecond; false where the system has no such
// call (Linux before 5.11) or a sandbox forbids it.
func (k *linux) sleepExactly(d time.Duration) (int, bool) {
	var ts *kernelTimespec // nil: for ever
	if d >= 0 {
		ts = &kernelTimespec{int64(d / time.Second), int64(d % time.Second)}
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(k.epoll),
		uintptr(unsafe.Pointer(&k.batch[0])), uintptr(len(k.batch)), uintptr(unsafe.Pointer(ts)), 0, 0)
	switch errno {
	case 0:
		return int(n), true
	case unix.ENOSYS, unix.EPERM:
		return 0, false
	}
	return 0, true
}

// translate turns n of epoll's events into ours. The wake-up's own event is
// swallowed; its counter is never read, for every write is an edge of its own.
func (k *linux) translate(n int, ev []Event) int {
	m := 0
	for i := range k.batch[:n] {
		e := &k.batch[i]
		if int(e.Fd) == k.waker.fd {
			continue
		}
		if e.Events&unix.EPOLLPRI != 0 {
			k.marks[e.Fd] |= markUrgent
		}
		var r Ready
		if e.Events&(unix.EPOLLIN|unix.EPOLLPRI) != 0 {
			r |= In
		}
		if e.Events&unix.EPOLLOUT != 0 {
			r |= Out
		}
		if e.Events&unix.EPOLLRDHUP != 0 {
			r |= Fin
		}
		if e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			r |= Err
		}
		if r&(Out|Err) == Out {
			k.marks[e.Fd] |= markMade
		}
		ev[m] = Event{Socket(e.Fd), r}
		m++
	}
	return m
}

func (k *linux) Wake() {
	k.waker.Lock()
	defer k.waker.Unlock()
	if k.waker.fd < 0 {
		return
	}
	one := uint64(1)
	unix.RawSyscall(unix.SYS_WRITE, uintptr(k.waker.fd), uintptr(unsafe.Pointer(&one)), 8)
}

// watch registers a socket with epoll, which reports at the next Wait what it
// is ready for already. False: the system has no memory for that.
func (k *linux) watch(s Socket) bool {
	if need := int(s) + 1; need > len(k.marks) {
		k.marks = append(k.marks, make([]uint8, need-len(k.marks))...)
	}
	k.marks[s] = 0
	return k.epollCtl(unix.EPOLL_CTL_ADD, s, watched) == 0
}

func (k *linux) epollCtl(op int, s Socket, events uint32) unix.Errno {
	e := unix.EpollEvent{Events: events, Fd: int32(s)}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(k.epoll), uintptr(op), uintptr(s),
		uintptr(unsafe.Pointer(&e)), 0, 0)
	return errno
}

// Adopt registers the socket. If the system has no memory for that, the loop
// hears of it as of any other lost connection: an event, and Reset from Read.
func (k *linux) Adopt(s Socket) {
	if !k.watch(s) {
		k.marks[s] |= markReset
		unix.RawSyscall(unix.SYS_SHUTDOWN, uintptr(s), unix.SHUT_RDWR, 0)
		k.lost = append(k.lost, s)
	}
}

func (k *linux) Release(s Socket) { k.epollCtl(unix.EPOLL_CTL_DEL, s, 0) }

func (k *linux) Close(s Socket) { k.buried = append(k.buried, s) }

// Reset makes the coming close(2) a RST: with a linger time of 0 the system
// drops what is queued instead of sending it behind our back.
func (k *linux) Reset(s Socket) {
	lingerZero(s)
	k.Close(s)
}

func lingerZero(s Socket) {
	l := unix.Linger{Onoff: 1}
	unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s), unix.SOL_SOCKET, unix.SO_LINGER,
		uintptr(unsafe.Pointer(&l)), unsafe.Sizeof(l), 0)
}

// bury closes for good. Epoll forgets a closed socket by itself.
func (k *linux) bury() {
	for _, s := range k.buried {
		k.lost.forget(s)
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(s), 0, 0)
	}
	k.buried = k.buried[:0]
}

func (k *linux) Free() {
	k.waker.Lock()
	defer k.waker.Unlock()
	if k.waker.fd < 0 {
		return
	}
	k.bury()
	k.pipes.free()
	k.spare.drop()
	k.ring.free()
	unix.Close(k.waker.fd)
	unix.Close(k.epoll)
	k.waker.fd = -1
	kernels.Add(-1)
}
