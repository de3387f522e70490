package middlebox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crimp/faults"
)

// Packet faults where this process may filter. Where it may not, a test of them proves
// nothing: it says so, and in CI, which runs as root, it fails.

// mayFilter says whether this process may filter packets, and tells the test if not.
func mayFilter(t testing.TB, b *Box) bool {
	t.Helper()
	if slices.Contains(b.Info().Rights, "black_hole") {
		return true
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this process may not filter packets (it %v): in CI the tests of packet faults must run", b.packets)
	}
	t.Logf("NOT TESTED: packet faults, as this process may not filter: it %v", b.packets)
	return false
}

// hearer is a test that is only listened to.
type hearer struct {
	testing.TB
	logged, failed string
}

func (h *hearer) Helper()                        {}
func (h *hearer) Logf(format string, a ...any)   { h.logged = fmt.Sprintf(format, a...) }
func (h *hearer) Fatalf(format string, a ...any) { h.failed = fmt.Sprintf(format, a...) }

// A missing right never passes unnoticed.
func TestMissingRightIsTold(t *testing.T) {
	b := start(t, Config{}, Route{Upstream: origin(t, echo)})
	for _, test := range []struct {
		ci, logged, failed string
		right              error
	}{
		{"", "", "", nil},
		{"true", "", "", nil},
		{"", "NOT TESTED: packet faults, as this process may not filter: it needs X", "", errors.New("needs X")},
		{"true", "", "this process may not filter packets (it needs X): in CI", errors.New("needs X")},
	} {
		t.Setenv("CI", test.ci)
		b.packets = test.right
		h := &hearer{TB: t}
		may := mayFilter(h, b)
		if may != (test.right == nil) || !strings.HasPrefix(h.failed, test.failed) || (h.failed == "") != (test.failed == "") || may && h.logged != "" || test.failed == "" && h.logged != test.logged {
			t.Errorf("CI=%q, %v: may %v, logged %q, failed %q", test.ci, test.right, may, h.logged, h.failed)
		}
	}
}

// filtered is a box and a client that hears its own words; nobody where this process
// may not filter.
func filtered(t *testing.T) (*Box, *net.TCPConn) {
	t.Helper()
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	if !mayFilter(t, b) {
		return b, nil
	}
	c := dial(t, b, "web")
	say(t, c, "one")
	expect(t, c, "one")
	return b, c
}

// Setting a rule on packets needs no right; arming it does, and says so.
func TestPacketRight(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	right := b.packets
	b.packets = errors.New("needs CAP_NET_ADMIN: run as root or setcap cap_net_admin+ep")
	r := rule("black_hole", nil)
	r.Armed = false
	set(t, b, r)
	_, err := b.Arm("web", "black_hole", true, Change{})
	var e *faults.Error
	if !errors.As(err, &e) || e.Code != faults.Unsupported || e.Message != "black_hole needs CAP_NET_ADMIN: run as root or setcap cap_net_admin+ep; without it the nearest is stall" {
		t.Errorf("%q", err)
	}
	if b.packets = right; !mayFilter(t, b) {
		return
	}
	if _, err := b.Arm("web", "black_hole", true, Change{}); err != nil {
		t.Error(err)
	}
}

// A pulled cable: what the client sends is not acknowledged, and what it is sent
// does not come, until the cable is in again; then everything does.
func TestBlackHole(t *testing.T) {
	b, c := filtered(t)
	if c == nil {
		return
	}
	set(t, b, rule("black_hole", map[string]any{"side": "client"}))
	say(t, c, "two")
	hearsNothing(t, c)
	if n := b.State().Routes[0].Bytes.Upstream; n != 3 {
		t.Errorf("%d bytes came through", n)
	}
	gone(t, b, "black_hole")
	expect(t, c, "two") // by the client's own retransmission
}

// TestBlackHoleInMidAnswer: what the server had said beyond the place came in one
// segment with what was before it, and waits for the cable all the same.
func TestBlackHoleInMidAnswer(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	if !mayFilter(t, b) {
		return
	}
	set(t, b, rule("black_hole", map[string]any{"at": "body:-1"}))
	c := dial(t, b, "web")
	say(t, c, request)
	expect(t, c, response[:len(response)-1])
	hearsNothing(t, c)
	gone(t, b, "black_hole")
	expect(t, c, response[len(response)-1:])
}

// TestPulledCable: nothing of the client arrives, neither on its connection nor by a
// new one, until the cable is in again.
func TestPulledCable(t *testing.T) {
	b, c := filtered(t)
	if c == nil {
		return
	}
	set(t, b, rule("pulled-cable", nil))
	say(t, c, "two")
	hearsNothing(t, c)
	if c, err := net.DialTimeout("tcp", listenOf(t, b, "web"), 100*time.Millisecond); !isTimeout(err) {
		t.Errorf("a new connection: %v %v", c, err)
	}
	gone(t, b, "pulled-cable")
	expect(t, c, "two")
	now := dial(t, b, "web")
	say(t, now, "three")
	expect(t, now, "three")
}

func TestDropFin(t *testing.T) {
	b, c := filtered(t)
	if c == nil {
		return
	}
	set(t, b, rule("drop_fin", map[string]any{"side": "client"}))
	c.CloseWrite()
	hearsNothing(t, c)
	gone(t, b, "drop_fin")
	wantEnd(t, c, "", "fin")
}

// Nothing is lost for good where segments are.
func TestPacketLoss(t *testing.T) {
	sent := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		io.Copy(io.Discard, io.LimitReader(c, int64(len(sent))))
		io.WriteString(c, "thanks")
		c.Close()
	})})
	if !mayFilter(t, b) {
		return
	}
	set(t, b, rule("packet_loss", map[string]any{"rate": "30%", "side": "client"}))
	c := dial(t, b, "web")
	if _, err := c.Write(sent); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c, "thanks", "fin")
	if n := retransmitted(t, c); n == 0 {
		t.Error("the client had nothing to retransmit")
	}
}

// SYNs lost: a connect time-out, for those who match alone, and an end to it.
func TestRefuseDrop(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	if !mayFilter(t, b) {
		return
	}
	r := rule("refuse", map[string]any{"how": "drop"})
	for _, client := range []string{"", "127.0.0.1", "127.0.0.0/31"} {
		r.Match.Client = client
		set(t, b, r)
		if c, err := net.DialTimeout("tcp", listenOf(t, b, "web"), 100*time.Millisecond); !isTimeout(err) {
			t.Errorf("%q: %v %v", client, c, err)
		}
		patience := 20 * time.Second
		if client == "" { // nobody is to be served
			patience = 100 * time.Millisecond
		}
		c, err := (&net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", listenOf(t, b, "web"))
		if (err == nil) != (client != "") {
			t.Errorf("%q: another client: %v", client, err)
		}
		if err == nil {
			say(t, c, "served")
			expect(t, c, "served")
			c.Close()
		}
	}
	done := make(chan error)
	go func() {
		c, err := net.DialTimeout("tcp", listenOf(t, b, "web"), 20*time.Second)
		if err == nil {
			c.Close()
		}
		done <- err
	}()
	time.Sleep(50 * time.Millisecond)
	gone(t, b, "refuse")
	if err := <-done; err != nil {
		t.Errorf("after disarming: %v", err)
	}
}

func retransmitted(t *testing.T, c *net.TCPConn) (n int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		info, e := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err = e; err == nil {
			n = int(info.Total_retrans)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
