package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gorilla/websocket"

	"crimp/faults"
	"crimp/middlebox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server on a fake box, and how to reach it.
type world struct {
	t    *testing.T
	box  *fakeBox
	srv  *Server
	base string // http://127.0.0.1:port
	http *http.Client
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, box: newFakeBox("web", "db"), http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	o := Options{Box: w.box, Version: "1.2.3"}
	for _, c := range change {
		c(&o)
	}
	w.srv = NewServer(o)
	w.srv.watch = w.box.watch
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.base = "http://" + l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- w.srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := w.srv.Shutdown(ctx); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return w
}

func (w *world) dial(o DialOptions) *Client {
	w.t.Helper()
	c, err := Dial(w.t.Context(), w.base, o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// raw is a WebSocket without the Go client.
func (w *world) raw(header http.Header) *websocket.Conn {
	w.t.Helper()
	ws, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(w.base, "http")+"/v1/ws", header)
	if err != nil {
		w.t.Fatalf("%v %v", err, resp)
	}
	w.t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	return ws
}

// post sends one call and gives status and body.
func (w *world) post(body string, header ...string) (int, string) {
	w.t.Helper()
	return w.request("POST", "/v1/rpc", body, append([]string{"Content-Type", "application/json"}, header...)...)
}

func (w *world) request(method, path, body string, header ...string) (int, string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.base+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := w.http.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// eventually waits for something that happens by itself.
func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("in 10s it did not happen: %s", what)
		}
	}
}

func (w *world) ruleState(route, name string) (middlebox.RuleState, bool) {
	return w.srv.rule(ruleKey{route, name})
}

func TestOnlyOverWebSocket(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ method, params, field string }{
		{"subscribe", `{}`, `"field":"method"`},
		{"capture", `{}`, `"field":"method"`},
		{"unsubscribe", `{"sub":1}`, `"field":"method"`},
		{"rule.set", `{"route":"web","rule":{"fault":"truncate"},"lease":"client"}`, `"field":"lease"`},
	} {
		_, got := w.post(call1(c.method, c.params))
		if !strings.Contains(got, `"code":-32602`) || !strings.Contains(got, c.field) {
			t.Errorf("%s over POST: %s", c.method, got)
		}
	}
	if _, ok := w.ruleState("web", "truncate"); ok {
		t.Error("a refused rule.set made a rule")
	}
}

func TestMalformedMessages(t *testing.T) {
	tests := []struct{ name, say, want string }{
		{"not JSON", `{"jsonrpc":"2.0",`, `"id":null,"error":{"code":-32700`},
		{"bad UTF-8", "\"\xff\"", `"code":-32700`},
		{"empty", ``, `"code":-32700`},
		{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `"code":-32600`},
		{"scalar", `7`, `"code":-32600`},
		{"no version", `{"id":1,"method":"ping"}`, `"id":1,"error":{"code":-32600`},
		{"wrong version", `{"jsonrpc":"1.0","id":1,"method":"ping"}`, `"field":"jsonrpc"`},
		{"no method", `{"jsonrpc":"2.0","id":1}`, `"field":"method"`},
		{"method of another type", `{"jsonrpc":"2.0","id":1,"method":[]}`, `"field":"method"`},
		{"id null", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, `"field":"id"`},
		{"id an object", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, `"id":null,"error":{"code":-32600`},
		{"a misspelt member", `{"jsonrpc":"2.0","id":1,"method":"ping","parms":{}}`, `did you mean \"params\"?`},
		{"a member twice", `{"jsonrpc":"2.0","id":1,"method":"ping","method":"panic"}`, `"field":"method"`},
		{"any id comes back as it was", `{"jsonrpc":"2.0","id":1.50,"method":"ping"}`, `"id":1.50,"result":{}`},
	}
	w := newWorld(t)
	ws := w.raw(nil)
	for _, test := range tests {
		ws.WriteMessage(websocket.TextMessage, []byte(test.say))
		_, got, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if !strings.Contains(string(got), test.want) {
			t.Errorf("%s: got %s, want ... %s", test.name, got, test.want)
		}
		if status, got := w.post(test.say); status != 200 || !strings.Contains(got, test.want) {
			t.Errorf("%s over POST: got %d %s, want ... %s", test.name, status, got, test.want)
		}
	}
}

func TestNotificationsGetNoAnswer(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	ws.WriteMessage(websocket.TextMessage, []byte(`{"jsonrpc":"2.0","method":"panic"}`))
	ws.WriteMessage(websocket.TextMessage, []byte(call1("ping", "")))
	_, got, err := ws.ReadMessage()
	if err != nil || !strings.Contains(string(got), `"id":"a"`) {
		t.Errorf("first message back: %s, %v", got, err)
	}
	if w.box.State().Panic == nil {
		t.Error("the notification was not carried out")
	}
	if status, body := w.post(`{"jsonrpc":"2.0","method":"release"}`); status != http.StatusNoContent || body != "" {
		t.Errorf("over POST: %d %q", status, body)
	}
}

func TestUnwelcomeFramesEndWithAReason(t *testing.T) {
	tests := []struct {
		name string
		kind int
		data []byte
		code int
		text string
	}{
		{"2 MiB", websocket.TextMessage, bytes.Repeat([]byte("x"), 2<<20), websocket.CloseMessageTooBig, "at most 1048576 bytes"},
		{"binary", websocket.BinaryMessage, []byte("{}"), websocket.CloseUnsupportedData, "text frames"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			ws := w.raw(nil)
			if err := ws.WriteMessage(test.kind, test.data); err != nil {
				t.Fatal(err)
			}
			_, _, err := ws.ReadMessage()
			var closed *websocket.CloseError
			if !errors.As(err, &closed) || closed.Code != test.code || !strings.Contains(closed.Text, test.text) {
				t.Errorf("ended with %v", err)
			}
			w.dial(DialOptions{}) // and others go on
		})
	}
}

func TestPOSTTransport(t *testing.T) {
	w := newWorld(t)
	body := call1("ping", "")
	tests := []struct {
		name, method, path, body string
		header                   []string
		status                   int
		text                     string
	}{
		{"good", "POST", "/v1/rpc", body, []string{"Content-Type", "application/json"}, 200, `"result":{}`},
		{"with a charset", "POST", "/v1/rpc", body, []string{"Content-Type", "application/json; charset=utf-8"}, 200, `"result":{}`},
		{"a form", "POST", "/v1/rpc", body, []string{"Content-Type", "text/plain"}, 415, "application/json"},
		{"no type", "POST", "/v1/rpc", body, nil, 415, "application/json"},
		{"GET", "GET", "/v1/rpc", "", nil, 405, "POST"},
		{"over 1 MiB", "POST", "/v1/rpc", strings.Repeat(" ", 1<<20+1), []string{"Content-Type", "application/json"}, 413, "1 MiB"},
		{"no such path", "GET", "/v1/stat", "", nil, 404, "/v1/stat"},
		{"no upgrade", "GET", "/v1/ws", "", nil, 426, "WebSocket"},
		{"state", "GET", "/v1/state", "", nil, 200, `"epoch":"e1"`},
		{"state is read only", "POST", "/v1/state", "", nil, 405, "GET"},
		{"schema", "GET", "/v1/schema.json", "", nil, 200, `"$defs"`},
		{"healthz", "GET", "/healthz", "", nil, 200, "ok"},
		{"readyz", "GET", "/readyz", "", nil, 200, "ready"},
		{"no metrics", "GET", "/metrics", "", nil, 404, ""},
		{"no page", "GET", "/", "", nil, 200, "/v1/ws"},
	}
	for _, test := range tests {
		status, got := w.request(test.method, test.path, test.body, test.header...)
		if status != test.status || !strings.Contains(got, test.text) {
			t.Errorf("%s: %d %q, want %d with %q", test.name, status, got, test.status, test.text)
		}
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Ready = func() error { return errors.New("web is not bound") } })
	if status, got := w.request("GET", "/readyz", ""); status != 503 || !strings.Contains(got, "web is not bound") {
		t.Errorf("%d %s", status, got)
	}
}

func TestAPanickingCallIsAnError(t *testing.T) {
	w := newWorld(t)
	q := request{id: json.RawMessage("1"), method: "boom"}
	methodByName["boom"] = &method{name: "boom", run: func(*call, json.RawMessage) (any, error) { panic("planted") }}
	defer delete(methodByName, "boom")
	got := w.srv.dispatch(&call{ctx: t.Context(), srv: w.srv}, q)
	if !strings.Contains(string(got), `"code":-32603`) {
		t.Errorf("%s", got)
	}
}

func TestShutdownSaysGoingAway(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	c := w.dial(DialOptions{})
	waited := make(chan error, 2)
	go func() {
		_, err := c.Wait(context.Background(), WaitParams{Filter: middlebox.Filter{Type: "fault.fired"}})
		waited <- err
	}()
	posted := make(chan string, 1)
	go func() {
		_, body := w.post(call1("wait", `{"type":"fault.fired","timeout":"1m"}`))
		posted <- body
	}()
	w.eventually("both waits wait", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- w.srv.Shutdown(ctx) }()
	_, _, err := ws.ReadMessage()
	if !websocket.IsCloseError(err, websocket.CloseGoingAway) {
		t.Errorf("the WebSocket ended with %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if err := <-waited; err == nil {
		t.Error("the wait went on")
	}
	if body := <-posted; !strings.Contains(body, `"code":"timeout"`) {
		t.Errorf("the wait over POST: %s", body)
	}
	if _, err := Dial(t.Context(), w.base, DialOptions{}); err == nil {
		t.Error("a client came in after Shutdown")
	}
}

func TestShutdownCutsWhoDoesNotRead(t *testing.T) {
	w := newWorld(t)
	w.raw(nil) // never reads, so never answers the close frame
	w.eventually("it is in", func() bool { w.srv.mu.Lock(); defer w.srv.mu.Unlock(); return len(w.srv.conns) == 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := w.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	if len(w.srv.conns) != 0 {
		t.Error("a connection is left")
	}
}

func TestErrorCodesThereAndBack(t *testing.T) {
	for code := range numbers {
		sent := faults.Errorf(code, "a.b", "no good").And(faults.Errorf(faults.Invalid, "a.c", "nor this"))
		b, err := json.Marshal(onWire(sent))
		if err != nil {
			t.Fatal(err)
		}
		var w wireError
		if err := json.Unmarshal(b, &w); err != nil {
			t.Fatal(err)
		}
		if got := w.back(); !reflect.DeepEqual(got, sent) {
			t.Errorf("%+v came back as %+v", sent, got)
		}
	}
	other := wireError{Code: codeLimit, Message: "too much"}
	if got := other.back(); got.Code != faults.Limit || got.Message != "too much" {
		t.Errorf("without data: %+v", got)
	}
}

// TestGarbageAtThePort says random things to the port: it goes on serving, and
// no connection is left (TestMain looks for goroutines).
func TestGarbageAtThePort(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	starts := []string{"", "GET /v1/ws HTTP/1.1\r\n", "POST /v1/rpc HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"}
	for i := range 100 {
		c, err := net.Dial("tcp", strings.TrimPrefix(w.base, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, random.IntN(300))
		for k := range b {
			b[k] = byte(random.Uint32())
		}
		c.Write(append([]byte(starts[i%len(starts)]), b...))
		c.Close()
		ws := w.raw(nil)
		ws.NetConn().Write(b)
		ws.Close()
	}
	w.dial(DialOptions{})
	w.eventually("only the last one is there", func() bool { w.srv.mu.Lock(); defer w.srv.mu.Unlock(); return len(w.srv.conns) == 1 })
}

func TestReasonsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.post(call1("panic", `{"why":"`+strings.Repeat("ä", 1000)+`"}`))
	if why := w.box.State().Panic.Why; len(why) > maxWhy+3 || !strings.HasSuffix(why, "ä...") {
		t.Errorf("%d bytes, ends in %q", len(why), why[len(why)-10:])
	}
}
