package middlebox

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"

	"crimp/faults"
)

// TestCrowding: the third persistent connection of a client is one too many, and
// only that: connections that close, or are no HTTP, do not count, nor those to
// another route, and what has left makes room.
func TestCrowding(t *testing.T) {
	at := web(t, "a").Listener.Addr().String()
	b := start(t, Config{}, Route{Upstream: at}, Route{Name: "other", Upstream: at},
		Route{Name: "tcp", Protocol: "tcp", Upstream: at})
	ask := func(c *net.TCPConn, head string) {
		t.Helper()
		say(t, c, head)
		r, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, r.Body)
	}
	const keep, leave = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for range 3 {
		ask(dial(t, b, "tcp"), keep)
		ask(dial(t, b, "web"), leave)
		ask(dial(t, b, "web"), "GET / HTTP/1.0\r\n\r\n")
	}
	ask(dial(t, b, "other"), keep)
	first, second, third := dial(t, b, "web"), dial(t, b, "web"), dial(t, b, "web") // web/7 to web/9
	ask(second, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
	ask(first, keep)
	ask(third, keep)
	ask(first, keep)
	first.Close()
	until(t, "the first has left", func() bool {
		list, _ := b.Sessions(Filter{Session: "web/7"})
		return len(list.Items) == 1 && list.Items[0].Closed != nil
	})
	ask(third, keep)
	ask(dial(t, b, "web"), keep) // web/10

	want := faults.Crowding.Words()
	exchanges, err := b.Exchanges(Filter{})
	if err != nil || len(exchanges.Items) != 13 {
		t.Fatalf("%v, %d exchanges", err, len(exchanges.Items))
	}
	for _, x := range exchanges.Items {
		if odd := x.ID == "web/9/1" || x.ID == "web/10/1"; odd != slices.Equal(x.Odd, want) || !odd && (x.Odd == nil || len(x.Odd) > 0) {
			t.Errorf("%s is marked %q", x.ID, x.Odd)
		}
	}
	live, _ := b.Sessions(Filter{})
	over, _ := b.Sessions(Filter{Outcome: "ok"})
	for _, s := range append(live.Items, over.Items...) {
		if odd := s.ID == "web/9" || s.ID == "web/10"; odd != slices.Equal(s.Odd, want) || !odd && s.Odd != nil {
			t.Errorf("session %s is marked %q", s.ID, s.Odd)
		}
	}
}
