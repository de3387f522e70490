package middlebox

import (
	"bytes"
	"net"
	"strings"
	"sync"
	"testing"

	"crimp/faults"
	"crimp/middlebox/sys"
)

// manifold notes how many writes left in one go.
type manifold struct {
	sys.Kernel
	mu   sync.Mutex
	most int
}

func (k *manifold) WriteMany(ws []sys.Writing) {
	k.mu.Lock()
	k.most = max(k.most, len(ws))
	k.mu.Unlock()
	k.Kernel.WriteMany(ws)
}

// TestBatch: what many sessions say in a turn leaves in one go, each gets its own,
// and it is counted though nothing follows.
func TestBatch(t *testing.T) {
	const clients, size, rounds = 20, 1000, 200
	k := &manifold{}
	b := start(t, Config{Kernel: func() (sys.Kernel, error) {
		own, err := sys.New()
		k.Kernel = own
		return k, err
	}}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	var all sync.WaitGroup
	for i := range clients {
		c := dial(t, b, "web")
		all.Go(func() {
			said := bytes.Repeat([]byte{byte('a' + i)}, size)
			for range rounds {
				if _, err := c.Write(said); err != nil {
					t.Error(err)
					return
				}
				expect(t, c, string(said))
			}
		})
	}
	all.Wait()
	if k.mu.Lock(); k.most < 2 {
		t.Errorf("of %d clients at once, never two were answered in one go", clients)
	}
	k.mu.Unlock()
	until(t, "all is counted", func() bool {
		return b.State().Routes[0].Bytes == Flow{clients * size * rounds, clients * size * rounds}
	})
}

// TestBatchKeepsOrder: what leaves apart, a pipe's content or an ending does not overtake
// what waits in the batch.
func TestBatchKeepsOrder(t *testing.T) {
	requests := request + strings.Replace(request, "/page", "/second", 1)
	first, second := "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345"
	b := start(t, Config{Tuning: Tuning{Alone: true}}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		asked := make([]byte, len(requests))
		for n := 0; n < len(asked); {
			m, err := c.Read(asked[n:])
			if err != nil {
				return
			}
			n += m
		}
		say(t, c, first+second)
	}), Rules: []faults.Rule{{Name: "slice", Fault: "slice", Params: map[string]any{"size": 3}, Match: faults.Match{Path: "/second"}, Armed: true}}})
	c := dial(t, b, "web")
	say(t, c, requests)
	expect(t, c, first+second)
	if _, err := c.Read(make([]byte, 1)); err == nil || err.Error() != "EOF" {
		t.Errorf("after the server's FIN: %v", err)
	}
}
