//go:build darwin

package sys

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// The Kernel of macOS: kqueue with EV_CLEAR, its word for edge-triggered. This
// file has readiness and the life of a socket's number; bsd_socket.go what is
// done with sockets. There is no splice: Pipe says so and the loop copies. System
// calls go through libSystem, as Apple demands, so there is no way past Go's
// scheduler.

// Marks the kernel keeps for each socket, by number.
const (
	markReset uint8 = 1 << iota // the connection's error was handed out: input ends in Reset, not in EOF
	markFin                     // a FIN came before any error: input ends in EOF, not in Reset
	markShut                    // we have sent a FIN
)

type bsd struct {
	queue  int
	batch  []unix.Kevent_t
	marks  []uint8  // by socket number
	buried []Socket // closed by the loop, not yet by the system: see Wait
	lost   lost

	free struct {
		sync.Mutex // so that no Wake reaches a number that Free has given back
		done       bool
	}

	refused error // why the last Connect gave no socket
	spare   spare
}

// New gives the system's Kernel. Each loop has its own.
func New() (Kernel, error) {
	queue, err := unix.Kqueue()
	if err != nil {
		return nil, fmt.Errorf("kqueue: %w", err)
	}
	unix.CloseOnExec(queue)
	k := &bsd{queue: queue, spare: -1}
	waker := unix.Kevent_t{Filter: unix.EVFILT_USER, Flags: unix.EV_ADD | unix.EV_CLEAR}
	if err := k.change(waker); err != nil {
		unix.Close(queue)
		return nil, fmt.Errorf("kevent: %w", err)
	}
	return k, nil
}

func (k *bsd) change(c ...unix.Kevent_t) error {
	for {
		if _, err := unix.Kevent(k.queue, c, nil, nil); err != unix.EINTR {
			return err
		}
	}
}

func (k *bsd) Now() time.Time { return time.Now() }

// Wait closes what the loop has closed since the last Wait (only now, so that
// no number was given out twice in one batch), looks once without sleeping, and
// only then sleeps. A socket may be reported twice, once for each direction.
func (k *bsd) Wait(d time.Duration, ev []Event) int {
	k.bury()
	if len(ev) == 0 {
		return 0
	}
	if len(k.lost) > 0 {
		return k.lost.report(ev)
	}
	if len(k.batch) != len(ev) {
		k.batch = make([]unix.Kevent_t, len(ev))
	}
	n, err := unix.Kevent(k.queue, nil, k.batch, &unix.Timespec{})
	if err == nil && n == 0 && d != 0 {
		var ts *unix.Timespec // nil: for ever
		if d > 0 {
			t := unix.NsecToTimespec(int64(d))
			ts = &t
		}
		n, err = unix.Kevent(k.queue, nil, k.batch, ts)
	}
	if err != nil { // EINTR
		return 0
	}
	return k.translate(n, ev)
}

// translate turns n of kqueue's events into ours. EV_EOF at the reading side is
// the peer's FIN or an error, which comes along without being used up; at the
// writing side it may be our own FIN.
func (k *bsd) translate(n int, ev []Event) int {
	m := 0
	for i := range k.batch[:n] {
		e := &k.batch[i]
		s := Socket(e.Ident)
		ended := e.Flags&unix.EV_EOF != 0
		failed := ended && e.Fflags != 0 || e.Flags&unix.EV_ERROR != 0
		var r Ready
		switch e.Filter {
		case unix.EVFILT_READ:
			r = In
			if ended {
				r |= Fin
				if !failed {
					k.marks[s] |= markFin
				}
			}
		case unix.EVFILT_WRITE:
			r = Out
		default:
			continue // Wake
		}
		if failed {
			r |= Err
		}
		ev[m] = Event{s, r}
		m++
	}
	return m
}

func (k *bsd) Wake() {
	k.free.Lock()
	defer k.free.Unlock()
	if !k.free.done {
		k.change(unix.Kevent_t{Filter: unix.EVFILT_USER, Fflags: unix.NOTE_TRIGGER})
	}
}

// watch registers a socket for everything from birth to close; the next Wait
// reports what it is ready for already. False: the system has no memory for that.
func (k *bsd) watch(s Socket) bool {
	if need := int(s) + 1; need > len(k.marks) {
		k.marks = append(k.marks, make([]uint8, need-len(k.marks))...)
	}
	k.marks[s] = 0
	return k.filters(s, unix.EV_ADD|unix.EV_CLEAR) == nil
}

func (k *bsd) filters(s Socket, flags int) error {
	var c [2]unix.Kevent_t
	unix.SetKevent(&c[0], int(s), unix.EVFILT_READ, flags)
	unix.SetKevent(&c[1], int(s), unix.EVFILT_WRITE, flags)
	return k.change(c[0], c[1])
}

// Adopt registers the socket. If the system has no memory for that, the loop
// hears of it as of any other lost connection: an event, and Reset from Read.
func (k *bsd) Adopt(s Socket) {
	if !k.watch(s) {
		k.marks[s] |= markReset
		unix.Shutdown(int(s), unix.SHUT_RDWR)
		k.lost = append(k.lost, s)
	}
}

func (k *bsd) Release(s Socket) { k.filters(s, unix.EV_DELETE) }

func (k *bsd) Close(s Socket) { k.buried = append(k.buried, s) }

// Reset makes the coming close(2) a RST: with a linger time of 0 the system
// drops what is queued instead of sending it behind our back.
func (k *bsd) Reset(s Socket) {
	unix.SetsockoptLinger(int(s), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	k.Close(s)
}

// bury closes for good. Kqueue forgets a closed socket by itself.
func (k *bsd) bury() {
	for _, s := range k.buried {
		k.lost.forget(s)
		unix.Close(int(s))
	}
	k.buried = k.buried[:0]
}

func (k *bsd) Free() {
	k.free.Lock()
	defer k.free.Unlock()
	if !k.free.done {
		k.bury()
		unix.Close(k.queue)
		k.free.done = true
	}
}

var errNoPipes = errors.New("sys: there are no pipes on this system, Pipe said so")

func (k *bsd) Pipe() (Pipe, bool)                     { return 0, false }
func (k *bsd) Fill(Pipe, Socket, int) (int, Outcome)  { panic(errNoPipes) }
func (k *bsd) Drain(Pipe, Socket, int) (int, Outcome) { panic(errNoPipes) }
func (k *bsd) Recall(Pipe, []byte) int                { panic(errNoPipes) }
func (k *bsd) Return(Pipe)                            { panic(errNoPipes) }
