package middlebox

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"crimp/faults"
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
	for _, a := range addrs {
		if at, err := parseListen(a); err == nil {
			all = append(all, at)
		}
	}
	b.noDial.Store(&all)
}

// comesBack refuses a route whose upstream is the box, among all that are to be.
func (b *Box) comesBack(s *step, all []*settings) error {
	field := s.field + ".upstream"
	for at, hops := s.conf, 0; at.dials().IsValid(); hops++ {
		if why := b.forbiddenAddr(at.dials()); why != "" {
			if at.Upstream != at.dials().String() { // a name
				why = at.Upstream + ": " + why
			}
			return faults.Errorf(faults.Invalid, field, "%s", why)
		}
		i := slices.IndexFunc(all, func(x *settings) bool { return b.reaches(at.dials(), x.at) })
		if i < 0 {
			return nil
		}
		if at = all[i]; at == s.conf {
			by := "the route itself listens there"
			if hops > 0 {
				by = fmt.Sprintf("it leads back to the route itself through %d other", hops)
			}
			return faults.Errorf(faults.Invalid, field, "%s would dial in a circle: %s", s.conf.Upstream, by)
		}
		if hops > len(all) {
			return faults.Errorf(faults.Invalid, field, "%s leads into a circle of routes", s.conf.Upstream)
		}
	}
	return nil
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
	if at := r.bound.Load(); at != nil && b.reaches(to, *at) {
		return fmt.Sprintf("%s is where the route itself listens", to)
	}
	return b.forbiddenAddr(to)
}

func (b *Box) forbiddenAddr(to netip.AddrPort) string {
	list := b.noDial.Load()
	if list == nil {
		return ""
	}
	for _, at := range *list {
		if b.reaches(to, at) {
			return fmt.Sprintf("%s is the box's own address", to)
		}
	}
	return ""
}

// reaches says whether a connection to an address comes to where a listener
// listens: the same address, or one of this machine where it listens on all.
func (b *Box) reaches(to, at netip.AddrPort) bool {
	if to.Port() != at.Port() || at.Port() == 0 {
		return false
	}
	ip, on := to.Addr().Unmap(), at.Addr().Unmap()
	everywhere := !on.IsValid() || on.IsUnspecified()
	return ip == on || everywhere && (ip.IsLoopback() || ip.IsUnspecified() || b.home.has(ip)) || ip.IsUnspecified() && on.IsLoopback()
}

// home is the addresses of this machine. To ask the system takes about as long as
// a new connection, and a loop may ask for each: an answer is good for a second.
type home struct{ last atomic.Pointer[homeAddrs] }

type homeAddrs struct {
	asked time.Time
	addrs []netip.Addr
}

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
