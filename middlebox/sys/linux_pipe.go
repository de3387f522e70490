//go:build linux

package sys

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Splice: bytes go from socket to pipe to socket as references to the pages they
// came in. That pays only with large pipes (a third less processor time at 1 MiB, nothing
// at the usual 64 KiB), and an ordinary user gets few of them in all (64 MiB),
// so pipes are pooled, few, and refused rather than small.
const (
	pipeSize  = 1 << 20
	pipesMost = 32          // of one Kernel, lent or pooled
	pipeRetry = time.Second // how long a refusal by the system stands
)

// pipes is a Kernel's pool. A Pipe is an index into all.
type pipes struct {
	all     []pipe
	idle    []Pipe
	refused time.Time // when the system last refused one
}

type pipe struct {
	r, w int
	held int // bytes inside
	lent bool
}

func (k *linux) Pipe() (Pipe, bool) {
	ps := &k.pipes
	if len(ps.idle) == 0 && !ps.open() {
		return 0, false
	}
	last := len(ps.idle) - 1
	p := ps.idle[last]
	ps.idle = ps.idle[:last]
	ps.all[p].lent = true
	return p, true
}

// open adds a pipe to the idle ones, if it may and can have the full size.
func (ps *pipes) open() bool {
	if len(ps.all) >= pipesMost || !ps.refused.IsZero() && time.Since(ps.refused) < pipeRetry {
		return false
	}
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		ps.refused = time.Now()
		return false
	}
	unix.FcntlInt(uintptr(fd[1]), unix.F_SETPIPE_SZ, pipeSize)
	if size, err := unix.FcntlInt(uintptr(fd[1]), unix.F_GETPIPE_SZ, 0); err != nil || size < pipeSize {
		unix.Close(fd[0])
		unix.Close(fd[1])
		ps.refused = time.Now()
		return false
	}
	ps.idle = append(ps.idle, Pipe(len(ps.all)))
	ps.all = append(ps.all, pipe{r: fd[0], w: fd[1]})
	return true
}

// Fill answers Again also when the pipe is full, which a loop that drains before
// it fills again never sees. Splice cannot pass an urgent byte; Read can.
func (k *linux) Fill(p Pipe, from Socket, n int) (int, Outcome) {
	if n <= 0 {
		return 0, Again
	}
	q := &k.pipes.all[p]
	m, errno := splice(int(from), q.w, n)
	switch {
	case errno == unix.EAGAIN && q.held == 0 && k.marks[from]&markUrgent != 0:
		return k.fillByCopy(q, from, n)
	case errno != 0:
		return 0, k.failed(from, errno)
	case m == 0:
		return 0, k.ended(from)
	}
	q.held += m
	return m, OK
}

// fillByCopy reads a few bytes and writes them to the empty pipe, where they fit.
func (k *linux) fillByCopy(q *pipe, from Socket, n int) (int, Outcome) {
	var b [512]byte
	m, o := k.Read(from, b[:min(n, len(b))])
	if o != OK {
		return m, o
	}
	w, err := unix.Write(q.w, b[:m])
	if err != nil || w != m {
		panic(fmt.Sprintf("sys: an empty pipe took %d of %d bytes: %v", w, m, err))
	}
	q.held += m
	return m, OK
}

func (k *linux) Drain(p Pipe, to Socket, n int) (int, Outcome) {
	q := &k.pipes.all[p]
	n = min(n, q.held)
	if n <= 0 {
		return 0, OK
	}
	m, errno := splice(q.r, int(to), n)
	if errno != 0 {
		return 0, k.failed(to, errno)
	}
	q.held -= m
	return m, OK
}

func splice(from, to, n int) (int, unix.Errno) {
	for {
		m, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0,
			uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != unix.EINTR {
			return int(m), errno
		}
	}
}

func (k *linux) Recall(p Pipe, b []byte) int {
	q := &k.pipes.all[p]
	if len(b) == 0 || q.held == 0 {
		return 0
	}
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(q.r), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0
	}
	q.held -= int(n)
	return int(n)
}

func (k *linux) Return(p Pipe) {
	q := &k.pipes.all[p]
	if !q.lent || q.held != 0 {
		panic(fmt.Sprintf("sys: pipe %d returned with %d bytes in it, lent: %v", p, q.held, q.lent))
	}
	q.lent = false
	k.pipes.idle = append(k.pipes.idle, p)
}

func (ps *pipes) free() {
	for _, p := range ps.all {
		unix.Close(p.r)
		unix.Close(p.w)
	}
	ps.all, ps.idle = nil, nil
}
