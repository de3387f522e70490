package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// object is a JSON object. The page is tested against the protocol as it is
// written down, not against our own Go types: they could be wrong together.
type object = map[string]any

// peer speaks crimp.v1 to the page and does what a test tells it: answer late,
// refuse, fall silent, come back as another process. It relays nothing.
type peer struct {
	http  *httptest.Server
	token string

	mu      sync.Mutex
	up      bool // WebSockets are accepted
	epoch   string
	seq     int
	panic   any
	routes  []object
	items   map[string][]object // of session.list, exchange.list, event.list
	conns   map[*websocket.Conn]bool
	calls   []string
	told    map[string]object        // by method: what the last call was given
	refused map[string]object        // by method: what the next call is refused with
	held    map[string]chan struct{} // by method: calls wait until it is closed
}

func newPeer(t *testing.T) *peer {
	b := &peer{up: true, epoch: "one", seq: 100, conns: map[*websocket.Conn]bool{}, items: map[string][]object{},
		refused: map[string]object{}, told: map[string]object{}, held: map[string]chan struct{}{}}
	b.routes = []object{route("web", "127.0.0.1:8080", "127.0.0.1:9000", "http")}
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	mux.HandleFunc("/v1/ws", b.serveSocket)
	mux.HandleFunc("/v1/rpc", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case b.token != "" && r.Header.Get("Authorization") != "Bearer "+b.token:
			http.Error(w, "unauthorized: a token is needed", http.StatusUnauthorized)
		case !b.isUp():
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		default:
			fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"result":{}}`)
		}
	})
	b.http = httptest.NewServer(mux)
	t.Cleanup(func() {
		b.stop()
		b.http.Close()
	})
	return b
}

func route(name, listen, upstream, protocol string) object {
	return object{"name": name, "listen": listen, "upstream": upstream, "protocol": protocol, "mode": "forward", "rev": 1,
		"rules": []any{}, "sessions": 0, "sessions_total": 0, "failed": 0, "exchanges": 0, "bytes": object{"upstream": 0, "downstream": 0}}
}

func (b *peer) isUp() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.up
}

// stop ends every WebSocket and accepts no more.
func (b *peer) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up = false
	for c := range b.conns {
		c.Close()
	}
	for m, held := range b.held {
		close(held)
		delete(b.held, m)
	}
}

// restart accepts again, as a new process if epoch is a new one.
func (b *peer) restart(epoch string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.up, b.epoch = true, epoch
}

// change does f under the lock: tests set what the next answers are made of.
func (b *peer) change(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

// refuse makes the next call of a method fail; more are further mistakes, as field and message.
func (b *peer) refuse(method, code, field, message string, more ...[2]string) {
	b.change(func() {
		data := object{"code": code, "field": field, "message": message}
		for _, m := range more {
			list, _ := data["more"].([]object)
			data["more"] = append(list, object{"code": code, "field": m[0], "message": m[1]})
		}
		b.refused[method] = object{"code": -32602, "message": message, "data": data}
	})
}

// hold makes calls of a method wait until the function it returns is called.
func (b *peer) hold(method string) (release func()) {
	c := make(chan struct{})
	b.change(func() { b.held[method] = c })
	return func() {
		b.change(func() {
			if b.held[method] == c {
				delete(b.held, method)
				close(c)
			}
		})
	}
}

// asked says how often a method was called.
func (b *peer) asked(method string) (n int) {
	b.change(func() {
		for _, m := range b.calls {
			if m == method {
				n++
			}
		}
	})
	return n
}

// emit tells every WebSocket of an event; fields are those of the event.
func (b *peer) emit(kind string, fields object) { b.change(func() { b.tell(kind, fields) }) }

func (b *peer) tell(kind string, fields object) {
	b.seq++
	e := object{"sub": 1, "seq": b.seq, "time": time.Now().Format(time.RFC3339Nano), "type": kind}
	for k, v := range fields {
		e[k] = v
	}
	b.items["event.list"] = append(b.items["event.list"], e)
	b.notify("event", e)
}

func (b *peer) resync() {
	b.change(func() { b.notify("resync", object{"sub": 1, "seq": b.seq, "state": b.state()}) })
}

func (b *peer) notify(method string, params any) {
	for c := range b.conns {
		c.WriteJSON(object{"jsonrpc": "2.0", "method": method, "params": params})
	}
}

func (b *peer) state() object {
	return object{"seq": b.seq, "epoch": b.epoch, "panic": b.panic, "routes": b.routes}
}

func (b *peer) serveSocket(w http.ResponseWriter, r *http.Request) {
	bearer := ""
	for _, p := range websocket.Subprotocols(r) {
		if p != "crimp.v1" {
			bearer = p
		}
	}
	if b.token != "" && bearer != "bearer."+encodeToken(b.token) || !b.isUp() {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	c, err := (&websocket.Upgrader{Subprotocols: []string{"crimp.v1"}}).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	b.change(func() { b.conns[c] = true })
	defer func() {
		b.change(func() { delete(b.conns, c) })
		c.Close()
	}()
	for {
		var q struct {
			ID     int
			Method string
			Params object
		}
		if c.ReadJSON(&q) != nil {
			return
		}
		b.mu.Lock()
		b.calls, b.told[q.Method] = append(b.calls, q.Method), q.Params
		held := b.held[q.Method]
		b.mu.Unlock()
		answer := func() {
			if held != nil {
				<-held
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			reply := object{"jsonrpc": "2.0", "id": q.ID}
			if refusal := b.refused[q.Method]; refusal != nil {
				delete(b.refused, q.Method)
				reply["error"] = refusal
			} else {
				reply["result"] = b.answer(q.Method, q.Params)
			}
			c.WriteJSON(reply)
		}
		if held != nil {
			go answer()
		} else {
			answer()
		}
	}
}

// answer carries out a call; the lock is held.
func (b *peer) answer(method string, p object) any {
	switch method {
	case "hello":
		return object{"version": "v0.0.0-test", "protocol": "crimp.v1", "epoch": b.epoch, "seed": json.RawMessage("18446744073709551615"), "limits": object{}, "rights": []any{}}
	case "subscribe":
		return object{"sub": 1, "seq": b.seq, "state": b.state()}
	case "state.get":
		return b.state()
	case "fault.list":
		return object{"faults": catalogue()}
	case "session.list", "exchange.list", "event.list":
		items := b.items[method]
		if items == nil {
			items = []object{}
		}
		return object{"items": items, "total": len(items), "complete": true, "seq": b.seq}
	case "rule.set":
		rule := p["rule"].(object)
		if rule["armed"] == nil {
			rule["armed"] = true
		}
		return b.setRule(p["route"].(string), rule)
	case "rule.arm", "rule.disarm":
		old := b.rule(p["route"].(string), p["name"].(string))
		rule := object{}
		for k, v := range old {
			rule[k] = v
		}
		rule["armed"] = method == "rule.arm"
		return b.setRule(p["route"].(string), rule)
	case "rule.delete":
		return b.deleteRule(p["route"].(string), p["name"].(string))
	case "capture":
		return object{"sub": 2, "seq": b.seq, "sessions": 1}
	case "session.act":
		return object{"sessions": 1}
	case "panic":
		return b.panicAll(p)
	case "release":
		b.panic = nil
		b.tell("box.released", object{"data": object{"who": "dashboard", "rules": []any{}}})
		return object{"rearmed": []any{}, "seq": b.seq}
	}
	return object{}
}

func (b *peer) rules(route string) []any {
	for _, r := range b.routes {
		if r["name"] == route {
			return r["rules"].([]any)
		}
	}
	return nil
}

func (b *peer) setRules(route string, rules []any) {
	for _, r := range b.routes {
		if r["name"] == route {
			r["rules"] = rules
		}
	}
}

func (b *peer) rule(route, name string) object {
	for _, r := range b.rules(route) {
		if r := r.(object); r["name"] == name {
			return r
		}
	}
	return object{"name": name, "fault": name, "route": route}
}

func (b *peer) setRule(route string, rule object) object {
	rule["route"], rule["rev"], rule["hits"], rule["spent"] = route, b.seq+1, 0, false
	rule["summary"] = fmt.Sprint(rule["fault"], " as told")
	kept := []any{}
	for _, r := range b.rules(route) {
		if r.(object)["name"] != rule["name"] {
			kept = append(kept, r)
		}
	}
	b.setRules(route, append(kept, rule))
	kind := "rule.disarmed"
	if rule["armed"] == true {
		kind = "rule.armed"
	}
	b.tell(kind, object{"route": route, "rule": rule["name"], "data": object{"rule": rule, "who": "dashboard", "sessions": 2}})
	return object{"rule": rule, "rev": rule["rev"], "seq": b.seq, "sessions": 2}
}

func (b *peer) deleteRule(route, name string) object {
	rule := b.rule(route, name)
	kept := []any{}
	for _, r := range b.rules(route) {
		if r.(object)["name"] != name {
			kept = append(kept, r)
		}
	}
	b.setRules(route, kept)
	b.tell("rule.disarmed", object{"route": route, "rule": name, "data": object{"rule": rule, "removed": true, "who": "dashboard"}})
	return object{"rule": rule, "rev": 0, "seq": b.seq, "sessions": 0}
}

func (b *peer) panicAll(p object) object {
	disarmed := []any{}
	for _, r := range b.routes {
		for _, rule := range r["rules"].([]any) {
			if rule := rule.(object); rule["armed"] == true {
				rule["armed"] = false
				disarmed = append(disarmed, fmt.Sprint(r["name"], "/", rule["name"]))
			}
		}
	}
	why, _ := p["why"].(string)
	b.panic = object{"who": "dashboard", "why": why, "when": time.Now().Format(time.RFC3339Nano)}
	b.tell("box.panicked", object{"data": object{"who": "dashboard", "why": why, "rules": disarmed}})
	return object{"disarmed": disarmed, "seq": b.seq}
}

// catalogue is a small one: the five, and two kinds with parameters of each sort.
func catalogue() []object {
	str := func(help string, initial any) object {
		return object{"type": "string", "x-type": "position", "description": help, "default": initial}
	}
	cut := object{"type": "object", "x-order": []string{"at", "end"}, "properties": object{
		"at":  str("where the bytes stop", "now"),
		"end": object{"type": "string", "enum": []string{"fin", "close", "rst", "stall"}, "description": "how the receiver's connection ends", "default": "fin"},
	}}
	latency := object{"type": "object", "x-order": []string{"delay", "burst", "both"}, "required": []string{"delay"}, "properties": object{
		"delay": object{"type": "string", "x-type": "duration", "description": "how much later each byte leaves"},
		"burst": object{"type": []string{"integer", "string"}, "x-type": "int", "description": "bytes at once", "default": 3},
		"both":  object{"type": []string{"boolean", "string"}, "x-type": "bool", "description": "in both directions", "default": false},
	}}
	list := []object{}
	for _, f := range [][3]string{
		{"dumb-proxy", "forwards Connection: Keep-Alive without understanding it, then relays nothing more", "dumb_proxy"},
		{"truncate", "the body stops in its middle, then FIN", "cut at body:50%, fin"},
		{"cut-head", "the head stops in the middle of its second field, then FIN", "cut at field:2, fin"},
		{"reset", "a true RST in the middle of the body", "cut at body:50%, rst"},
		{"length-mismatch", "Content-Length promises 10 bytes that never come", "content_length add 10"},
	} {
		list = append(list, object{"name": f[0], "preset_of": "cut", "group": "bytes", "summary": f[1], "client": "An error, one hopes.",
			"is": f[2], "params": cut, "defaults": object{"at": "body:50%", "end": "fin"}, "headline": true, "examples": []any{}})
	}
	return append(list,
		object{"name": "cut", "preset_of": nil, "group": "bytes", "summary": "stops the stream at an exact byte and ends it", "client": "A short answer.",
			"params": cut, "defaults": object{"at": "now", "end": "fin"}, "examples": []any{}},
		object{"name": "latency", "preset_of": nil, "group": "bytes", "summary": "every byte leaves later, in order", "client": "A slow answer.",
			"params": latency, "defaults": object{"burst": 3, "both": false}, "examples": []any{}})
}
