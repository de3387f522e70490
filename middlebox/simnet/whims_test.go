package simnet

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"crimp/middlebox/sys"
)

// What Linux does seldom and this world does often, each whim by itself.

// calm are options without any whim.
func calm() Options {
	return Options{BufferMin: 1 << 12, BufferMax: 1 << 12, HugeOneIn: -1, LateOneIn: -1, SpuriousOneIn: -1}
}

// stage is a world with one kernel that listens.
func stage(t *testing.T, o Options) (*Net, *Kernel, sys.Socket, netip.AddrPort) {
	t.Helper()
	n := New(7, o)
	k := n.Kernel()
	l, at, err := k.Listen(anyPort)
	if err != nil {
		t.Fatal(err)
	}
	return n, k, l, at
}

// join makes a connection from a client and accepts it.
func join(t *testing.T, n *Net, k *Kernel, l sys.Socket, at netip.AddrPort) (sys.Socket, *Peer) {
	t.Helper()
	p := n.Dial(at)
	n.Flow()
	s, _, o := k.Accept(l)
	if o != sys.OK {
		t.Fatal(o)
	}
	return s, p
}

// ready is what one Wait reports of a socket.
func ready(k *Kernel, s sys.Socket) sys.Ready {
	var ev [16]sys.Event
	for _, e := range ev[:k.Wait(-1, ev[:])] {
		if e.Sock == s {
			return e.Ready
		}
	}
	return 0
}

// A full table leaves the connection waiting, and no event tells when there is
// room: a loop that does not ask again by itself never hears of it.
func TestFullTable(t *testing.T) {
	o := calm()
	o.Sockets = 2
	n, k, l, at := stage(t, o)
	first, _ := join(t, n, k, l, at)
	waits := n.Dial(at)
	n.Flow()
	n.Dial(at)
	n.Flow()
	ready(k, l)
	if _, _, o := k.Accept(l); o != sys.Full {
		t.Fatalf("accept: %v", o)
	}
	if s, o := k.Connect(at, false); s != sys.None || o != sys.Full {
		t.Fatalf("connect: %d, %v", s, o)
	}
	if o := k.Refuse(l, false); o != sys.OK {
		t.Errorf("refuse: %v", o)
	}
	n.Flow()
	if waits.Read(1); waits.End() != RST {
		t.Errorf("who was refused saw %v", waits.End())
	}
	k.Close(first)
	if _, _, o := k.Accept(l); o != sys.Full {
		t.Errorf("the number was free before the next Wait: %v", o)
	}
	if r := ready(k, l); r != 0 {
		t.Errorf("the listener spoke up: %b", r)
	}
	second, _, o2 := k.Accept(l)
	if o2 != sys.OK || second != first {
		t.Errorf("socket %d, %v; the number that became free last is %d", second, o2, first)
	}
}

// A full backlog lets further clients wait for their connection.
func TestFullBacklog(t *testing.T) {
	o := calm()
	o.Backlog = 1
	n, k, l, at := stage(t, o)
	a, b := n.Dial(at), n.Dial(at)
	n.Flow()
	if a.Connected() == b.Connected() {
		t.Errorf("connected: %v, %v", a.Connected(), b.Connected())
	}
	if _, _, o := k.Accept(l); o != sys.OK {
		t.Fatal(o)
	}
	n.Flow()
	if !a.Connected() || !b.Connected() {
		t.Errorf("connected: %v, %v", a.Connected(), b.Connected())
	}
}

// An event may be withheld, but it is not lost, and Quiet knows of it.
func TestLateEvents(t *testing.T) {
	o := calm()
	o.LateOneIn = 2
	n, k, l, at := stage(t, o)
	s, p := join(t, n, k, l, at)
	for ready(k, s) == 0 {
	}
	late := 0
	for range 100 {
		p.Send([]byte("x"))
		n.Flow()
		for ready(k, s)&sys.In == 0 {
			if late++; n.Quiet() {
				t.Fatal("quiet with an event withheld")
			}
		}
		if got, o := k.Read(s, make([]byte, 9)); got != 1 || o != sys.OK {
			t.Fatal(got, o)
		}
	}
	if late < 20 || late > 500 {
		t.Errorf("%d Waits came too early for 100 events, one in two should", late)
	}
}

// A wake-up without reason says what is true all the same.
func TestSpuriousEvents(t *testing.T) {
	o := calm()
	o.SpuriousOneIn = 2
	n, k, l, at := stage(t, o)
	s, _ := join(t, n, k, l, at)
	ready(k, s)
	seen := 0
	for range 100 {
		switch ready(k, s) {
		case sys.Out:
			seen++
		case 0:
		default:
			t.Fatal("flags that are not so")
		}
	}
	if seen == 0 {
		t.Error("none in 100 Waits")
	}
}

// A refused connect is told at once or later; one that is not takes its time.
func TestRefusalAndDelay(t *testing.T) {
	o := calm()
	o.RefuseOneIn, o.ConnectDelay = 2, time.Second
	n := New(1, o)
	k := n.Kernel()
	srv := n.Serve(anyPort)
	var atOnce, later, made int
	for range 40 {
		s, out := k.Connect(srv.Addr(), false)
		if out == sys.Reset {
			if o, err := k.Connected(s); s != sys.None || o != sys.Reset || err == nil {
				t.Fatal(s, o, err)
			}
			atOnce++
			continue
		}
		for out == sys.Again {
			if due, ok := n.Next(); ok {
				n.AdvanceTo(due)
			}
			n.Flow()
			out, _ = k.Connected(s)
		}
		if out == sys.OK {
			made++
			srv.Accept()
		} else {
			later++
		}
		k.Close(s)
		k.Wait(-1, make([]sys.Event, 4))
	}
	if atOnce == 0 || later == 0 || made == 0 {
		t.Errorf("%d refused at once, %d later, %d made", atOnce, later, made)
	}
	srv.Close()
	if s, out := k.Connect(srv.Addr(), false); out == sys.Again {
		n.Advance(o.ConnectDelay)
		n.Flow()
		if out, err := k.Connected(s); out != sys.Reset || err == nil {
			t.Errorf("a server that is gone: %v, %v", out, err)
		}
	}
}

// Splices are short for no reason, and what stays in a pipe gets its event.
func TestShortSplices(t *testing.T) {
	n, k, l, at := stage(t, calm())
	from, source := join(t, n, k, l, at)
	to, sink := join(t, n, k, l, at)
	data := bytes.Repeat([]byte("0123456789"), 100)
	source.Send(data)
	source.CloseWrite()
	n.Flow()
	p, ok := k.Pipe()
	if !ok {
		t.Fatal("no pipe")
	}
	held, short := 0, 0
	for ended := false; !ended || held > 0; {
		if held == 0 {
			m, o := k.Fill(p, from, 1<<20)
			ended = o == sys.EOF
			held = m
			continue
		}
		m, o := k.Drain(p, to, held)
		if held -= m; held > 0 {
			short++
			n.Flow()
			sink.Read(1 << 20)
			if r := ready(k, to); r&sys.Out == 0 {
				t.Fatalf("after a short drain, %v: flags %b", o, r)
			}
		}
	}
	k.Return(p)
	n.Flow()
	sink.Read(1 << 20)
	if !bytes.Equal(sink.Got(), data) || short == 0 {
		t.Errorf("%d of %d bytes arrived; %d drains were short", len(sink.Got()), len(data), short)
	}
}

// Pipes are few and lent once.
func TestFewPipes(t *testing.T) {
	n := New(1, Options{Pipes: 2})
	k := n.Kernel()
	a, ok1 := k.Pipe()
	b, ok2 := k.Pipe()
	_, ok3 := k.Pipe()
	if !ok1 || !ok2 || ok3 || a == b {
		t.Errorf("lent %d %v, %d %v, and a third: %v", a, ok1, b, ok2, ok3)
	}
	if got := n.Leaks(); len(got) != 2 {
		t.Errorf("leaks: %q", got)
	}
	k.Return(a)
	k.Return(b)
	if _, ok := New(1, Options{Pipes: -1}).Kernel().Pipe(); ok {
		t.Error("a world without pipes lent one")
	}
}

// ErrorOnce is the system call without what the Kernel makes of it.
func TestErrorOnce(t *testing.T) {
	for _, once := range []bool{false, true} {
		o := calm()
		o.ErrorOnce = once
		n, k, l, at := stage(t, o)
		s, p := join(t, n, k, l, at)
		p.Send([]byte("said"))
		n.Flow()
		p.Reset()
		n.Flow()
		if _, o := k.Write(s, []byte("x")); o != sys.Reset {
			t.Fatalf("write: %v", o)
		}
		if m, o := k.Read(s, make([]byte, 9)); m != 4 || o != sys.OK {
			t.Fatalf("read: %d, %v", m, o)
		}
		want := sys.Reset
		if once {
			want = sys.EOF
		}
		if _, o := k.Read(s, make([]byte, 9)); o != want {
			t.Errorf("once %v: the end is %v, want %v", once, o, want)
		}
	}
}

// Actors talk to each other through an echo until all is said and heard.
func TestActors(t *testing.T) {
	for seed := range uint64(200) {
		n := New(seed, Options{})
		x := newEcho(t, n)
		said := bytes.Repeat([]byte("abc"), int(seed))
		a := &Actor{Peer: n.Dial(x.addr), Say: said, Then: Parting(seed % 4), Deaf: -1}
		for moved := true; moved; {
			moved = a.Move()
			moved = n.Step() || moved
			x.turn()
			moved = moved || !n.Quiet()
		}
		got := a.Peer.Got()
		if !bytes.HasPrefix(said, got) {
			t.Fatalf("seed %d: got %q", seed, got)
		}
		switch a.Then {
		case HalfClose:
			if len(got) != len(said) || a.Peer.End() != FIN || !a.Done() {
				t.Errorf("seed %d: got %d of %d, %v, done: %v", seed, len(got), len(said), a.Peer.End(), a.Done())
			}
		case Stay:
			if len(got) != len(said) || a.Peer.End() != Open {
				t.Errorf("seed %d: got %d of %d, %v", seed, len(got), len(said), a.Peer.End())
			}
		default:
			if !a.Done() {
				t.Errorf("seed %d: not done", seed)
			}
		}
	}
}
