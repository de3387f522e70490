package web

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"crimp/middlebox"
)

// In batches of pipelined requests a lot of exchanges cost little: what is to be
// seen is the page under many events, not the box under load.
const (
	loadClients = 4
	loadBatch   = 64
)

// burden sends exchanges through a route until it is stopped, and counts them.
func burden(t *testing.T, listen string) (done *atomic.Int64, stop func()) {
	done = new(atomic.Int64)
	request := strings.Repeat("GET /load HTTP/1.1\r\nHost: lab\r\n\r\n", loadBatch)
	answers := int64(loadBatch * len(loadAnswer))
	var conns []net.Conn
	for range loadClients {
		conn, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conns = append(conns, conn)
		go func() {
			for tick := time.NewTicker(loadEvery); ; <-tick.C {
				if _, err := io.WriteString(conn, request); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, conn, answers); err != nil {
					return
				}
				done.Add(loadBatch)
			}
		}()
	}
	return done, func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
}

const loadAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// loadOrigin answers as many requests as come, all of one form.
func loadOrigin(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
				for {
					line, err := in.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == len("\r\n") {
						out.WriteString(loadAnswer)
					}
					if in.Buffered() == 0 {
						out.Flush()
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// Under thousands of exchanges a second the page is told no more than it can show,
// so that a switch shows what the box has said as soon as it has said it; and it
// knows that it does not see all.
func TestSwitchUnderLoad(t *testing.T) {
	b := startBox(t)
	for name, upstream := range map[string]string{"busy": loadOrigin(t), "quiet": "127.0.0.1:9"} {
		if _, _, err := b.box.SetRoute(middlebox.Route{Name: name, Listen: "127.0.0.1:0", Upstream: upstream, Protocol: "http"}, middlebox.Change{}); err != nil {
			t.Fatal(err)
		}
	}
	p := newTab(t)
	var frames atomic.Int64
	chromedp.ListenTarget(p.ctx, func(ev any) {
		if _, ok := ev.(*network.EventWebSocketFrameReceived); ok {
			frames.Add(1)
		}
	})
	p.do(chromedp.Navigate(b.page))
	p.until("the page is live", `text('.connection') === 'live' && toggle('quiet truncate') !== null`)
	listen := b.box.State().Routes[slices.IndexFunc(b.box.State().Routes, func(r middlebox.RouteState) bool { return r.Name == "busy" })].Listen
	start := time.Now()
	done, stop := burden(t, listen)
	p.until("the page is told of the load", `Number(text('#exchanges-title .n').replace(/\D/g, '')) > 5000`)

	var took []time.Duration
	for i := range 9 {
		var ms float64
		on := i%2 == 0
		p.do(chromedp.Evaluate(`new Promise((confirmed) => {
			const e = document.querySelector('[role=switch][aria-label="quiet truncate"]');
			const start = performance.now();
			new MutationObserver((_, observer) => {
				if (e.getAttribute('aria-checked') !== '`+map[bool]string{true: "true", false: "false"}[on]+`') return;
				observer.disconnect();
				confirmed(performance.now() - start);
			}).observe(e, { attributes: true });
			e.click();
		})`, &ms, awaitPromise))
		took = append(took, time.Duration(ms*float64(time.Millisecond)))
		time.Sleep(100 * time.Millisecond)
	}
	seconds := time.Since(start).Seconds()
	rate, told := float64(done.Load())/seconds, float64(frames.Load())/seconds
	slices.Sort(took)
	t.Logf("at %.0f exchanges/s the page gets %.0f messages/s, and a click is confirmed in %v (median), %v at most", rate, told, took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	if told > 400 || told < 10 {
		t.Errorf("the page is told %.0f messages/s; want some 100 and what it asks for", told)
	}
	if median := took[len(took)/2]; median > time.Second {
		t.Errorf("at %.0f exchanges/s half of the clicks took more than %v to be confirmed", rate, median)
	}
	p.until("it says that it was not told all", `/^[\d,]+ events before this one/.test(text('.gap'))`)
	stop()
	p.until("nothing is under way for ever", `text('.exchanges tbody').includes('/load') && !text('.exchanges tbody').includes('open')`)
	p.clean()
}
