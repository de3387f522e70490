package middlebox

import (
	"io"
	"runtime"
	"strings"
	"testing"

	"crimp/faults"
)

// TestRelayingAllocatesNothing: in steady state no memory is allocated for a chunk,
// a message or its records, by the whole of a box; the peers here allocate none
// either. One for ten exchanges is
// left to the runtime, and to a journal that still grows.
func TestRelayingAllocatesNothing(t *testing.T) {
	zero := rule("latency", map[string]any{"delay": "0s"})
	late := rule("latency", map[string]any{"delay": "100us"})
	for _, test := range []struct {
		name, protocol string
		rules          []faults.Rule
	}{
		{"tcp", "tcp", nil},
		{"tcp, latency 0", "tcp", []faults.Rule{zero}},
		{"tcp, latency", "tcp", []faults.Rule{late}},
		{"http", "http", nil},
		{"http, no match", "http", []faults.Rule{benchMatch}},
		{"http, captured for nobody who reads", "http", nil},
		{"http, captured before", "http", nil},
	} {
		b := start(t, Config{}, Route{Protocol: test.protocol, Upstream: origin(t, kilobytes), Rules: test.rules})
		c := dial(t, b, "web")
		if strings.Contains(test.name, "captured") {
			film := capture(t, b, CaptureOptions{})
			if strings.Contains(test.name, "before") {
				film.Close()
			}
		}
		asked, answer := []byte(request), make([]byte, len(kilobyte))
		ask := func(times int) {
			for range times {
				if _, err := c.Write(asked); err != nil {
					t.Fatal(test.name, err)
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					t.Fatal(test.name, err)
				}
			}
		}
		const times = 1000
		var before, after runtime.MemStats
		ask(200)
		runtime.ReadMemStats(&before)
		ask(times)
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > times/10 {
			t.Errorf("%s: %d allocations for %d exchanges", test.name, n, times)
		}
	}
}
