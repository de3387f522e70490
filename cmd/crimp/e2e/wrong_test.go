package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Promise 6, half of it: wrong input gets a clear error that names the field and
// what was expected, and nothing changed.

func TestWrongCommandLines(t *testing.T) {
	b := newBench(t, "hello")
	b.addRoute("raw", b.o.addr, "tcp")
	b.arm("web", params{"name": "mine", "fault": "truncate", "armed": false})
	taken := b.addr
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	route := "routes:\n  - name: web\n    listen: 127.0.0.1:0\n    upstream: 127.0.0.1:9\n"
	cases := []struct {
		name string
		args string
		code int
		says string
	}{
		{"unknown command", "amr web truncate", 2, "arm"},
		{"unknown flag", "serve --rout x=y,z", 2, "--route"},
		{"no argument", "arm", 2, "argument"},
		{"unknown fault", "arm web trunkate", 2, `no rule or fault "trunkate"; did you mean "truncate"?`},
		{"unknown route", "arm wbe truncate", 2, `"web"`},
		{"unknown parameter", "arm web truncate att=now", 2, "at"},
		{"position that does not parse", "arm web cut at=body:x", 2, "body:x"},
		{"unknown position", "arm web cut at=bdy:3", 2, "bdy"},
		{"ending that does not exist", "arm web cut end=fni", 2, "fin"},
		{"duration without unit", "arm web latency delay=250", 2, "250ms"},
		{"bad duration flag", "arm web truncate --ttl soon", 2, "ttl"},
		{"unknown match key", "arm web truncate --match paht=/x", 2, "path"},
		{"bad probability", "arm web truncate --probability 130%", 2, "probability"},
		{"http fault on tcp", "arm raw truncate", 2, "truncate needs an http route"},
		{"unknown rule", "disarm web nope", 2, "nope"},
		{"bad api", "state --api ftp://x", 2, "--api"},
		{"nobody there", "state --api http://" + freeAddr(t), 1, "no crimp at"},
		{"wait without an event", "wait fault.fired --timeout 20ms", 4, "0 of 1 fault.fired"},
		{"unknown event type", "wait fault.fried --timeout 20ms", 2, "fault.fired"},
		{"expectation", "sessions --route raw --expect 1-", 1, ""},
		{"port taken", "serve --control 127.0.0.1:0 --route a=" + taken + ",127.0.0.1:9", 3, taken},
		{"control port taken", "serve --control " + taken, 3, taken},
		{"control open to all without token", "serve --control 0.0.0.0:0", 2, "token"},
		{"bad route flag", "serve --route web=8080", 2, "--route"},
		{"no such file", "check " + filepath.Join(dir, "missing.yaml"), 2, "missing.yaml"},
		{"unknown key", "check " + file("key.yaml", route+"    protocl: http\n"), 2, "key.yaml:5:"},
		{"unknown key, the hint", "check " + file("key2.yaml", route+"    protocl: http\n"), 2, "protocol"},
		{"duplicate name", "check " + file("dup.yaml", route+strings.TrimPrefix(route, "routes:\n")), 2, "web"},
		{"bad duration", "check " + file("dur.yaml", "limits: { linger: 30 }\n"+route), 2, "30"},
		{"bad position", "check " + file("pos.yaml", route+"    rules:\n      - fault: cut\n        params: { at: \"feild:2\" }\n"), 2, "pos.yaml:7:"},
		{"not yaml", "check " + file("bad.yaml", "routes: [\n"), 2, "bad.yaml:"},
		{"serve does not start on it", "serve --control 127.0.0.1:0 -c " + filepath.Join(dir, "key.yaml"), 2, "protocol"},
	}
	before := b.state()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := crimp(t, b.box, strings.Fields(c.args)...)
			if got.code != c.code {
				t.Errorf("crimp %s: exit %d, expected %d", c.args, got.code, c.code)
			}
			if !strings.Contains(got.stderr, c.says) {
				t.Errorf("crimp %s said %q, expected %q in it", c.args, got.stderr, c.says)
			}
			if c.code != 1 && got.stdout != "" {
				t.Errorf("crimp %s: an error on stdout: %q", c.args, got.stdout)
			}
		})
	}
	b.warm(t)
	after := b.state()
	if fmt.Sprint(rulesOf(before)) != fmt.Sprint(rulesOf(after)) {
		t.Errorf("rules changed: %v, then %v", rulesOf(before), rulesOf(after))
	}
}

func rulesOf(s boxState) (all []string) {
	for _, r := range s.Routes {
		for _, rule := range r.Rules {
			all = append(all, fmt.Sprint(r.Name, "/", rule.Name, " ", rule.Fault, " ", rule.Armed))
		}
	}
	return all
}

func TestWrongCalls(t *testing.T) {
	b := newBench(t, "hello")
	b.arm("web", params{"name": "mine", "fault": "truncate", "armed": false})
	before := b.state()
	rule := func(r params) params { return params{"route": "web", "rule": r} }
	cases := []struct {
		name, method string
		params       params
		code         int
		field        string
		says         string
	}{
		{"unknown method", "rule.sett", nil, -32601, "method", "rule.set"},
		{"unknown parameter", "rule.arm", params{"route": "web", "nam": "mine"}, -32602, "nam", "name"},
		{"unknown route", "rule.arm", params{"route": "wbe", "name": "mine"}, -32001, "", "web"},
		{"unknown rule", "rule.arm", params{"route": "web", "name": "mien"}, -32001, "", "mine"},
		{"unknown fault", "rule.set", rule(params{"fault": "trunkate"}), -32001, "rule.fault", "truncate"},
		{"unknown key in the rule", "rule.set", rule(params{"fault": "truncate", "macth": params{}}), -32602, "rule.macth", "match"},
		{"unknown fault parameter", "rule.set", rule(params{"fault": "truncate", "params": params{"att": "now"}}), -32602, "rule.params.att", "at"},
		{"bad position", "rule.set", rule(params{"fault": "cut", "params": params{"at": "body:many"}}), -32602, "rule.params.at", "body:many"},
		{"bad duration", "rule.set", rule(params{"fault": "latency", "params": params{"delay": "soon"}}), -32602, "rule.params.delay", "soon"},
		{"a bare number", "rule.set", rule(params{"fault": "latency", "params": params{"delay": 250}}), -32602, "rule.params.delay", "250ms"},
		{"bad range", "rule.set", rule(params{"fault": "truncate", "match": params{"exchange": "5-2"}}), -32602, "rule.match.exchange", "5-2"},
		{"bad probability", "rule.set", rule(params{"fault": "truncate", "gate": params{"probability": 1.5}}), -32602, "rule.gate.probability", "1.5"},
		{"never known", "rule.set", rule(params{"fault": "cut", "match": params{"direction": "upstream", "status": "5xx"}}), -32602, "rule.match.status", "status"},
		{"stale revision", "rule.set", params{"route": "web", "if_rev": 999, "rule": params{"fault": "truncate", "name": "mine"}}, -32002, "if_rev", "999"},
		{"address taken", "route.set", params{"route": params{"name": "again", "listen": b.addr, "upstream": "127.0.0.1:9"}}, 0, "", b.addr},
		{"no upstream", "route.set", params{"route": params{"name": "x", "listen": "127.0.0.1:0"}}, -32602, "route.upstream", "HOST:PORT"},
		{"its own control port", "route.set", params{"route": params{"name": "x", "listen": "127.0.0.1:0", "upstream": strings.TrimPrefix(b.api, "http://")}}, -32602, "route.upstream", "own address"},
		{"two rules of one name", "route.set", params{"route": params{"name": "x", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9",
			"rules": []params{{"fault": "truncate"}, {"fault": "truncate"}}}}, -32002, "route.rules[1].name", "truncate"},
		{"unknown topic", "event.list", params{"type": "fault.fried"}, -32602, "type", "fault.fired"},
		{"bad act", "session.act", params{"id": "web/1", "act": "rts"}, -32602, "act", "rst"},
		{"no such session", "session.act", params{"id": "web/99", "act": "rst"}, -32001, "", "web/99"},
		{"bad since", "event.list", params{"since": "yesterday"}, -32602, "since", "yesterday"},
		{"params of another shape", "rule.set", params{"route": 3, "rule": params{"fault": "truncate"}}, -32602, "route", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := b.call(c.method, c.params, nil)
			e, ok := asRPC(err)
			if !ok {
				t.Fatalf("%s %v: %v, expected an error answer", c.method, c.params, err)
			}
			if c.code != 0 && e.Code != c.code {
				t.Errorf("code %d (%s), expected %d", e.Code, e.Message, c.code)
			}
			if c.field != "" && e.Data.Field != c.field {
				t.Errorf("field %q (%s), expected %q", e.Data.Field, e.Message, c.field)
			}
			if !strings.Contains(e.Message+e.Data.Message, c.says) {
				t.Errorf("%q, expected %q in it", e.Message, c.says)
			}
			if e.Data.Code == "" || e.Data.Message == "" {
				t.Errorf("data is %+v, expected a code and a message", e.Data)
			}
		})
	}
	after := b.state()
	if fmt.Sprint(rulesOf(before)) != fmt.Sprint(rulesOf(after)) || len(after.Routes) != 1 {
		t.Errorf("something changed: %+v", after)
	}
}

// HTTP is only the carrier: 4xx is for what is wrong with it.
func TestWrongCarriers(t *testing.T) {
	b := newBench(t, "hello")
	host := strings.TrimPrefix(b.api, "http://")
	_, port, _ := net.SplitHostPort(host)
	ping := `{"jsonrpc":"2.0","id":1,"method":"ping"}`
	cases := []struct {
		name   string
		method string
		header map[string]string
		body   string
		status int
	}{
		{"plain", "POST", nil, ping, 200},
		{"localhost is a loopback name", "POST", map[string]string{"Host": "localhost:" + port}, ping, 200},
		{"not JSON", "POST", nil, `{"jsonrpc`, 200},
		{"form", "POST", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, ping, 415},
		{"no type", "POST", map[string]string{"Content-Type": ""}, ping, 415},
		{"get", "GET", nil, "", 405},
		{"foreign origin", "POST", map[string]string{"Origin": "http://evil.example"}, ping, 403},
		{"null origin", "POST", map[string]string{"Origin": "null"}, ping, 403},
		{"other port", "POST", map[string]string{"Origin": "http://127.0.0.1:1"}, ping, 403},
		{"own origin", "POST", map[string]string{"Origin": "http://" + host}, ping, 200},
		{"rebound host", "POST", map[string]string{"Host": "evil.example:" + port}, ping, 403},
		{"2 MiB", "POST", nil, `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":"` + strings.Repeat("x", 2<<20) + `"}}`, 413},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := post(t, b.box, c.method, c.header, c.body); got != c.status {
				t.Errorf("HTTP %d, expected %d", got, c.status)
			}
		})
	}
	for field, want := range map[string]int{"Origin: http://evil.example": 403, "Host: evil.example": 403, "Origin: http://" + host: 101, "Sec-WebSocket-Protocol: crimp.v9": 400} {
		if got, _ := upgrade(t, b.box, field); got != want && !(want == 400 && got >= 400 && got < 500) {
			t.Errorf("a WebSocket with %s: %d, expected %d", field, got, want)
		}
	}
	w := b.ws(t)
	_ = w.frame(1, bytes.Repeat([]byte("x"), 2<<20)) // the box may hang up while it is sent
	_, err := w.message()
	var end closed
	if !(errors.As(err, &end) && end.code == 1009) && endOf(err) != rst {
		t.Errorf("a frame of 2 MiB: %v, expected 1009 (too big) or a hang-up", err)
	}
	b.must("ping", nil, nil)
	b.ws(t).must("ping", nil, nil)
	b.warm(t)
}

func post(t *testing.T, b *box, method string, header map[string]string, body string) int {
	t.Helper()
	req, err := http.NewRequest(method, b.api+"/v1/rpc", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		switch {
		case name == "Host":
			req.Host = value
		case value == "":
			req.Header.Del(name)
		default:
			req.Header.Set(name, value)
		}
	}
	resp, err := api.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

func TestToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("s3cret-s3cret-s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := serve(t, "--control", "127.0.0.1:0", "--token-file", file)
	if err := b.call("ping", nil, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without token: %v, expected 401", err)
	}
	if got, _ := upgrade(t, b); got != 401 {
		t.Errorf("a WebSocket without token: %d, expected 401", got)
	}
	if got := crimp(t, b, "state"); got.code != 1 || !strings.Contains(got.stderr, "CRIMP_TOKEN") {
		t.Errorf("state without token: exit %d, %q", got.code, got.stderr)
	}
	if got, _ := upgrade(t, b, "Sec-WebSocket-Protocol: crimp.v1, bearer.czNjcmV0LXMzY3JldC1zM2NyZXQ"); got != 101 {
		t.Errorf("a WebSocket with the token as subprotocol: %d, expected 101", got)
	}
	b.token = "s3cret-s3cret-s3cre7"
	if err := b.call("ping", nil, nil); err == nil {
		t.Error("a wrong token was taken")
	}
	b.token = "s3cret-s3cret-s3cret"
	b.must("ping", nil, nil)
	wantOK(t, crimp(t, b, "state"))
	wantOK(t, crimp(t, b, "wait", "ready", "--timeout", "1s"))
}

// A reload either happens as a whole or not at all.
func TestReloadOnSIGHUP(t *testing.T) {
	o := always(t, answer("hello"))
	file := filepath.Join(t.TempDir(), "crimp.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	one := "routes:\n  - { name: web, listen: \"127.0.0.1:0\", upstream: \"" + o.addr + "\", protocol: http }\n"
	write(one)
	b := serve(t, "-c", file)
	r := dial(t, b.routes["web"]).send(ask("/")).expect(answer("hello"))
	write(one + "  - { name: two, listen: \"127.0.0.1:0\", upstrem: \"" + o.addr + "\" }\n")
	hup(b)
	b.eventually("the refusal in the log", func() error {
		if !strings.Contains(b.log.String(), "upstrem") {
			return errNotYet
		}
		return nil
	})
	if n := len(b.state().Routes); n != 1 {
		t.Errorf("%d routes after a refused reload, expected 1", n)
	}
	write(one + "  - { name: two, listen: \"127.0.0.1:0\", upstream: \"" + o.addr + "\" }\n")
	hup(b)
	b.eventually("the second route", func() error {
		if len(b.state().Routes) != 2 {
			return errNotYet
		}
		return nil
	})
	r.send(ask("/")).expect(answer("hello")) // live sessions go on
}

// A drained serve exits with 0, a second signal ends it at once.
func TestSignals(t *testing.T) {
	asked := make(chan bool, 2)
	o := answering(t, func(string) string { asked <- true; time.Sleep(300 * time.Millisecond); return answer("hello") })
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	r := dial(t, b.routes["web"]).send(ask("/"))
	<-asked
	term(b)
	r.expect(answer("hello"))
	if c, err := net.Dial("tcp", b.routes["web"]); err == nil {
		c.Close()
		t.Error("still accepting after SIGTERM")
	}
	r.CloseWrite()
	b.exits(0, "its last session")

	b = serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http", "--drain-timeout", "1h")
	dial(t, b.routes["web"]).send(ask("/")).expect(answer("hello"))
	term(b)
	eventually(t, "it stops accepting", func() error { // before that the two signals might be one
		c, err := net.Dial("tcp", b.routes["web"])
		if err != nil {
			return nil
		}
		c.Close()
		return errNotYet
	})
	term(b)
	select {
	case <-b.done:
	case <-time.After(patience):
		t.Error("still there after a second SIGTERM")
	}
}
