package middlebox

import (
	"net/netip"
	"testing"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// A crowd that comes at once is accepted in one turn, up to a batch, and every
// upstream is dialled before the first has answered.
func TestCrowdIsAcceptedInATurn(t *testing.T) {
	net := simnet.New(1, simnet.Options{Sockets: 1000, RefuseOneIn: -1, HugeOneIn: -1, LateOneIn: -1, SpuriousOneIn: -1, Backlog: 500, ConnectDelay: time.Second})
	at := netip.MustParseAddrPort("127.0.0.1:80")
	server := net.Serve(netip.MustParseAddrPort("127.0.0.1:9"))
	b := start(t, Config{Driven: true, Now: net.Now, Kernel: func() (sys.Kernel, error) { return net.Kernel(), nil }},
		Route{Listen: at.String(), Upstream: server.Addr().String(), Protocol: "tcp"})
	for range 3 * acceptBatch / 2 {
		net.Dial(at)
	}
	net.AdvanceTo(net.Now().Add(2 * time.Second))
	net.Flow()
	for turn, want := range []int64{acceptBatch, 3 * acceptBatch / 2} {
		b.Turn(0)
		if n := b.Stats().Sessions; n != want {
			t.Errorf("after turn %d there are %d sessions, want %d", turn+1, n, want)
		}
	}
	for _, s := range b.loops[0].sessions {
		if s.dial == nil || s.leg[1].sock == sys.None {
			t.Fatalf("session %d is not dialling: %+v", s.num, s.dial)
		}
	}
}

// The client that got the last descriptor, with none left for its server, is refused as
// soon as one that got none; until then it is served if another session ends.
func TestLastDescriptor(t *testing.T) {
	net := simnet.New(1, simnet.Options{Sockets: 4, RefuseOneIn: -1, HugeOneIn: 1, LateOneIn: -1, SpuriousOneIn: -1})
	at := netip.MustParseAddrPort("127.0.0.1:80")
	server := net.Serve(netip.MustParseAddrPort("127.0.0.1:9"))
	b := start(t, Config{Driven: true, Now: net.Now, Kernel: func() (sys.Kernel, error) { return net.Kernel(), nil }},
		Route{Listen: at.String(), Upstream: server.Addr().String(), Protocol: "tcp"})
	until := func(what string, done func() bool) time.Duration {
		begun := net.Now()
		for !done() {
			if net.Now().Sub(begun) > time.Second {
				t.Fatalf("not within a second: %s", what)
			}
			net.Flow()
			b.Turn(0)
			net.Advance(time.Millisecond)
		}
		return net.Now().Sub(begun)
	}
	first := net.Dial(at)
	var served *simnet.Peer
	until("the first is served", func() bool { served = server.Accept(); return served != nil })

	odd := net.Dial(at)
	if took := until("the odd one is refused", func() bool { odd.Read(1); return odd.End() == simnet.RST }); took < acceptRetry || took > acceptRetry+5*time.Millisecond {
		t.Errorf("refused after %v, expected as soon as who is not accepted: %v", took, acceptRetry)
	}
	odd = net.Dial(at)
	until("it is accepted", func() bool { return b.Stats().Sessions == 2 })
	first.Reset()
	until("the odd one is served", func() bool { return server.Accept() != nil })
}
