package middlebox

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"crimp/faults"
)

// Connect faults as a client sees them.

func TestRefuse(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	for _, how := range []string{"rst", "fin"} {
		set(t, b, rule("refuse", map[string]any{"how": how}))
		c, err := net.Dial("tcp", listenOf(t, b, "web"))
		if err == nil { // a RST may come before connect is noticed
			wantEnd(t, c, "", how)
		} else if how != "rst" || !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	}
	set(t, b, rule("refuse", map[string]any{"how": "silent"}))
	c := dial(t, b, "web")
	say(t, c, "hello")
	hearsNothing(t, c)
	if n := b.State().Routes[0].Bytes.Upstream; n != 0 {
		t.Errorf("%d bytes went up", n)
	}
	gone(t, b, "refuse")
	expect(t, c, "hello")
}

// A closed route refuses connections as soon as the call has answered, leaves its
// sessions alone, and is there again on the same port.
func TestRefuseClosed(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	c := dial(t, b, "web")
	for range 5 {
		set(t, b, rule("down", nil))
		if c, err := net.Dial("tcp", listenOf(t, b, "web")); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("%v %v", c, err)
		}
		say(t, c, "still here")
		expect(t, c, "still here")
		gone(t, b, "down")
		now := dial(t, b, "web")
		say(t, now, "again")
		expect(t, now, "again")
	}
	set(t, b, rule("down", nil))
	if _, err := b.DeleteRoute("web", Change{}); err != nil {
		t.Error(err)
	}
}

func TestConnectDelay(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo), Rules: []faults.Rule{rule("connect_delay", map[string]any{"delay": "100ms"})}})
	begun := time.Now()
	c := dial(t, b, "web")
	say(t, c, "hello")
	expect(t, c, "hello")
	if d := time.Since(begun); d < 100*time.Millisecond {
		t.Errorf("after %v", d)
	}
}

// Sessions wait their turn in the order in which they came, on whichever loop.
func TestLimitSessions(t *testing.T) {
	b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	there := dial(t, b, "web")
	say(t, there, "x")
	expect(t, there, "x")
	set(t, b, rule("limit_sessions", map[string]any{"max": 2, "excess": "queue"}))
	var c []*net.TCPConn
	for i := range 4 {
		c = append(c, dial(t, b, "web"))
		say(t, c[i], "hello")
	}
	expect(t, c[0], "hello")
	hearsNothing(t, c[1])
	there.Close()
	expect(t, c[1], "hello")
	hearsNothing(t, c[2])
	c[1].Close()
	expect(t, c[2], "hello")
	hearsNothing(t, c[3])
	c[2].Close()
	expect(t, c[3], "hello")
	set(t, b, rule("limit_sessions", map[string]any{"max": 2, "per": "client"}))
	if x, err := net.Dial("tcp", listenOf(t, b, "web")); err == nil {
		wantEnd(t, x, "", "rst")
	}
	other, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).Dial("tcp", listenOf(t, b, "web"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	io.WriteString(other, "me too")
	expect(t, other, "me too")
}

// A storm of clients that come and go leaves nobody waiting.
func TestLimitLeaksNobody(t *testing.T) {
	b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, echo), Rules: []faults.Rule{rule("overloaded", nil)}})
	done := make(chan error, 40)
	for i := range cap(done) {
		go func() {
			c, err := net.Dial("tcp", listenOf(t, b, "web"))
			if err == nil && i%3 == 0 { // leaves without waiting
				err = c.Close()
			} else if err == nil {
				c.SetDeadline(time.Now().Add(20 * time.Second))
				io.WriteString(c, "x")
				_, err = io.ReadFull(c, make([]byte, 1))
				c.Close()
			}
			done <- err
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	until(t, "all are gone", func() bool { return b.State().Routes[0].Sessions == 0 })
}
