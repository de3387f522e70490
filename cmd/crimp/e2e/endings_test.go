package e2e

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// A FIN is passed as a FIN in its direction alone, a RST as a RST, from either side.

func TestResetArrivesAsReset(t *testing.T) {
	b := serve(t)
	for _, protocol := range []string{"http", "tcp"} {
		t.Run("from the server, "+protocol, func(t *testing.T) {
			before := "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + pattern(1000)
			o := newOrigin(t, func(p *peer) {
				p.request()
				p.say(before)
				// It waits until that is read: a RST takes with it what still lies in the
				// sender's own queue, in any network.
				p.request()
				_ = p.SetLinger(0)
			})
			via := b.addRoute("from-server-"+protocol, o.addr, protocol)
			for i := range 20 {
				r := dial(t, via).send(ask("/")).expect(before).send(ask("/next"))
				if got, how := r.rest(); got != "" || how != rst {
					t.Fatalf("run %d: %q and %s after the server's RST", i, got, how)
				}
			}
		})
		t.Run("from the client, "+protocol, func(t *testing.T) {
			ends := make(chan end, 1)
			o := newOrigin(t, func(p *peer) {
				p.request()
				p.say("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nhello")
				_, err := io.Copy(io.Discard, readerOnly{p.TCPConn})
				ends <- endOf(err)
			})
			via := b.addRoute("from-client-"+protocol, o.addr, protocol)
			for i := range 20 {
				r := dial(t, via).send(ask("/")).expect("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nhello")
				r.reset()
				if how := <-ends; how != rst {
					t.Fatalf("run %d: %s at the server after the client's RST", i, how)
				}
			}
		})
	}
}

// A reset that finds bytes before it in the relay lets those out first.
func TestWhatWasSaidBeforeAResetArrives(t *testing.T) {
	said := "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + pattern(3000)
	o := newOrigin(t, func(p *peer) {
		p.request()
		p.say(said)
		time.Sleep(5 * time.Millisecond) // loopback has delivered it to the relay's kernel by then
		_ = p.SetLinger(0)
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr)
	for range 20 {
		dial(t, b.routes["web"]).send(ask("/")).restIs(said, rst)
	}
}

func TestFinGoesOneWay(t *testing.T) {
	b := serve(t)
	t.Run("client first", func(t *testing.T) {
		o := newOrigin(t, func(p *peer) {
			all, _ := io.ReadAll(p.in) // until the client's FIN
			p.say(fmt.Sprintf("%d bytes, then FIN", len(all)))
		})
		for _, protocol := range []string{"auto", "tcp"} {
			r := dial(t, b.addRoute("client-first-"+protocol, o.addr, protocol)).send(pattern(100_000))
			r.silent(20 * time.Millisecond)
			r.CloseWrite()
			r.restIs("100000 bytes, then FIN", fin)
		}
	})
	t.Run("server first", func(t *testing.T) {
		got := make(chan int, 1)
		o := newOrigin(t, func(p *peer) {
			p.say("bye")
			_ = p.CloseWrite()
			all, _ := io.ReadAll(p.in)
			got <- len(all)
		})
		r := dial(t, b.addRoute("server-first", o.addr, "tcp"))
		r.restIs("bye", fin)
		r.send(pattern(100_000))
		r.CloseWrite()
		if n := <-got; n != 100_000 {
			t.Errorf("%d bytes arrived after the server's FIN, expected 100000", n)
		}
	})
}

// A dead upstream: the client's connect succeeds, then on_dial_error.
func TestOnDialError(t *testing.T) {
	b := serve(t)
	dead := freeAddr(t)
	for _, c := range []struct {
		how  string
		ends end
	}{{"rst", rst}, {"fin", fin}, {"502", fin}} {
		t.Run(c.how, func(t *testing.T) {
			b.must("route.set", params{"route": params{"name": "dead-" + c.how, "listen": "127.0.0.1:0", "upstream": dead, "protocol": "http", "on_dial_error": c.how}}, nil)
			got, how := visit(t, b.listen("dead-"+c.how), ask("/"))
			if how != c.ends {
				t.Errorf("ended with %s, expected %s", how, c.ends)
			}
			if says := len(got) > 12 && got[:12] == "HTTP/1.1 502"; says != (c.how == "502") {
				t.Errorf("received %q", got)
			}
		})
	}
}
