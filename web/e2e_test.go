package web

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/rs/zerolog"

	"crimp/control"
	"crimp/middlebox"
)

// realBox is the box and its control server as crimp serve runs them, in front of
// an origin whose answers have a known length.
type realBox struct {
	box    *middlebox.Box
	page   string // the dashboard's address
	listen string // the route's
}

func startBox(t *testing.T) *realBox {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Origin", "here")
		fmt.Fprint(w, strings.Repeat("0123456789abcdef", 64)) // 1024 bytes
	}))
	t.Cleanup(origin.Close)
	box, err := middlebox.New(middlebox.Config{Seed: 42, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(box.Kill)
	err = box.Configure([]middlebox.Route{{Name: "web", Listen: "127.0.0.1:0", Upstream: origin.Listener.Addr().String(), Protocol: "http"}}, "test")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := control.NewServer(control.Options{Box: box, Version: "test", Page: Handler(), Log: zerolog.Nop()})
	go server.Serve(l)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		server.Shutdown(ctx)
	})
	return &realBox{box, "http://" + l.Addr().String() + "/", box.State().Routes[0].Listen}
}

// client is one keep-alive connection through the route.
type client struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func (b *realBox) dial(t *testing.T) *client {
	t.Helper()
	conn, err := net.Dial("tcp", b.listen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &client{t, conn, bufio.NewReader(conn)}
}

// get sends a request and reads to the end of its answer: the head, the length
// of the body, and how it ended (nil: whole).
func (c *client) get(path string) (head string, body int, err error) {
	c.t.Helper()
	fmt.Fprintf(c.conn, "GET %s HTTP/1.1\r\nHost: lab\r\n\r\n", path)
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := c.in.ReadString('\n')
		head += line
		if err != nil {
			return head, 0, err
		}
	}
	for body < 1024 {
		n, err := c.in.Discard(1024 - body)
		body += n
		if err != nil {
			return head, body, err
		}
	}
	return head, body, nil
}

// A click on the page cuts the head of the next answer on a connection that was
// open before, and the page tells what it did.
func TestClickCutsALiveConnection(t *testing.T) {
	b := startBox(t)
	p := newTab(t)
	p.do(chromedp.Navigate(b.page))
	p.until("the page is live", `text('.connection') === 'live' && toggle('web cut-head') !== null`)
	p.until("it says what to do next", `text('.empty').includes('curl http://`+b.listen+`/')`)

	c := b.dial(t)
	if _, body, err := c.get("/before"); body != 1024 || err != nil {
		t.Fatalf("untouched: %d bytes of body, %v", body, err)
	}
	p.until("the session is in the table", `text('.sessions tbody').includes('`+c.conn.LocalAddr().String()+`')`)
	p.until("the exchange is in its table", `text('.exchanges tbody').includes('GET /before 200 1,024 of 1,024 B ok')`)

	p.flip("web cut-head")
	p.until("it is in force on that session", `is('web cut-head', true) && text('.rule-status', rule('web cut-head')) === '0 hits in force on 1 session'`)
	head, _, err := c.get("/cut")
	if err == nil || strings.HasSuffix(head, "\r\n") || strings.Count(head, "\r\n") != 2 {
		t.Errorf("the head should stop in the middle of its second field, then FIN; came %q, %v", head, err)
	}
	p.until("the hit is counted", `text('.rule-status', rule('web cut-head')) === '1 hit in force, no session open'`)
	p.until("the log tells where and how", `text('.about-fault').includes('cut-head on web/1/2') && text('.about-fault').includes('FIN')`)
	p.until("the exchange shows what fired", `text('.exchanges tbody tr').includes('GET /cut') && text('.exchanges .hit').includes('cut-head at ')`)
	p.until("the session is closed", `text('.sessions tr.closed').includes('cut')`)
	if gap := eval[string](p, `text('.gap')`); gap != "" {
		t.Errorf("the log misses events: %s", gap)
	}
	p.shoot("e2e")

	p.flip("web cut-head")
	p.until("it is off", `is('web cut-head', false)`)
	again := b.dial(t)
	if _, body, err := again.get("/after"); body != 1024 || err != nil {
		t.Errorf("disarmed: %d bytes of body, %v", body, err)
	}
	p.clean()
}

// The form, its errors, session.act and panic against the real thing.
func TestRealBoxFromThePage(t *testing.T) {
	b := startBox(t)
	p := newTab(t)
	p.do(chromedp.Navigate(b.page))
	p.until("the page is live", `text('.connection') === 'live' && toggle('web truncate') !== null`)
	p.until("the five are there", `all('[role=switch]').length === 5`)

	// All that is wrong is told in one go, and lands at its fields.
	p.click(".add")
	p.choose(".rule-form select", "cut")
	p.click("details:nth-of-type(1) summary")
	p.click("details:nth-of-type(2) summary")
	wrong := map[string]string{"params.at": "nowhere", "match.session": "x-y", "match.header": "Ho st: a; Ba d: b", "gate.times": "few", "ttl": "30"}
	for field, value := range wrong {
		p.write("[id='web-form-"+field+"']", value)
	}
	p.click(".rule-form .primary")
	p.until("every mistake is told", `text('.rule-form [role=alert]') === '6 mistakes, marked at at, header, session, times, ttl'`)
	for field, value := range wrong {
		id := "web-form-" + field
		if said := eval[string](p, `document.getElementById('`+id+`').getAttribute('aria-invalid') + text('[id="`+id+`-help"]')`); !strings.HasPrefix(said, "trueexpected") && !strings.HasPrefix(said, "trueunknown") {
			t.Errorf("at %s, which is %s, stands %q", field, value, said)
		}
	}
	if both := eval[float64](p, `all('[id="web-form-match.header-help"] p').length`); both != 2 {
		t.Errorf("%v mistakes stand at the header, want 2", both)
	}
	p.shoot("mistakes")
	for field := range wrong {
		p.write("[id='web-form-"+field+"']", " \b")
	}
	if n := len(b.box.State().Routes[0].Rules); n != 0 {
		t.Errorf("%d rules were made by refused calls", n)
	}
	p.write("[id='web-form-params.at']", "body:100")
	p.choose("[id='web-form-params.end']", "rst")
	p.write("[id='web-form-match.path']", "/api/*")
	p.write("[id='web-form-name']", "api-reset")
	p.click(".rule-form .primary")
	p.until("the rule is armed", `is('web api-reset', true) && text('.exactly', rule('web api-reset')) === 'cut at body:100, rst'`)

	c := b.dial(t)
	if _, body, err := c.get("/apis/x"); body != 1024 || err != nil {
		t.Errorf("not matching: %d bytes of body, %v", body, err)
	}
	p.until("the near miss shows", `text('.note', rule('web api-reset')).includes('/apis/x')`)
	if _, body, err := c.get("/api/x"); body != 100 || err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("matching: %d bytes of body, %v; want 100 and a reset", body, err)
	}
	p.until("the hit is counted", `text('.rule-status', rule('web api-reset')).startsWith('1 hit')`)

	// A session is reset by hand.
	c = b.dial(t)
	c.get("/")
	p.click(`[aria-label="rst web/2"]`)
	if _, err := c.in.ReadByte(); err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("after rst: %v; want a reset", err)
	}

	p.click(".panic")
	p.until("everything is off", `is('web api-reset', false) && text('.banner.off').includes('By dashboard')`)
	if b.box.State().Panic == nil {
		t.Error("the box is not in panic")
	}
	p.do(chromedp.Click(`//button[.="Release and re-arm"]`, chromedp.BySearch))
	p.until("it is armed again", `is('web api-reset', true) && document.querySelector('.banner') === null`)
	p.clean()
}
