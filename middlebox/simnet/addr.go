package simnet

import (
	"net/netip"

	"crimp/middlebox/sys"
)

// AddrOf is the loop's own address of a connection, as [Peer.Remote] of the peer
// at its other end has it; the zero value for a number that is none's. By it a
// driver finds out which of a loop's sessions a server's peer belongs to.
func (n *Net) AddrOf(s sys.Socket) netip.AddrPort {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s < 0 || int(s) >= len(n.table) || n.table[s] == nil || n.table[s].e == nil {
		return netip.AddrPort{}
	}
	return n.table[s].e.addr
}
