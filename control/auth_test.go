package control

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"crimp/faults"
)

func TestHostAndOrigin(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Origins = []string{"http://lab:8000", "https://panel.example"}
		o.Hosts = []string{"lab", "named:1234", "fd00::7"}
	})
	self := strings.TrimPrefix(w.base, "http://")
	_, port, _ := net.SplitHostPort(self)
	tests := []struct {
		name, host, origin string
		status             int
		text               string
	}{
		{"a program", self, "", 200, ""},
		{"the page itself", self, "http://" + self, 200, ""},
		{"localhost", "localhost:" + port, "", 200, ""},
		{"localhost's page", "localhost:" + port, "http://localhost:" + port, 200, ""},
		{"a loopback name with a dot", "LocalHost.:" + port, "", 200, ""},
		{"IPv6 loopback", "[::1]:" + port, "", 200, ""},
		{"IPv4 loopback", "127.8.9.1", "", 200, ""},
		{"a forwarded port", "127.0.0.1:9", "http://127.0.0.1:9", 200, ""},
		{"port 80 need not be said", "localhost:80", "http://localhost", 200, ""},
		{"listed host, any port", "lab:5", "", 200, ""},
		{"listed host with its port", "named:1234", "", 200, ""},
		{"listed IPv6 host", "[fd00::7]:80", "", 200, ""},
		{"listed origin", self, "http://LAB:8000", 200, ""},
		{"listed origin, own port said", self, "https://panel.example:443", 200, ""},

		{"a rebound name", "evil.example:" + port, "http://evil.example:" + port, 403, "evil.example"},
		{"a rebound name, no Origin", "evil.example", "", 403, "control.hosts"},
		{"a name that starts like loopback", "127.0.0.1.evil.example", "", 403, "Host"},
		{"another machine", "10.1.2.3:" + port, "", 403, "Host"},
		{"a listed host's port is part of it", "named:9", "", 403, "Host"},
		{"a foreign page", self, "http://evil.example", 403, "control.origins"},
		{"another port's page", self, "http://127.0.0.1:1", 403, "Origin"},
		{"another scheme's page", self, "https://" + self, 403, "Origin"},
		{"another name's page", self, "http://localhost:" + port, 403, "Origin"},
		{"a sandboxed page", self, "null", 403, "Origin"},
	}
	for _, test := range tests {
		header := []string{"Host", test.host}
		if test.origin != "" {
			header = append(header, "Origin", test.origin)
		}
		for _, path := range []string{"/v1/state", "/healthz", "/"} {
			status, text := w.request("GET", path, "", header...)
			if status != test.status || !strings.Contains(text, test.text) {
				t.Errorf("%s: GET %s: %d %q, want %d with %q", test.name, path, status, text, test.status, test.text)
			}
		}
		if status, text := w.post(call1("ping", ""), header...); status != test.status {
			t.Errorf("%s: POST: %d %q, want %d", test.name, status, text, test.status)
		}
		h := http.Header{"Host": {test.host}}
		if test.origin != "" {
			h.Set("Origin", test.origin)
		}
		ws, resp, err := websocket.DefaultDialer.Dial("ws://"+self+"/v1/ws", h)
		if status := map[bool]int{true: 200, false: 403}[err == nil]; status != test.status {
			t.Errorf("%s: WebSocket: %v %v, want %d", test.name, err, resp, test.status)
		}
		if ws != nil {
			ws.Close()
		}
	}
}

func TestTwoOriginsAreNone(t *testing.T) {
	w := newWorld(t)
	r := httptest.NewRequest("GET", w.base+"/v1/state", nil)
	r.Header["Origin"] = []string{w.base, "http://evil.example"}
	if w.srv.originAllowed(r) {
		t.Error("allowed")
	}
}

func TestToken(t *testing.T) {
	const token = "s3cret/token+="
	w := newWorld(t, func(o *Options) { o.Token = token })
	for _, test := range []struct {
		name, header string
		status       int
	}{
		{"none", "", 401},
		{"wrong", "Bearer s3cret", 401},
		{"empty", "Bearer ", 401},
		{"longer", "Bearer " + token + "x", 401},
		{"another scheme", "Basic " + token, 401},
		{"right", "Bearer " + token, 200},
		{"scheme without case", "bearer " + token, 200},
	} {
		for _, path := range []string{"/v1/state", "/v1/schema.json"} {
			if status, text := w.request("GET", path, "", "Authorization", test.header); status != test.status {
				t.Errorf("%s: GET %s: %d %s, want %d", test.name, path, status, text, test.status)
			}
		}
		if status, _ := w.post(call1("ping", ""), "Authorization", test.header); status != test.status {
			t.Errorf("%s: POST: %d, want %d", test.name, status, test.status)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", "/"} {
		if status, _ := w.request("GET", path, ""); status != 200 {
			t.Errorf("GET %s needs a token: %d", path, status)
		}
	}
	if status, text := w.request("GET", "/v1/state?token="+token, ""); status != 401 || !strings.Contains(text, "Bearer") {
		t.Errorf("a token in the URL: %d %s", status, text)
	}
}

func TestTokenOverWebSocket(t *testing.T) {
	const token = "s3cret/token+="
	w := newWorld(t, func(o *Options) { o.Token = token })
	w.dial(DialOptions{Token: token})
	_, err := Dial(t.Context(), w.base, DialOptions{Token: "wrong"})
	var e *faults.Error
	if !errors.As(err, &e) || e.Code != faults.Forbidden || !strings.Contains(e.Message, "token") {
		t.Errorf("wrong token: %v", err)
	}

	browser := websocket.Dialer{Subprotocols: []string{Protocol, BearerProtocol(token)}}
	url := "ws" + strings.TrimPrefix(w.base, "http") + "/v1/ws"
	ws, _, err := browser.Dial(url, nil)
	if err != nil {
		t.Fatalf("token as subprotocol: %v", err)
	}
	if ws.Subprotocol() != Protocol {
		t.Errorf("chosen subprotocol %q: the token must not be echoed", ws.Subprotocol())
	}
	ws.Close()

	for name, protocols := range map[string][]string{
		"wrong":      {Protocol, BearerProtocol("wrong")},
		"not base64": {Protocol, "bearer.***"},
		"none":       {Protocol},
	} {
		d := websocket.Dialer{Subprotocols: protocols}
		if _, resp, err := d.Dial(url, nil); err == nil || resp == nil || resp.StatusCode != 401 {
			t.Errorf("%s token as subprotocol: %v %v", name, resp, err)
		}
	}
}

func TestSetToken(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Token = "old" })
	connected := w.dial(DialOptions{Token: "old"})
	if w.srv.SetToken("old") || w.srv.SetToken("") {
		t.Error("the same token, or none, is told as a change")
	}
	if !w.srv.SetToken("new") {
		t.Error("another token is not told as a change")
	}
	for token, want := range map[string]int{"old": 401, "new": 200, "": 401} {
		if status, text := w.post(call1("ping", ""), "Authorization", "Bearer "+token); status != want {
			t.Errorf("POST with token %q: %d %s, want %d", token, status, text, want)
		}
	}
	if _, err := Dial(t.Context(), w.base, DialOptions{Token: "old"}); err == nil {
		t.Error("the old token opens a WebSocket")
	}
	w.dial(DialOptions{Token: "new"})
	if err := connected.Ping(t.Context()); err != nil {
		t.Errorf("who was connected is not any more: %v", err)
	}
}

func TestAnotherProtocolVersion(t *testing.T) {
	w := newWorld(t)
	d := websocket.Dialer{Subprotocols: []string{"crimp.v2"}}
	if _, resp, err := d.Dial("ws"+strings.TrimPrefix(w.base, "http")+"/v1/ws", nil); err == nil || resp == nil || resp.StatusCode != 400 {
		t.Errorf("%v %v", resp, err)
	}
}

func TestCheckAddr(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:27467": true, "localhost:0": true, "[::1]:1": true, "127.5.5.5:1": true,
		"0.0.0.0:27467": false, ":27467": false, "[::]:1": false, "192.168.0.1:1": false, "lab:1": false, "nonsense": false,
	} {
		if err := CheckAddr(addr, ""); (err == nil) != ok {
			t.Errorf("%s without a token: %v", addr, err)
		}
		if err := CheckAddr(addr, "t"); err != nil {
			t.Errorf("%s with a token: %v", addr, err)
		}
	}
}

func TestServeRefusesAnOpenDoor(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	err = NewServer(Options{Box: newFakeBox()}).Serve(everywhere{l})
	var e *faults.Error
	if !errors.As(err, &e) || e.Code != faults.Invalid || e.Field != "control.listen" {
		t.Errorf("%v", err)
	}
}

// everywhere is a listener that says it listens on every address.
type everywhere struct{ net.Listener }

func (everywhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 80} }

func TestAddressConnectedToIsAHost(t *testing.T) {
	s := NewServer(Options{Box: newFakeBox(), Token: "t"})
	for host, ok := range map[string]bool{"10.0.0.5:80": true, "[::ffff:10.0.0.5]:80": true, "10.0.0.6:80": false, "lab:80": false} {
		r := httptest.NewRequest("GET", "http://x/", nil)
		r.Host = host
		r = r.WithContext(contextWithLocal(r, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 5), Port: 80}))
		if s.hostAllowed(r) != ok {
			t.Errorf("Host %s: allowed %v", host, !ok)
		}
	}
}
