package middlebox

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

func TestNames(t *testing.T) {
	t.Run("localhost", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(origin(t, echo))
		b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "localhost:" + port})
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
	})
	t.Run("addresses are tried in order", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(origin(t, echo))
		b := start(t, Config{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.99.0.1"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
		}}, Route{Protocol: "tcp", Upstream: "origin.example:" + port})
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
	})
	t.Run("no such name", func(t *testing.T) {
		b := start(t, Config{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, errors.New("no such host")
		}}, Route{Protocol: "http", OnDialError: "502", Upstream: "nowhere.example:80"})
		c := dial(t, b, "web")
		say(t, c, request)
		said, _ := rest(t, c)
		if !strings.HasPrefix(said, "HTTP/1.1 502 ") {
			t.Errorf("got %q", said)
		}
	})
	t.Run("client leaves before the name is known", func(t *testing.T) {
		asked := make(chan bool)
		b := start(t, Config{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked <- true
			<-ctx.Done()
			return nil, ctx.Err()
		}}, Route{Protocol: "tcp", Upstream: "slow.example:80"})
		c := dial(t, b, "web")
		<-asked
		c.SetLinger(0)
		c.Close()
		if it := closedSession(t, b, "web/1"); it.Ended.Client != "rst" || it.Ended.Server != "" {
			t.Errorf("ended as %+v", *it.Ended)
		}
	})
}

// What a name turns out to be is looked at when it is dialled.
func TestNameThatIsTheRouteItself(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:1"})
	listen := listenOf(t, b, "web")
	_, port, _ := net.SplitHostPort(listen)
	if _, _, err := b.SetRoute(Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: "localhost:" + port, OnDialError: "fin"}, Change{}); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, dial(t, b, "web"), "", "fin")
	list, _ := b.Events(Filter{Type: "session.failed"})
	if len(list.Items) != 1 || !strings.Contains(list.Items[0].Data.(FailedData).Error, "the route itself listens") {
		t.Errorf("told as %+v", list.Items)
	}
}

// So is one that a connect rule lets wait: the server gets its ending, and the
// rule its event.
func TestCutAtTheDoor(t *testing.T) {
	for end, want := range map[string]string{"fin": "fin", "rst": "rst"} {
		t.Run(end, func(t *testing.T) {
			accepted := make(chan *net.TCPConn, 1)
			cut := rule("cut", map[string]any{"at": "now", "end": end})
			cut.Match.Direction = "upstream"
			b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) { accepted <- c }),
				Rules: []faults.Rule{rule("connect_delay", map[string]any{"delay": "100ms"}), cut}})
			begun := time.Now()
			wantEnd(t, dial(t, b, "web"), "", "fin")
			var server *net.TCPConn
			select {
			case server = <-accepted:
			case <-time.After(10 * time.Second):
				t.Fatal("the server was never dialled")
			}
			if took := time.Since(begun); took < 100*time.Millisecond {
				t.Errorf("dialled after %v", took)
			}
			server.SetDeadline(time.Now().Add(20 * time.Second))
			wantEnd(t, server, "", want)
			server.Close()
			if it := closedSession(t, b, "web/1"); len(it.Rules) != 2 {
				t.Errorf("told as %+v", it)
			}
			if e, _ := b.Events(Filter{Type: "fault.fired", Rule: "cut"}); len(e.Items) != 1 {
				t.Errorf("told as %+v", e.Items)
			}
		})
	}
}

// A rule that ends both sides while the upstream is still being dialled has
// something to say to the server: it is dialled for that.
func TestCutBeforeTheDial(t *testing.T) {
	for end, want := range map[string]string{"fin": "fin", "rst": "rst"} {
		t.Run(end, func(t *testing.T) {
			accepted := make(chan *net.TCPConn, 1)
			_, port, _ := net.SplitHostPort(origin(t, func(c *net.TCPConn) { accepted <- c }))
			known := make(chan bool)
			b := start(t, Config{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
				select {
				case <-known:
				case <-ctx.Done():
				}
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}}, Route{Protocol: "tcp", Upstream: "slow.example:" + port})
			c := dial(t, b, "web")
			until(t, "the session is open", func() bool { return b.Stats().Sessions == 1 })
			r := rule("cut", map[string]any{"at": "now", "end": end})
			r.Match.Direction = "upstream"
			if _, err := b.SetRule("web", r, Change{}); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, c, "", "fin")
			close(known)
			server := <-accepted
			server.SetDeadline(time.Now().Add(20 * time.Second))
			wantEnd(t, server, "", want)
			server.Close()
		})
	}
}
