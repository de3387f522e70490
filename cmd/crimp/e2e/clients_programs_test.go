package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// The clients of clients_test.go that are programs or run in this one: each does
// an errand and says what came of its last request.

func (a errand) pause() time.Duration { return time.Duration(a.Pause * float64(time.Second)) }

// curl waits by itself only between transfers of a --rate; one that has a pause
// is told to ask for the last URL no more often than that.
func curlClient(t *testing.T, a errand) string {
	args := []string{}
	out := filepath.Join(t.TempDir(), "body")
	if a.pause() > 50*time.Millisecond {
		args = append(args, "--rate", fmt.Sprintf("%d/s", max(1, int(1/a.Pause))))
	}
	for i, url := range a.URLs {
		if i > 0 {
			args = append(args, "--next")
		}
		args = append(args, "-s", "-m", fmt.Sprint(a.Patience), "-o", out, "-w", "%{http_code} %{exitcode}\n", url)
		if a.Method != "GET" {
			args = append(args, "-X", a.Method, "-d", a.Content)
		}
		if a.Header != "" {
			args = append(args, "-H", a.Header)
		}
	}
	r := run(t, nil, "curl", args...)
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	var status, code int
	fmt.Sscan(lines[len(lines)-1], &status, &code)
	body, _ := os.ReadFile(out)
	return a.verdict(status, string(body), code == 28, code != 0)
}

// wget asks for all URLs with the same method, and once each: by default it would
// try twenty times.
func wgetClient(t *testing.T, a errand) string {
	dir := t.TempDir()
	args := []string{"--no-config", "--tries=1", "--no-hsts", "--server-response", "-P", dir}
	if a.pause() > 50*time.Millisecond {
		args = append(args, "--wait", fmt.Sprint(a.Pause))
	}
	if a.Method != "GET" {
		args = append(args, "--method", a.Method, "--body-data", a.Content)
	}
	if a.Header != "" {
		args = append(args, "--header", a.Header)
	}
	// Its own time-outs start anew with each byte.
	args = append([]string{fmt.Sprint(a.Patience), "wget"}, args...)
	r := run(t, []string{"LC_ALL=C"}, "timeout", append(args, a.URLs...)...)
	last := a.URLs[len(a.URLs)-1]
	body, _ := os.ReadFile(filepath.Join(dir, last[strings.LastIndex(last, "/")+1:]))
	var status int
	if at := strings.LastIndex(r.stderr, "  HTTP/1."); at >= 0 {
		fmt.Sscan(r.stderr[at+len("  HTTP/1.1"):], &status)
	}
	return a.verdict(status, string(body), r.code == 124, r.code != 0)
}

func goClient(t *testing.T, a errand) string {
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Second}, Timeout: time.Duration(a.Patience * float64(time.Second))}
	defer client.CloseIdleConnections()
	var last string
	for i, url := range a.URLs {
		if i > 0 {
			time.Sleep(a.pause())
		}
		last = a.goRequest(client, url)
	}
	return last
}

func (a errand) goRequest(client *http.Client, url string) string {
	var body io.Reader
	if a.Content != "" {
		body = strings.NewReader(a.Content)
	}
	req, err := http.NewRequest(a.Method, url, body)
	if err != nil {
		return err.Error()
	}
	if name, value, ok := strings.Cut(a.Header, ": "); ok {
		req.Header.Set(name, value)
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

// said is what a script prints, and a page answers, of its last request.
type said struct {
	ID             int // the errand's
	Status         int
	Body           string
	Waited, Failed bool
}

// companion is a client in another language that stays: it takes one errand a line
// and answers each with a line, in any order. Starting one for every case would
// cost more than all the cases.
type companion struct {
	command []string
	once    sync.Once
	mu      sync.Mutex
	in      io.Writer
	next    int
	waiting map[int]chan said // closed without an answer when the program is gone
	stderr  lockedBuffer
}

func scriptClient(command ...string) func(*testing.T, errand) string {
	s := &companion{command: command, waiting: map[int]chan said{}}
	return func(t *testing.T, a errand) string {
		s.once.Do(func() { s.start(t) })
		select {
		case last, ok := <-s.send(t, a):
			if !ok {
				t.Fatalf("%s has ended: %s", s.command[0], s.stderr.String())
			}
			return a.verdict(last.Status, last.Body, last.Waited, last.Failed)
		case <-time.After(60 * time.Second):
			t.Fatalf("%s does not answer: %s", s.command[0], s.stderr.String())
		}
		return ""
	}
}

func (s *companion) start(t *testing.T) {
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.Env = environment()
	cmd.Stderr = &s.stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in = in
	done := make(chan struct{})
	go func() {
		defer close(done)
		for answers := json.NewDecoder(out); s.deliver(answers); {
		}
		_ = cmd.Wait()
	}()
	atExit(func() { in.Close(); <-done })
}

// send gives the errand to the program; its answer will come on the channel.
func (s *companion) send(t *testing.T, a errand) chan said {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	a.ID = s.next
	words, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	answer := make(chan said, 1)
	s.waiting[a.ID] = answer
	_, _ = s.in.Write(append(words, '\n'))
	return answer
}

// deliver passes one answer on; false at the end.
func (s *companion) deliver(answers *json.Decoder) bool {
	var last said
	err := answers.Decode(&last)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		for _, w := range s.waiting {
			close(w)
		}
		clear(s.waiting)
		return false
	}
	if w := s.waiting[last.ID]; w != nil {
		w <- last
		delete(s.waiting, last.ID)
	}
	return true
}

const pythonClient = `
import http.client, json, sys, threading, time
from urllib.parse import urlsplit
def errand(a):
    c = http.client.HTTPConnection(urlsplit(a["urls"][0]).netloc, timeout=a["patience"])
    headers = dict([a["header"].split(": ")] if a["header"] else [])
    for i, url in enumerate(a["urls"]):
        if i: time.sleep(a["pause"])
        last = {"id": a["id"], "status": 0, "body": "", "waited": False, "failed": False}
        try:
            c.request(a["method"], urlsplit(url).path, a["content"] or None, headers)
            r = c.getresponse()
            last["status"] = r.status
            last["body"] = r.read().decode("latin-1")
        except TimeoutError: last["waited"] = True
        except Exception as e: last["failed"] = True
    c.close()
    sys.stdout.write(json.dumps(last) + "\n"); sys.stdout.flush()
for line in sys.stdin: threading.Thread(target=errand, args=(json.loads(line),), daemon=True).start()
`

// nodeErrands reads errands for a function of that name.
const nodeErrands = `
import http from 'node:http';
import readline from 'node:readline';
for await (const line of readline.createInterface({input: process.stdin})) {
  const a = JSON.parse(line);
  errand(a).then((last) => console.log(JSON.stringify({id: a.id, ...last})));
}
process.exit(0);
`

// With Expect the body waits for the 100, as Node's documentation shows it.
const nodeHTTPClient = `
const errand = async ({patience, method, header, content, pause, urls}) => {
  const agent = new http.Agent({keepAlive: true, maxSockets: 1});
  const headers = header ? Object.fromEntries([header.split(': ')]) : {};
  const body = content || undefined;
  if (body) headers['Content-Length'] = body.length;
  const once = (url) => new Promise((done) => {
    const last = {status: 0, body: '', waited: false, failed: false};
    const finish = (how) => { clearTimeout(timer); if (how) last[how] = true; done(last); };
    const timer = setTimeout(() => finish('waited'), patience * 1000);
    const r = http.request(url, {method, agent, headers}, (s) => {
      last.status = s.statusCode;
      s.on('data', (d) => last.body += d).on('end', () => finish()).on('error', () => finish('failed'));
    }).on('error', () => finish('failed')).on('continue', () => r.end(body));
    if (headers.Expect) r.flushHeaders(); else r.end(body);
  });
  let last;
  for (const [i, url] of urls.entries()) {
    if (i) await new Promise((ok) => setTimeout(ok, pause * 1000));
    last = await once(url);
  }
  agent.destroy();
  return last;
};
` + nodeErrands

// fetchErrand is the same in Node and in a page.
const fetchErrand = `async ({patience, method, header, content, pause, urls}) => {
  const headers = header ? Object.fromEntries([header.split(': ')]) : {};
  let last;
  for (const [i, url] of urls.entries()) {
    if (i) await new Promise((ok) => setTimeout(ok, pause * 1000));
    last = {status: 0, body: '', waited: false, failed: false};
    try {
      const r = await fetch(url, {method, headers, cache: 'no-store', body: content || undefined, signal: AbortSignal.timeout(patience * 1000)});
      last.status = r.status;
      last.body = await r.text();
    } catch (e) { last[e.name === 'TimeoutError' ? 'waited' : 'failed'] = true; }
  }
  return last;
}`

const fetchClient = `const errand = ` + fetchErrand + ";\n" + nodeErrands
