package e2e

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// Promise 2: exact when armed. Each headline preset is armed on a keep-alive
// connection that is already open and has carried a clean exchange; a raw socket
// sees what the next response becomes, to the byte.

const (
	lineAndServer = "HTTP/1.1 200 OK\r\nServer: lab\r\n"
	second        = "X-Second: abcdefgh\r\n"
)

func answer(body string) string {
	return fmt.Sprintf("%s%sContent-Length: %d\r\n\r\n%s", lineAndServer, second, len(body), body)
}

// bench is a box with one route to an origin that answers every request alike.
type bench struct {
	*box
	addr string
	o    *origin
	full string
}

func newBench(t *testing.T, body string) *bench {
	t.Helper()
	full := answer(body)
	o := always(t, full)
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	return &bench{b, b.routes["web"], o, full}
}

// warm opens a connection and does one clean exchange on it.
func (b *bench) warm(t testing.TB) *raw {
	t.Helper()
	return dial(t, b.addr).send(ask("/warm")).expect(b.full)
}

func TestHeadlineCuts(t *testing.T) {
	body := pattern(1024)
	head := answer(body)[:len(answer(body))-len(body)]
	middle := lineAndServer + "X-Second: abcd"
	cases := []struct {
		fault  string
		params params
		want   string
		ends   end
	}{
		{"cut-head", nil, middle, fin},
		{"cut-head", params{"end": "rst"}, middle, rst},
		{"truncate", nil, head + body[:512], fin},
		{"truncate", params{"end": "rst"}, head + body[:512], rst},
		{"truncate", params{"at": "body:25%"}, head + body[:256], fin},
		{"reset", nil, head + body[:512], rst},
		{"reset", params{"at": "body:-1"}, head + body[:1023], rst},
		{"cut-status-line", nil, "HTTP/1.1 20", fin},
		{"empty-reply", nil, "", fin},
		{"reset-reply", nil, "", rst},
		{"cut", params{"at": "head_end"}, head[:len(head)-2], fin},
		{"cut", params{"at": "head", "end": "close"}, head, fin},
		{"cut", params{"at": "body:0"}, head, fin},
		{"cut", params{"at": "body:1", "end": "rst"}, head + body[:1], rst},
		{"cut", params{"at": "end"}, head + body, fin},
		{"cut", params{"at": "end", "end": "rst"}, head + body, rst},
		{"cut", params{"at": "start_line"}, head[:7], fin},
		{"cut", params{"at": "field:server"}, "HTTP/1.1 200 OK\r\nServer: l", fin},
		{"cut", params{"at": "field_name:2"}, lineAndServer + "X-Se", fin},
		{"cut", params{"at": "message:20"}, head[:20], fin},
	}
	b := newBench(t, body)
	for _, c := range cases {
		t.Run(fmt.Sprint(c.fault, c.params), func(t *testing.T) {
			r := b.warm(t)
			b.arm("web", params{"name": "rule", "fault": c.fault, "params": c.params})
			defer b.disarm("web", "rule")
			r.send(ask("/next")).restIs(c.want, c.ends)
			b.disarm("web", "rule")
			b.warm(t).send(ask("/again")).expect(b.full)
		})
	}
}

// Endings on a plain stream: exactly so many bytes, then that.
func TestCutsOfAStream(t *testing.T) {
	o := newOrigin(t, func(p *peer) {
		if _, err := p.in.ReadByte(); err != nil { // the client is through connecting: a RST comes after that
			return
		}
		p.say(pattern(100_000))
		_, _ = io.Copy(io.Discard, p.in)
	})
	b := serve(t, "--route", "raw=127.0.0.1:0,"+o.addr+",tcp")
	for _, c := range []struct {
		fault  string
		params params
		bytes  int
		ends   end
	}{
		{"cut", params{"at": "byte:4096", "end": "rst"}, 4096, rst},
		{"cut", params{"at": "byte:4097", "end": "fin"}, 4097, fin},
		{"cut", params{"at": "byte:0", "end": "rst"}, 0, rst},
		{"reset", params{"at": "byte:70000"}, 70000, rst},
	} {
		b.arm("raw", params{"name": "rule", "fault": c.fault, "params": c.params})
		got, how := visit(t, b.routes["raw"], "go")
		if got != pattern(c.bytes) || how != c.ends {
			t.Errorf("%s %v: %s, then %s", c.fault, c.params, clip([]byte(got)), how)
		}
	}
}

// Every byte before the position, then ECONNRESET: also when the receiver is so
// slow that most of them still lie in the box's kernel when the cut is due.
func TestResetIsExactWithASlowReader(t *testing.T) {
	big, warm := answer(pattern(1<<20)), answer("warm")
	o := answering(t, func(head string) string {
		if strings.HasPrefix(head, "GET /warm") {
			return warm
		}
		return big
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	var readers []*raw
	for range 50 {
		r := dial(t, b.routes["web"])
		_ = r.SetReadBuffer(32 << 10)
		readers = append(readers, r.send(ask("/warm")).expect(warm))
	}
	b.arm("web", params{"fault": "reset"})
	want := big[:len(big)-1<<19]
	var group sync.WaitGroup
	turns := make(chan bool, 8)
	for i, r := range readers {
		group.Go(func() {
			turns <- true
			defer func() { <-turns }()
			_ = r.SetDeadline(time.Now().Add(patience))
			_, _ = io.WriteString(r, ask("/big"))
			if got, how := slowly(r); got != want || how != rst {
				t.Errorf("run %d: %d bytes, then %s; expected %d, then RST", i, len(got), how, len(want))
			}
		})
	}
	group.Wait()
}

// slowly reads to the end with pauses.
func slowly(r *raw) (string, end) {
	var all strings.Builder
	b := make([]byte, 32<<10)
	for {
		n, err := r.Read(b)
		all.Write(b[:n])
		if err != nil {
			return all.String(), endOf(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestLengthMismatchChangesOneFieldOnly(t *testing.T) {
	b := newBench(t, pattern(1024))
	r := b.warm(t)
	for _, c := range []struct {
		params params
		length string
	}{{nil, "1034"}, {params{"value": "-10"}, "1014"}, {params{"value": -1024}, "0"}, {params{"mode": "set", "value": "7"}, "7"}} {
		b.arm("web", params{"name": "rule", "fault": "length-mismatch", "params": c.params})
		r.send(ask("/next")).expect(strings.Replace(b.full, "Content-Length: 1024", "Content-Length: "+c.length, 1))
		// Disarmed, the very next exchange on the same connection is clean.
		b.disarm("web", "rule")
		r.send(ask("/clean")).expect(b.full)
	}
	r.CloseWrite()
	r.restIs("", fin)
}

// The blind relay of the book: the first request goes through with its
// Connection, the answer too, and then it waits for an end that does not come.
func TestDumbProxyHangs(t *testing.T) {
	closes := make(chan bool, 1)
	reply := "HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok"
	request := "GET /first HTTP/1.1\r\nHost: lab\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\n\r\n"
	o := newOrigin(t, func(p *peer) {
		go func() {
			if <-closes {
				_ = p.CloseWrite()
			}
		}()
		for p.request() != "" {
			p.say(reply)
		}
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	r := dial(t, b.routes["web"]).send(ask("/warm")).expect(reply)
	b.arm("web", params{"fault": "dumb-proxy"})
	r.send(request).expect(reply)
	if got := o.received(); got != ask("/warm")+request {
		t.Errorf("the origin was sent %q", got)
	}
	r.send(ask("/second"))
	r.silent(300 * time.Millisecond)
	if got := o.received(); strings.Contains(got, "/second") {
		t.Errorf("the second request went through: %q", got)
	}
	closes <- true
	r.restIs("", fin)

	// Another one hangs, is disarmed, and then relays what waited.
	b.disarm("web", "dumb-proxy")
	r = dial(t, b.routes["web"]).send(ask("/warm")).expect(reply)
	b.arm("web", params{"fault": "dumb-proxy"})
	r.send(request).expect(reply).send(ask("/third"))
	r.silent(100 * time.Millisecond)
	b.disarm("web", "dumb-proxy")
	r.expect(reply)
	r.send(ask("/fourth")).expect(reply)
	closes <- false
}

// Stall and latency lose nothing: what was held back goes out in order.
func TestHeldBytesGoOutWhenDisarmed(t *testing.T) {
	b := newBench(t, pattern(1024))
	for _, c := range []params{
		{"name": "rule", "fault": "stall", "params": params{"at": "body:100"}},
		{"name": "rule", "fault": "stall-head"},
		{"name": "rule", "fault": "latency", "params": params{"delay": "1h"}},
		{"name": "rule", "fault": "cut", "params": params{"at": "idle:1h"}},
	} {
		r := b.warm(t)
		b.arm("web", c)
		r.send(ask("/next"))
		if c["fault"] == "latency" {
			r.silent(50 * time.Millisecond)
		}
		b.disarm("web", "rule")
		r.expect(b.full).send(ask("/clean")).expect(b.full)
	}
}

func TestInjectAddsBytesAtItsPlace(t *testing.T) {
	b := newBench(t, pattern(64))
	head := len(b.full) - 64
	for _, c := range []struct {
		params params
		want   string
	}{
		{params{"at": "start", "bytes": `text:\r\n`}, "\r\n" + b.full},
		{params{"at": "head", "bytes": "text:XX"}, b.full[:head] + "XX" + b.full[head:]},
		{params{"at": "body:10", "bytes": "hex:00ff"}, b.full[:head+10] + "\x00\xff" + b.full[head+10:]},
		{params{"at": "end", "bytes": "text:surplus", "count": 2}, b.full + "surplussurplus"},
	} {
		r := b.warm(t)
		b.arm("web", params{"name": "rule", "fault": "inject", "params": c.params})
		r.send(ask("/next")).expect(c.want)
		b.disarm("web", "rule")
		r.send(ask("/clean")).expect(b.full)
	}
}

// An ending stays what it was asked to be while the client goes on talking: FIN
// reads its input away, close answers later input with a RST, and neither turns
// into one because something lay unread.
func TestEndingsWhileTheClientTalks(t *testing.T) {
	b := newBench(t, pattern(1024))
	half := b.full[:len(b.full)-512]
	upload := "POST /upload HTTP/1.1\r\nHost: lab\r\nContent-Length: 10000000\r\n\r\n" + pattern(300_000)
	for _, c := range []struct {
		ending string
		talks  bool // may it go on after the end?
	}{{"fin", true}, {"close", false}} {
		b.arm("web", params{"name": "rule", "fault": "truncate", "params": params{"end": c.ending}})
		for range 10 {
			r := dial(t, b.addr).send(ask("/next") + upload)
			r.restIs(half, fin)
			var err error
			for n := 0; err == nil && n < 100; n++ {
				_, err = io.WriteString(r, pattern(10_000))
				if !c.talks {
					time.Sleep(time.Millisecond)
				}
			}
			if talks := err == nil; talks != c.talks {
				t.Errorf("%s: the client's writes after it: %v", c.ending, err)
			}
			r.Close()
		}
		b.disarm("web", "rule")
	}
}
