//go:build linux

package sys

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What only Linux has, or only a look at the system can tell. What a loop can
// tell is in simnet's conformance test, for all Kernels alike.

var loopback = netip.MustParseAddrPort("127.0.0.1:0")

func newKernel(t testing.TB) *linux {
	t.Helper()
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Free)
	return k.(*linux)
}

func listen(t testing.TB, k Kernel) (Socket, netip.AddrPort) {
	t.Helper()
	l, at, err := k.Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close(l) })
	return l, at
}

// await waits until some of the flags are reported of a socket.
func await(t testing.TB, k Kernel, s Socket, flags Ready) Ready {
	t.Helper()
	var ev [8]Event
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		for _, e := range ev[:k.Wait(time.Second, ev[:])] {
			if e.Sock == s && e.Ready&flags != 0 {
				return e.Ready
			}
		}
	}
	t.Fatalf("socket %d: none of flags %b came", s, flags)
	return 0
}

// accepted is a connection from a client of package net.
func accepted(t testing.TB, k Kernel) (Socket, *net.TCPConn) {
	t.Helper()
	l, at := listen(t, k)
	c, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	await(t, k, l, In)
	s, _, o := k.Accept(l)
	if o != OK {
		t.Fatalf("accept: %v", o)
	}
	t.Cleanup(func() { k.Close(s) })
	await(t, k, s, Out)
	return s, c
}

// Both legs are plain TCP without delay, with urgent data in line, invisible to child processes.
func TestSocketsAreEquippedAlike(t *testing.T) {
	k := newKernel(t)
	in, _ := accepted(t, k)
	_, at := listen(t, k)
	out, o := k.Connect(at, false)
	if o != Again && o != OK {
		t.Fatal(o)
	}
	defer k.Close(out)
	for leg, s := range map[string]Socket{"accepted": in, "connected": out} {
		for _, opt := range []struct {
			name              string
			level, what, want int
		}{
			{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
			{"SO_OOBINLINE", unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
			{"SO_PROTOCOL", unix.SOL_SOCKET, unix.SO_PROTOCOL, unix.IPPROTO_TCP},
			{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, 0},
		} {
			if got, err := unix.GetsockoptInt(int(s), opt.level, opt.what); err != nil || got != opt.want {
				t.Errorf("%s: %s is %d, %v, want %d", leg, opt.name, got, err, opt.want)
			}
		}
		if fl, err := unix.FcntlInt(uintptr(s), unix.F_GETFL, 0); err != nil || fl&unix.O_NONBLOCK == 0 {
			t.Errorf("%s: blocking: %x, %v", leg, fl, err)
		}
		if fd, err := unix.FcntlInt(uintptr(s), unix.F_GETFD, 0); err != nil || fd&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: child processes inherit it: %x, %v", leg, fd, err)
		}
	}
}

// An urgent byte stands in the stream where it was sent. Reads and splices stop in
// front of it without another edge to come, so the Kernel goes on by itself.
func TestUrgentDataInLine(t *testing.T) {
	for _, way := range []string{"read", "splice"} {
		t.Run(way, func(t *testing.T) {
			k := newKernel(t)
			s, c := accepted(t, k)
			for _, part := range []struct {
				b     string
				flags int
			}{{"before", 0}, {"!", unix.MSG_OOB}, {"after", 0}} {
				raw, err := c.SyscallConn()
				if err != nil {
					t.Fatal(err)
				}
				raw.Write(func(fd uintptr) bool {
					err = unix.Sendto(int(fd), []byte(part.b), part.flags, nil)
					return err != unix.EAGAIN
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(5 * time.Millisecond) // one event for all three
			await(t, k, s, In)
			if got := takeAll(t, k, s, way); got != "before!after" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// takeAll takes what there is, as a loop does: one short read, or splices until Again.
func takeAll(t *testing.T, k Kernel, s Socket, way string) string {
	b := make([]byte, 100)
	if way == "read" {
		n, o := k.Read(s, b)
		if o != OK {
			t.Fatal(o)
		}
		return string(b[:n])
	}
	p, ok := k.Pipe()
	if !ok {
		t.Fatal("no pipe was lent")
	}
	defer k.Return(p)
	got := ""
	for {
		if _, o := k.Fill(p, s, 100); o != OK {
			return got
		}
		got += string(b[:k.Recall(p, b)])
	}
}

// IPv6 is served as IPv4 is: [::] takes both, an address of its own only its own.
func TestIPv6(t *testing.T) {
	if !hasIPv6() {
		t.Log("no IPv6 on this machine: no address at all means IPv4")
	}
	for _, c := range []struct{ listen, dial, from string }{
		{"[::1]:0", "::1", "::1"},
		{"[::]:0", "::1", "::1"},
		{"[::]:0", "127.0.0.1", "127.0.0.1"},
		{"", "127.0.0.1", "127.0.0.1"},
		{"0.0.0.0:0", "127.0.0.1", "127.0.0.1"},
	} {
		if strings.Contains(c.listen+c.dial, "::") && !hasIPv6() {
			continue
		}
		t.Run(c.listen+" from "+c.dial, func(t *testing.T) {
			k := newKernel(t)
			var want netip.AddrPort
			if c.listen != "" {
				want = netip.MustParseAddrPort(c.listen)
			}
			l, at, err := k.Listen(want)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close(l)
			// Our own Connect is the client.
			client, o := k.Connect(netip.AddrPortFrom(netip.MustParseAddr(c.dial), at.Port()), false)
			if o != Again && o != OK {
				_, err := k.Connected(None)
				t.Fatal(o, err)
			}
			defer k.Close(client)
			await(t, k, l, In)
			s, from, o := k.Accept(l)
			if o != OK || from.Addr().String() != c.from {
				t.Errorf("accepted from %v, %v, want %v", from, o, c.from)
			}
			k.Close(s)
		})
	}
}

// A sleep is not shorter than asked, and by the coarse call neither. A signal, such as
// Go's own at a collection of garbage, may cut some short, not half of them.
func TestSleepIsNotEarly(t *testing.T) {
	const times = 20
	for _, coarse := range []bool{false, true} {
		k := newKernel(t)
		k.coarse = coarse
		for _, d := range []time.Duration{1, 100 * time.Microsecond, 1500 * time.Microsecond} {
			early := 0
			for range times {
				before := time.Now()
				if n := k.Wait(d, make([]Event, 1)); n != 0 {
					t.Fatalf("%d events", n)
				}
				if time.Since(before) < d {
					early++
				}
			}
			if early > times/2 {
				t.Errorf("coarse %v: %d of %d sleeps were shorter than %v", coarse, early, times, d)
			}
		}
	}
}

// Wakes from many goroutines, also late ones, end Waits and hit nothing else.
func TestWakeAndFree(t *testing.T) {
	before := openFiles(t)
	k, err := New()
	if err != nil {
		t.Fatal(err)
	}
	var ev [4]Event
	for range 100 {
		go k.Wake()
		if n := k.Wait(-1, ev[:]); n != 0 {
			t.Fatalf("woken with %d events", n)
		}
	}
	if p, ok := k.Pipe(); ok {
		k.Return(p)
	}
	stop := make(chan bool)
	for range 4 {
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					k.Wake()
					runtime.Gosched()
				}
			}
		}()
	}
	k.Free()
	k.Free()
	close(stop)
	if after := openFiles(t); after != before {
		t.Errorf("%d files were open before, %d after Free", before, after)
	}
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// An address that cannot be had says which, and in which step.
func TestListenErrors(t *testing.T) {
	k := newKernel(t)
	_, taken := listen(t, k)
	for _, c := range []struct{ at, want string }{
		{taken.String(), "listen " + taken.String() + ": bind: address already in use"},
		{"192.0.2.1:0", "listen 192.0.2.1:0: bind: cannot assign requested address"},
	} {
		if _, _, err := k.Listen(netip.MustParseAddrPort(c.at)); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %q", c.at, err, c.want)
		}
	}
	other := newKernel(t)
	if _, _, err := other.Listen(taken); err == nil {
		t.Error("two listen at one address")
	}
}

// A connect that fails at once leaves no socket behind and says why.
func TestConnectFailsAtOnce(t *testing.T) {
	k := newKernel(t)
	before := openFiles(t)
	s, o := k.Connect(netip.MustParseAddrPort("255.255.255.255:9"), false)
	if s != None || o != Reset {
		t.Fatalf("socket %d, %v", s, o)
	}
	if o, err := k.Connected(None); o != Reset || err == nil {
		t.Errorf("%v, %v", o, err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d files were open before, %d after", before, after)
	}
}

// A socket that could not be adopted is heard of as lost, once, and is Reset to its reader.
func TestAdoptInVain(t *testing.T) {
	k := newKernel(t)
	s, _ := accepted(t, k)
	k.Adopt(s) // it is watched already, so the system refuses
	if r := await(t, k, s, Err); r&In == 0 {
		t.Errorf("flags %b", r)
	}
	if n, o := k.Read(s, make([]byte, 9)); n != 0 || o != Reset {
		t.Errorf("read: %d, %v", n, o)
	}
}

// The steady state allocates nothing.
func TestNoAllocations(t *testing.T) {
	k := newKernel(t)
	s, c := accepted(t, k)
	ev := make([]Event, 16)
	b := make([]byte, 1<<10)
	peer := make([]byte, 1<<10)
	p, ok := k.Pipe()
	if !ok {
		t.Fatal("no pipe was lent")
	}
	defer k.Return(p)
	n := testing.AllocsPerRun(200, func() {
		c.Write(peer[:100])
		for k.Wait(-1, ev) == 0 {
		}
		n, _ := k.Read(s, b)
		k.Write(s, b[:n])
		k.Unacked(s)
		c.Read(peer)
		c.Write(peer[:100])
		for k.Wait(-1, ev) == 0 {
		}
		n, _ = k.Fill(p, s, len(b))
		k.Drain(p, s, n)
		c.Read(peer)
		k.Wait(time.Microsecond, ev)
	})
	if n >= 1 {
		t.Errorf("%v allocations in each round", n)
	}
}
