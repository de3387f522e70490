package middlebox

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crimp/faults"
)

// Packet faults where this process may filter; where it may not, arming one says
// what it needs and setting one does not.

func mayFilter(b *Box) bool { return slices.Contains(b.Info().Rights, "black_hole") }

// filtered is a box and a client that hears its own words; nobody where this process
// may not filter.
func filtered(t *testing.T) (*Box, *net.TCPConn) {
	t.Helper()
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	if !mayFilter(b) {
		t.Log("this process may not filter")
		return b, nil
	}
	c := dial(t, b, "web")
	say(t, c, "one")
	expect(t, c, "one")
	return b, c
}

func TestPacketRight(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	r := rule("black_hole", nil)
	r.Armed = false
	set(t, b, r)
	_, err := b.Arm("web", "black_hole", true, Change{})
	if mayFilter(b) {
		if err != nil {
			t.Error(err)
		}
		return
	}
	var e *faults.Error
	if !errors.As(err, &e) || e.Code != faults.Unsupported || !strings.HasPrefix(e.Message, "black_hole needs CAP_NET_ADMIN: run as root or setcap") {
		t.Errorf("%q", err)
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
	if !mayFilter(b) {
		t.Log("this process may not filter")
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
	if !mayFilter(b) {
		t.Log("this process may not filter")
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
	if !mayFilter(b) {
		t.Log("this process may not filter")
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
