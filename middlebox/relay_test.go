package middlebox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What a relay with nothing armed must do on real sockets: bytes, their order,
// half-closes, FIN and RST pass as they came.

const times = 50 // for what is a race when it is wrong

func TestRelayBytes(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	c := dial(t, b, "web")
	data := make([]byte, 8<<20)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	go func() {
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 1+rand.IntN(70_000))
			c.Write(rest[:n])
			rest = rest[n:]
		}
		c.CloseWrite()
	}()
	got := sha256.New()
	n, err := io.Copy(got, c)
	if err != nil || n != int64(len(data)) {
		t.Fatalf("got %d bytes, %v", n, err)
	}
	if want := sha256.Sum256(data); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Fatal("other bytes came back than were sent")
	}
	it := closedSession(t, b, "web/1")
	if it.Outcome != "ok" || it.Cause != "peers" || *it.Ended != (Ended{"fin", "fin"}) || it.Bytes != (Flow{n, n}) {
		t.Errorf("told as %+v, ended %+v", it, *it.Ended)
	}
}

// Who half-closes first still gets what the other has to say.
func TestHalfClose(t *testing.T) {
	for name, upstream := range map[string]bool{"client first": true, "server first": false} {
		t.Run(name, func(t *testing.T) {
			b, client, server := pair(t, Config{})
			for i := range times {
				if i > 0 {
					client, server = again(t, b)
				}
				first, second := server, client
				if upstream {
					first, second = client, server
				}
				say(t, first, "question")
				first.CloseWrite()
				wantEnd(t, second, "question", "fin")
				say(t, second, "answer")
				second.Close()
				wantEnd(t, first, "answer", "fin")
			}
		})
	}
}

// again makes another session of the box that pair made.
func again(t *testing.T, b *Box) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := b.SetRoute(Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: l.Addr().String()}, Change{}); err != nil {
		t.Fatal(err)
	}
	client = dial(t, b, "web")
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return client, c.(*net.TCPConn)
}

func TestReset(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		for _, when := range []string{"idle", "after a word", "after its FIN", "after the other's FIN", "while the other writes"} {
			t.Run(who+" "+when, func(t *testing.T) {
				t.Parallel()
				b, client, server := pair(t, Config{})
				for i := range times {
					if i > 0 {
						client, server = again(t, b)
					}
					from, to := client, server
					if who == "server" {
						from, to = server, client
					}
					reset(t, when, from, to)
				}
				it := closedSession(t, b, "web/1")
				if it.Outcome != "rst" || it.Ended.Client != "rst" || it.Ended.Server != "rst" {
					t.Errorf("told as %s, ended %+v", it.Outcome, *it.Ended)
				}
			})
		}
	}
}

func reset(t *testing.T, when string, from, to *net.TCPConn) {
	t.Helper()
	say(t, from, "hello") // a word each way: the session stands
	expect(t, to, "hello")
	say(t, to, "hello")
	expect(t, from, "hello")
	want := ""
	switch when {
	case "after a word":
		say(t, from, "last")
		expect(t, to, "last") // else the RST may throw it away in the relay's kernel already
	case "after its FIN":
		from.CloseWrite()
		wantEnd(t, to, "", "fin")
		from.SetLinger(0)
		from.Close()
		for { // the reader has had its FIN: only a write meets the reset
			if _, err := to.Write([]byte("more")); err != nil {
				if !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
					t.Fatal(err)
				}
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
	case "after the other's FIN":
		to.CloseWrite()
		wantEnd(t, from, "", "fin")
	case "while the other writes":
		go func() {
			for {
				if _, err := to.Write(make([]byte, 10_000)); err != nil {
					return
				}
			}
		}()
		io.CopyN(io.Discard, from, 100_000)
	}
	from.SetLinger(0)
	from.Close()
	if when == "while the other writes" { // writer and reader share one error: either may get it
		got, err := io.ReadAll(to)
		if len(got) != 0 {
			t.Fatalf("read %q, %v", got, err)
		}
		return
	}
	wantEnd(t, to, want, "rst")
}

func TestSlowReaderGetsAll(t *testing.T) {
	const size = 20 << 20
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		c.Write(bytes.Repeat([]byte("0123456789abcdef"), size/16))
		c.Close()
	})})
	c := dial(t, b, "web")
	until(t, "the kernels' buffers are full", func() bool { return b.Stats().Held > 0 })
	n, err := io.Copy(io.Discard, c)
	if err != nil || n != size {
		t.Fatalf("got %d bytes, %v; want %d", n, err, size)
	}
}

func TestDialErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := l.Addr().String()
	l.Close()
	const bad, body = "HTTP/1.1 502 Bad Gateway", "cannot be connected.\n"
	for _, test := range []struct{ how, protocol, asks, said, ends, end string }{
		{"", "tcp", "", "", "", "rst"},
		{"rst", "tcp", "", "", "", "rst"},
		{"fin", "tcp", "", "", "", "fin"},
		{"502", "http", request, bad, body, "fin"},
		{"502", "http", "HEAD / HTTP/1.1\r\n\r\n", bad, "Connection: close\r\n\r\n", "fin"},
		{"502", "http", "\x00", bad, body, "fin"},
		{"502", "http", "", bad, body, "fin"},
		{"502", "auto", request, bad, body, "fin"},
		{"502", "auto", "HEAD / HTTP/1.1\r\n", bad, "Connection: close\r\n\r\n", "fin"},
		{"502", "auto", "\x16\x03\x01\x02\x00\x01", "", "", "rst"},
		{"502", "auto", "", "", "", "rst"},
	} {
		t.Run(test.how+" "+test.protocol, func(t *testing.T) {
			b := start(t, Config{}, Route{Protocol: test.protocol, Upstream: dead, OnDialError: test.how})
			// The client's connect succeeds whatever comes, but Go's Dial looks at
			// the socket once more and may find the reset there.
			said, end := "", "rst"
			if c, err := net.Dial("tcp", listenOf(t, b, "web")); err == nil {
				io.WriteString(c, test.asks)
				said, end = rest(t, c)
				c.Close()
			} else if !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			if first, _, _ := strings.Cut(said, "\r\n"); first != test.said || end != test.end || !strings.HasSuffix(said, test.ends) {
				t.Errorf("got %q and %s, want %q, %q and %s", said, end, test.said, test.ends, test.end)
			}
			if it := closedSession(t, b, "web/1"); it.Cause != "dial" || it.Ended.Server != "refused" {
				t.Errorf("told as %+v, ended %+v", it, *it.Ended)
			}
			list, _ := b.Events(Filter{Type: "session.failed"})
			if len(list.Items) != 1 || !strings.Contains(fmt.Sprint(list.Items[0].Data), "refused") {
				t.Errorf("the failure is told as %+v", list.Items)
			}
		})
	}
}

// TestLastWords: what a peer said before its RST, while a rule left it unread, goes
// on when the rule goes, then the reset.
func TestLastWords(t *testing.T) {
	for _, direction := range []string{"downstream", "upstream"} {
		t.Run(direction, func(t *testing.T) {
			b, client, server := pair(t, Config{})
			from, to := server, client
			if direction == "upstream" {
				from, to = client, server
			}
			stall := rule("stall", nil)
			stall.Match.Direction = direction
			if _, err := b.SetRule("web", stall, Change{}); err != nil {
				t.Fatal(err)
			}
			say(t, from, "last words")
			from.SetLinger(0)
			from.Close()
			until(t, "they are held", func() bool { return b.Stats().Held > 0 })
			if _, err := b.Arm("web", "stall", false, Change{}); err != nil {
				t.Fatal(err)
			}
			wantEnd(t, to, "last words", "rst")
		})
	}
}
