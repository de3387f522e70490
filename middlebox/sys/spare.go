//go:build linux || darwin

package sys

import "golang.org/x/sys/unix"

// Files is how many file descriptors the process may have. (Go has raised the soft
// limit to the hard one by the time main is called.)
func Files() int {
	var now unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &now) != nil || now.Cur > 1<<30 {
		return 1 << 30
	}
	return int(now.Cur)
}

// spare is a descriptor kept so that a client can be told, when there is no other,
// that there is none: without it, it would wait in the kernel's queue until its
// own patience ends. -1: none is kept.
type spare int

// keep opens it, if there is one to be had.
func (s *spare) keep() {
	if *s < 0 {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			fd = -1
		}
		*s = spare(fd)
	}
}

// drop gives it up.
func (s *spare) drop() {
	if *s >= 0 {
		unix.Close(int(*s))
		*s = -1
	}
}
