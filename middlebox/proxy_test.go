package middlebox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crimp/faults"
)

// web is an origin that says its name and the target it was asked for.
func web(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s%s", name, r.Method, r.RequestURI, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func throughProxy(t *testing.T, b *Box) *http.Client {
	t.Helper()
	at, _ := url.Parse("http://" + listenOf(t, b, "web"))
	c := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at), MaxConnsPerHost: 1}, Timeout: 20 * time.Second}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b)
}

func TestProxyClients(t *testing.T) {
	a := web(t, "a")
	b := start(t, Config{}, Route{Mode: "proxy"})
	proxy := "http://" + listenOf(t, b, "web")
	if st := b.State().Routes[0]; st.Mode != "proxy" || st.Protocol != "http" || st.OnDialError != "502" {
		t.Errorf("the route is %+v", st)
	}
	t.Run("Go", func(t *testing.T) {
		for i := range 3 {
			if code, body := get(t, throughProxy(t, b), fmt.Sprint(a.URL, "/x?", i)); code != 200 || body != fmt.Sprint("a GET /x?", i) {
				t.Errorf("got %d %q", code, body)
			}
		}
	})
	t.Run("Go, TLS in a tunnel", func(t *testing.T) {
		s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RequestURI) }))
		defer s.Close()
		c := throughProxy(t, b)
		c.Transport.(*http.Transport).TLSClientConfig = s.Client().Transport.(*http.Transport).TLSClientConfig
		if code, body := get(t, c, s.URL+"/y"); code != 200 || body != "/y" {
			t.Errorf("got %d %q", code, body)
		}
		c.CloseIdleConnections()
	})
	for _, c := range [][]string{
		{"curl", "-sS", "--noproxy", "", "-x", proxy, a.URL + "/1", a.URL + "/2"},
		{"curl", "-sS", "--noproxy", "", "-p", "-x", proxy, a.URL + "/1", a.URL + "/2"},
		{"wget", "-qO-", "-e", "use_proxy=yes", "-e", "no_proxy=", "-e", "http_proxy=" + proxy, a.URL + "/1", a.URL + "/2"},
		{"python3", "-c", `
import sys, urllib.request
o = urllib.request.build_opener(urllib.request.ProxyHandler({"http": sys.argv[1]}))
for u in sys.argv[2:]: print(o.open(u).read().decode(), end="")`, proxy, a.URL + "/1", a.URL + "/2"},
	} {
		t.Run(strings.Join(c[:1], " "), func(t *testing.T) {
			if _, err := exec.LookPath(c[0]); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(ctxFor(t, 20*time.Second), c[0], c[1:]...)
			cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/local/bin", "HOME=" + t.TempDir()}
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "a GET /1a GET /2" {
				t.Errorf("%v, said %q", err, out)
			}
		})
	}
}

// One client connection, three servers: each is dialled when the one before has
// answered, and that one gets its FIN.
func TestProxyTurns(t *testing.T) {
	ended := make(chan string, 8)
	serve := func(name string) string {
		return origin(t, func(c *net.TCPConn) {
			defer c.Close()
			in := bufio.NewReader(c)
			for {
				r, err := http.ReadRequest(in)
				if err != nil {
					ended <- name + " " + err.Error()
					return
				}
				io.Copy(io.Discard, r.Body)
				said := name + r.URL.Path
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
			}
		})
	}
	a, z := serve("a"), serve("z")
	b := start(t, Config{}, Route{Mode: "proxy"})
	c := dial(t, b, "web")
	ask := func(at, path string) string {
		return "POST http://" + at + path + " HTTP/1.1\r\nHost: " + at + "\r\nContent-Length: 2\r\n\r\nhi"
	}
	answer := func(said string) string {
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(said), said)
	}
	say(t, c, ask(a, "/1")+ask(a, "/2")+ask(z, "/3")+ask(a, "/4"))
	expect(t, c, answer("a/1")+answer("a/2")+answer("z/3")+answer("a/4"))
	if got := []string{<-ended, <-ended}; !slices.Contains(got, "a EOF") || !slices.Contains(got, "z EOF") {
		t.Errorf("%q, want a FIN for each", got)
	}
	if n := b.Stats().Sessions; n != 1 {
		t.Errorf("%d sessions", n)
	}
	say(t, c, ask(z, "/5"))
	expect(t, c, answer("z/5"))
	c.CloseWrite()
	wantEnd(t, c, "", "fin")
	it := closedSession(t, b, "web/1")
	if it.Exchanges != 5 || it.Upstream != z || it.Outcome != "ok" {
		t.Errorf("told as %+v", it)
	}
}

func TestProxyRefusals(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := closed.Addr().String()
	closed.Close()
	b := start(t, Config{
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if host == "self.example" {
				return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
			}
			return nil, errors.New("no such host")
		},
	}, Route{Mode: "proxy"})
	b.Forbid("127.0.0.1:27")
	at := listenOf(t, b, "web")
	_, port, _ := net.SplitHostPort(at)
	for name, c := range map[string]struct{ said, status, why string }{
		"nobody there":      {"GET http://" + gone + "/ HTTP/1.1\r\n\r\n", "502", "refused"},
		"no such name":      {"GET http://nowhere.example/ HTTP/1.1\r\n\r\n", "502", "no such host"},
		"tunnel to nobody":  {"CONNECT " + gone + " HTTP/1.1\r\n\r\n", "502", "refused"},
		"itself":            {"GET http://" + at + "/ HTTP/1.1\r\n\r\n", "502", "the route itself listens"},
		"itself by name":    {"CONNECT self.example:" + port + " HTTP/1.1\r\n\r\n", "502", "the route itself listens"},
		"the control port":  {"GET http://127.0.0.1:27/v1/state HTTP/1.1\r\n\r\n", "502", "the box's own address"},
		"no proxy's":        {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400", ""},
		"no HTTP":           {"\x16\x03\x01", "400", ""},
		"no server's name":  {"GET http://:80/ HTTP/1.1\r\n\r\n", "400", ""},
		"TLS without CONN.": {"GET https://a/ HTTP/1.1\r\n\r\n", "400", ""},
	} {
		t.Run(name, func(t *testing.T) {
			before := b.State().Seq
			c1 := dial(t, b, "web")
			say(t, c1, c.said)
			got, end := rest(t, c1)
			if !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") || end != "fin" {
				t.Errorf("got %q and %s", got, end)
			}
			list, _ := b.Events(Filter{Type: "session.failed", Since: fmt.Sprint(before)})
			if c.why == "" && len(list.Items) != 0 || c.why != "" && (len(list.Items) != 1 || !strings.Contains(list.Items[0].Data.(FailedData).Error, c.why)) {
				t.Errorf("told as %+v", list.Items)
			}
		})
	}
}

func TestProxyTimeOut(t *testing.T) {
	b := start(t, Config{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		return nil, &net.DNSError{Err: "late", IsTimeout: true}
	}}, Route{Mode: "proxy"})
	c := dial(t, b, "web")
	say(t, c, "GET http://slow.example/ HTTP/1.1\r\n\r\n")
	if got, _ := rest(t, c); !strings.HasPrefix(got, "HTTP/1.1 504 ") {
		t.Errorf("got %q", got)
	}
}

// A server that closes without an answer takes the session with it, and what
// waited for another server: the client asks again on a connection of its own.
func TestProxyUnanswered(t *testing.T) {
	a := origin(t, func(c *net.TCPConn) {
		c.Read(make([]byte, 4096))
		c.Close()
	})
	var dialled atomic.Int64
	z := origin(t, func(c *net.TCPConn) { dialled.Add(1); c.Close() })
	b := start(t, Config{}, Route{Mode: "proxy"})
	c := dial(t, b, "web")
	say(t, c, "GET http://"+a+"/ HTTP/1.1\r\n\r\nGET http://"+z+"/ HTTP/1.1\r\n\r\n")
	wantEnd(t, c, "", "fin")
	c.Close()
	closedSession(t, b, "web/1")
	if dialled.Load() != 0 {
		t.Error("the second server was dialled")
	}
}

// A rule that ends a session nobody was asked on ends it whole.
func TestProxyCutAtOnce(t *testing.T) {
	b := start(t, Config{}, Route{Mode: "proxy", Rules: []faults.Rule{rule("cut", map[string]any{"at": "byte:0", "end": "fin"})}})
	c := dial(t, b, "web")
	wantEnd(t, c, "", "fin")
	closedSession(t, b, "web/1")
}

// Nothing is dialled for a client that asks for nothing, or leaves.
func TestProxyDialsLate(t *testing.T) {
	var dialled atomic.Int64
	at := origin(t, func(c *net.TCPConn) { dialled.Add(1); c.Close() })
	b := start(t, Config{}, Route{Mode: "proxy"})
	c := dial(t, b, "web")
	say(t, c, "\r\nGET http://"+at+"/ HTT")
	c.CloseWrite()
	wantEnd(t, c, "", "fin")
	d := dial(t, b, "web")
	until(t, "the session is open", func() bool { return b.Stats().Sessions == 1 })
	d.SetLinger(0)
	d.Close()
	closedSession(t, b, "web/1")
	closedSession(t, b, "web/2")
	if dialled.Load() != 0 {
		t.Error("somebody was dialled")
	}
}

// A chain: the one route's upstream is the other, which is a proxy.
func TestProxyBehindProxy(t *testing.T) {
	a := web(t, "a")
	b := start(t, Config{}, Route{Name: "last", Mode: "proxy"})
	if _, _, err := b.SetRoute(Route{Name: "web", Listen: "127.0.0.1:0", Mode: "proxy", Upstream: listenOf(t, b, "last"),
		Rules: []faults.Rule{rule("hop_by_hop", map[string]any{"mode": "correct"})}}, Change{}); err != nil {
		t.Fatal(err)
	}
	c := throughProxy(t, b)
	for _, path := range []string{"/1", "/2"} {
		if code, body := get(t, c, a.URL+path); code != 200 || body != "a GET "+path {
			t.Errorf("got %d %q", code, body)
		}
	}
	if n := b.Stats().Sessions; n != 2 {
		t.Errorf("%d sessions", n)
	}
}
