package middlebox

import (
	"net/netip"
	"slices"
	"sort"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// spy is a kernel that notes what the box does with which socket and when: the
// model's eyes between the box and the simulated world.
type spy struct {
	*simnet.Kernel
	w     *world
	taps  []*tap // by socket
	fresh []*tap // connections the box has begun since the model last looked
	calls int    // that did something
	pipes []*tap // where a pipe's bytes came from
}

// tap is what went through one of the box's sockets.
type tap struct {
	sock   sys.Socket
	client netip.AddrPort // of an accepted one
	own    netip.AddrPort // the box's address, of one it connected
	stood  bool           // the connection was made
	in     []stamp
	out    []stamp
	eof    stamp // the peer's FIN was read
	rst    stamp // its RST was
	shut   stamp // our FIN
	closed stamp
	reset  bool // closed with a RST
}

// who is the client's address, or the box's own on a server's connection.
func (t *tap) who() netip.AddrPort {
	if t.client.IsValid() {
		return t.client
	}
	return t.own
}

// stamp is when so many bytes had passed. The step is the driver's; 0: never.
type stamp struct {
	step  int
	at    time.Time
	total int
}

func total(s []stamp) int {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].total
}

// when is the stamp of the byte at offset off, the zero stamp if it has not passed.
func when(s []stamp, off int) stamp {
	i := sort.Search(len(s), func(i int) bool { return s[i].total > off })
	if i == len(s) {
		return stamp{}
	}
	return s[i]
}

func (k *spy) tap(s sys.Socket) *tap {
	for int(s) >= len(k.taps) {
		k.taps = append(k.taps, nil)
	}
	if k.taps[s] == nil {
		k.taps[s] = &tap{sock: s}
	}
	return k.taps[s]
}

func (k *spy) now(n int) stamp {
	k.calls++
	return stamp{step: k.w.step, at: k.w.net.Now(), total: n}
}

func (k *spy) Accept(l sys.Socket) (sys.Socket, netip.AddrPort, sys.Outcome) {
	s, peer, out := k.Kernel.Accept(l)
	if out == sys.OK {
		k.calls++
		t := k.tap(s)
		t.client, t.stood = peer, true
		k.w.taps[peer] = t
	}
	if out == sys.Full {
		k.w.seen("full table")
	}
	return s, peer, out
}

func (k *spy) Refuse(l sys.Socket, fin bool) sys.Outcome {
	out := k.Kernel.Refuse(l, fin)
	if out == sys.OK {
		k.calls++
		k.w.seen("refused for lack of a number")
	}
	return out
}

func (k *spy) Connect(to netip.AddrPort, soon bool) (sys.Socket, sys.Outcome) {
	s, out := k.Kernel.Connect(to, soon)
	k.calls++
	if s != sys.None {
		t := k.tap(s)
		t.own = k.w.net.AddrOf(s)
		k.fresh = append(k.fresh, t)
	}
	return s, out
}

func (k *spy) Connected(s sys.Socket) (sys.Outcome, error) {
	out, err := k.Kernel.Connected(s)
	if out == sys.OK {
		k.tap(s).stood = true
	}
	return out, err
}

func (k *spy) Release(s sys.Socket) {
	k.Kernel.Release(s)
	k.w.adrift[s], k.taps[s] = k.taps[s], nil
}

func (k *spy) Adopt(s sys.Socket) {
	k.Kernel.Adopt(s)
	k.tap(s)
	k.taps[s] = k.w.adrift[s]
}

func (k *spy) Read(s sys.Socket, b []byte) (int, sys.Outcome) {
	n, out := k.Kernel.Read(s, b)
	t := k.tap(s)
	switch out {
	case sys.OK:
		t.in = append(t.in, k.now(total(t.in)+n))
		k.w.tracef("box: reads %q from %v", b[:n], t.who())
	case sys.EOF:
		t.eof = k.now(total(t.in))
	case sys.Reset:
		t.rst = k.now(total(t.in))
	}
	return n, out
}

// Fill reads nothing yet: to the model, bytes are read when they leave the pipe.
func (k *spy) Fill(p sys.Pipe, from sys.Socket, n int) (int, sys.Outcome) {
	n, out := k.Kernel.Fill(p, from, n)
	for int(p) >= len(k.pipes) {
		k.pipes = append(k.pipes, nil)
	}
	t := k.tap(from)
	k.pipes[p] = t
	switch out {
	case sys.OK:
		k.calls++
		k.w.seen("filled")
	case sys.EOF:
		t.eof = k.now(total(t.in))
	case sys.Reset:
		t.rst = k.now(total(t.in))
	}
	return n, out
}

func (k *spy) Drain(p sys.Pipe, to sys.Socket, n int) (int, sys.Outcome) {
	n, out := k.Kernel.Drain(p, to, n)
	if n > 0 {
		from, t := k.pipes[p], k.tap(to)
		from.in = append(from.in, k.now(total(from.in)+n))
		t.out = append(t.out, k.now(total(t.out)+n))
	}
	return n, out
}

func (k *spy) Recall(p sys.Pipe, b []byte) int {
	n := k.Kernel.Recall(p, b)
	read := slices.ContainsFunc(k.w.box.loops, func(l *loop) bool { return &l.buf[0] == &b[0] })
	if n > 0 && read { // else the session ends, and it is dropped
		k.w.seen("recalled")
		from := k.pipes[p]
		from.in = append(from.in, k.now(total(from.in)+n))
	}
	return n
}

func (k *spy) Write(s sys.Socket, b []byte) (int, sys.Outcome) {
	n, out := k.Kernel.Write(s, b)
	if n > 0 {
		t := k.tap(s)
		t.out = append(t.out, k.now(total(t.out)+n))
		k.w.tracef("box: writes %q to %v", b[:n], t.who())
	}
	return n, out
}

func (k *spy) WriteApart(s sys.Socket, pieces [][]byte) (int, sys.Outcome) {
	return sys.WriteEach(k, s, pieces)
}

func (k *spy) ShutdownWrite(s sys.Socket) {
	k.Kernel.ShutdownWrite(s)
	t := k.tap(s)
	t.shut = k.now(total(t.out))
}

func (k *spy) Close(s sys.Socket) {
	k.bury(s, false)
	k.Kernel.Close(s)
}

func (k *spy) Reset(s sys.Socket) {
	k.bury(s, true)
	k.Kernel.Reset(s)
}

func (k *spy) bury(s sys.Socket, reset bool) {
	t := k.tap(s)
	t.closed, t.reset = k.now(total(t.out)), reset
	if !reset && t.shut.step == 0 && t.eof.step > 0 {
		t.shut = t.closed
	}
	k.taps[s] = nil
}
