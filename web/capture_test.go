package web

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"crimp/middlebox"
)

// show tells of chunks of the capture that the peer answers with.
func (b *peer) show(chunks ...object) {
	b.change(func() { b.notify("capture", object{"sub": 2, "chunks": chunks}) })
}

// piece is a chunk of bytes of web/6: "client in", "server out", "server in" or "client out".
func piece(way string, offset int, data string) object {
	side, way, _ := strings.Cut(way, " ")
	return object{"what": "bytes", "time": ago(0), "session": "web/6", "side": side, "way": way, "offset": offset, "bytes": len(data), "data": base64.StdEncoding.EncodeToString([]byte(data))}
}

// mark is a chunk without bytes.
func mark(what string, fields object) object {
	k := object{"what": what, "time": ago(0), "session": "web/6"}
	for name, v := range fields {
		k[name] = v
	}
	return k
}

const (
	asked    = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
	answered = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc\x00\\\xff"
)

// exchanged is a request, its answer, and the fault that cut it.
func exchanged() []object {
	return []object{
		mark("opened", object{"side": "client", "own": "127.0.0.1:8080", "peer": "127.0.0.1:50122", "stood": true, "offset": 33000, "given": 1200000}),
		piece("client in", 33000, asked), piece("server out", 33000, asked), piece("server in", 1200000, answered), piece("client out", 1200000, answered[:38]),
		mark("fired", object{"rule": "truncate", "fault": "truncate", "at": "body:0", "direction": "downstream", "bytes": 38, "end": "fin", "seq": 118}),
		mark("fin", object{"side": "client", "way": "out", "offset": 1200038}), mark("rst", object{"side": "client", "way": "in", "offset": 33027}),
		mark("lost", object{"chunks": 12, "bytes": 40000}),
	}
}

const shownBytes = `all('.bytes .entry').map((e) => e.innerText.replace(/\d\d:\d\d:\d\d\.\d\d\d/, '').replace(/\s+/g, ' ').trim())`

// The bytes of a session are shown when they are asked for, and only then.
func TestWatchBytes(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	if n := b.asked("capture"); n != 0 || eval[bool](p, `document.querySelector('.bytes') !== null`) {
		t.Errorf("%d captures were asked for by nobody", n)
	}
	p.click(`[aria-label="watch the bytes of web/6"]`)
	p.until("they have the focus", `text('.bytes .title') === 'Bytes of web/6 following' && document.activeElement.matches('.bytes .entries')`)
	var got string
	b.change(func() { got = fmt.Sprint(b.told["capture"]) })
	if got != "map[buffer:128KiB bytes:2048 rate:50 session:web/6]" {
		t.Errorf("the box was asked for %s", got)
	}
	b.show(exchanged()...)
	p.until("all is there", `all('.bytes .entry').length === 9`)
	for i, want := range []string{
		"opened client 127.0.0.1:50122 → 127.0.0.1:8080, since before: 33,000 B read and 1,200,000 written",
		`→ from client at 33,000, 29 bytes GET / HTTP/1.1\r\n Host: lab\r\n \r\n`,
		`→ to server at 33,000, 29 bytes GET / HTTP/1.1\r\n Host: lab\r\n \r\n`,
		`← from server at 1,200,000, 44 bytes HTTP/1.1 200 OK\r\n Content-Length: 6\r\n \r\n abc\x00\\\xff`,
		`← to client at 1,200,000, 38 bytes HTTP/1.1 200 OK\r\n Content-Length: 6\r\n \r\n`,
		"fired truncate at body:0 · downstream · after 38 bytes · FIN · event 118",
		"← to client FIN at 1,200,038",
		"→ from client RST at 33,027",
		"12 pieces missing, 39.1 KiB: more came than the page could read",
	} {
		if got := eval[[]string](p, shownBytes)[i]; got != want {
			t.Errorf("entry %d:\n%s\nwant\n%s", i, got, want)
		}
	}
	p.choose(".bytes select", "hex")
	p.until("it can be had in hex", `all('.bytes pre')[2].innerText.split('\n')[1] === '00124f90  0a 43 6f 6e 74 65 6e 74  2d 4c 65 6e 67 74 68 3a  .Content-Length:'`)
	p.click(".bytes .chip:nth-child(2)")
	p.until("what goes one way can be left out", `all('.bytes .entry').length === 8 && !text('.bytes .entries').includes('to server')`)

	p.do(chromedp.Focus(".bytes .entries", chromedp.ByQuery))
	p.press(kb.Escape)
	p.until("Escape closes it and goes back to where one was", `document.querySelector('.bytes') === null && document.activeElement.getAttribute('aria-label') === 'watch the bytes of web/6'`)
	b.eventually(t, "unsubscribe", 1)
	b.show(exchanged()...) // what still comes is nobody's any more
	p.clean()
}

// However much comes, the page keeps the last of it, and says how much went before.
// Paused it stays as it is.
func TestWatchedBytesAreBounded(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.click(`[aria-label="Watch bytes of web"]`)
	p.until("it has begun", `text('.bytes .title') === 'Bytes of web following'`)
	long := strings.Repeat("0123456789abcdef", 2048/16)
	flood := func(n, from int) {
		var chunks []object
		for i := range n {
			k := piece("server in", (from+i)*len(long), long)
			k["bytes"] = 32 << 10
			chunks = append(chunks, k)
		}
		b.show(chunks...)
	}
	for i := range 10 {
		flood(50, 50*i)
	}
	const last = `text('.bytes .entry:last-child .subject')`
	p.until("the last is there", last+` === 'web/6 at 1,021,952, 32,768 bytes, the first 2,048'`)
	p.until("the rest is counted", `all('.bytes pre').length === 32 && text('.bytes .gap') === '468 earlier pieces, 14.6 MiB, left out: the page keeps the last 64.0 KiB'`)
	p.until("it follows", `(() => { const e = document.querySelector('.bytes .entries'); return e.scrollTop > 0 && e.scrollHeight - e.scrollTop - e.clientHeight < 24 })()`)

	p.do(chromedp.Click(`//*[@class="card bytes"]//button[.="Pause"]`, chromedp.BySearch))
	p.until("it is paused", `text('.bytes .title') === 'Bytes of web paused here'`)
	was := eval[string](p, `document.querySelector('.bytes .entries').innerHTML`)
	for i := range 10 {
		flood(50, 500+50*i)
	}
	p.until("it says how many came since", `text('.bytes .pill').startsWith('500 new')`)
	if eval[string](p, `document.querySelector('.bytes .entries').innerHTML`) != was {
		t.Error("paused, it has changed")
	}
	p.shoot("bytes-paused")
	p.do(chromedp.Click(`//*[@class="card bytes"]//button[.="Follow"]`, chromedp.BySearch))
	p.until("it goes on with the last", last+`.includes(' at 2,045,952, ') && all('.bytes pre').length === 32 && text('.bytes .gap').startsWith('968 earlier pieces')`)

	// By scrolling away it is paused, too, until one is back at the end.
	scroll := func(to string) {
		p.do(chromedp.Evaluate(`(() => { const e = document.querySelector('.bytes .entries'); e.scrollTop = `+to+` })()`, nil))
	}
	scroll("100")
	p.until("it is paused", `text('.bytes .title') === 'Bytes of web paused here'`)
	scroll("e.scrollHeight")
	p.until("it follows", `text('.bytes .title') === 'Bytes of web following'`)
	p.clean()
}

// A capture ends with its session and with the connection, and the page says so.
func TestWatchedBytesEnd(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	b.refuse("capture", "not_found", "session", `no live session "web/7"`)
	p.click(`[aria-label="watch the bytes of web/7"]`)
	p.until("a refusal is told", `text('.bytes [role=alert]') === 'no live session "web/7"'`)
	p.do(chromedp.Click(`//button[.="Watch again"]`, chromedp.BySearch))
	p.until("the next try succeeds", `text('.bytes .title') === 'Bytes of web/7 following' && text('.bytes [role=alert]') === ''`)
	b.show(mark("closed", object{"session": "web/7"}), piece("client in", 0, "late"))
	p.until("it ends with its session", `text('.bytes .title') === 'Bytes of web/7 ended: the session is closed'`)
	b.eventually(t, "unsubscribe", 1)

	// In place of one comes another, and one that is closed before it began is ended.
	release := b.hold("capture")
	p.click(`[aria-label="watch the bytes of web/6"]`)
	p.until("it waits for the box", `text('.bytes .title') === 'Bytes of web/6 starting…'`)
	p.click(`[aria-label="Close the bytes of web/6"]`)
	release()
	b.eventually(t, "unsubscribe", 2)
	p.click(`[aria-label="watch the bytes of web/6"]`)
	p.until("it has begun", `text('.bytes .title') === 'Bytes of web/6 following'`)
	b.show(piece("client in", 0, asked))
	p.until("it is shown", `text('.bytes pre').startsWith('GET /')`)
	b.stop()
	p.until("it ends with the connection, and stays to be read", `text('.bytes .title') === 'Bytes of web/6 ended: the connection to the box went down' && text('.bytes pre').startsWith('GET /')`)
	b.restart("two")
	p.until("the box is back", `text('.connection') === 'live'`)
	if n := b.asked("capture"); n != 4 {
		t.Errorf("%d captures were asked for, want 4: none by itself", n)
	}
	p.do(chromedp.Click(`//button[.="Watch again"]`, chromedp.BySearch))
	p.until("it can be asked for again", `text('.bytes .title') === 'Bytes of web/6 following' && all('.bytes pre').length === 0`)
}

// Bytes in both schemes and widths.
func TestBytesLook(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	p.click(`[aria-label="watch the bytes of web/6"]`)
	p.until("it has begun", `text('.bytes .title') === 'Bytes of web/6 following'`)
	b.show(append(exchanged(), exchanged()...)...)
	p.until("all is there", `all('.bytes .entry').length === 18`)
	p.look("bytes", "desktop", "narrow")
	p.until("it follows through all of it", `text('.bytes .title') === 'Bytes of web/6 following'`)
	p.choose(".bytes select", "hex")
	p.look("hex", "tablet", "phone")
	p.until("it follows through all of it", `text('.bytes .title') === 'Bytes of web/6 following'`)
	p.clean()
}

// eventually waits until a method was called so often.
func (b *peer) eventually(t *testing.T, method string, want int) {
	t.Helper()
	for end := time.Now().Add(patience); b.asked(method) < want && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
	}
	if n := b.asked(method); n != want {
		t.Errorf("%s was called %d times, want %d", method, n, want)
	}
}

// The bytes of a real session, and the fault between them. Closed, the capture is
// out of force in the box.
func TestWatchARealSession(t *testing.T) {
	b := startBox(t)
	p := newTab(t)
	p.do(chromedp.Navigate(b.page))
	p.until("the page is live", `text('.connection') === 'live' && toggle('web truncate') !== null`)
	c := b.dial(t)
	c.get("/before")
	p.enter(`[aria-label="watch the bytes of web/1"]`)
	p.until("it has begun", `text('.bytes .title') === 'Bytes of web/1 following'`)
	before := eval[float64](p, `all('.bytes .entry').length`)
	c.get("/while")
	p.until("the exchange is there, on both sides", `all('.bytes pre').length >= 4 && text('.bytes pre').includes('GET /while HTTP/1.1') && text('.bytes pre').includes('X-Origin: here')`)
	if before != 0 || strings.Contains(eval[string](p, `text('.bytes pre')`), "/before") {
		t.Errorf("it shows what was before it: %v entries", before)
	}
	p.enter(`[role=switch][aria-label="web truncate"]`)
	p.until("it is in force", `is('web truncate', true)`)
	c.get("/cut")
	p.until("the fault is marked between the bytes and the FIN", `/fired .*truncate at body:512 · downstream · after [\d,]+ bytes · FIN · event \d+.*to client FIN at/.test(text('.bytes .entries'))`)
	c.conn.Close()
	p.until("it ends with its session", `text('.bytes .title') === 'Bytes of web/1 ended: the session is closed'`)

	p.enter(`[aria-label="Watch bytes of web"]`)
	p.until("a route can be watched", `text('.bytes .title') === 'Bytes of web following'`)
	b.dial(t).get("/new")
	p.until("its new sessions are shown", `text('.bytes .entries').includes('web/2') && text('.bytes pre').includes('GET /new')`)
	p.shoot("bytes-e2e")
	p.enter(`[aria-label="Close the bytes of web"]`)
	p.until("it is closed", `document.querySelector('.bytes') === null`)
	all := 0
	for end := time.Now().Add(patience); all < 16 && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var captures []*middlebox.Capture
		for all = 0; all < 16; all++ {
			film, err := b.box.Capture(middlebox.CaptureOptions{})
			if err != nil {
				break
			}
			captures = append(captures, film)
		}
		for _, film := range captures {
			film.Close()
		}
	}
	if all < 16 {
		t.Errorf("the box has room for %d captures, want 16: one is still in force", all)
	}
	p.clean()
}
