package simnet

import (
	"fmt"
	"net/netip"

	"crimp/middlebox/sys"
)

// End is how what a peer reads ended.
type End uint8

const (
	Open End = iota // not yet
	FIN
	RST
)

func (e End) String() string { return [...]string{"open", "FIN", "RST"}[e] }

// Peer is a client or server at the far end, moved by the driver. All calls
// return at once with what was possible.
type Peer struct {
	n   *Net
	e   *end
	got []byte
	end End
}

// Dial starts a client's connection. It is made, or refused, by a Step.
func (n *Net) Dial(to netip.AddrPort) *Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := &Peer{n: n, e: n.newEnd(n.clientAddr())}
	n.attempt(p.e, to, false)
	return p
}

// Server takes the connections that loops make to its address.
type Server struct {
	n *Net
	l *listener
}

// Serve starts a server at an address, which must be free; port 0 is given a
// fresh one. Connections are made without it (as a kernel does); Accept only hands them out.
func (n *Net) Serve(at netip.AddrPort) *Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	if at.Port() == 0 {
		at = netip.AddrPortFrom(at.Addr(), n.port())
	}
	if n.listenerAt(at) != nil {
		panic(fmt.Sprintf("simnet: serve %v: address already in use", at))
	}
	s := &Server{n: n, l: &listener{addr: at}}
	n.listeners = append(n.listeners, s.l)
	return s
}

// Addr is the server's address.
func (s *Server) Addr() netip.AddrPort { return s.l.addr }

// Accept gives the connection that waits longest, nil if none does.
func (s *Server) Accept() *Peer {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if len(s.l.waiting) == 0 {
		return nil
	}
	e := s.l.waiting[0]
	s.l.waiting = s.l.waiting[1:]
	return &Peer{n: s.n, e: e}
}

// Close resets what was not accepted; later connects are refused.
func (s *Server) Close() {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	s.n.shutListener(s.l)
}

// Addr is the peer's own address.
func (p *Peer) Addr() netip.AddrPort { return p.e.addr }

// Remote is the address of the box's end of the connection; the zero value
// while there is none.
func (p *Peer) Remote() netip.AddrPort {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.e.other == nil {
		return netip.AddrPort{}
	}
	return p.e.other.addr
}

// Connected says that the connection was made.
func (p *Peer) Connected() bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.state == established
}

// Refused says that nothing listened where the peer connected to.
func (p *Peer) Refused() bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.state == refused
}

// Send writes what there is room for and returns how much that was.
func (p *Peer) Send(b []byte) int {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.e.closed {
		return 0
	}
	n, _ := p.e.write(b)
	return n
}

// Unacked is how much of what was sent has not reached the box's kernel; a FIN counts one.
func (p *Peer) Unacked() int {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.unacked()
}

// CloseWrite queues a FIN.
func (p *Peer) CloseWrite() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.e.shutdownWrite()
}

// Reset closes with a RST, dropping what is queued.
func (p *Peer) Reset() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.e.reset()
}

// Close closes: a FIN behind what is queued, or a RST if something is unread.
func (p *Peer) Close() {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	p.e.close()
}

// Closed says that the peer has closed or reset.
func (p *Peer) Closed() bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.closed
}

// Read reads up to max bytes and finds out about the end when there are none
// left before it. A peer that does not read closes its window.
func (p *Peer) Read(max int) []byte {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if p.e.closed {
		return nil
	}
	b := make([]byte, min(max, p.e.in.Len()))
	n, _ := p.e.read(b, false)
	p.got = append(p.got, b[:n]...)
	switch p.e.readable(false) {
	case sys.EOF:
		p.end = FIN
	case sys.Reset:
		p.end = RST
	}
	return b[:n]
}

// Buffered is how many bytes have arrived and not been read.
func (p *Peer) Buffered() int {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.in.Len()
}

// Got is all that was read so far.
func (p *Peer) Got() []byte { return p.got }

// End is how it ended, as far as Read has seen.
func (p *Peer) End() End { return p.end }

// Broken says that a RST came, also where reads only saw the FIN before it.
func (p *Peer) Broken() bool {
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	return p.e.dead && !p.e.closed
}
