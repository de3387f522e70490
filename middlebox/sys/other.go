//go:build !linux && !darwin

package sys

import (
	"fmt"
	"runtime"
)

// Files is how many file descriptors the process may have: as many as it likes.
func Files() int { return 1 << 30 }

// New says that there is no Kernel here: the relay runs on Linux and macOS.
func New() (Kernel, error) {
	return nil, fmt.Errorf("the relay is not supported on %s (on Linux and macOS it is); the client and the tools work here", runtime.GOOS)
}
