package middlebox

import (
	"net/netip"
	"testing"
	"time"
)

// TestReaches: where a listener listens on all addresses, each of this machine's
// leads to it, not loopback alone.
func TestReaches(t *testing.T) {
	h := &home{}
	for ip, want := range map[string]bool{"127.0.0.1": true, "192.0.2.7": false} { // of RFC 5737: nobody's
		if got := h.has(netip.MustParseAddr(ip)); got != want {
			t.Errorf("%s is this machine's: %v", ip, got)
		}
	}
	h.last.Store(&homeAddrs{asked: time.Now().Add(time.Hour), addrs: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("fe80::7")}})
	for _, row := range []struct {
		to, at string
		want   bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "192.0.2.7:80", false},
		{"192.0.2.7:80", "0.0.0.0:80", true},
		{"192.0.2.7:80", "[::]:80", true},
		{"[fe80::7%eth0]:80", "[::]:80", true},
		{"192.0.2.8:80", "0.0.0.0:80", false},
		{"192.0.2.7:80", "127.0.0.1:80", false},
		{"127.0.0.9:80", "0.0.0.0:80", true},
		{"0.0.0.0:80", "127.0.0.1:80", true},
	} {
		if got := h.reaches(netip.MustParseAddrPort(row.to), netip.MustParseAddrPort(row.at)); got != row.want {
			t.Errorf("a connection to %s reaches a listener at %s: %v", row.to, row.at, got)
		}
	}
}
