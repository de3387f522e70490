package wire

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nodeScript is a Node process that is asked what it makes of a stream. It serves
// HTTP on a port it prints first, and prints a line of JSON for each connection
// once that is over. A line {port, method} on its input makes it a client: it
// sends that request there, and prints the same line about the answer.
//
// A verdict is bodies, the length of each whole message's body in order, interim
// responses included, and how: what became of the stream after them, "" if it
// ended there, "cut", "tunnel" or the code of an error.
const nodeScript = `
const http = require('http'), readline = require('readline');
const say = v => console.log(JSON.stringify(v));

const server = http.createServer({requireHostHeader: false}, (q, a) => {
	const v = q.socket.verdict;
	let n = 0;
	q.on('data', b => n += b.length);
	q.on('end', () => { v.bodies.push(n); a.end(); });
});
server.httpAllowHalfOpen = true; // a FIN behind a request does not abort it
server.on('connection', s => {
	s.verdict = {bodies: [], how: ''};
	s.on('close', () => say(s.verdict));
});
server.on('clientError', (err, s) => {
	s.verdict.how = err.code == 'HPE_INVALID_EOF_STATE' ? 'cut' : err.code;
	s.destroy();
});
server.listen(0, '127.0.0.1', () => say({port: server.address().port}));

readline.createInterface({input: process.stdin}).on('line', line => {
	const v = {bodies: [], how: ''};
	let said = false;
	const over = how => { if (!said) { said = true; say({...v, how}); } };
	const cut = err => err.code == 'ECONNRESET' ? 'cut' : err.code;
	const q = http.request({host: '127.0.0.1', agent: false, path: 'a:1', ...JSON.parse(line)});
	const tunnel = (a, s) => { v.bodies.push(0); s.destroy(); over('tunnel'); };
	q.on('information', () => v.bodies.push(0));
	q.on('upgrade', tunnel);
	q.on('connect', tunnel);
	q.on('error', err => over(cut(err)));
	q.on('response', a => {
		let n = 0;
		a.on('data', b => n += b.length);
		a.on('end', () => { v.bodies.push(n); over(''); });
		a.on('error', err => over(cut(err)));
	});
	q.end();
}).on('close', () => process.exit());
`

// node is the running script.
type node struct {
	lines *bufio.Reader
	stdin io.Writer
	port  int
}

func startNode(t *testing.T) *node {
	t.Helper()
	path, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("framing is checked against Node's parser: install node (make test does): %v", err)
	}
	cmd := exec.Command(path, "-e", nodeScript)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	watchdog := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // reads then end with EOF
	t.Cleanup(func() { watchdog.Stop() })
	n := &node{lines: bufio.NewReader(stdout), stdin: stdin}
	var hello struct{ Port int }
	n.read(t, &hello)
	n.port = hello.Port
	return n
}

func (n *node) read(t *testing.T, v any) {
	t.Helper()
	line, err := n.lines.ReadBytes('\n')
	if err != nil {
		t.Fatalf("node said no more: %v", err)
	}
	if err := json.Unmarshal(line, v); err != nil {
		t.Fatalf("node said %q: %v", line, err)
	}
}

// verdict reads what node made of a stream, written as framingRow.want.
func (n *node) verdict(t *testing.T) (words, code string) {
	t.Helper()
	var v struct {
		Bodies []int64
		How    string
	}
	n.read(t, &v)
	for _, b := range v.Bodies {
		words += " " + strconv.FormatInt(b, 10)
	}
	switch v.How {
	case "":
	case "cut", "tunnel":
		words += " " + v.How
	default:
		return "error", v.How
	}
	return strings.TrimPrefix(words, " "), v.How
}

// request sends the stream to node's server.
func (n *node) request(t *testing.T, in string) {
	t.Helper()
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	// Node may refuse the stream before it has all of it.
	if _, err := io.WriteString(c, in); err == nil {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// response answers one request of node's client with the stream.
func (n *node) response(t *testing.T, to, in string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	fmt.Fprintf(n.stdin, `{"port":%d,"method":%q}`+"\n", l.Addr().(*net.TCPAddr).Port, to)
	l.(*net.TCPListener).SetDeadline(time.Now().Add(20 * time.Second))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	src := bufio.NewReader(c)
	for { // read the head away, or closing would reset what was said
		line, err := src.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
	}
	if _, err := io.WriteString(c, in); err == nil {
		_ = c.(*net.TCPConn).CloseWrite()
	}
	_, _ = io.Copy(io.Discard, c)
}

// TestFramingAsNode asks Node's parser about the streams of the framing table, as
// a server about requests and as a client about responses.
func TestFramingAsNode(t *testing.T) {
	n := startNode(t)
	eachFraming(t, func(t *testing.T, r framingRow) {
		if r.node == "-" {
			return // its client sends no second request before it has read the answer
		}
		want := r.node
		if want == "" {
			want = r.want
		}
		if r.to == "" {
			n.request(t, r.in)
		} else {
			n.response(t, r.to, r.in)
		}
		if got, code := n.verdict(t); got != want {
			t.Errorf("%q\nnode %s %s\nwant %s", r.in, got, code, want)
		}
	})
}
