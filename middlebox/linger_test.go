package middlebox

import (
	"net"
	"testing"
	"time"

	"crimp/faults"
)

// TestCloseUnderAFlood: a client that goes on talking through the ending `close` is
// answered with RST, as by a crashed process, and is not listened to until it stops;
// with `fin` it is.
func TestCloseUnderAFlood(t *testing.T) {
	const flood = lingerBytes - 4<<20
	for _, c := range []struct {
		end   string
		whole bool
	}{{"close", false}, {"fin", true}} {
		t.Run(c.end, func(t *testing.T) {
			b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{
				rule("cut", map[string]any{"at": "end", "end": c.end})}})
			for i := range 10 {
				client := dial(t, b, "web")
				say(t, client, request)
				wantEnd(t, client, response, "fin")
				if n, err := pour(client, flood); (err == nil) != c.whole {
					t.Fatalf("run %d: %d of %d bytes were taken, %v", i, n, flood, err)
				}
			}
		})
	}
}

// pour writes n bytes as fast as they are taken.
func pour(c net.Conn, n int) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(20 * time.Second))
	return c.Write(make([]byte, n))
}
