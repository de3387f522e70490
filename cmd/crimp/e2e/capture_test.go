package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// capturing is a "crimp capture" under way, its capture in force.
type capturing struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout bytes.Buffer // to be read once it has ended
	stderr lockedBuffer
	done   chan struct{}
	code   int
}

func capture(t *testing.T, b *box, args ...string) *capturing {
	t.Helper()
	c := &capturing{t: t, cmd: exec.Command(program, append([]string{"capture"}, args...)...), done: make(chan struct{})}
	c.cmd.Env = environment("CRIMP_API=" + b.api)
	c.cmd.Stdout, c.cmd.Stderr = &c.stdout, &c.stderr
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.code = exitCode(c.cmd.Wait()); close(c.done) }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill(); <-c.done })
	eventually(t, "the capture", func() error {
		if !strings.Contains(c.stderr.String(), "capturing; ") {
			return errNotYet
		}
		return nil
	})
	return c
}

// ends waits for it to end with 0 and gives what it said.
func (c *capturing) ends() string {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(20 * time.Second):
		c.t.Fatal("the capture does not end")
	}
	if c.code != 0 {
		c.t.Errorf("exit %d: %s", c.code, c.stderr.String())
	}
	return c.stdout.String()
}

// interrupted ends it as a terminal does.
func (c *capturing) interrupted() string {
	c.t.Helper()
	_ = c.cmd.Process.Signal(syscall.SIGINT)
	return c.ends()
}

type chunk struct {
	What, Session, Side, Way, Rule string
	Offset, Bytes, Seq             int64
	Data                           []byte
}

// A capture beside curl and an armed cut: what nginx sent is whole, what curl got ends
// at the cut, and the cut stands there with the number of its event.
func TestCapture(t *testing.T) {
	b := serve(t, "--route", "web=127.0.0.1:0,"+nginx(t)+",http")
	b.arm("web", params{"name": "cut", "fault": "cut", "params": params{"at": "body:100", "end": "rst"}})
	c := capture(t, b, "--route", "web", "--json")
	file := filepath.Join(t.TempDir(), "got")
	r := run(t, nil, "curl", "-s", "--no-buffer", "-o", file, "http://"+b.routes["web"]+"/small")
	if r.code != 56 { // connection reset
		t.Errorf("curl exits with %d", r.code)
	}
	got, err := os.ReadFile(file)
	if err != nil || string(got) != small[:100] {
		t.Errorf("curl got %q, %v", got, err)
	}
	told := map[string]string{}
	var order []string
	var fired chunk
	for line := range strings.Lines(c.interrupted()) {
		var k chunk
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if k.What == "bytes" {
			told[k.Side+" "+k.Way] += string(k.Data)
		} else if k.Side != "server" {
			order = append(order, strings.TrimSpace(k.What+" "+k.Way))
		}
		if k.What == "fired" {
			fired = k
		}
	}
	if got := strings.Join(order, ", "); got != "opened, fired, rst out, closed" {
		t.Errorf("the capture tells: %s", got)
	}
	head, body, _ := strings.Cut(told["server in"], "\r\n\r\n")
	if body != small || told["client out"] != head+"\r\n\r\n"+small[:100] {
		t.Errorf("the server sent %q, the client was sent %q", told["server in"], told["client out"])
	}
	if told["client in"] != told["server out"] || !strings.HasPrefix(told["client in"], "GET /small HTTP/1.1\r\n") {
		t.Errorf("the client sent %q, the server was sent %q", told["client in"], told["server out"])
	}
	var events struct{ Items []event }
	b.must("event.list", params{"type": "fault.fired"}, &events)
	if len(events.Items) != 1 || events.Items[0].Seq != fired.Seq || fired.Rule != "cut" || fired.Bytes != int64(len(told["client out"])) {
		t.Errorf("the event is %+v, the capture has %+v", events.Items, fired)
	}
}

// As text and as a file, with a command, for a session, for so many pieces or so long.
func TestCaptureEnds(t *testing.T) {
	o := always(t, answer("hello"))
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	b.arm("web", params{"name": "cut", "fault": "cut", "params": params{"at": "body:3"}})
	file := filepath.Join(t.TempDir(), "cut.pcapng")
	if r := crimp(t, b, "capture", "-w", file, "--", "sh", "-c", "curl -s $CRIMP_URL_WEB"); r.code != 18 || r.stdout != "hel" {
		t.Errorf("with a command: exit %d, %q %q", r.code, r.stdout, r.stderr)
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.HasPrefix(text, []byte{0x0a, 0x0d, 0x0d, 0x0a}) || !bytes.Contains(text, []byte("cut at body:3, FIN, event ")) {
		t.Errorf("the file: %q, %v", text, err)
	}
	b.disarm("web", "cut")

	r := dial(t, b.routes["web"])
	defer r.Close()
	r.send(ask("/")).expect(answer("hello"))
	whole, two := capture(t, b, "--session", "web/2", "--side", "client"), capture(t, b, "--limit", "2", "--bytes", "0")
	for range 2 {
		r.send(ask("/")).expect(answer("hello"))
	}
	r.Close()
	asked, said := len(ask("/")), len(answer("hello"))
	text := whole.ends()
	for _, want := range []string{
		fmt.Sprintf("since before, %d read and %d written\n", asked, said),
		fmt.Sprintf("web/2  c>  at %d, %d bytes\n", asked, asked),
		fmt.Sprintf("web/2  >c  at %d, %d bytes\n", said, said),
		fmt.Sprintf("\n  %08x  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  GET / HTTP/1.1..\n", 2*asked),
		fmt.Sprintf("web/2  c>  FIN at %d\n", 3*asked), "web/2  closed\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, ">s") || strings.Contains(text, "s>") {
		t.Errorf("the client's side alone was asked for:\n%s", text)
	}
	if got := two.ends(); strings.Count(got, " bytes, the first 0\n") != 2 {
		t.Errorf("two pieces:\n%s", got)
	}
	if got := capture(t, b, "--for", "50ms").ends(); got != "" {
		t.Errorf("nothing happened: %s", got)
	}
	for _, wrong := range []struct {
		args []string
		says string
	}{
		{[]string{"--route", "wep"}, `did you mean "web"?`},
		{[]string{"--session", "web/1"}, `no live session "web/1"`},
		{[]string{"--side", "left"}, "--side: expected"},
		{[]string{"--buffer", "1KiB"}, "--buffer: "},
		{[]string{"--json", "-w", file}, "one of them"},
		{[]string{"--for", "1s", "--", "true"}, "one of them"},
		{[]string{"--"}, "a command was expected"},
	} {
		if r := crimp(t, b, append([]string{"capture"}, wrong.args...)...); r.code != 2 || !strings.Contains(r.stderr, wrong.says) {
			t.Errorf("%q: exit %d, %q", wrong.args, r.code, r.stderr)
		}
	}
	last := capture(t, b)
	b.stop()
	<-last.done
	if last.code != 1 || !strings.Contains(last.stderr.String(), "shutting down") {
		t.Errorf("when the box goes: exit %d, %q", last.code, last.stderr.String())
	}
}
