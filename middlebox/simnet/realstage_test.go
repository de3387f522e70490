package simnet_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// realStage is the real stage. What the kernel under test closes takes effect at its
// next Wait, so a peer that waits for an end has the world turn.
type realStage struct {
	w   *world
	srv *net.TCPListener
}

func realWorld(t *testing.T) *world {
	k, err := sys.New()
	if err != nil {
		t.Fatal(err)
	}
	st := &realStage{}
	if st.srv, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.srv.Close() })
	st.w = newWorld(t, k, st)
	return st.w
}

func (s *realStage) another() sys.Kernel {
	k, err := sys.New()
	if err != nil {
		s.w.t.Fatal(err)
	}
	return k
}
func (s *realStage) flow()                  {}
func (s *realStage) pass(time.Duration)     {}
func (s *realStage) pause() time.Duration   { return time.Millisecond }
func (s *realStage) server() netip.AddrPort { return addrPort(s.srv.Addr()) }
func (s *realStage) leaks() []string        { return nil }

func (s *realStage) nobody() netip.AddrPort {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		s.w.t.Fatal(err)
	}
	defer l.Close()
	return addrPort(l.Addr())
}

func (s *realStage) dialTo(at netip.AddrPort) peer {
	c, err := net.DialTCP("tcp4", nil, net.TCPAddrFromAddrPort(at))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return s.peer(c, err)
}

func (s *realStage) taken() peer {
	s.srv.SetDeadline(time.Now().Add(patience))
	c, err := s.srv.AcceptTCP()
	return s.peer(c, err)
}

func (s *realStage) peer(c *net.TCPConn, err error) peer {
	s.w.t.Helper()
	if err != nil {
		s.w.t.Fatal(err)
	}
	s.w.t.Cleanup(func() { c.Close() })
	return &realPeer{s.w, c}
}

func addrPort(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

type realPeer struct {
	w *world
	c *net.TCPConn
}

func (p *realPeer) addr() netip.AddrPort { return addrPort(p.c.LocalAddr()) }
func (p *realPeer) closeWrite()          { p.c.CloseWrite() }
func (p *realPeer) close()               { p.c.Close() }

func (p *realPeer) reset() {
	p.c.SetLinger(0)
	p.c.Close()
}

func (p *realPeer) send(b []byte) {
	if n, err := p.c.Write(b); n != len(b) {
		p.w.t.Fatalf("sent %d of %d: %v", n, len(b), err)
	}
}

func (p *realPeer) delivered() {
	p.w.t.Helper()
	time.Sleep(5 * time.Millisecond) // loopback delivers within the write; this is for other systems
}

func (p *realPeer) read(most int) []byte {
	p.w.t.Helper()
	b := make([]byte, most)
	p.c.SetReadDeadline(time.Now().Add(patience))
	n, err := p.c.Read(b)
	if err != nil {
		p.w.t.Fatal(err)
	}
	return b[:n]
}

func (p *realPeer) wantRead(b []byte) {
	p.w.t.Helper()
	got := make([]byte, len(b))
	p.c.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(p.c, got); err != nil || !bytes.Equal(got, b) {
		p.w.t.Fatalf("the peer read %q, %v, want %q", got[:n], err, b)
	}
}

func (p *realPeer) drain() (all []byte, end simnet.End) {
	p.w.t.Helper()
	b := make([]byte, 1<<16)
	for until := time.Now().Add(patience); time.Now().Before(until); {
		p.w.turn()
		p.c.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := p.c.Read(b)
		all = append(all, b[:n]...)
		switch {
		case err == nil || errors.Is(err, syscall.EAGAIN) || isTimeout(err):
		case err == io.EOF:
			return all, simnet.FIN
		case errors.Is(err, syscall.ECONNRESET):
			return all, simnet.RST
		default:
			p.w.t.Fatal(err)
		}
	}
	p.w.t.Fatalf("after %d bytes there is no end", len(all))
	return nil, simnet.Open
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

func (p *realPeer) want(rest []byte, end simnet.End) {
	p.w.t.Helper()
	if got, e := p.drain(); !bytes.Equal(got, rest) || e != end {
		p.w.t.Fatalf("the peer got %q, %v, want %q, %v", got, e, rest, end)
	}
}
