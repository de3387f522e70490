//go:build linux || darwin

package sys

import (
	"net"
	"strconv"
)

// scope is the number of an IPv6 zone, which may be an interface's number or name.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}
