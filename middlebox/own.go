package middlebox

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A relay whose upstream is itself accepts what it dials and dials again, until
// no descriptor is left. So no route may lead back to where the box listens:
// not to its control address, not to itself, not to itself by way of others.
// Addresses are compared when a route is set; what a name turns out to be is
// compared when it is dialled.

// Forbid names addresses (HOST:PORT) that no route may have as its upstream, the
// box's control address above all. They add to those of Config.
func (b *Box) Forbid(addrs ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []netip.AddrPort
	if old := b.noDial.Load(); old != nil {
		all = slices.Clone(*old)
	}
	all = append(all, addresses(addrs)...)
	b.noDial.Store(&all)
}

// addresses are those of the words that are some.
func addresses(words []string) (out []netip.AddrPort) {
	for _, w := range words {
		if at, err := parseListen(w); err == nil {
			out = append(out, at)
		}
	}
	return out
}

// comesBack says why a route's upstream is the box itself, among all routes that
// are to be; empty: it is not.
func (s *settings) comesBack(all []*settings, forbidden []netip.AddrPort) string {
	for at, hops := s, 0; at.dials().IsValid(); hops++ {
		if why := own(at.dials(), forbidden); why != "" {
			if at != s {
				why = "leads to " + at.Upstream + ", which " + why
			}
			return why
		}
		i := slices.IndexFunc(all, func(x *settings) bool { return machine.reaches(at.dials(), x.at) })
		if i < 0 {
			return ""
		}
		if at = all[i]; at == s {
			by := "the route itself listens there"
			if hops > 0 {
				by = fmt.Sprintf("it leads back to the route itself through %d other", hops)
			}
			return "would dial in a circle: " + by
		}
		if hops > len(all) {
			return "leads into a circle of routes"
		}
	}
	return ""
}

// dials is the address that a route's sessions dial, as far as it is known
// without asking for a name: localhost is taken for what it nearly always is.
func (s *settings) dials() netip.AddrPort {
	if strings.EqualFold(s.host, "localhost") {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), s.port)
	}
	return s.addr
}

// forbidden says why a session of r may not dial an address; empty: it may.
func (b *Box) forbidden(r *route, to netip.AddrPort) string {
	if at := r.bound.Load(); at != nil && machine.reaches(to, *at) {
		return fmt.Sprintf("%s is where the route itself listens", to)
	}
	if why := own(to, b.notToDial()); why != "" {
		return to.String() + " " + why
	}
	return ""
}

// notToDial are the addresses that Forbid has named.
func (b *Box) notToDial() []netip.AddrPort {
	if list := b.noDial.Load(); list != nil {
		return *list
	}
	return nil
}

func own(to netip.AddrPort, forbidden []netip.AddrPort) string {
	if slices.ContainsFunc(forbidden, func(at netip.AddrPort) bool { return machine.reaches(to, at) }) {
		return "is the box's own address"
	}
	return ""
}

// reaches says whether a connection to an address comes to where a listener
// listens: the same address, or one of this machine where it listens on all.
func (h *home) reaches(to, at netip.AddrPort) bool {
	if to.Port() != at.Port() || at.Port() == 0 {
		return false
	}
	ip, on := to.Addr().Unmap(), at.Addr().Unmap()
	everywhere := !on.IsValid() || on.IsUnspecified()
	return ip == on || everywhere && (ip.IsLoopback() || ip.IsUnspecified() || h.has(ip)) || ip.IsUnspecified() && on.IsLoopback()
}

// home is the addresses of this machine. To ask the system takes about as long as
// a new connection, and a loop may ask for each: an answer is good for a second.
type home struct{ last atomic.Pointer[homeAddrs] }

type homeAddrs struct {
	asked time.Time
	addrs []netip.Addr
}

// machine is the one that all boxes of this process are on.
var machine home

func (h *home) has(ip netip.Addr) bool {
	known := h.last.Load()
	if known == nil || time.Since(known.asked) > time.Second {
		known = &homeAddrs{asked: time.Now()}
		nets, _ := net.InterfaceAddrs() // none known: what is compared then is what can be
		for _, n := range nets {
			if p, err := netip.ParsePrefix(n.String()); err == nil {
				known.addrs = append(known.addrs, p.Addr().Unmap())
			}
		}
		h.last.Store(known)
	}
	return slices.Contains(known.addrs, ip.WithZone(""))
}
