package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"
)

// How real clients take each fault, as measured in many runs of them: a change
// in this table is a change in what goes over the wire, or a new client.
//
//	ok   the right answer at once
//	E    an error
//	S    silent acceptance of a wrong answer
//	P    the stray answer taken for that to the next request
//	413  that status, for the request it answers
//	H    still waiting when the test's patience ended
//	R    the right answer after the client sent its request once more
//	ru   where connections are counted: the right answer, on the first connection
//	cl   the same on another connection, the first one being closed
//	-    this client has no such row
//
// Each client does one request, or two (warm), then the one that counts.
//
// Measured with curl 7.88.1, wget 1.21.3, Go 1.26, Python 3.11, Node 20.20 (http
// with a keep-alive agent, fetch) and Chromium 156; other versions of these
// clients may move a word, which is then worth knowing. Left out are races whose
// outcome varies from run to run (the next request at once behind a close or a
// stray answer).

type row struct {
	name   string
	rule   params
	once   bool // the rule fires once: on the first exchange
	warm   bool // an exchange first; the rule is armed before it
	method string
	upload int           // bytes of the request's body, a few if 0
	header string        // one field, "Name: value"
	body   string        // what the origin answers with: chunked, close (its end), open (it never ends), half gzip; with its length if empty
	late   bool          // Content-Length is the last field
	pause  time.Duration // between the two requests; 10 ms at least
	reuse  bool          // connections are counted
	want   string        // one word a client, in their order
}

// clients in the order of row.want.
var clients = []struct {
	name string
	ask  func(t *testing.T, a errand) (outcome string)
}{
	{"curl", curlClient}, {"wget", wgetClient}, {"go", goClient},
	{"python", scriptClient("python3", "-c", pythonClient)},
	{"node http", scriptClient("node", "--input-type=module", "-e", nodeHTTPClient)},
	{"fetch", scriptClient("node", "--input-type=module", "-e", fetchClient)},
	{"chromium", chromiumClient},
}

// fault is a rule as the command line would have it: fault("cut", "at=body:8").
func fault(name string, words ...string) params {
	values := params{}
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		values[key] = value
	}
	return params{"name": "rule", "fault": name, "params": values}
}

var rows = []row{
	// In want: curl, wget, Go, Python, Node http, Node fetch, Chromium.
	{name: "nothing armed", want: "ok ok ok ok ok ok ok"},
	{name: "nothing armed, second", warm: true, reuse: true, want: "ru ru ru ru ru ru ru"},

	// The body ends early.
	{name: "truncate", rule: fault("truncate"), want: "E E E E E E E"},
	{name: "reset", rule: fault("reset"), want: "E E E E E E E"},
	{name: "stall-body", rule: fault("stall-body"), want: "H H H H H H H"},
	// fetch takes it for the end. So does Node's http if the RST comes together with
	// the last bytes (sometimes); here it comes alone.
	{name: "close-delimited, then reset", rule: fault("cut", "at=idle:500ms", "end=rst"), body: "open", want: "E E E E E ok E"},
	{name: "no-last-chunk", rule: fault("no-last-chunk"), body: "chunked", want: "E E E E E E E"},
	{name: "cut inside a chunk", rule: fault("cut", "at=chunk_data:1"), body: "chunked", want: "E S E E E E E"},
	{name: "cut-last-chunk", rule: fault("cut-last-chunk"), body: "chunked", want: "E E E ok E E E"},

	// The head ends early.
	{name: "cut-head before Content-Length", rule: fault("cut-head"), late: true, want: "S S E S E E S"},
	{name: "cut-head, reset", rule: fault("cut-head", "end=rst"), late: true, want: "E E E E E E E"},
	{name: "cut-status-line", rule: fault("cut-status-line"), want: "E E E E E E S"},
	{name: "stall-head", rule: fault("stall-head"), want: "H H H H H H H"},

	// No answer, on a new connection and on one that was used before.
	{name: "empty-reply", rule: fault("empty-reply"), want: "E E E E E E E"},
	{name: "empty-reply, POST", rule: fault("empty-reply"), method: "POST", want: "E E E E E E E"},
	{name: "reset-reply", rule: fault("reset-reply"), want: "E E E E E E E"},
	// wget sends again only as one of its tries, and here it has one.
	{name: "stale-reuse, GET", rule: fault("stale-reuse"), warm: true, want: "R E R E E E R"},
	{name: "stale-reuse, GET, reset", rule: fault("stale-reuse", "end=rst"), warm: true, want: "R E R E E E R"},
	{name: "stale-reuse, PUT", rule: fault("stale-reuse"), warm: true, method: "PUT", want: "R E E E E E R"},
	{name: "stale-reuse, POST", rule: fault("stale-reuse"), warm: true, method: "POST", want: "R E E E E E R"},
	{name: "stale-reuse, POST with a key", rule: fault("stale-reuse"), warm: true, method: "POST", header: "Idempotency-Key: k1", want: "R E R E E E R"},
	// Whoever sends again is right: the server never saw the first one.
	{name: "idle-race, GET", rule: fault("idle-race"), once: true, warm: true, want: "ok E ok E E E ok"},
	{name: "idle-race, POST", rule: fault("idle-race"), once: true, warm: true, method: "POST", want: "ok E E E E E ok"},
	{name: "down", rule: fault("down"), want: "E E E E E E E"},
	{name: "refuse, silent", rule: fault("refuse", "how=silent"), want: "H H H H H H H"},
	{name: "dumb-proxy", rule: fault("dumb-proxy"), warm: true, want: "H H H H H H H"},
	{name: "pile-up", rule: fault("pile-up"), body: "close", want: "H H H H H H H"},
	{name: "continue-then-nothing", rule: fault("continue-then-nothing"), method: "POST", header: "Expect: 100-continue", want: "H H H H H - -"},

	// Promises of persistence.
	{name: "lying-keep-alive", rule: fault("lying-keep-alive"), warm: true, pause: 300 * time.Millisecond, want: "ok ok ok E ok ok ok"},
	{name: "keep-alive-timeout-lie", rule: fault("keep-alive-timeout-lie", "close_idle=50ms"), warm: true, pause: 400 * time.Millisecond, want: "ok ok ok E ok ok ok"},
	// Node alone goes by the hint.
	{name: "a promise of 1 s, kept for longer", rule: fault("keep_alive", "timeout=1s"), warm: true, pause: 1500 * time.Millisecond, reuse: true, want: "ru ru ru ru cl cl ru"},
	{name: "say-close-stay-open", rule: fault("say-close-stay-open"), warm: true, reuse: true, want: "cl cl cl cl cl cl cl"},
	{name: "HTTP/1.0 without keep-alive", rule: fault("start_line", "version=HTTP/1.0"), warm: true, reuse: true, want: "cl ru cl cl cl cl cl"},
	// wget goes by the length and never by the version.
	{name: "proxy-connection-echo", rule: fault("proxy-connection-echo"), warm: true, reuse: true, want: "cl ru cl ru ru ru ru"},

	// Framing that contradicts itself.
	{name: "length-mismatch", rule: fault("length-mismatch"), want: "H H H H H H H"},
	{name: "length too small", rule: fault("length-mismatch", "value=-1"), want: "S S S S E S S"},
	{name: "two-lengths", rule: fault("two-lengths"), want: "S ok E ok E E E"},
	{name: "length as a list", rule: fault("content_length", "mode=list"), want: "ok ok E H E E ok"},
	// Python and Chromium read until the connection closes.
	{name: "length that is no number", rule: fault("content_length", "mode=garbage"), want: "E S E H E E H"},
	{name: "length-and-chunked", rule: fault("length-and-chunked", "value=3"), body: "chunked", want: "ok E ok ok E E ok"},
	// Those who wait read until the connection closes, as RFC 9112 section 6.3 has it.
	{name: "coding after chunked", rule: fault("transfer_encoding", "mode=not_final"), body: "chunked", want: "ok H E H H H ok"},
	{name: "bad-chunk-size", rule: fault("bad-chunk-size"), body: "chunked", want: "E S E E E E E"},
	// Python and wget read the prefix as C does.
	{name: "chunk size 0x10", rule: fault("bad-chunk-size", "value=0x10"), body: "chunked", want: "E ok E ok E E E"},
	// wget takes it, and looks for the next chunk in what comes after.
	{name: "no CRLF behind a chunk", rule: fault("chunk", "mode=no_crlf"), body: "chunked", want: "E H E E E E E"},
	{name: "rechunk", rule: fault("chunk", "mode=rechunk", "value=3"), want: "ok ok ok ok ok ok ok"},

	// Whole by its framing, and a coded body that ends early all the same. Those who
	// do not decode have no such row.
	{name: "half of a gzip body", body: "half gzip", want: "- - E - - S S"},

	// Bytes that nobody asked for.
	{name: "surplus", rule: fault("surplus"), want: "ok ok ok ok E ok ok"},
	// Python has read the surplus together with the body, and drops it.
	{name: "surplus, second", rule: fault("surplus"), once: true, warm: true, pause: 100 * time.Millisecond, reuse: true, want: "cl cl cl ru cl cl cl"},
	{name: "stray-response", rule: fault("stray-response", "delay=50ms"), once: true, warm: true, pause: 800 * time.Millisecond, want: "P ok ok P ok ok ok"},
	// Idle is no byte, also while an answer is awaited: on a busy machine for longer than one thinks.
	{name: "idle-408", rule: fault("idle-408", "at=idle:500ms"), warm: true, pause: 1500 * time.Millisecond, want: "P ok ok P ok ok ok"},
	// For wget it is HTTP/0.9: all of it is body, until the connection closes.
	{name: "CRLF before the status line", rule: fault("inject", "at=start", `bytes=text:\r\n`), want: "E H E E ok ok ok"},
	{name: "garbage", rule: fault("garbage"), want: "E S E E E E E"},
	{name: "early-413", rule: fault("early-413"), method: "POST", upload: 100_000, want: "413 E 413 413 413 413 413"},
	{name: "early-hints", rule: fault("early-hints"), want: "ok ok ok S ok ok ok"},
	{name: "endless-interim", rule: fault("endless-interim"), want: "H H H S H H H"},
	// curl and wget go on reading: nothing frames what comes after a 101.
	{name: "101 that was not asked for", rule: fault("start_line", "set=HTTP/1.1 101 Switching Protocols"), want: "H H S S S E E"},
	{name: "ignore-expect", rule: fault("ignore-expect"), method: "POST", header: "Expect: 100-continue", want: "ok ok ok ok H - -"},
	{name: "full answer, then reset", rule: fault("cut", "at=end", "end=rst"), want: "ok ok ok ok ok ok ok"},

	// Late, but whole.
	{name: "slow-response", rule: fault("slow-response", "for=100ms"), want: "ok ok ok ok ok ok ok"},
	{name: "pause", rule: fault("pause", "for=100ms"), want: "ok ok ok ok ok ok ok"},
	{name: "latency", rule: fault("latency", "delay=20ms"), want: "ok ok ok ok ok ok ok"},
	{name: "slice", rule: fault("slice", "size=3"), want: "ok ok ok ok ok ok ok"},
	{name: "bandwidth", rule: fault("bandwidth", "rate=1kB/s"), want: "ok ok ok ok ok ok ok"},
	{name: "connect_delay", rule: fault("connect_delay", "delay=50ms"), want: "ok ok ok ok ok ok ok"},
	{name: "overloaded, but alone", rule: fault("overloaded"), want: "ok ok ok ok ok ok ok"},
	{name: "drip", rule: fault("drip", "part=all", "bytes=8", "every=2ms"), want: "ok ok ok ok ok ok ok"},
	{name: "half-closed-client", rule: fault("half-closed-client"), want: "ok ok ok ok ok ok ok"},
}

// patienceFor is each client's own time-out: short where it is expected to run
// out, and longer than any busy machine needs where it is not.
func patienceFor(want string) time.Duration {
	if want == "H" {
		return 500 * time.Millisecond
	}
	return 15 * time.Second
}

func TestRealClients(t *testing.T) {
	b := serve(t)
	openPage(t, "http://"+b.addRoute("page", pageOrigin(t).addr, "http")+"/")
	for i, row := range rows {
		wants := strings.Fields(row.want)
		if len(wants) != len(clients) {
			t.Fatalf("%s: %d outcomes for %d clients", row.name, len(wants), len(clients))
		}
		for j, c := range clients {
			if wants[j] == "-" {
				continue
			}
			t.Run(row.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				o := row.origin(t)
				name := fmt.Sprintf("r%d-%d", i, j)
				base := "http://" + b.addRoute(name, o.addr, "http")
				if row.rule != nil {
					b.arm(name, row.armed())
				}
				if got := row.outcome(c.ask(t, row.errand(base, wants[j])), o); got != wants[j] {
					t.Errorf("%s: %s, expected %s", c.name, got, wants[j])
				}
			})
		}
	}
}

func (r row) armed() params {
	rule := maps.Clone(r.rule)
	if r.once {
		rule["gate"] = params{"times": 1}
	}
	return rule
}

// errand is what a client is to do: the last URL counts. Scripts read it as JSON.
type errand struct {
	ID       int      `json:"id"` // a script's answer has it too
	Method   string   `json:"method"`
	Header   string   `json:"header"`  // "Name: value", or empty
	Content  string   `json:"content"` // the request's body, if its method has one
	URLs     []string `json:"urls"`
	Pause    float64  `json:"pause"`    // seconds before the last
	Patience float64  `json:"patience"` // seconds
	body     string   // the right one, of the last
}

func (r row) errand(base, want string) errand {
	a := errand{Method: "GET", Header: r.header, URLs: []string{base + "/last"}, body: clientBody, Patience: patienceFor(want).Seconds()}
	if r.method != "" {
		a.Method = r.method
	}
	if a.Method != "GET" {
		a.Content = "x=1" + strings.Repeat("x", r.upload)
	}
	if r.warm {
		a.URLs = []string{base + "/warm", base + "/last"}
	}
	a.Pause = max(r.pause, 10*time.Millisecond).Seconds()
	return a
}

// verdict turns what a client said of its last request into a word of the table.
func (a errand) verdict(status int, body string, waited bool, failed bool) string {
	switch {
	case waited:
		return "H"
	case failed:
		return "E"
	case status == 200 && body == a.body:
		return "ok"
	case status == 413:
		return "413"
	case body == "stray" || status == 408:
		return "P"
	}
	return "S"
}

// outcome adds what only the origin can tell: requests sent again, connections.
func (r row) outcome(said string, o *origin) string {
	switch {
	case said != "ok":
		return said
	case strings.Count(o.received(), "/last ") > 1:
		return "R"
	case r.reuse && o.used() > 1:
		return "cl"
	case r.reuse:
		return "ru"
	}
	return said
}

// used counts the connections that carried something: a browser may open more.
func (o *origin) used() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, b := range o.seen {
		if b.Len() > 0 {
			n++
		}
	}
	return n
}

const clientBody = "0123456789abcdef"

func (r row) origin(t *testing.T) *origin {
	if r.body != "close" {
		return answering(t, r.answer)
	}
	return newOrigin(t, func(p *peer) {
		if head := p.request(); head != "" {
			p.say(r.answer(head))
		}
	})
}

func (r row) answer(string) string {
	switch {
	case r.body == "chunked":
		return "HTTP/1.1 200 OK\r\nServer: lab\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + clientBody + "\r\n0\r\n\r\n"
	case r.body == "close", r.body == "open":
		return "HTTP/1.1 200 OK\r\nServer: lab\r\n\r\n" + clientBody
	case r.body == "half gzip":
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = io.WriteString(w, pattern(4096))
		_ = w.Close()
		half := b.String()[:b.Len()/2]
		return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(half), half)
	case r.late:
		return "HTTP/1.1 200 OK\r\nServer: lab\r\nX-Second: abcdefgh\r\nContent-Length: 16\r\n\r\n" + clientBody
	}
	return "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nX-Second: abcdefgh\r\n\r\n" + clientBody
}

// Every client through the box with every server, several requests on a connection.
func TestClientsAndServers(t *testing.T) {
	b := serve(t)
	openPage(t, "http://"+b.addRoute("page", pageOrigin(t).addr, "http")+"/")
	for name, server := range servers(t) {
		base := "http://" + b.addRoute(name, server, "auto")
		for _, c := range clients {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				a := errand{Method: "GET", URLs: []string{base + "/small", base + "/chunked", base + "/large"}, body: large, Patience: patienceFor("ok").Seconds()}
				if got := c.ask(t, a); got != "ok" {
					t.Errorf("%s, expected ok", got)
				}
			})
		}
	}
}
