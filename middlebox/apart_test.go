package middlebox

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"crimp/faults"
)

var correct = rule("hop_by_hop", map[string]any{"mode": "correct"})

// closer is an origin that answers each connection's requests, with fields of its
// own, and leaves after the first as it is told. It counts connections.
func closer(t *testing.T, fields string, leave func(*net.TCPConn)) (at string, conns *atomic.Int64) {
	conns = new(atomic.Int64)
	at = origin(t, func(c *net.TCPConn) {
		defer c.Close()
		conns.Add(1)
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s", fields, len(r.URL.Path), r.URL.Path)
		leave(c)
	})
	return at, conns
}

// TestApartOnTheWire: the client's one connection outlives those to a server that
// closes behind each answer, says so or not, or resets.
func TestApartOnTheWire(t *testing.T) {
	for name, c := range map[string]struct {
		fields string
		leave  func(*net.TCPConn)
	}{
		"says close, and closes": {"Connection: close\r\n", func(*net.TCPConn) {}},
		"says close, and waits for ours": {"Connection: close\r\n", func(c *net.TCPConn) {
			if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("instead of FIN the server got %d bytes, %v", n, err)
			}
		}},
		"closes without a word": {"", func(*net.TCPConn) {}},
		"resets":                {"", func(c *net.TCPConn) { time.Sleep(10 * time.Millisecond); c.SetLinger(0) }},
	} {
		t.Run(name, func(t *testing.T) {
			at, conns := closer(t, c.fields, c.leave)
			b := start(t, Config{}, Route{Mode: "proxy", Rules: []faults.Rule{correct}})
			client := dial(t, b, "web")
			in := bufio.NewReader(client)
			for i := range 4 {
				say(t, client, fmt.Sprintf("GET http://%s/%d HTTP/1.1\r\nHost: elsewhere\r\n\r\n", at, i))
				r, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != fmt.Sprint("/", i) || r.Close {
					t.Fatalf("answer %d is %q, %v, close %v", i, body, err, r.Close)
				}
				until(t, "the server is gone", func() bool {
					list, _ := b.Sessions(Filter{})
					return len(list.Items) == 1 && !connected(b)
				})
			}
			client.CloseWrite()
			wantEnd(t, client, "", "fin")
			it := closedSession(t, b, "web/1")
			if n := conns.Load(); n != 4 || it.Exchanges != 4 || it.Outcome != "ok" || it.Odd != nil {
				t.Errorf("%d connections to the server; told as %+v", n, it)
			}
		})
	}
}

// connected says whether the only session has a server.
func connected(b *Box) bool {
	return b.everywhere(func(l *loop) (n int64) {
		for _, s := range l.sessions {
			if s.dialled {
				n++
			}
		}
		return n
	})() > 0
}

// TestApartClients: curl and Go ask a server that closes behind each answer for
// three things, on one connection to the proxy.
func TestApartClients(t *testing.T) {
	at, conns := closer(t, "Connection: close\r\n", func(*net.TCPConn) {})
	b := start(t, Config{}, Route{Mode: "proxy", Rules: []faults.Rule{correct}})
	c := throughProxy(t, b)
	for _, path := range []string{"/1", "/2", "/3"} {
		if code, body := get(t, c, "http://"+at+path); code != 200 || body != path {
			t.Errorf("Go got %d %q", code, body)
		}
	}
	if n := b.Stats().Sessions; n != 1 {
		t.Errorf("Go has %d sessions", n)
	}
	cmd := exec.CommandContext(ctxFor(t, 20*time.Second), "curl", "-sS", "--noproxy", "", "-x", "http://"+listenOf(t, b, "web"),
		"-w", " %{num_connects} ", "http://"+at+"/1", "http://"+at+"/2", "http://"+at+"/3")
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "/1 1 /2 0 /3 0 " {
		t.Errorf("curl: %v, said %q", err, out)
	}
	if n := conns.Load(); n != 6 {
		t.Errorf("%d connections to the server", n)
	}
}
