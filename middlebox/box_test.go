package middlebox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

func TestSessionLimit(t *testing.T) {
	for excess, want := range map[string]string{"": "rst", "rst": "rst", "fin": "fin"} {
		t.Run("excess "+excess, func(t *testing.T) { sessionLimit(t, excess, want) })
	}
}

func sessionLimit(t *testing.T, excess, want string) {
	b := start(t, Config{Limits: Limits{Sessions: 2, Excess: excess}}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	first, second := dial(t, b, "web"), dial(t, b, "web")
	for _, c := range []net.Conn{first, second} {
		say(t, c, "hello")
		expect(t, c, "hello")
	}
	if c, err := net.Dial("tcp", listenOf(t, b, "web")); err == nil {
		if want == "fin" {
			io.WriteString(c, "hello") // which must not make a RST of it
		}
		wantEnd(t, c, "", want)
		c.Close()
	}
	if r := b.Stats().Routes[0]; r.Refused != 1 || r.Failed != 0 || r.Total != 2 {
		t.Errorf("counted as %+v", r)
	}
	list, _ := b.Events(Filter{Type: "session.failed"})
	if len(list.Items) != 1 || !strings.Contains(list.Items[0].Data.(FailedData).Error, "limits.sessions") {
		t.Errorf("told as %+v", list.Items)
	}
	first.Close()
	until(t, "there is room again", func() bool { return b.Stats().Sessions == 1 })
	c := dial(t, b, "web")
	say(t, c, "hello")
	expect(t, c, "hello")
}

// A session has two descriptors: where there are fewer than limits.sessions asks
// for, the limit is what there is, less what the control port needs.
func TestSessionsThatThereAreDescriptorsFor(t *testing.T) {
	for files, want := range map[int]int64{1 << 30: 20000, 20064: 10000, 1024: 480, 256: 96, 40: 15, 2: 1, 0: 1} {
		b := &Box{room: 20000}
		if b.roomFor(files); b.room != want {
			t.Errorf("%d files: room for %d sessions, want %d", files, b.room, want)
		}
	}
}

func TestLimitsAreChecked(t *testing.T) {
	for field, limits := range map[string]Limits{
		"limits.sessions": {Sessions: -1}, "limits.excess": {Excess: "drop"}, "limits.events": {Events: -5}, "limits.linger": {Linger: -1},
	} {
		_, err := New(Config{Limits: limits})
		var e *faults.Error
		if !errors.As(err, &e) || e.Code != faults.Invalid || e.Field != field {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}

// What a rule holds back is bounded; past the bound the source is not read, and
// when the rule goes nothing is missing.
func TestHeldIsBounded(t *testing.T) {
	const bound = 256 << 10
	for name, limits := range map[string]Limits{
		"of a session": {HeldBytesPerSession: 2 * bound},
		"of the box":   {HeldBytes: bound},
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, Config{Limits: limits}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
			if _, err := b.SetRule("web", rule("latency", map[string]any{"delay": "1h"}), Change{}); err != nil {
				t.Fatal(err)
			}
			c := dial(t, b, "web")
			const size = 4 << 20
			go func() {
				c.Write(make([]byte, size))
				c.CloseWrite()
			}()
			until(t, "as much is held as may be", func() bool { return b.Stats().Held >= bound })
			time.Sleep(20 * time.Millisecond)
			if held := b.Stats().Held; held > bound+2*(64<<10) {
				t.Errorf("%d bytes are held, the bound is %d", held, bound)
			}
			if _, err := b.Arm("web", "latency", false, Change{}); err != nil {
				t.Fatal(err)
			}
			text, end := rest(t, c)
			if len(text) != size || end != "fin" {
				t.Errorf("got %d bytes and %s", len(text), end)
			}
			until(t, "nothing is held", func() bool { return b.Stats().Held == 0 })
		})
	}
}

// What a rule keeps of a body until it is whole counts as held. Where the box holds as
// much as it may, the body goes on as it came: nobody is left unread for ever.
func TestKeptBodyIsHeld(t *testing.T) {
	const size = 200_000
	body := strings.Repeat("no gzip ", size/8)
	for name, test := range map[string]struct {
		limits Limits
		held   bool
	}{
		"there is room":         {Limits{}, true},
		"none in the box":       {Limits{HeldBytes: 128 << 10}, false},
		"none for this session": {Limits{HeldBytesPerSession: 256 << 10}, false},
	} {
		t.Run(name, func(t *testing.T) {
			more := make(chan bool)
			b := start(t, Config{Limits: test.limits}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
				defer c.Close()
				bufio.NewReader(c).ReadString('\n')
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", size+1, body)
				<-more
				io.WriteString(c, "!")
			})})
			set(t, b, rule("rewrite", map[string]any{"find": "text:a", "with": "text:b"}))
			c := dial(t, b, "web")
			say(t, c, request)
			if test.held {
				until(t, "the body is held", func() bool { return b.Stats().Held == size })
				if it := b.Stats().Routes[0]; it.Held != size {
					t.Errorf("its route holds %d", it.Held)
				}
			}
			answer := bufio.NewReader(c)
			if !test.held { // without the last byte
				resp, err := http.ReadResponse(answer, nil)
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, size)
				if _, err := io.ReadFull(resp.Body, got); err != nil || string(got) != body {
					t.Errorf("%v, or other bytes", err)
				}
			}
			close(more)
			until(t, "the miss is told", func() bool {
				l, err := b.Events(Filter{Type: "rule.missed"})
				return err == nil && len(l.Items) == 1
			})
			until(t, "nothing is held", func() bool { return b.Stats().Held == 0 })
		})
	}
}

// The head that a rule must see whole counts as held. Where the box holds as much as it
// may, the rest of it is left unread, but not for ever: it goes on as it came.
func TestHeldHeadIsHeld(t *testing.T) {
	const half, rest = "HTTP/1.1 200 OK\r\nContent-Le", "ngth: 2\r\n\r\nhi"
	for name, full := range map[string]bool{"there is room": false, "none in the box": true} {
		t.Run(name, func(t *testing.T) {
			more := make(chan bool)
			b := start(t, Config{Limits: Limits{HeldBytes: 64 << 10}},
				Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
					defer c.Close()
					bufio.NewReader(c).ReadString('\n')
					io.WriteString(c, half)
					<-more
					io.WriteString(c, rest)
				})}, Route{Name: "other", Protocol: "tcp", Upstream: origin(t, echo), Rules: []faults.Rule{rule("latency", map[string]any{"delay": "1h"})}})
			set(t, b, rule("content_length", map[string]any{"mode": "add", "value": 1}))
			var before int64
			if full {
				say(t, dial(t, b, "other"), strings.Repeat("x", 64<<10))
				until(t, "the box is full", func() bool { before = b.Stats().Held; return before >= 64<<10 })
			}
			c := dial(t, b, "web")
			say(t, c, request)
			until(t, "half a head is held", func() bool { return b.Stats().Held == before+int64(len(half)) })
			if l, err := b.Sessions(Filter{Route: "web"}); err != nil || l.Items[0].Held.Downstream != int64(len(half)) {
				t.Errorf("its session holds %+v, %v", l.Items, err)
			}
			close(more)
			want := "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"
			if full {
				want = half + rest
			}
			expect(t, c, want)
			until(t, "no more is held", func() bool { return b.Stats().Held == before })
		})
	}
}

// Random bytes at a port, half of it made of words of HTTP: still serving after,
// and nothing left behind.
func TestGarbage(t *testing.T) {
	words := []string{"GET ", "/ ", "HTTP/1.1", "\r\n", "\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked", "0", "\x00", "ffff\r\n", " "}
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)},
		Route{Name: "auto", Upstream: origin(t, echo), Rules: []faults.Rule{rule("truncate", nil), rule("latency", map[string]any{"delay": "1ms"})}})
	before := runtime.NumGoroutine()
	for i := range 150 {
		c := dial(t, b, []string{"web", "auto"}[i%2])
		var text []byte
		for range rand.IntN(60) {
			if rand.IntN(2) == 0 {
				text = append(text, words[rand.IntN(len(words))]...)
			} else {
				text = append(text, byte(rand.Uint32()))
			}
		}
		c.Write(text)
		if i%3 == 0 {
			c.SetLinger(0)
		}
		c.Close()
	}
	c := dial(t, b, "web")
	say(t, c, request)
	expect(t, c, response)
	c.Close()
	until(t, "all sessions are gone", func() bool { return b.Stats().Sessions == 0 && b.Stats().Held == 0 })
	until(t, "goroutines are back", func() bool { return runtime.NumGoroutine() <= before+4 })
}

func TestDrain(t *testing.T) {
	release := make(chan bool)
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) {
		defer c.Close()
		buf := make([]byte, 1000)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if strings.Contains(string(buf[:n]), "/slow") {
				<-release
			}
			c.Write([]byte(response))
		}
	})})
	idle, busy, silent := dial(t, b, "web"), dial(t, b, "web"), dial(t, b, "web")
	say(t, idle, request)
	expect(t, idle, response)
	say(t, busy, strings.Replace(request, "/page", "/slow", 1))
	until(t, "the request is open", func() bool {
		open, _ := b.Exchanges(Filter{Outcome: "open"})
		return open.Total == 1
	})
	listen := listenOf(t, b, "web")
	done := make(chan error)
	go func() { done <- b.Close(ctxFor(t, 20*time.Second)) }()
	wantEnd(t, idle, "", "fin") // at once
	wantEnd(t, silent, "", "fin")
	if c, err := net.Dial("tcp", listen); err == nil {
		c.Close()
		t.Error("a draining box accepts")
	}
	close(release) // the open exchange is let finish
	wantEnd(t, busy, response, "fin")
	for _, c := range []net.Conn{idle, silent, busy} {
		c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	if _, err := b.SetRule("web", rule("latency", nil), Change{}); err == nil {
		t.Error("a closed box took a rule")
	}
}

func TestDrainEnds(t *testing.T) {
	b, client, server := pair(t, Config{})
	say(t, client, "hello")
	expect(t, server, "hello")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := b.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 session") {
		t.Errorf("drained with %v", err)
	}
	wantEnd(t, client, "", "rst")
	wantEnd(t, server, "", "rst")
	if list, _ := b.Events(Filter{Type: "session.closed"}); len(list.Items) != 1 || list.Items[0].Data.(SessionItem).Cause != "drain" {
		t.Errorf("told as %+v", list.Items)
	}
}

// A step that panics ends its session; the others do not notice.
func TestPanicInAStep(t *testing.T) {
	b, client, server := pair(t, Config{})
	other, _ := again(t, b)
	b.on(b.loops[0], func(l *loop) { l.sessions[0].eng = nil }) // as wrong as a step can be
	say(t, client, "hello")
	wantEnd(t, client, "", "rst")
	wantEnd(t, server, "", "rst")
	if it := closedSession(t, b, "web/1"); it.Cause != "panic" {
		t.Errorf("told as %+v", it)
	}
	say(t, other, "hello")
}

func TestTwoLoops(t *testing.T) {
	b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	for range 20 {
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
	}
	got, err := b.SetRule("web", rule("latency", map[string]any{"delay": "1ms"}), Change{})
	if err != nil || got.Sessions != 20 {
		t.Errorf("in force on %d sessions, %v", got.Sessions, err)
	}
	for i, l := range b.loops {
		b.on(l, func(l *loop) {
			if len(l.sessions) != 10 {
				t.Errorf("loop %d has %d sessions", i, len(l.sessions))
			}
		})
	}
}
