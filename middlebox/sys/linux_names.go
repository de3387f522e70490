//go:build linux

package sys

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (k *linux) Names(s Socket) (own, peer netip.AddrPort) {
	return nameOf(unix.SYS_GETSOCKNAME, s), nameOf(unix.SYS_GETPEERNAME, s)
}

func nameOf(call uintptr, s Socket) netip.AddrPort {
	var got unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	if _, _, errno := unix.RawSyscall(call, uintptr(s), uintptr(unsafe.Pointer(&got)), uintptr(unsafe.Pointer(&size))); errno != 0 {
		return netip.AddrPort{}
	}
	return fromSockaddr(&got)
}
