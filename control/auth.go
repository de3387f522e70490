package control

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/gorilla/websocket"

	"crimp/faults"
)

// This file says who may come in.
//
// A program on the machine is trusted with no token: it could read the traffic
// anyway. A web page that happens to be open in a browser there is not. Three
// checks keep it out: its Origin, which browsers always send with what a page
// could do harm by; Host, because a name that an attacker rebinds to 127.0.0.1
// makes his page same-origin; and, where one is set, the token. For anything
// but loopback the token is obligatory.

// bearerPrefix marks the subprotocol that carries the token from a browser,
// whose WebSocket cannot set headers.
const bearerPrefix = "bearer."

// CheckAddr refuses a control address that other machines can reach without a
// token. It is checked again when serving, with the address that was bound.
func CheckAddr(addr, token string) error {
	if token != "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return faults.Errorf(faults.Invalid, "control.listen", "%q; expected host:port", addr)
	}
	if !loopback(host) {
		return faults.Errorf(faults.Invalid, "control.listen", "%s can be reached from other machines: set a token (token_file), or listen on 127.0.0.1", addr)
	}
	return nil
}

// loopback says whether a host's name or address can only mean this machine.
func loopback(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// refusal is why a request does not get in; nil: it does.
type refusal struct {
	status int
	text   string
}

// admit checks Host and Origin of a request, and the token if it needs one.
func (s *Server) admit(r *http.Request, token bool) *refusal {
	if !s.hostAllowed(r) {
		return &refusal{http.StatusForbidden, "forbidden: Host " + quote(r.Host) + " is not a loopback name, the listen address or listed in control.hosts"}
	}
	if !s.originAllowed(r) {
		return &refusal{http.StatusForbidden, "forbidden: Origin " + quote(strings.Join(r.Header.Values("Origin"), ", ")) + " is neither this address nor listed in control.origins"}
	}
	switch {
	case !token || s.tokenRight(r):
	case tokenOf(r) != "":
		return &refusal{http.StatusUnauthorized, "unauthorized: that is not this box's token"}
	default:
		return &refusal{http.StatusUnauthorized, "unauthorized: a token is needed, as \"Authorization: Bearer TOKEN\" or, for a WebSocket in a browser, as the subprotocol bearer.BASE64URL"}
	}
	return nil
}

// hostAllowed refuses names that may have been rebound. The port does not
// matter: a rebound name is foreign at any port, and forwarded ports are usual.
func (s *Server) hostAllowed(r *http.Request) bool {
	host := hostOnly(r.Host)
	if host == "" {
		return false
	}
	if loopback(host) || strings.EqualFold(host, s.listenHost()) {
		return true
	}
	for _, h := range s.o.Hosts {
		if strings.EqualFold(h, r.Host) || strings.EqualFold(strings.Trim(h, "[]"), host) {
			return true
		}
	}
	// Listening on all addresses: the one that was connected to, said as an
	// address, is no name and cannot be rebound.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(local.String())
	ip, ipErr := netip.ParseAddr(host)
	return err == nil && ipErr == nil && at.Addr().Unmap().WithZone("") == ip.Unmap().WithZone("")
}

// originAllowed lets programs in, which send none, and pages from this address.
func (s *Server) originAllowed(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	if len(origins) > 1 {
		return false
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	origin := normalOrigin(origins[0])
	if origin == normalOrigin(scheme+"://"+r.Host) {
		return true
	}
	for _, o := range s.o.Origins {
		if origin == normalOrigin(o) {
			return true
		}
	}
	return false
}

// normalOrigin is an origin in lower case and without its scheme's own port.
func normalOrigin(o string) string {
	o = strings.ToLower(strings.TrimSuffix(o, "/"))
	if strings.HasPrefix(o, "http://") {
		return strings.TrimSuffix(o, ":80")
	}
	if strings.HasPrefix(o, "https://") {
		return strings.TrimSuffix(o, ":443")
	}
	return o
}

// SetToken asks for another token from now on: of every request, and of whoever
// opens a WebSocket. Those that are open stay, for they came with the right one. An
// empty token changes nothing, since it would open the door to everybody. It says
// whether the token is another one, and may be called at any time.
func (s *Server) SetToken(token string) (changed bool) {
	return token != "" && *s.token.Swap(&token) != token
}

// tokenRight compares in constant time: hashes, so that lengths do not show.
func (s *Server) tokenRight(r *http.Request) bool {
	token := *s.token.Load()
	if token == "" {
		return true
	}
	want := sha256.Sum256([]byte(token))
	got := sha256.Sum256([]byte(tokenOf(r)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// tokenOf is the token that a request brings; empty: none. A token in the URL
// is not looked at: URLs end up in logs.
func tokenOf(r *http.Request) string {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if !websocket.IsWebSocketUpgrade(r) {
		return ""
	}
	for _, p := range websocket.Subprotocols(r) {
		encoded, ok := strings.CutPrefix(p, bearerPrefix)
		if !ok {
			continue
		}
		if token, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(encoded, "=")); err == nil {
			return string(token)
		}
	}
	return ""
}

// hostOnly is host:port without the port and without brackets.
func hostOnly(hostport string) string {
	if host, _, err := net.SplitHostPort(hostport); err == nil {
		return host
	}
	return strings.Trim(hostport, "[]")
}

// quote puts what a stranger sent into a message, bounded.
func quote(s string) string {
	if len(s) > 100 {
		s = s[:100] + "..."
	}
	return "\"" + strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s) + "\""
}
