//go:build linux

package sys

import (
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// kernels is how many there are.
var kernels atomic.Int32

// rest sleeps up to d: dozes first, where it may, and sleeps for what is left then.
func (k *linux) rest(d time.Duration) int {
	if k.coarse || int(kernels.Load()) >= k.procs {
		return k.sleep(d)
	}
	var until time.Time
	if d > dozeMost {
		until = time.Now().Add(d)
	}
	n := k.doze(d)
	switch {
	case k.coarse:
		return k.sleep(d)
	case n > 0 || d > 0 && d <= dozeMost:
		return n
	case d > 0:
		if d = time.Until(until); d <= 0 {
			return 0
		}
	}
	return k.sleep(d)
}

// dozeMost is how long others are kept from running at most.
const dozeMost = time.Millisecond

// doze sleeps a little without a word to Go's scheduler, which would take this
// thread's place among the running ones away after 20 us, and has to find it
// another when it wakes: a tenth of what a new connection costs, where there are
// thousands a second, and most sleeps are short. It keeps others from running
// here, so it is for a process with a processor to spare for them.
func (k *linux) doze(d time.Duration) int {
	if d < 0 || d > dozeMost {
		d = dozeMost
	}
	ts := kernelTimespec{0, int64(d)}
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(k.epoll),
		uintptr(unsafe.Pointer(&k.batch[0])), uintptr(len(k.batch)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	switch errno {
	case 0:
		return int(n)
	case unix.ENOSYS, unix.EPERM:
		k.coarse = true
	}
	return 0
}
