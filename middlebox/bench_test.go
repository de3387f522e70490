package middlebox

import (
	"bufio"
	"io"
	"net"
	"testing"

	"crimp/faults"
)

// A baseline on real sockets over loopback, peers included: what one number is
// worth shows only beside another of the same run. `go test -bench . ./middlebox`

// benchRules are the states a relay is measured in.
var benchRules = []struct {
	name  string
	rules []faults.Rule
}{
	{"no_rule", nil},
	// A rule at work on every byte, and one that is asked of every message.
	{"latency_0", []faults.Rule{{Name: "latency", Fault: "latency", Params: map[string]any{"delay": "0s"}, Armed: true}}},
}

var benchMatch = faults.Rule{Name: "elsewhere", Fault: "truncate", Match: faults.Match{Path: "/elsewhere/*"}, Armed: true}

// BenchmarkBytes relays 32 KiB an operation, one way.
func BenchmarkBytes(b *testing.B) {
	for _, state := range benchRules {
		b.Run(state.name, func(b *testing.B) {
			box, client, server := pair(b, Config{})
			armAll(b, box, state.rules)
			chunk := make([]byte, 32<<10)
			go func() {
				for range b.N {
					if _, err := server.Write(chunk); err != nil {
						return
					}
				}
				server.CloseWrite()
			}()
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			b.ResetTimer()
			buf := make([]byte, 256<<10)
			if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{client}, buf); err != nil || n != int64(b.N*len(chunk)) {
				b.Fatal(n, err)
			}
		})
	}
}

// BenchmarkRoundTrip sends 64 bytes and has them back.
func BenchmarkRoundTrip(b *testing.B) {
	for _, state := range benchRules {
		b.Run(state.name, func(b *testing.B) {
			box := start(b, Config{}, Route{Protocol: "tcp", Upstream: origin(b, echo)})
			armAll(b, box, state.rules)
			trips(b, dial(b, box, "web"))
		})
	}
	b.Run("direct", func(b *testing.B) {
		c, err := net.Dial("tcp", origin(b, echo))
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		trips(b, c)
	})
}

func trips(b *testing.B, c net.Conn) {
	ping := make([]byte, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := c.Write(ping); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(c, ping); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRequest sends a request and reads its answer of 1 KiB, on one
// keep-alive session of an http route.
func BenchmarkRequest(b *testing.B) {
	states := append(benchRules[:len(benchRules):len(benchRules)], struct {
		name  string
		rules []faults.Rule
	}{"no_match", []faults.Rule{benchMatch}})
	for _, state := range states {
		b.Run(state.name, func(b *testing.B) {
			box := start(b, Config{}, Route{Protocol: "http", Upstream: origin(b, kilobytes)})
			armAll(b, box, state.rules)
			c := dial(b, box, "web")
			in := bufio.NewReader(c)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				io.WriteString(c, request)
				if _, err := in.Discard(len(kilobyte)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var kilobyte = func() []byte {
	return append([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n"), make([]byte, 1024)...)
}()

// kilobytes answers requests without allocating, so that what is measured is the relay.
func kilobytes(c *net.TCPConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		for line := []byte{0}; len(line) > 0; { // until the blank line
			text, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			line = text[:len(text)-2]
		}
		if _, err := c.Write(kilobyte); err != nil {
			return
		}
	}
}

// BenchmarkSession opens and closes a session with one round trip.
func BenchmarkSession(b *testing.B) {
	box := start(b, Config{}, Route{Protocol: "tcp", Upstream: origin(b, echo)})
	addr := listenOf(b, box, "web")
	ping := make([]byte, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		c.Write(ping)
		if _, err := io.ReadFull(c, ping); err != nil {
			b.Fatal(err)
		}
		c.(*net.TCPConn).SetLinger(0) // the box need not keep its end in TIME_WAIT
		c.Close()
	}
}

// BenchmarkToggle arms and disarms a rule with 500 live sessions.
func BenchmarkToggle(b *testing.B) {
	box := start(b, Config{}, Route{Protocol: "http", Upstream: origin(b, kilobytes)})
	armAll(b, box, []faults.Rule{benchMatch})
	for range 500 {
		dial(b, box, "web")
	}
	until(b, "all sessions are open", func() bool { return box.Stats().Sessions == 500 })
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if got, err := box.Arm("web", benchMatch.Name, i%2 == 1, Change{}); err != nil || got.Sessions != 500 {
			b.Fatal(got, err)
		}
	}
}

func armAll(b *testing.B, box *Box, rules []faults.Rule) {
	b.Helper()
	for _, r := range rules {
		if _, err := box.SetRule("web", r, Change{}); err != nil {
			b.Fatal(err)
		}
	}
}
