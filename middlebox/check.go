package middlebox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"crimp/faults"
)

// What can be wrong with routes before any socket is asked: each by itself, its
// rules, and all of them beside each other. All of it is told at once.

// CheckRoutes says what is wrong with routes as a configuration has them; the
// fields are routes[i].… . No upstream may be one of the forbidden addresses
// (HOST:PORT), those the box itself is spoken to at.
func CheckRoutes(routes []Route, forbidden ...string) *faults.Error {
	var errs *faults.Error
	var whole []placed
	named := map[string]bool{}
	for i, r := range routes {
		field := fmt.Sprintf("routes[%d]", i)
		s, err := checkWhole(r, field)
		if named[r.Name] && r.Name != "" {
			err = err.And(faults.Errorf(faults.Invalid, field+".name", "%q is the name of two routes", r.Name))
		}
		named[r.Name] = true
		if errs = errs.And(err); err == nil {
			whole = append(whole, placed{s, field})
		}
	}
	return errs.And(checkBeside(whole, nil, addresses(forbidden)))
}

// CheckRoute says what is wrong with one route and its rules.
func CheckRoute(r Route, field string) *faults.Error {
	_, err := checkWhole(r, field)
	return err
}

// checkWhole validates a route, its rules too, and lays the defaults.
func checkWhole(r Route, field string) (*settings, *faults.Error) {
	s, errs := checkRoute(r)
	_, err := faults.Compile(nil, 0, r.Name, s.protocol, r.Rules)
	return s, errs.And(err).In(field)
}

// checkRoute is checkWhole but for the rules.
func checkRoute(r Route) (*settings, *faults.Error) {
	var errs *faults.Error
	bad := func(field, format string, args ...any) {
		errs = errs.And(faults.Errorf(faults.Invalid, field, format, args...))
	}
	s := &settings{Route: r}
	if !validName(r.Name) {
		bad("name", "expected 1 to 64 letters, digits, - or _, got %q", r.Name)
	}
	var err error
	if s.at, err = parseListen(r.Listen); err != nil {
		bad("listen", "%v", err)
	}
	var ok bool
	if s.protocol, ok = parseProtocol(r.Protocol); !ok {
		errs = errs.And(notOneOf("protocol", r.Protocol, "auto", "http", "tcp"))
	}
	errs = errs.And(s.setMode())
	s.Protocol = protocolWord(s.protocol)
	errs = errs.And(s.setOnDialError())
	if s.proxying == faults.ToOrigin { // the client says it
		return s, errs
	}
	if s.host, s.port, s.addr, err = parseUpstream(r.Upstream); err != nil {
		bad("upstream", "%v", err)
	}
	return s, errs
}

func (s *settings) setMode() *faults.Error {
	switch s.Mode {
	case "":
		s.Mode = "forward"
	case "forward":
	case "proxy":
		if s.proxying = faults.ToOrigin; s.Upstream != "" {
			s.proxying = faults.ToProxy
		}
		if s.protocol == faults.TCP {
			return faults.Errorf(faults.Invalid, "protocol", "mode proxy speaks HTTP: expected http, got tcp")
		}
		s.protocol = faults.HTTP
	case "redirect", "tproxy":
		return faults.Errorf(faults.Unsupported, "mode", "%s is not built yet: expected forward or proxy", s.Mode)
	default:
		return notOneOf("mode", s.Mode, "forward", "proxy")
	}
	return nil
}

func (s *settings) setOnDialError() *faults.Error {
	switch s.OnDialError {
	case "":
		if s.OnDialError = "rst"; s.proxying != faults.Forward {
			s.OnDialError = "502"
		}
	case "rst", "fin":
	case "502":
		if s.protocol == faults.TCP {
			return faults.Errorf(faults.Invalid, "on_dial_error", "502 needs an http route; %q is tcp", s.Name)
		}
	default:
		return notOneOf("on_dial_error", s.OnDialError, "rst", "fin", "502")
	}
	return nil
}

func notOneOf(field, got string, words ...string) *faults.Error {
	last := len(words) - 1
	return faults.Errorf(faults.Invalid, field, "expected %s or %s, got %q%s", strings.Join(words[:last], ", "), words[last], got, faults.Hint(got, words))
}

// placed is a route that is right by itself, and where it was given.
type placed struct {
	*settings
	field string
}

// checkBeside refuses routes that share an address, with each other or with those
// that stay, and those whose upstream comes back to the box: what a relay dials
// itself it accepts, and dials again.
func checkBeside(given []placed, stay []*settings, forbidden []netip.AddrPort) *faults.Error {
	var errs *faults.Error
	all := slices.Clone(stay)
	for _, s := range given {
		i := slices.IndexFunc(all, func(x *settings) bool { return x.at == s.at && s.at.Port() != 0 })
		if i >= 0 {
			errs = errs.And(faults.Errorf(faults.Invalid, s.field+".listen", "%s is the address of route %q", s.Listen, all[i].Name))
		}
		all = append(all, s.settings)
	}
	for _, s := range given {
		if why := s.comesBack(all, forbidden); why != "" {
			errs = errs.And(faults.Errorf(faults.Invalid, s.field+".upstream", "%s %s", s.Upstream, why))
		}
	}
	return errs
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
	if s == "" {
		return netip.AddrPort{}, errors.New("is missing: expected ADDRESS:PORT such as 127.0.0.1:8080")
	}
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
	if s == "" {
		return "", 0, addr, errors.New("is missing: expected HOST:PORT such as 127.0.0.1:9000")
	}
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
