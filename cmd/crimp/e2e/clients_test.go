package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// How real clients take each fault, as measured in many runs of them: a change
// in this table is a change in what goes over the wire, or a new client.
//
//	ok   the right answer at once
//	E    an error
//	S    silent acceptance of a wrong body
//	H    still waiting when the test's patience ended
//	R    the right answer after the client sent its request once more
//
// Each client does one request, or two on one connection (warm), then the one
// that counts.

type row struct {
	name   string
	rule   params
	warm   bool // a clean exchange first, on the same connection
	method string
	body   string // what the origin answers with; chunked if it starts with "chunked:"
	late   bool   // Content-Length is the last field
	want   [5]string
}

// clients in the order of row.want.
var clients = []struct {
	name string
	ask  func(t *testing.T, a errand) (outcome string)
}{
	{"curl", curlClient}, {"go", goClient},
	{"python", scriptClient("python3", "client.py", pythonClient)},
	{"node http", scriptClient("node", "http.mjs", nodeHTTPClient)},
	{"fetch", scriptClient("node", "fetch.mjs", fetchClient)},
}

var rows = []row{
	//                                                                                    curl  Go   py   node fetch
	{name: "nothing armed", want: [5]string{"ok", "ok", "ok", "ok", "ok"}},
	{name: "nothing armed, second", warm: true, want: [5]string{"ok", "ok", "ok", "ok", "ok"}},
	{name: "truncate", rule: params{"fault": "truncate"}, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "reset", rule: params{"fault": "reset"}, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "stall in the body", rule: params{"fault": "stall", "params": params{"at": "body:50%"}}, want: [5]string{"H", "H", "H", "H", "H"}},
	{name: "cut-head before Content-Length", rule: params{"fault": "cut-head"}, late: true, want: [5]string{"S", "E", "S", "E", "E"}},
	{name: "cut-head, reset", rule: params{"fault": "cut-head", "params": params{"end": "rst"}}, late: true, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "cut-status-line", rule: params{"fault": "cut-status-line"}, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "length-mismatch", rule: params{"fault": "length-mismatch"}, want: [5]string{"H", "H", "H", "H", "H"}},
	{name: "length too small", rule: params{"fault": "length-mismatch", "params": params{"value": "-1"}}, want: [5]string{"S", "S", "S", "E", "S"}},
	{name: "no last chunk", rule: params{"fault": "cut", "params": params{"at": "chunk:2"}}, body: "chunked:", want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "cut inside a chunk", rule: params{"fault": "cut", "params": params{"at": "chunk_data:1"}}, body: "chunked:", want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "cut before the final CRLF", rule: params{"fault": "cut", "params": params{"at": "last_chunk"}}, body: "chunked:", want: [5]string{"E", "E", "ok", "E", "E"}},
	{name: "empty-reply", rule: params{"fault": "empty-reply"}, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "reset-reply", rule: params{"fault": "reset-reply"}, want: [5]string{"E", "E", "E", "E", "E"}},
	{name: "stale-reuse, GET", rule: params{"fault": "stale-reuse"}, warm: true, want: [5]string{"R", "R", "E", "E", "E"}},
	{name: "stale-reuse, POST", rule: params{"fault": "stale-reuse"}, warm: true, method: "POST", want: [5]string{"R", "E", "E", "E", "E"}},
	{name: "dumb-proxy", rule: params{"fault": "dumb-proxy"}, warm: true, want: [5]string{"H", "H", "H", "H", "H"}},
	{name: "surplus", rule: params{"fault": "inject", "params": params{"at": "end", "bytes": "text:surplus"}}, want: [5]string{"ok", "ok", "ok", "E", "ok"}},
	{name: "full answer, then reset", rule: params{"fault": "cut", "params": params{"at": "end", "end": "rst"}}, want: [5]string{"ok", "ok", "ok", "ok", "ok"}},
	{name: "slow-response", rule: params{"fault": "stall", "params": params{"at": "start", "for": "100ms"}}, want: [5]string{"ok", "ok", "ok", "ok", "ok"}},
	{name: "latency", rule: params{"fault": "latency", "params": params{"delay": "20ms"}}, want: [5]string{"ok", "ok", "ok", "ok", "ok"}},
}

// patienceFor is each client's own time-out: short where it is expected to run
// out, and longer than any busy machine needs where it is not.
func patienceFor(want string) time.Duration {
	if want == "H" {
		return 700 * time.Millisecond
	}
	return 15 * time.Second
}

func TestRealClients(t *testing.T) {
	b := serve(t)
	for i, row := range rows {
		for j, c := range clients {
			t.Run(row.name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				o := answering(t, row.answer)
				name := fmt.Sprintf("r%d-%d", i, j)
				base := "http://" + b.addRoute(name, o.addr, "http")
				if row.rule != nil {
					rule := params{"match": params{}, "name": "rule"}
					for k, v := range row.rule {
						rule[k] = v
					}
					b.arm(name, rule)
				}
				a := errand{method: "GET", urls: []string{base + "/last"}, body: clientBody, patience: patienceFor(row.want[j])}
				if row.method != "" {
					a.method = row.method
				}
				if row.warm {
					a.urls = []string{base + "/warm", base + "/last"}
				}
				got := c.ask(t, a)
				if got == "ok" && strings.Count(o.received(), "/last ") > 1 {
					got = "R"
				}
				if got != row.want[j] {
					t.Errorf("%s: %s, expected %s", c.name, got, row.want[j])
				}
			})
		}
	}
}

// Every client through the box with every server, several requests on a connection.
func TestClientsAndServers(t *testing.T) {
	b := serve(t)
	for name, server := range servers(t) {
		base := "http://" + b.addRoute(name, server, "auto")
		for _, c := range clients {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				a := errand{method: "GET", urls: []string{base + "/small", base + "/chunked", base + "/large"}, body: large, patience: patienceFor("ok")}
				if got := c.ask(t, a); got != "ok" {
					t.Errorf("%s, expected ok", got)
				}
			})
		}
	}
}

const clientBody = "0123456789abcdef"

func (r row) answer(string) string {
	switch {
	case strings.HasPrefix(r.body, "chunked:"):
		return "HTTP/1.1 200 OK\r\nServer: lab\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n" + clientBody + "\r\n0\r\n\r\n"
	case r.late:
		return "HTTP/1.1 200 OK\r\nServer: lab\r\nX-Second: abcdefgh\r\nContent-Length: 16\r\n\r\n" + clientBody
	}
	return "HTTP/1.1 200 OK\r\nContent-Length: 16\r\nX-Second: abcdefgh\r\n\r\n" + clientBody
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
	}
	return "S"
}

// errand is what a client is to do: the last URL counts.
type errand struct {
	method   string
	urls     []string
	body     string // the right one, of the last
	patience time.Duration
}

func curlClient(t *testing.T, a errand) string {
	args := []string{}
	out := filepath.Join(t.TempDir(), "body")
	for i, url := range a.urls {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, "-s", "-m", fmt.Sprint(a.patience.Seconds()), "-o", out, "-w", "%{http_code} %{exitcode}\n", url)
		if a.method == "POST" {
			args = append(args, "-d", "x=1")
		}
	}
	r := run(t, nil, "curl", args...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var status, code int
	fmt.Sscan(lines[len(lines)-1], &status, &code)
	body, _ := os.ReadFile(out)
	return a.verdict(status, string(body), code == 28, code != 0)
}

func goClient(t *testing.T, a errand) string {
	client := &http.Client{Transport: &http.Transport{}, Timeout: a.patience}
	defer client.CloseIdleConnections()
	var last string
	for _, url := range a.urls {
		last = a.goRequest(client, url)
	}
	return last
}

func (a errand) goRequest(client *http.Client, url string) string {
	var body io.Reader
	if a.method == "POST" {
		body = strings.NewReader("x=1")
	}
	req, err := http.NewRequest(a.method, url, body)
	if err != nil {
		return err.Error()
	}
	resp, err := client.Do(req)
	var text []byte
	status := 0
	if err == nil {
		status = resp.StatusCode
		text, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	timeout, ok := err.(net.Error)
	return a.verdict(status, string(text), ok && timeout.Timeout(), err != nil)
}

// scriptClient runs a program with the seconds to wait, the method and the URLs;
// it prints what became of the last one as {status, body, waited, failed}.
func scriptClient(interpreter, name, text string) func(*testing.T, errand) string {
	return func(t *testing.T, a errand) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, interpreter, append([]string{file, fmt.Sprint(a.patience.Seconds()), a.method}, a.urls...)...)
		cmd.Env = environment()
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, stderr.String())
		}
		var said struct {
			Status         int
			Body           string
			Waited, Failed bool
		}
		if err := json.Unmarshal(bytes.TrimSpace(out), &said); err != nil {
			t.Fatalf("%s said %q: %v", name, out, err)
		}
		return a.verdict(said.Status, said.Body, said.Waited, said.Failed)
	}
}

const pythonClient = `
import http.client, json, sys
from urllib.parse import urlsplit
patience, method, urls = float(sys.argv[1]), sys.argv[2], sys.argv[3:]
c = http.client.HTTPConnection(urlsplit(urls[0]).netloc, timeout=patience)
for url in urls:
    last = {"status": 0, "body": "", "waited": False, "failed": False}
    try:
        c.request(method, urlsplit(url).path, "x=1" if method == "POST" else None)
        r = c.getresponse()
        last["status"] = r.status
        last["body"] = r.read().decode("latin-1")
    except TimeoutError: last["waited"] = True
    except Exception as e: last["failed"] = True
print(json.dumps(last))
`

const nodeHTTPClient = `
import http from 'node:http';
const [patience, method, ...urls] = process.argv.slice(2);
const agent = new http.Agent({keepAlive: true, maxSockets: 1});
const once = (url) => new Promise((done) => {
  const last = {status: 0, body: '', waited: false, failed: false};
  const finish = (how) => { clearTimeout(timer); if (how) last[how] = true; done(last); };
  const timer = setTimeout(() => finish('waited'), patience * 1000);
  const r = http.request(url, {method, agent}, (s) => {
    last.status = s.statusCode;
    s.on('data', (d) => last.body += d).on('end', () => finish()).on('error', () => finish('failed'));
  }).on('error', () => finish('failed'));
  r.end(method === 'POST' ? 'x=1' : undefined);
});
let last;
for (const url of urls) { last = await once(url); await new Promise((ok) => setTimeout(ok, 10)); }
process.stdout.write(JSON.stringify(last), () => process.exit(0));
`

const fetchClient = `
const [patience, method, ...urls] = process.argv.slice(2);
let last;
for (const url of urls) {
  last = {status: 0, body: '', waited: false, failed: false};
  try {
    const r = await fetch(url, {method, body: method === 'POST' ? 'x=1' : undefined, signal: AbortSignal.timeout(patience * 1000)});
    last.status = r.status;
    last.body = await r.text();
  } catch (e) { last[e.name === 'TimeoutError' ? 'waited' : 'failed'] = true; }
  await new Promise((ok) => setTimeout(ok, 10));
}
process.stdout.write(JSON.stringify(last), () => process.exit(0));
`
