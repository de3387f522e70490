package control

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// calls are plays of the protocol: what is said, and what must be in the
// answer. They run in this order, over one box, and read the same over a
// WebSocket and over POST.
var calls = []struct{ method, params, want string }{
	{"hello", `{"client":"test"}`, `"version":"1.2.3","protocol":"crimp.v1","epoch":"e1","seed":42`},
	{"hello", `{"klient":"x"}`, `"code":-32602`},
	{"hello", `{"client":7}`, `"field":"client"`},
	{"hello", `{"client":"a\nb"}`, `"field":"client"`},
	{"hello", `["test"]`, `"field":"params"`},
	{"ping", ``, `"result":{}`},
	{"ping", `null`, `"result":{}`},
	{"ping", `[]`, `"result":{}`},
	{"ping", `["x"]`, `"code":-32602`},
	{"ping", `{"x":1}`, `"code":-32602`},
	{"pin", ``, `"code":-32601`},
	{"rule.sett", `{}`, `did you mean \"rule.set\"?`},
	{"state.get", ``, `"panic":null,"routes":[{"name":"web"`},
	{"fault.list", ``, `"name":"truncate"`},
	{"route.list", ``, `"routes":[{"name":"web"`},
	{"route.set", `{"route":{"name":"api","listen":"127.0.0.1:0","upstream":"127.0.0.1:1","rules":[{"fault":"truncate"}]}}`, `"name":"truncate","fault":"truncate"`},
	{"route.set", `{"route":{"name":"api","listen":"127.0.0.1:0","upstream":"127.0.0.1:1"},"if_rev":7}`, `"current":{"name":"api"`},
	{"route.set", `{"route":{"name":"api","rules":[{"fault":"truncate"},{"name":"x"}]}}`, `"field":"route.rules[1].fault"`},
	{"route.set", `{"route":{"listen":"127.0.0.1:0"}}`, `"field":"route.name"`},
	{"route.delete", `{"name":"api"}`, `"seq":`},
	{"route.delete", `{"name":"api"}`, `"code":-32001`},
	{"route.delete", `{}`, `"field":"name"`},
	{"rule.list", `{"route":"web"}`, `"rules":[],"total":0,"complete":true`},
	{"rule.list", `{"limit":-1}`, `"field":"limit"`},
	{"rule.list", `{"type":"rule","match":{"path":"/x"},"session":"web/1","outcome":"ok","since":0}`, `"rules":[`},
	{"rule.list", `{"type":"rules"}`, `"field":"type"`},
	{"route.list", `{"rule":"truncate","type":"rule.armed","limit":1}`, `"routes":[`},
	{"route.list", `{"root":"web"}`, `"field":"root"`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate"}}`, `"armed":true`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate","armed":false}}`, `"armed":false`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate","armed":false},"ttl":"1s"}`, `"field":"ttl"`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate"},"ttl":"-1s"}`, `"field":"ttl"`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate"},"ttl":"soon"}`, `"code":"invalid"`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate"},"lease":"forever"}`, `"field":"lease"`},
	{"rule.set", `{"route":"nowhere","rule":{"fault":"truncate"}}`, `"code":"not_found"`},
	{"rule.set", `{"rule":{"fault":"truncate"}}`, `"field":"route"`},
	{"rule.set", `{"route":"web"}`, `"field":"rule"`},
	{"rule.set", `{"route":"web","rule":{"fault":"truncate"},"if_rev":99}`, `"current":{"name":"truncate","fault":"truncate"`},
	{"rule.arm", `{"route":"web","name":"truncate","why":"because","ttl":"1h"}`, `"sessions":2`},
	{"rule.arm", `{"route":"web"}`, `"field":"name"`},
	{"rule.arm", `{"route":"web","name":"other"}`, `"code":"not_found"`},
	{"rule.disarm", `{"route":"web","name":"truncate"}`, `"armed":false`},
	{"rule.disarm", `{"name":"truncate"}`, `"field":"route"`},
	{"session.list", `{}`, `"items":[{"id":"web/1"`},
	{"session.list", `{"type":"fault.fired"}`, `"items":[`},
	{"session.list", `{"tipe":"fault.fired"}`, `"field":"tipe","message":"unknown key \"tipe\"; did you mean \"type\"?`},
	{"exchange.list", `{}`, `"items":[]`},
	{"exchange.list", `{"type":"exchange"}`, `"items":[]`},
	{"exchange.list", `{"type":"exchanges"}`, `"field":"type"`},
	{"event.list", `{"limit":-1}`, `"field":"limit"`},
	{"event.list", `{"type":"rule"}`, `"type":"rule.armed"`},
	{"event.list", `{"type":"rule.arned"}`, `"field":"type"`},
	{"session.act", `{"id":"web/1","act":"rst","side":"client"}`, `"sessions":1`},
	{"session.act", `{"id":"web/9","act":"rst"}`, `"code":"not_found"`},
	{"session.act", `{"act":"rst"}`, `"field":"id"`},
	{"session.act", `{"route":"web","act":"rst"}`, `"sessions":1`},
	{"session.act", `{"id":"web/1","session":"web/1","act":"rst"}`, `"field":"id"`},
	{"session.act", `{"since":"10s","act":"rst"}`, `"sessions":1`},
	{"session.act", `{"limit":1,"act":"rst"}`, `"sessions":1`},
	{"session.act", `{"type":"sessions","act":"rst"}`, `"field":"type"`},
	{"session.act", `{"id":"web/1","act":"explode"}`, `"field":"act"`},
	{"session.act", `{"id":"web/1","act":"fin","side":"left"}`, `"field":"side"`},
	{"unsubscribe", `{"sub":5}`, `"error"`},
	{"subscribe", `{"topics":["fault.fried"]}`, `"error"`},
	{"capture", `{"side":"left"}`, `"field":"side"`},
	{"capture", `{"bytes":-1}`, `"field":"bytes"`},
	{"capture", `{"buffer":"1KiB"}`, `"field":"buffer"`},
	{"wait", `{"type":"fault.fired","timeout":"0s"}`, `0 of 1 fault.fired in what has happened so far`},
	{"wait", `{"type":"rule.armed","since":"0","count":2}`, `"events":[{"seq":`},
	{"wait", `{"since":0,"count":2,"limit":1}`, `"events":[{"seq":2,`},
	{"wait", `{"limit":-1}`, `"field":"limit"`},
	{"wait", `{"count":0}`, `"field":"count"`},
	{"wait", `{"timeout":"-1s"}`, `"field":"timeout"`},
	{"wait", `{"rule":"nobody"}`, `"code":"not_found"`},
	{"wait", `{"since":"yesterday"}`, `"field":"since"`},
	{"rule.arm", `{"route":"web","name":"truncate"}`, `"armed":true`},
	{"panic", `{"why":"enough"}`, `"disarmed":["web/truncate"]`},
	{"rule.arm", `{"route":"web","name":"truncate"}`, `"code":-32005`},
	{"release", `{"rearm":true}`, `"rearmed":[]`},
	{"revert", ``, `"seq":`},
	{"rule.delete", `{"route":"web","name":"truncate"}`, `"name":"truncate"`},
	{"rule.delete", `{"route":"web","name":"truncate"}`, `"code":"not_found"`},
}

func call1(method, params string) string {
	if params != "" {
		params = `,"params":` + params
	}
	return `{"jsonrpc":"2.0","id":"a","method":"` + method + `"` + params + `}`
}

func TestEveryMethod(t *testing.T) {
	t.Run("WebSocket", func(t *testing.T) {
		w := newWorld(t)
		ws := w.raw(nil)
		for _, c := range calls {
			ws.WriteMessage(websocket.TextMessage, []byte(call1(c.method, c.params)))
			_, got, err := ws.ReadMessage()
			check(t, c.method, c.params, string(got), c.want, err)
		}
	})
	t.Run("POST", func(t *testing.T) {
		w := newWorld(t)
		for _, c := range calls {
			status, got := w.post(call1(c.method, c.params))
			if status != http.StatusOK {
				t.Errorf("%s %s: HTTP %d; every JSON-RPC answer is 200", c.method, c.params, status)
			}
			check(t, c.method, c.params, got, c.want, nil)
		}
	})
}

func check(t *testing.T, method, params, got, want string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s %s: %v", method, params, err)
	}
	if !strings.Contains(got, want) || !strings.Contains(got, `"id":"a"`) {
		t.Errorf("%s %s\n got %s\nwant ... %s", method, params, got, want)
	}
}

// TestNoMethodUntried keeps the table above complete.
func TestNoMethodUntried(t *testing.T) {
	good, bad := map[string]bool{"subscribe": true, "unsubscribe": true, "capture": true, "state.get": true}, map[string]bool{}
	for _, c := range calls {
		if strings.Contains(c.want, `"code"`) || strings.Contains(c.want, `"field"`) || strings.Contains(c.want, `error`) {
			bad[c.method] = true
		} else {
			good[c.method] = true
		}
	}
	for _, name := range methodNames {
		if !good[name] {
			t.Errorf("%s is never tried with good parameters", name)
		}
		takes := methodByName[name].params.NumField() > 0
		if takes && !bad[name] && !strings.HasSuffix(name, ".list") && name != "panic" && name != "release" && name != "revert" {
			t.Errorf("%s is never tried with bad parameters", name)
		}
	}
}
