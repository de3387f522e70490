package simnet_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// One table of behaviours, run against the kernel of the machine, with real
// peers over loopback, and against the simulated one: what a loop is proved
// on here, it finds there. Each behaviour reads as a play between the kernel k
// (the box) and its peers; simstage_test.go and realstage_test.go have the two stages.

type behaviour struct {
	name string
	play func(w *world)
}

func TestConformance(t *testing.T) {
	stages := []struct {
		name  string
		build func(t *testing.T) *world
	}{{"real", realWorld}, {"sim", promptSim}, {"late_sim", lateSim}}
	for _, stage := range stages {
		t.Run(stage.name, func(t *testing.T) {
			for _, b := range slices.Concat(behaviours, pipeBehaviours) {
				t.Run(strings.ReplaceAll(b.name, " ", "_"), func(t *testing.T) {
					w := stage.build(t)
					defer w.finish()
					b.play(w)
				})
			}
		})
	}
}

var (
	loopback = netip.MustParseAddrPort("127.0.0.1:0")
	words    = []byte("what was said before")
)

var behaviours = []behaviour{
	{"accept is an edge of the listener and a newcomer has room", func(w *world) {
		p := w.dial()
		w.await(w.l, sys.In)
		s, from, o := w.k.Accept(w.l)
		w.want(o, sys.OK)
		if from != p.addr() {
			w.t.Errorf("accepted from %v, the client is %v", from, p.addr())
		}
		_, _, o = w.k.Accept(w.l)
		w.want(o, sys.Again)
		w.await(s, sys.Out)
		w.silent(w.l)
		w.k.Close(s)
	}},

	{"a short read found nothing more and new data is a new edge", func(w *world) {
		s, p := w.accepted()
		w.wantRead(s, nil, sys.Again)
		p.send([]byte("one"))
		w.await(s, sys.In)
		w.wantRead(s, []byte("one"), sys.OK)
		w.wantRead(s, nil, sys.Again)
		w.silent(s)
		p.send([]byte("two"))
		w.await(s, sys.In)
		w.wantRead(s, []byte("two"), sys.OK)
		w.k.Close(s)
	}},

	{"unread data is no second edge", func(w *world) {
		s, p := w.accepted()
		p.send([]byte("one"))
		w.await(s, sys.In)
		w.silent(s)
		p.send([]byte("two"))
		w.await(s, sys.In)
		w.wantRead(s, []byte("onetwo"), sys.OK)
		w.k.Close(s)
	}},

	{"the peer's FIN comes behind its data and leaves our direction open", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		p.closeWrite()
		w.await(s, sys.In|sys.Fin)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.EOF)
		w.wantRead(s, nil, sys.EOF)
		w.write(s, words)
		w.k.ShutdownWrite(s)
		p.want(words, simnet.FIN)
		w.k.Close(s)
	}},

	{"our FIN comes behind our data and leaves the peer's direction open", func(w *world) {
		s, p := w.accepted()
		w.write(s, words)
		w.k.ShutdownWrite(s)
		p.want(words, simnet.FIN)
		p.send(words)
		w.await(s, sys.In)
		w.wantRead(s, words, sys.OK)
		w.k.Close(s)
	}},

	{"after both FINs the socket hangs up and still says EOF", func(w *world) {
		s, p := w.accepted()
		w.k.ShutdownWrite(s)
		p.want(nil, simnet.FIN)
		p.close()
		w.await(s, sys.In|sys.Fin|sys.Err)
		w.wantRead(s, nil, sys.EOF)
		w.k.Reset(s)
	}},

	{"a RST leaves what was delivered readable, then says Reset and goes on saying it", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		w.await(s, sys.In)
		p.reset()
		w.await(s, sys.In|sys.Fin|sys.Err)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.Reset)
		w.wantRead(s, nil, sys.Reset)
		w.wantWrite(s, sys.Reset)
		w.k.Close(s)
	}},

	{"a Write that was told of the RST first does not turn it into EOF", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		w.await(s, sys.In)
		p.reset()
		w.await(s, sys.Err)
		w.wantWrite(s, sys.Reset)
		w.wantWrite(s, sys.Reset)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.Reset)
		w.k.Close(s)
	}},

	{"a RST behind a FIN fails writes and reads say EOF", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		p.close()
		w.await(s, sys.In|sys.Fin)
		w.write(s, words) // to a closed socket: answered with RST
		w.await(s, sys.Err)
		w.wantWrite(s, sys.Reset)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.EOF)
		w.k.Close(s)
	}},

	{"a peer that closes with unread input resets", func(w *world) {
		s, p := w.accepted()
		w.write(s, words)
		w.acked(s)
		p.close()
		w.await(s, sys.Err)
		w.wantRead(s, nil, sys.Reset)
		w.k.Close(s)
	}},

	{"our Reset comes behind what was acknowledged", func(w *world) {
		s, p := w.accepted()
		w.write(s, words)
		w.acked(s)
		w.k.Reset(s)
		p.want(words, simnet.RST)
	}},

	{"our Close is a FIN behind what was written", func(w *world) {
		s, p := w.accepted()
		w.write(s, words)
		w.k.Close(s)
		p.want(words, simnet.FIN)
	}},

	{"our Close with unread input is a RST", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		w.await(s, sys.In)
		w.k.Close(s)
		p.want(nil, simnet.RST)
	}},

	{"connect gives Out, then it is connected", func(w *world) {
		s, p := w.connected()
		w.write(s, words)
		w.k.ShutdownWrite(s)
		p.want(words, simnet.FIN)
		w.k.Close(s)
	}},

	{"a refused connect gives Err and says why", func(w *world) {
		s, o := w.k.Connect(w.nobody(), false)
		if o == sys.Again { // a system may also know at once
			w.await(s, sys.Err)
			o = w.connects(s, sys.Reset)
			w.k.Close(s)
		}
		w.want(o, sys.Reset)
	}},

	{"a connection made and reset was made, and what it said can be read", func(w *world) {
		s, o := w.k.Connect(w.server(), false)
		w.want(o, sys.Again, sys.OK)
		p := w.taken()
		p.send(words)
		p.delivered()
		p.reset()
		w.await(s, sys.Err)
		w.connects(s, sys.OK)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.Reset)
		w.k.Close(s)
	}},

	{"a connection knows both its addresses until it is reset", func(w *world) {
		s, p := w.accepted()
		if own, peer := w.k.Names(s); own != w.at || peer != p.addr() {
			w.t.Errorf("accepted: %v and %v, expected %v and %v", own, peer, w.at, p.addr())
		}
		c, to := w.connected()
		if own, peer := w.k.Names(c); own == peer || !own.IsValid() || peer != to.addr() {
			w.t.Errorf("connected: %v and %v, expected one of its own and %v", own, peer, to.addr())
		}
		p.reset()
		w.await(s, sys.Err)
		if own, peer := w.k.Names(s); own != w.at || peer.IsValid() {
			w.t.Errorf("reset: %v and %v, expected %v and none", own, peer, w.at)
		}
		w.k.Close(s)
		w.k.Close(c)
	}},

	{"what the peer's kernel has not taken is unacknowledged, and a FIN counts one", func(w *world) {
		s, p := w.accepted()
		written := w.stuff(s)
		queued := w.k.Unacked(s)
		if queued <= 0 || queued > written {
			w.t.Fatalf("%d unacknowledged of %d written to a peer that does not read", queued, written)
		}
		w.k.ShutdownWrite(s)
		if got := w.k.Unacked(s); got != queued+1 {
			w.t.Errorf("with the FIN %d are unacknowledged, %d without", got, queued)
		}
		if got, end := p.drain(); len(got) != written || end != simnet.FIN {
			w.t.Errorf("the peer got %d of %d bytes, then %v", len(got), written, end)
		}
		w.acked(s)
		w.k.Close(s)
	}},

	{"a Reset drops what the peer's kernel has not taken", func(w *world) {
		s, p := w.accepted()
		written := w.stuff(s)
		queued := w.k.Unacked(s)
		w.k.Reset(s)
		w.turn()
		// It may have taken more than it has acknowledged so far, by no means all.
		if got, end := p.drain(); len(got) < written-queued || len(got) == written || end != simnet.RST {
			w.t.Errorf("the peer got %d bytes, then %v; %d written, %d of them unacknowledged", len(got), end, written, queued)
		}
	}},

	{"Out comes when there is room again after a refused write", func(w *world) {
		s, p := w.accepted()
		written := w.stuff(s)
		w.silent(s)
		for n := 0; n < written/2; {
			n += len(p.read(1 << 20))
		}
		w.await(s, sys.Out)
		if n, o := w.k.Write(s, words); n == 0 || o != sys.OK {
			w.t.Errorf("after Out: %d, %v", n, o)
		}
		w.k.Reset(s)
	}},

	{"Wake ends the present Wait or the next", func(w *world) {
		var ev [4]sys.Event
		w.k.Wake()
		if n := w.k.Wait(-1, ev[:]); n != 0 {
			w.t.Errorf("woken with %d events", n)
		}
		for range 10 {
			go w.k.Wake()
			w.k.Wait(-1, ev[:])
		}
	}},

	{"a number is not given out again before the next Wait", func(w *world) {
		for range 5 {
			s, _ := w.accepted()
			w.dial()
			w.await(w.l, sys.In)
			w.k.Close(s)
			next, _, o := w.k.Accept(w.l)
			w.want(o, sys.OK)
			if next == s {
				w.t.Fatalf("socket %d was given out twice between two Waits", s)
			}
			w.k.Reset(next)
			w.turn()
		}
	}},

	{"a released socket lives on in another kernel", func(w *world) {
		s, p := w.accepted()
		p.send(words)
		w.await(s, sys.In)
		w.k.Release(s)
		p.send(words)
		w.silent(s)
		first := w.k
		w.k = w.another()
		w.k.Adopt(s)
		w.await(s, sys.In|sys.Out)
		w.wantRead(s, append(words[:len(words):len(words)], words...), sys.OK)
		w.write(s, words)
		w.k.Close(s)
		p.want(words, simnet.FIN)
		w.k.Free()
		w.k = first
	}},

	{"a closed listener refuses, resets who waits, and frees its address", func(w *world) {
		l, at, err := w.k.Listen(loopback)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, _, err := w.k.Listen(at); err == nil || !strings.Contains(err.Error(), "address already in use") {
			w.t.Errorf("a taken address: %v", err)
		}
		waiting := w.dialTo(at)
		w.await(l, sys.In)
		w.k.Close(l)
		w.turn()
		waiting.want(nil, simnet.RST)
		if p := w.dialTo(at); p != nil {
			w.t.Error("connected where nobody listens any more")
		}
		if l, _, err = w.k.Listen(at); err != nil {
			w.t.Fatal(err)
		}
		w.k.Close(l)
	}},

	{"a client that resets before it is accepted is accepted and Reset", func(w *world) {
		p := w.dial()
		w.await(w.l, sys.In)
		p.send(words)
		p.delivered()
		p.reset()
		s, _, o := w.k.Accept(w.l)
		w.want(o, sys.OK)
		w.await(s, sys.Err)
		w.wantRead(s, words, sys.OK)
		w.wantRead(s, nil, sys.Reset)
		w.k.Close(s)
	}},

	{"no address at all takes IPv4 and says it as IPv4", func(w *world) {
		l, at, err := w.k.Listen(netip.AddrPort{})
		if err != nil {
			w.t.Fatal(err)
		}
		w.dialTo(netip.AddrPortFrom(loopback.Addr(), at.Port()))
		w.await(l, sys.In)
		s, from, o := w.k.Accept(l)
		w.want(o, sys.OK)
		if !from.Addr().Is4() {
			w.t.Errorf("accepted from %v", from)
		}
		w.k.Close(s)
		w.k.Close(l)
	}},

	{"Wait sleeps as long as it was told unless it is interrupted, and the clock moves on", func(w *world) {
		var ev [4]sys.Event
		var d time.Duration
		for range 5 {
			before := w.k.Now()
			w.k.Wait(3*time.Millisecond, ev[:])
			w.pass(3 * time.Millisecond)
			if d = w.k.Now().Sub(before); d >= 3*time.Millisecond {
				return
			}
		}
		w.t.Errorf("slept %v", d)
	}},
}
