package middlebox

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

// TestMergeIsASegment: answers that the server gave one after the other leave for
// the client in one segment, by the kernel's own count.
func TestMergeIsASegment(t *testing.T) {
	const n = 3
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		if _, err := io.ReadFull(c, make([]byte, n*len(request))); err != nil {
			return
		}
		for range n {
			c.Write([]byte(response))
			time.Sleep(20 * time.Millisecond)
		}
		c.Read(make([]byte, 1))
	}), Rules: []faults.Rule{rule("pipeline", map[string]any{"mode": "merge", "n": n})}})
	c := dial(t, b, "web")
	say(t, c, strings.Repeat(request, n))
	expect(t, c, strings.Repeat(response, n))
	if got := segmentsOut(t, b); got != 1 {
		t.Errorf("%d answers left in %d segments", n, got)
	}
}
