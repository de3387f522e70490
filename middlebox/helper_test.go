package middlebox

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"crimp/faults"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if beStarved() { // a child process of TestNoDescriptors
		return
	}
	goleak.VerifyTestMain(m)
}

// start makes a box with these routes; a route without addresses gets a free
// port. The box is killed at the end of the test.
func start(t testing.TB, c Config, routes ...Route) *Box {
	t.Helper()
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	for i := range routes {
		or(&routes[i].Listen, "127.0.0.1:0")
		or(&routes[i].Name, "web")
	}
	if err := b.Configure(routes, "test"); err != nil {
		t.Fatal(err)
	}
	return b
}

// origin listens and gives each accepted connection to serve.
func origin(t testing.TB, serve func(*net.TCPConn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c.(*net.TCPConn))
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// echo sends back what comes and half-closes at the end of it.
func echo(c *net.TCPConn) {
	defer c.Close()
	if _, err := io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}); err == nil {
		c.CloseWrite()
	}
}

// dial connects to a route of the box.
func dial(t testing.TB, b *Box, route string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", listenOf(t, b, route))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c.(*net.TCPConn)
}

func listenOf(t testing.TB, b *Box, route string) string {
	t.Helper()
	for _, r := range b.State().Routes {
		if r.Name == route {
			return r.Listen
		}
	}
	t.Fatalf("no route %q", route)
	return ""
}

// pair is a client and the server's end of its session.
func pair(t testing.TB, c Config) (b *Box, client, server *net.TCPConn) {
	t.Helper()
	accepted := make(chan *net.TCPConn, 1)
	b = start(t, c, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) { accepted <- c })})
	client = dial(t, b, "web")
	server = <-accepted
	server.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { server.Close() })
	return b, client, server
}

// say writes all of text, expect reads exactly it.
func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatalf("writing %q: %v", text, err)
	}
}

func expect(t testing.TB, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != text {
		t.Fatalf("read %q, %v; want %q", got[:n], err, text)
	}
}

// rest reads until the connection ends: fin or rst.
func rest(t testing.TB, c net.Conn) (text, end string) {
	t.Helper()
	got, err := io.ReadAll(c)
	switch {
	case err == nil:
		return string(got), "fin"
	case errors.Is(err, syscall.ECONNRESET):
		return string(got), "rst"
	}
	t.Fatalf("read %q, then %v", got, err)
	return "", ""
}

func wantEnd(t testing.TB, c net.Conn, text, end string) {
	t.Helper()
	if gotText, gotEnd := rest(t, c); gotText != text || gotEnd != end {
		t.Fatalf("read %q and %s, want %q and %s", gotText, gotEnd, text, end)
	}
}

// until waits for something that another goroutine or the kernel brings about.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for limit := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// closedSession waits for the end of a session and gives what was told of it.
func closedSession(t testing.TB, b *Box, id string) SessionItem {
	t.Helper()
	var it SessionItem
	until(t, id+" is closed", func() bool {
		list, err := b.Events(Filter{Type: "session.closed", Session: id})
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) == 1 {
			it = list.Items[0].Data.(SessionItem)
			return true
		}
		return false
	})
	return it
}

// rule makes an armed rule named as its fault.
func rule(fault string, params map[string]any) faults.Rule {
	return faults.Rule{Name: fault, Fault: fault, Params: params, Armed: true}
}

func ctxFor(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// set makes a route's rule be r; gone disarms one.
func set(t *testing.T, b *Box, r faults.Rule) {
	t.Helper()
	if _, err := b.SetRule("web", r, Change{}); err != nil {
		t.Fatal(err)
	}
}

func gone(t *testing.T, b *Box, name string) {
	t.Helper()
	if _, err := b.Arm("web", name, false, Change{}); err != nil {
		t.Fatal(err)
	}
}

// hearsNothing sees nothing for a while.
func hearsNothing(t *testing.T, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.EAGAIN) && !isTimeout(err) {
		t.Errorf("%d bytes, %v", n, err)
	}
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}
