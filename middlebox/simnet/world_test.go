package simnet_test

import (
	"bytes"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// The two stages of the conformance plays: the kernel under test with its
// listener w.l, and what differs between the real and the simulated one.

// patience is how long a play waits for what must come, silence for what must not.
const (
	patience = 10 * time.Second
	silence  = 20 * time.Millisecond
)

type world struct {
	t     *testing.T
	k     sys.Kernel
	l     sys.Socket
	at    netip.AddrPort
	ready map[sys.Socket]sys.Ready // reported and not yet asked for
	stage
}

// stage is what differs.
type stage interface {
	another() sys.Kernel
	flow()                         // let the network carry what it can
	pass(d time.Duration)          // let a simulated clock advance
	pause() time.Duration          // how long a Wait may sleep
	dialTo(at netip.AddrPort) peer // nil: refused
	server() netip.AddrPort        // where a server listens
	taken() peer                   // the connection that server accepts
	nobody() netip.AddrPort        // where nobody listens
	leaks() []string
}

// peer is a client or server at the far end.
type peer interface {
	addr() netip.AddrPort
	send(b []byte)                       // all of it
	delivered()                          // waits until all that was sent is in the kernel under test
	read(most int) []byte                // what comes next
	wantRead(b []byte)                   // next come exactly these
	drain() (all []byte, end simnet.End) // the rest
	want(rest []byte, end simnet.End)    // the rest is this
	closeWrite()
	close()
	reset()
}

func newWorld(t *testing.T, k sys.Kernel, st stage) *world {
	t.Helper()
	l, at, err := k.Listen(loopback)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, k: k, l: l, at: at, ready: map[sys.Socket]sys.Ready{}, stage: st}
}

func (w *world) finish() {
	w.k.Close(w.l)
	w.turn()
	w.k.Free()
	if leaks := w.leaks(); len(leaks) > 0 {
		w.t.Error(leaks)
	}
}

// turn is one look at what is ready.
func (w *world) turn() {
	var ev [8]sys.Event
	w.flow()
	for _, e := range ev[:w.k.Wait(w.pause(), ev[:])] {
		w.ready[e.Sock] |= e.Ready
	}
}

// await waits until all the flags were reported of a socket.
func (w *world) await(s sys.Socket, flags sys.Ready) {
	w.t.Helper()
	for until := time.Now().Add(patience); w.ready[s]&flags != flags; w.turn() {
		if time.Now().After(until) {
			w.t.Fatalf("socket %d: flags %b never came, only %b", s, flags, w.ready[s])
		}
	}
	delete(w.ready, s)
}

// silent sees to it that nothing is reported of a socket.
func (w *world) silent(s sys.Socket) {
	w.t.Helper()
	delete(w.ready, s)
	for until := time.Now().Add(silence); time.Now().Before(until); w.turn() {
		if r := w.ready[s]; r != 0 {
			w.t.Fatalf("socket %d: flags %b without an edge", s, r)
		}
	}
}

func (w *world) want(got sys.Outcome, wants ...sys.Outcome) {
	w.t.Helper()
	for _, o := range wants {
		if got == o {
			return
		}
	}
	w.t.Fatalf("outcome %v, want %v", got, wants)
}

func (w *world) wantRead(s sys.Socket, b []byte, o sys.Outcome) {
	w.t.Helper()
	var got []byte
	buf := make([]byte, 1000)
	n, out := w.k.Read(s, buf)
	for got = buf[:n]; out == sys.OK && len(got) < len(b); { // segments of their own
		w.turn()
		n, out = w.k.Read(s, buf[len(got):])
		got = buf[:len(got)+n]
		if out == sys.Again {
			out = sys.OK
		}
	}
	if !bytes.Equal(got, b) || out != o {
		w.t.Fatalf("read %q, %v, want %q, %v", got, out, b, o)
	}
}

func (w *world) wantWrite(s sys.Socket, o sys.Outcome) {
	w.t.Helper()
	if n, got := w.k.Write(s, words); got != o || n != 0 {
		w.t.Fatalf("write: %d, %v, want %v", n, got, o)
	}
}

func (w *world) write(s sys.Socket, b []byte) {
	w.t.Helper()
	if n, o := w.k.Write(s, b); n != len(b) || o != sys.OK {
		w.t.Fatalf("wrote %d of %d, %v", n, len(b), o)
	}
}

// stuff writes until the peer, which does not read, lets nothing more in.
func (w *world) stuff(s sys.Socket) (written int) {
	b := make([]byte, 1<<16)
	for {
		n, o := w.k.Write(s, b)
		written += n
		if o == sys.OK {
			continue
		}
		w.want(o, sys.Again)
		delete(w.ready, s)
		for until := time.Now().Add(silence); time.Now().Before(until) && w.ready[s] == 0; {
			w.turn()
		}
		if w.ready[s] == 0 {
			return written
		}
	}
}

// acked waits until the peer's kernel has everything.
func (w *world) acked(s sys.Socket) {
	w.t.Helper()
	for until := time.Now().Add(patience); w.k.Unacked(s) > 0; w.turn() {
		if time.Now().After(until) {
			w.t.Fatalf("%d bytes were never acknowledged", w.k.Unacked(s))
		}
	}
}

func (w *world) dial() peer {
	p := w.dialTo(w.at)
	if p == nil {
		w.t.Fatal("refused")
	}
	return p
}

// accepted is a connection from a client, and its newcomer's Out already seen.
func (w *world) accepted() (sys.Socket, peer) {
	w.t.Helper()
	p := w.dial()
	w.await(w.l, sys.In)
	s, _, o := w.k.Accept(w.l)
	w.want(o, sys.OK)
	w.await(s, sys.Out)
	return s, p
}

// connected is a connection to a server.
func (w *world) connected() (sys.Socket, peer) {
	w.t.Helper()
	s, o := w.k.Connect(w.server(), false)
	w.want(o, sys.Again, sys.OK)
	w.await(s, sys.Out)
	w.connects(s, sys.OK)
	return s, w.taken()
}

func (w *world) connects(s sys.Socket, want sys.Outcome) sys.Outcome {
	w.t.Helper()
	o, err := w.k.Connected(s)
	if o != want || (err == nil) != (want == sys.OK) {
		w.t.Fatalf("connected: %v, %v, want %v", o, err, want)
	}
	if err != nil && err.Error() != "connection refused" {
		w.t.Errorf("refused because of %q", err)
	}
	return o
}

// pipe is lent one; there are none on macOS, and nowhere else it may be denied.
func (w *world) pipe() (p sys.Pipe, ok bool) {
	p, ok = w.k.Pipe()
	if !ok && runtime.GOOS != "darwin" {
		w.t.Fatal("no pipe was lent")
	}
	return p, ok
}

func (w *world) fill(p sys.Pipe, from sys.Socket, n int) {
	w.t.Helper()
	for n > 0 {
		m, o := w.k.Fill(p, from, n)
		w.want(o, sys.OK)
		n -= m
	}
}

func (w *world) drain(p sys.Pipe, to sys.Socket, n int) {
	w.t.Helper()
	for n > 0 {
		m, o := w.k.Drain(p, to, n)
		w.want(o, sys.OK)
		n -= m
	}
}
