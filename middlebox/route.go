package middlebox

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"crimp/faults"
)

// route is a listening address and the upstream it relays to. What sessions need
// of it are two pointers to things that never change, stored by whoever changes
// the route under the box's mutex and loaded by the loops; the counters are the
// only thing that both write.
type route struct {
	name  string
	conf  atomic.Pointer[settings] // what new sessions are made with
	force atomic.Pointer[inForce]  // the plan in force, for every session

	bound atomic.Pointer[netip.AddrPort] // where it listens

	ln  *listener // under the box's mutex
	rev int64     // likewise

	numbers *atomic.Uint64 // sessions so far; by name, so that an ID is never used twice
	live    atomic.Int64
	crowd   crowd
	total   atomic.Int64
	failed  atomic.Int64
	held    atomic.Int64
	// Bytes written to the peers, by direction, and exchanges begun.
	bytes     [2]atomic.Int64
	exchanges atomic.Int64
	refused   atomic.Int64             // connections beyond the limits
	fired     map[string]*atomic.Int64 // by kind; the map never changes
}

// settings is a route as it was set, checked.
type settings struct {
	Route
	protocol faults.Protocol
	proxying faults.Proxying
	at       netip.AddrPort // where it listens
	host     string         // of the upstream
	port     uint16
	addr     netip.AddrPort // of the upstream if it is no name
}

// inForce is the plan of a route and what is known of each of its rules.
type inForce struct {
	plan  *faults.Plan
	rules []ruleEntry // in the plan's order
}

// ruleEntry is a rule of a plan in force.
type ruleEntry struct {
	c       *faults.Compiled
	summary string
	rev     int64
	armedAt int64 // seq of its last arming
	arming  int64 // the same, but that a release after a panic goes on with the one before
	lease   string
	expires *time.Time
	why     string
}

func (f *inForce) find(name string) *ruleEntry {
	for i := range f.rules {
		if f.rules[i].c.Rule.Name == name {
			return &f.rules[i]
		}
	}
	return nil
}

// state is the rule as people see it.
func (e *ruleEntry) state(route string) RuleState {
	n := e.c.Counters()
	expires := e.expires
	if !e.c.Rule.Armed {
		expires = nil // kept through a panic, and nobody else's business
	}
	return RuleState{
		Rule: e.c.Rule, Route: route, Summary: e.summary, Rev: e.rev, Hits: n.Hits, Misses: n.Misses,
		Spent: n.Spent, NearMiss: n.NearMiss, Lease: e.lease, Expires: expires, Why: e.why, ArmedAt: e.armedAt, Arming: e.arming,
	}
}

// stateOf is the state of a rule that a session speaks of, which may have been
// changed or removed meanwhile.
func (f *inForce) stateOf(r *route, c *faults.Compiled) RuleState {
	e := f.find(c.Rule.Name)
	if e == nil {
		e = &ruleEntry{summary: c.Rule.Describe()}
	}
	now := *e
	now.c = c
	return now.state(r.name)
}

// flow is how many bytes went each way.
func (r *route) flow() Flow {
	return Flow{Downstream: r.bytes[0].Load(), Upstream: r.bytes[1].Load()}
}

// state is the route as people see it. Under the box's mutex.
func (r *route) state() RouteState {
	c := r.conf.Load()
	out := RouteState{
		Name: r.name, Listen: c.Listen, Upstream: c.Upstream, Protocol: protocolWord(c.protocol), Mode: c.Mode, OnDialError: c.OnDialError,
		Rev: r.rev, Rules: []RuleState{}, Sessions: r.live.Load(), SessionsTotal: r.total.Load(), Failed: r.failed.Load(),
		Exchanges: r.exchanges.Load(), Bytes: r.flow(),
	}
	if r.ln != nil {
		out.Listen = r.ln.addr.String()
	}
	f := r.force.Load()
	for i := range f.rules {
		out.Rules = append(out.Rules, f.rules[i].state(r.name))
	}
	return out
}

// checkRoute validates a route and lays the defaults.
func checkRoute(r Route, field string) (*settings, error) {
	at := func(name string) string {
		if field == "" {
			return name
		}
		return field + "." + name
	}
	if !validName(r.Name) {
		return nil, faults.Errorf(faults.Invalid, at("name"), "expected 1 to 64 letters, digits, - or _, got %q", r.Name)
	}
	s := &settings{Route: r}
	var ok bool
	if s.protocol, ok = parseProtocol(r.Protocol); !ok {
		return nil, faults.Errorf(faults.Invalid, at("protocol"), "expected auto, http or tcp, got %q", r.Protocol)
	}
	s.Protocol = protocolWord(s.protocol)
	switch r.Mode {
	case "":
		s.Mode = "forward"
	case "forward":
	case "proxy":
		if s.protocol == faults.TCP {
			return nil, faults.Errorf(faults.Invalid, at("protocol"), "mode proxy speaks HTTP: expected http, got tcp")
		}
		s.protocol, s.Protocol = faults.HTTP, protocolWord(faults.HTTP)
		if s.proxying = faults.ToOrigin; r.Upstream != "" {
			s.proxying = faults.ToProxy
		}
	case "redirect", "tproxy":
		return nil, faults.Errorf(faults.Unsupported, at("mode"), "%s is not built yet: expected forward or proxy", r.Mode)
	default:
		return nil, faults.Errorf(faults.Invalid, at("mode"), "expected forward or proxy, got %q", r.Mode)
	}
	switch r.OnDialError {
	case "":
		if s.OnDialError = "rst"; s.proxying != faults.Forward {
			s.OnDialError = "502"
		}
	case "rst", "fin":
	case "502":
		if s.protocol == faults.TCP {
			return nil, faults.Errorf(faults.Invalid, at("on_dial_error"), "502 needs an http route; %q is tcp", r.Name)
		}
	default:
		return nil, faults.Errorf(faults.Invalid, at("on_dial_error"), "expected rst, fin or 502, got %q", r.OnDialError)
	}
	var err error
	if s.at, err = parseListen(r.Listen); err != nil {
		return nil, faults.Errorf(faults.Invalid, at("listen"), "%v", err)
	}
	if s.proxying == faults.ToOrigin { // the client says it
		return s, nil
	}
	if s.host, s.port, s.addr, err = parseUpstream(r.Upstream); err != nil {
		return nil, faults.Errorf(faults.Invalid, at("upstream"), "%v", err)
	}
	return s, nil
}

func validName(s string) bool {
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// parseListen reads an address to listen on: an IP address, localhost, or none
// for every address, and a port.
func parseListen(s string) (netip.AddrPort, error) {
	bad := fmt.Errorf("expected ADDRESS:PORT with an IP address or localhost, such as 127.0.0.1:8080, got %q", s)
	host, portWord, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, bad
	}
	port, err := strconv.ParseUint(portWord, 10, 16)
	if err != nil {
		return netip.AddrPort{}, bad
	}
	switch {
	case host == "": // the kernel takes IPv6 and IPv4 where it can
		return netip.AddrPortFrom(netip.Addr{}, uint16(port)), nil
	case strings.EqualFold(host, "localhost"):
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, bad
	}
	return netip.AddrPortFrom(addr, uint16(port)), nil
}

// parseUpstream reads HOST:PORT; addr is valid if the host is an IP address.
func parseUpstream(s string) (host string, port uint16, addr netip.AddrPort, err error) {
	bad := fmt.Errorf("expected HOST:PORT such as 127.0.0.1:9000 or origin.example:80, got %q", s)
	host, word, err := net.SplitHostPort(s)
	if err != nil || host == "" || strings.ContainsAny(host, " /@") {
		return "", 0, addr, bad
	}
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n == 0 {
		return "", 0, addr, bad
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		addr = netip.AddrPortFrom(ip, uint16(n))
	}
	return host, uint16(n), addr, nil
}
