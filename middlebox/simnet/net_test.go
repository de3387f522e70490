package simnet

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"crimp/middlebox/sys"
)

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// echo is the smallest loop: it accepts, and sends back what it reads.
type echo struct {
	k     *Kernel
	l     sys.Socket
	addr  netip.AddrPort
	conns []*echoed
	log   *strings.Builder
}

type echoed struct {
	s        sys.Socket
	pend     []byte
	in       bool
	finished bool
}

func newEcho(t testing.TB, n *Net) *echo {
	x := &echo{k: n.Kernel(), log: &strings.Builder{}}
	var err error
	if x.l, x.addr, err = x.k.Listen(anyPort); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *echo) turn() {
	var ev [4]sys.Event
	for _, e := range ev[:x.k.Wait(-1, ev[:])] {
		fmt.Fprintln(x.log, e)
		if e.Sock == x.l {
			for {
				s, _, o := x.k.Accept(x.l)
				if o != sys.OK {
					break
				}
				x.conns = append(x.conns, &echoed{s: s})
			}
			continue
		}
		for _, c := range x.conns {
			if c.s == e.Sock && !c.finished {
				c.in = c.in || e.Ready&sys.In != 0
				x.relay(c)
			}
		}
	}
}

func (x *echo) relay(c *echoed) {
	var b [64]byte
	for {
		for len(c.pend) > 0 {
			n, o := x.k.Write(c.s, c.pend)
			c.pend = c.pend[n:]
			if o == sys.Again {
				return
			}
			if o == sys.Reset {
				c.pend = nil
			}
		}
		if !c.in {
			return
		}
		n, o := x.k.Read(c.s, b[:])
		switch o {
		case sys.OK:
			c.pend = append(c.pend, b[:n]...)
		case sys.Again:
			c.in = false
			return
		default:
			x.k.Close(c.s)
			c.finished = true
			return
		}
	}
}

// play runs three clients against the echo, and returns everything that could be seen.
func play(t *testing.T, seed uint64) string {
	n := New(seed, Options{})
	x := newEcho(t, n)
	said := []byte(strings.Repeat("what is said is said again. ", 20))
	var clients [3]*Peer
	var sent [3]int
	for i := range clients {
		clients[i] = n.Dial(x.addr)
	}
	done := func() bool {
		for _, c := range clients {
			if c.End() != FIN {
				return false
			}
		}
		return true
	}
	for turns := 0; !done(); turns++ {
		if turns > 100000 {
			t.Fatalf("seed %d: no end; quiet: %v, clients: %v %v %v", seed, n.Quiet(), clients[0].End(), clients[1].End(), clients[2].End())
		}
		i := n.Rand().IntN(3)
		switch n.Rand().IntN(4) {
		case 0:
			sent[i] += clients[i].Send(said[sent[i]:])
			if sent[i] == len(said) {
				clients[i].CloseWrite()
			}
		case 1:
			clients[i].Read(n.Rand().IntN(40))
		case 2:
			n.Step()
		case 3:
			x.turn()
		}
	}
	for _, c := range clients {
		if !bytes.Equal(c.Got(), said) {
			t.Fatalf("seed %d: got %q", seed, c.Got())
		}
	}
	x.k.Close(x.l)
	if leaks := n.Leaks(); len(leaks) > 0 {
		t.Fatalf("seed %d: %v", seed, leaks)
	}
	return x.log.String()
}

// A world depends on its seed and on nothing else.
func TestSameSeedSamePlay(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(100) {
		a, b := play(t, seed), play(t, seed)
		if a != b {
			t.Fatalf("seed %d: two runs differ:\n%s\n---\n%s", seed, a, b)
		}
		seen[a] = true
	}
	if len(seen) < 95 {
		t.Errorf("100 seeds gave only %d different plays", len(seen))
	}
}

// Quiet and Next let a driver find out that nothing moves, and until when.
func TestQuietAndNext(t *testing.T) {
	n := New(1, Options{ConnectDelay: time.Second})
	k := n.Kernel()
	srv := n.Serve(netip.MustParseAddrPort("192.0.2.1:80"))
	var ev [4]sys.Event
	if n.Quiet() {
		t.Error("quiet before the loop's first Wait")
	}
	s, o := k.Connect(srv.Addr(), false)
	if o != sys.Again {
		t.Fatal(o)
	}
	if m := k.Wait(5*time.Second, ev[:]); m != 0 || !n.Quiet() {
		t.Fatalf("%d events, quiet %v", m, n.Quiet())
	}
	due, ok := n.Next()
	if late := due.Sub(n.Now()); !ok || late <= 0 || late > time.Second {
		t.Fatalf("connect due in %v, %v", late, ok)
	}
	n.AdvanceTo(due)
	n.Flow()
	if n.Quiet() {
		t.Fatal("quiet with an event to report")
	}
	for k.Wait(-1, ev[:]) == 0 { // it may come late
	}
	if o, _ := k.Connected(s); o != sys.OK {
		t.Fatal(o)
	}
	if n.Quiet() {
		t.Error("quiet right after an event: the loop may want something now")
	}
	for k.Wait(time.Minute, ev[:]) != 0 {
	}
	if due, ok = n.Next(); !ok || due.Sub(n.Now()) != time.Minute {
		t.Errorf("loop wakes in %v, %v", due.Sub(n.Now()), ok)
	}
	k.Wake()
	if n.Quiet() {
		t.Error("quiet with a wake-up on its way")
	}
	if got := n.Leaks(); len(got) != 1 || !strings.Contains(got[0], "connection") {
		t.Errorf("leaks: %v", got)
	}
}

// A loop in its own goroutine alternates with the driver.
func TestParkedLoop(t *testing.T) {
	n := New(3, Options{Park: true})
	x := newEcho(t, n)
	asked, answered := make(chan bool, 1), make(chan bool)
	stop := false
	over := make(chan bool)
	go func() {
		defer close(over)
		for !stop {
			x.turn()
			select {
			case <-asked:
				answered <- true
			default:
			}
		}
	}()
	c := n.Dial(x.addr)
	n.Flow()
	for sent := 0; len(c.Got()) < 5; {
		sent += c.Send([]byte("hello")[sent:])
		n.Flow()
		x.k.Turn()
		c.Read(100)
	}
	// A call that waits for the loop's answer needs no turn.
	asked <- true
	x.k.Wake()
	<-answered
	x.k.Settle()
	stop = true
	x.k.Wake()
	<-over
	x.k.Free()
	x.k.Turn() // a freed kernel has no turns to wait for
}

// What would hit a stranger on a real kernel is a panic here.
func TestMisusePanics(t *testing.T) {
	n := New(1, Options{})
	k, other := n.Kernel(), n.Kernel()
	l, _, err := k.Listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	closed, _, _ := k.Listen(anyPort)
	k.Close(closed)
	p, _ := k.Pipe()
	for name, misuse := range map[string]func(){
		"another kernel's socket": func() { other.Accept(l) },
		"a closed socket":         func() { k.Accept(closed) },
		"closed twice":            func() { k.Close(closed) },
		"no socket":               func() { k.Close(sys.None) },
		"adopted unreleased":      func() { other.Adopt(l) },
		"a pipe not lent":         func() { k.Return(p + 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			misuse()
		}()
	}
}
