//go:build linux

package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Packet faults by classic BPF on one socket. The program sees each segment that
// comes in for it, with its TCP header at 0; what it gives back is how much of the
// segment is kept, 0: nothing, and TCP never hears of it. Some kernels ask for
// CAP_NET_ADMIN to attach one.

const (
	pass    = 0xffffffff
	network = 0xfff00000      // SKF_NET_OFF: offsets from the IP header
	random  = 0xfffff000 + 56 // SKF_AD_OFF + SKF_AD_RANDOM: a fresh random number
	miss    = 255             // a jump to the end of a test, until it is known
)

// Filter attaches, replaces or takes away.
func (k *linux) Filter(s Socket, f Filter) error {
	if s == None {
		return mayFilter()
	}
	if !f.All && !f.Fin && f.Loss <= 0 && len(f.From) == 0 {
		if errno := setOption(s, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0); errno != 0 && errno != unix.ENOENT {
			return fmt.Errorf("SO_DETACH_FILTER: %w", errno)
		}
		return nil
	}
	return attach(s, program(f))
}

func attach(s Socket, code []unix.SockFilter) error {
	p := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		uintptr(unsafe.Pointer(&p)), unsafe.Sizeof(p), 0)
	if errno != 0 {
		return fmt.Errorf("SO_ATTACH_FILTER: %w", errno)
	}
	return nil
}

// mayFilter tries it on a socket of its own: kernels differ in what they ask for.
func mayFilter() error {
	s, err := socket(unix.AF_INET)
	if err != nil {
		return err
	}
	defer closeNow(s)
	err = attach(s, program(Filter{Fin: true}))
	if errors.Is(err, unix.EPERM) {
		return errors.New("needs CAP_NET_ADMIN: run as root or setcap cap_net_admin+ep")
	}
	return err
}

// program is the filter's tests, one after the other; each that says yes drops.
func program(f Filter) (code []unix.SockFilter) {
	if f.All {
		return []unix.SockFilter{ret(0)}
	}
	if f.Fin { // byte 13 of the TCP header has the flags
		code = append(code, test(load(unix.BPF_B, 13), jump(unix.BPF_JSET, 1))...)
	}
	if f.Loss > 0 {
		draw := jump(unix.BPF_JGE, uint32(min(f.Loss, 1)*pass))
		draw.Jt, draw.Jf = miss, 0
		code = append(code, test(load(unix.BPF_W, random), draw)...)
	}
	for _, c := range f.From {
		code = append(code, test(from(c)...)...)
	}
	return append(code, ret(pass))
}

// test drops if none of its jumps misses.
func test(code ...unix.SockFilter) []unix.SockFilter {
	code = append(code, ret(0))
	for i := range code {
		after := uint8(len(code) - i - 1)
		if code[i].Jf == miss {
			code[i].Jf = after
		}
		if code[i].Jt == miss {
			code[i].Jt = after
		}
	}
	return code
}

// from tells a sender by its address and port: the IP header has the one, the TCP
// header begins with the other.
func from(c Caller) (code []unix.SockFilter) {
	version, source := uint32(4), uint32(12)
	addr := c.Prefix.Addr()
	if addr.Is6() {
		version, source = 6, 8
	}
	code = append(code, load(unix.BPF_B, network), alu(unix.BPF_RSH, 4), jump(unix.BPF_JEQ, version))
	bytes := addr.AsSlice()
	for i, left := 0, c.Prefix.Bits(); left > 0; i, left = i+4, left-32 {
		mask := uint32(pass) << max(0, 32-left)
		word := binary.BigEndian.Uint32(bytes[i:])
		code = append(code, load(unix.BPF_W, network+source+uint32(i)), alu(unix.BPF_AND, mask), jump(unix.BPF_JEQ, word&mask))
	}
	if c.Port != 0 {
		code = append(code, load(unix.BPF_H, 0), jump(unix.BPF_JEQ, uint32(c.Port)))
	}
	return code
}

func load(size uint16, at uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_LD | size | unix.BPF_ABS, K: at}
}

func alu(op uint16, k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_ALU | op | unix.BPF_K, K: k}
}

// jump goes on if the test holds, else it misses.
func jump(op uint16, k uint32) unix.SockFilter {
	return unix.SockFilter{Code: unix.BPF_JMP | op | unix.BPF_K, Jf: miss, K: k}
}

func ret(k uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k} }
