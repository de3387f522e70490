package simnet_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// simStage is the simulated stage.
type simStage struct {
	t   *testing.T
	n   *simnet.Net
	k   sys.Kernel
	srv *simnet.Server
}

// promptSim reports at once, lateSim when it likes.
func promptSim(t *testing.T) *world { return simWorld(t, -1) }
func lateSim(t *testing.T) *world   { return simWorld(t, 2) }

func simWorld(t *testing.T, lateOneIn int) *world {
	n := simnet.New(1, simnet.Options{BufferMin: 1 << 16, BufferMax: 1 << 16, HugeOneIn: -1,
		PipeSizeMin: 1 << 16, PipeSizeMax: 1 << 16, LateOneIn: lateOneIn, SpuriousOneIn: -1})
	k := n.Kernel()
	return newWorld(t, k, &simStage{t, n, k, n.Serve(loopback)})
}

func (s *simStage) another() sys.Kernel    { return s.n.Kernel() }
func (s *simStage) flow()                  { s.n.Flow() }
func (s *simStage) pass(d time.Duration)   { s.n.Advance(d) }
func (s *simStage) pause() time.Duration   { return 0 }
func (s *simStage) server() netip.AddrPort { return s.srv.Addr() }
func (s *simStage) nobody() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:9") }
func (s *simStage) leaks() []string        { return s.n.Leaks() }

func (s *simStage) dialTo(at netip.AddrPort) peer {
	p := s.n.Dial(at)
	s.n.Flow()
	if p.Refused() {
		return nil
	}
	return &simPeer{s, p}
}

func (s *simStage) taken() peer {
	s.n.Flow()
	return &simPeer{s, s.srv.Accept()}
}

type simPeer struct {
	s *simStage
	p *simnet.Peer
}

func (p *simPeer) addr() netip.AddrPort { return p.p.Addr() }
func (p *simPeer) closeWrite()          { p.p.CloseWrite() }
func (p *simPeer) close()               { p.p.Close() }
func (p *simPeer) reset()               { p.p.Reset() }
func (p *simPeer) delivered()           { p.s.n.Flow() }

func (p *simPeer) send(b []byte) {
	if n := p.p.Send(b); n != len(b) {
		p.s.t.Fatalf("sent %d of %d", n, len(b))
	}
}

func (p *simPeer) read(most int) []byte {
	p.s.n.Flow()
	return p.p.Read(most)
}

func (p *simPeer) wantRead(b []byte) {
	p.s.t.Helper()
	if got := p.read(len(b)); !bytes.Equal(got, b) {
		p.s.t.Fatalf("the peer read %q, want %q", got, b)
	}
}

func (p *simPeer) drain() (all []byte, end simnet.End) {
	for p.p.End() == simnet.Open {
		b := p.read(1 << 20)
		if all = append(all, b...); len(b) == 0 && p.p.End() == simnet.Open {
			p.s.t.Fatalf("after %d bytes there is no end", len(all))
		}
	}
	return all, p.p.End()
}

func (p *simPeer) want(rest []byte, end simnet.End) {
	p.s.t.Helper()
	if got, e := p.drain(); !bytes.Equal(got, rest) || e != end {
		p.s.t.Fatalf("the peer got %q, %v, want %q, %v", got, e, rest, end)
	}
}
