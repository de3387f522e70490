package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Promise 1: transparent when idle. Every play here is done twice, directly and
// through the box, and must read the same.

// play is what a raw client does on a fresh connection; it returns what it was
// sent and how that ended.
type play struct {
	name string
	do   func(r *raw) (string, end)
	// anyEnd: the server closes with input unread, so FIN or RST is a race of its own.
	anyEnd bool
}

const closing = "Connection: close\r\n\r\n"

var plays = []play{
	{name: "get", do: saying("GET /small HTTP/1.1\r\nHost: lab\r\n" + closing)},
	{name: "head", do: saying("HEAD /large HTTP/1.1\r\nHost: lab\r\n" + closing)},
	{name: "http/1.0", do: saying("GET /small HTTP/1.0\r\n\r\n")},
	{name: "empty answer", do: saying("GET /empty HTTP/1.1\r\nHost: lab\r\n" + closing)},
	{name: "large body", do: saying("GET /large HTTP/1.1\r\nHost: lab\r\n" + closing)},
	{name: "chunked answer", do: saying("GET /chunked HTTP/1.1\r\nHost: lab\r\nTE: trailers\r\n" + closing)},
	{name: "odd spelling", do: saying("GET http://lab/small HTTP/1.1\r\nhOST:   lab   \r\nx-ODD:\t1\r\nX-Odd: 2\r\nCONNECTION: CLOSE\r\n\r\n")},
	{name: "pipelined", do: saying(ask("/small") + "HEAD /small HTTP/1.1\r\nHost: lab\r\n\r\n" + ask("/large") + "GET /small HTTP/1.1\r\nHost: lab\r\n" + closing)},
	{name: "chunked request with trailers", do: saying("POST /echo HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n" + closing +
		"5;ext=1\r\nhello\r\n006\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n")},
	{name: "keep-alive", do: func(r *raw) (string, end) {
		var all strings.Builder
		in := bufio.NewReader(io.TeeReader(r, &all))
		for range 3 {
			r.send(ask("/small"))
			readResponse(r.t, in, "GET")
			r.send("HEAD /large HTTP/1.1\r\nHost: lab\r\n\r\n")
			readResponse(r.t, in, "HEAD")
		}
		r.CloseWrite()
		_, err := io.Copy(io.Discard, in)
		return all.String(), endOf(err)
	}},
	{name: "100-continue", do: func(r *raw) (string, end) {
		r.send("POST /echo HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\nContent-Length: 5\r\n" + closing)
		line := "HTTP/1.1 100 Continue\r\n\r\n"
		r.expect(line)
		got, how := saying("hello")(r)
		return line + got, how
	}},
	{name: "client half-closes after its request", do: func(r *raw) (string, end) {
		r.send(ask("/large"))
		r.CloseWrite()
		return r.rest()
	}},
	{name: "client half-closes inside its request", anyEnd: true, do: func(r *raw) (string, end) {
		r.send("GET /small HTTP/1.1\r\nHos")
		r.CloseWrite()
		return r.rest()
	}},
	{name: "not http", anyEnd: true, do: func(r *raw) (string, end) {
		r.send("\x16\x03\x01\x00\x05hello\r\n\r\n")
		r.CloseWrite()
		return r.rest()
	}},
	{name: "malformed field", anyEnd: true, do: func(r *raw) (string, end) {
		r.send("GET /small HTTP/1.1\r\nHost : lab\r\n folded\r\n" + closing)
		r.CloseWrite()
		return r.rest()
	}},
}

// saying sends all at once and reads until the end.
func saying(s string) func(r *raw) (string, end) {
	return func(r *raw) (string, end) { return r.send(s).rest() }
}

func readResponse(t testing.TB, in *bufio.Reader, method string) string {
	t.Helper()
	resp, err := http.ReadResponse(in, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading a response: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading a body: %v", err)
	}
	return string(body)
}

// A second may pass between the two runs.
var dates = regexp.MustCompile(`(?i)(\ndate: )[^\r\n]*`)

func TestResponsesAreByteIdentical(t *testing.T) {
	b := serve(t)
	for name, server := range servers(t) {
		for _, protocol := range []string{"auto", "http", "tcp"} {
			via := b.addRoute(name+"-"+protocol, server, protocol)
			for _, p := range plays {
				t.Run(name+"/"+protocol+"/"+p.name, func(t *testing.T) {
					t.Parallel()
					want, wantEnd := p.do(dial(t, server))
					got, gotEnd := p.do(dial(t, via))
					want, got = dates.ReplaceAllString(want, "$1-"), dates.ReplaceAllString(got, "$1-")
					if got != want {
						t.Errorf("through the box %s\ndirectly %s", clip([]byte(got)), clip([]byte(want)))
					}
					if gotEnd != wantEnd && !p.anyEnd {
						t.Errorf("through the box the end was %s, directly %s", gotEnd, wantEnd)
					}
				})
			}
		}
	}
}

// What clients say must arrive as they said it: the origin's record of a direct
// run and of one through the box is the same.
func TestRequestsAreByteIdentical(t *testing.T) {
	response := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nx-Case: A\r\n\r\nok"
	b := serve(t)
	speakers := map[string]func(t *testing.T, addr string){
		"raw, byte by byte": func(t *testing.T, addr string) {
			r := dial(t, addr)
			for _, c := range []byte("GET  /odd\tpath HTTP/1.1\nhOsT:lab\r\nX-Fold: a\r\n  b\r\nX-Empty:\r\nContent-length:3 \r\n\r\nxyz" + ask("/2")) {
				r.send(string(c))
			}
			r.CloseWrite()
			r.rest()
		},
		"raw, not http": func(t *testing.T, addr string) {
			r := dial(t, addr).send("\x00\x01\xff" + pattern(100_000))
			r.CloseWrite()
			r.rest()
		},
		"curl": func(t *testing.T, addr string) {
			u := "http://" + addr
			run(t, nil, "curl", "-s", "-H", "Host: lab", "-H", "x-lower: 1", "-H", "X-Empty;", u+"/a", "--next", "-s", "-H", "Host: lab", "-d", pattern(5000), u+"/b",
				"--next", "-s", "-H", "Host: lab", "-T", "-", "-H", "Transfer-Encoding: chunked", u+"/c")
		},
		"go": func(t *testing.T, addr string) {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for _, path := range []string{"/a", "/b"} {
				req, _ := http.NewRequest("PUT", "http://"+addr+path, io.MultiReader(strings.NewReader(small)))
				req.Host = "lab"
				req.Header["x-lower"] = []string{"1", "2"}
				req.Trailer = http.Header{"X-Sum": nil}
				resp, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		},
		"python": func(t *testing.T, addr string) {
			wantOK(t, run(t, nil, "python3", "-c", `
import http.client, sys
c = http.client.HTTPConnection(sys.argv[1])
for path in "/a", "/b":
    c.putrequest("POST", path, skip_host=True); c.putheader("hOST", "lab"); c.putheader("X-Multi", "a", "b"); c.putheader("Content-Length", "5"); c.endheaders(b"hello")
    c.getresponse().read()
c.request("POST", "/c", iter([b"one", b"two"]), {"Host": "lab"}, encode_chunked=True); c.getresponse().read()
`, addr))
		},
		"node": func(t *testing.T, addr string) {
			wantOK(t, run(t, nil, "node", "-e", `
const http = require('http'), agent = new http.Agent({keepAlive: true});
const [host, port] = process.argv[1].split(':');
const once = (path) => new Promise((ok, no) => {
  const r = http.request({host, port, path, agent, method: 'POST', headers: {hOST: 'lab', 'x-MIXED': ['1', '2'], Trailer: 'X-Sum'}}, (s) => s.resume().on('end', ok)).on('error', no);
  r.write('part one'); r.addTrailers({'X-Sum': '8'}); r.end();
});
once('/a').then(() => once('/b')).then(() => agent.destroy());
`, addr))
		},
	}
	for name, speak := range speakers {
		t.Run(name, func(t *testing.T) {
			direct, relayed := always(t, response), always(t, response)
			via := b.addRoute("r"+hex.EncodeToString([]byte(name)), relayed.addr, "auto")
			speak(t, direct.addr)
			speak(t, via)
			want := direct.received()
			eventually(t, "the same bytes at the origin", func() error {
				if got := relayed.received(); got != want {
					return fmt.Errorf("through the box %s\ndirectly %s", clip([]byte(got)), clip([]byte(want)))
				}
				return nil
			})
			if want == "" {
				t.Error("nothing was said")
			}
		})
	}
}

func wantOK(t testing.TB, r result) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit %d\n%s%s", r.code, r.stdout, r.stderr)
	}
	return r
}

func TestCurlThroughNginx(t *testing.T) {
	server := nginx(t)
	b := serve(t, "--route", "web=127.0.0.1:0,"+server)
	flags := map[string][]string{
		"plain": {"/small"}, "head": {"-I", "/small"}, "range": {"-r", "100-199", "/large"}, "1.0": {"-0", "/small"},
		"missing": {"/missing"}, "compressed": {"--compressed", "-H", "Accept-Encoding: gzip", "/large"}, "chunked": {"--raw", "/chunked"},
		"conditional": {"-H", "If-None-Match: *", "/small"}, "post": {"--data-binary", "hello", "/echo"},
		"expect": {"-H", "Expect: 100-continue", "--data-binary", "hello", "/echo"}, "upload": {"-H", "Transfer-Encoding: chunked", "--data-binary", "hello", "/echo"},
	}
	for name, args := range flags {
		t.Run(name, func(t *testing.T) {
			path := args[len(args)-1]
			ask := func(addr string) string {
				r := wantOK(t, run(t, nil, "curl", append(append([]string{"-sS", "-i", "-H", "Host: lab"}, args[:len(args)-1]...), "http://"+addr+path)...))
				return dates.ReplaceAllString(r.stdout, "$1-")
			}
			if got, want := ask(b.routes["web"]), ask(server); got != want {
				t.Errorf("through the box %s\ndirectly %s", clip([]byte(got)), clip([]byte(want)))
			}
		})
	}
}

// After a 101 the bytes belong to whoever switched: here Node at both ends, and a raw client.
func TestAfter101(t *testing.T) {
	server := script(t, "node", nodeServer)
	b := serve(t, "--route", "web=127.0.0.1:0,"+server+",http")
	r := dial(t, b.routes["web"])
	r.send("GET /ws HTTP/1.1\r\nHost: lab\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r.expect("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
	for _, frame := range []string{"\x81\x05hello", "\x00\xff\r\n\r\n", ask("/small"), pattern(200_000)} {
		r.send(frame).expect(frame)
	}
	r.CloseWrite()
	r.restIs("", fin)

	got := wantOK(t, run(t, nil, "node", "-e", `
const http = require('http'), [host, port] = process.argv[1].split(':');
http.get({host, port, path: '/ws', headers: {Connection: 'Upgrade', Upgrade: 'echo'}}).on('upgrade', (res, socket) => {
  let n = 0; socket.on('data', (d) => { n += d.length; if (n === 500000) socket.end(); });
  socket.on('close', () => console.log(res.statusCode, n)); socket.write(Buffer.alloc(500000, 7));
});`, b.routes["web"]))
	if strings.TrimSpace(got.stdout) != "101 500000" {
		t.Errorf("node saw %q", got.stdout)
	}
}

// A real WebSocket server is at hand: the control port of another box.
func TestWebSocketThroughTheBox(t *testing.T) {
	far, b := serve(t), serve(t)
	near := &box{t: t, api: "http://" + b.addRoute("far", strings.TrimPrefix(far.api, "http://"), "http")}
	w := near.ws(t)
	w.must("subscribe", nil, nil)
	far.addRoute("new", "127.0.0.1:9", "tcp")
	w.notified("route.added", func(n note) bool { return n.Params["type"] == "route.added" })
	// A rule of the stream takes hold of it as of any other.
	b.arm("far", params{"fault": "cut", "params": params{"at": "now", "end": "rst"}})
	if _, err := w.message(); endOf(err) != rst {
		t.Errorf("the WebSocket ended with %v, expected a RST", err)
	}
}

func TestGibibyteByChecksum(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	www := filepath.Join(t.TempDir(), "www")
	if err := os.MkdirAll(www, 0o755); err != nil {
		t.Fatal(err)
	}
	want := writePattern(t, filepath.Join(www, "huge"), size)
	server := nginx(t, www)
	b := serve(t, "--route", "web=127.0.0.1:0,"+server)
	cmd := exec.Command("curl", "-sS", "http://"+b.routes["web"]+"/huge")
	cmd.Env = environment()
	sum := sha256.New()
	var count counter
	cmd.Stdout = io.MultiWriter(sum, &count)
	if err := cmd.Run(); err != nil {
		t.Fatalf("curl: %v", err)
	}
	if int64(count) != size || !bytes.Equal(sum.Sum(nil), want) {
		t.Errorf("%d bytes arrived with another checksum, %d were sent", count, size)
	}
}

// writePattern fills a file with numbered pages of numbered words, and returns its
// checksum.
func writePattern(t *testing.T, path string, size int64) []byte {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sum := sha256.New()
	block := []byte(pattern(1 << 20))
	for at := int64(0); at < size; at += int64(len(block)) {
		for i := 0; i < len(block); i += 4096 {
			binary.LittleEndian.PutUint64(block[i:], uint64(at)+uint64(i))
		}
		sum.Write(block)
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	return sum.Sum(nil)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }
