package middlebox

import (
	"net"
	"strings"
	"testing"

	"crimp/faults"
)

// TestReply: answers made up on a live connection, upstream asked or not.
func TestReply(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	c := dial(t, b, "web")
	busy := "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"
	for _, when := range []string{"instead", "after"} {
		before := b.State().Routes[0].Bytes.Upstream
		set(t, b, rule("reply", map[string]any{"body": "text:busy", "when": when}))
		for range 3 {
			say(t, c, request)
			expect(t, c, busy)
		}
		if up := b.State().Routes[0].Bytes.Upstream - before; (up == 0) != (when == "instead") {
			t.Errorf("%s: %d bytes went up", when, up)
		}
		gone(t, b, "reply")
		say(t, c, request)
		expect(t, c, response)
	}
	list, _ := b.Exchanges(Filter{Match: faults.Match{Status: "503"}})
	if len(list.Items) != 6 || list.Items[0].Outcome != "ok" {
		t.Errorf("%d exchanges were answered so: %+v", len(list.Items), list.Items)
	}
}

// TestEarly413: the answer arrives while the client uploads, and is not lost by it.
func TestEarly413(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		for buf := make([]byte, 32<<10); ; {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	}), Rules: []faults.Rule{rule("early-413", nil)}})
	c := dial(t, b, "web")
	say(t, c, "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.Write(make([]byte, 4_000_000)) // what is not wanted is read away
	}()
	text, end := rest(t, c)
	<-sent
	if !strings.HasPrefix(text, "HTTP/1.1 413 Content Too Large\r\n") || end != "fin" {
		t.Errorf("%q and %s", text, end)
	}
}
