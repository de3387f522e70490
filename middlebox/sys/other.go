//go:build !linux && !darwin

package sys

import (
	"fmt"
	"runtime"
)

// New says that there is no Kernel here: the relay runs on Linux and macOS.
func New() (Kernel, error) {
	return nil, fmt.Errorf("the relay is not supported on %s (on Linux and macOS it is); the client and the tools work here", runtime.GOOS)
}
