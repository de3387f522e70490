package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"crimp/faults"
	"crimp/middlebox"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func contextWithLocal(r *http.Request, addr net.Addr) context.Context {
	return context.WithValue(r.Context(), http.LocalAddrContextKey, addr)
}

func tcp(ws *websocket.Conn) *net.TCPConn { return ws.NetConn().(*net.TCPConn) }

// postWith posts a call whose answer nobody waits for.
func (w *world) postWith(ctx context.Context, body string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "POST", w.base+"/v1/rpc", strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if resp, err := w.http.Do(r); err == nil {
		resp.Body.Close()
	}
}

func TestClientHasEveryMethod(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{Name: "go test"})
	ctx := t.Context()
	if c.Info.Version != "1.2.3" || c.Info.Protocol != Protocol || c.Info.Seed != 42 {
		t.Errorf("hello: %+v", c.Info)
	}
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	route, err := c.SetRoute(ctx, RouteSetParams{Route: middlebox.Route{Name: "api", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:1", Rules: []faults.Rule{{Name: "off", Fault: "truncate"}}}})
	must("SetRoute", err)
	if len(route.Route.Rules) != 1 || route.Route.Rules[0].Armed {
		t.Errorf("SetRoute: %+v", route)
	}
	set, err := c.SetRule(ctx, RuleSetParams{Route: "api", Rule: faults.Rule{Name: "cut", Fault: "truncate", Armed: true, Match: faults.Match{Path: "/x"}}, Why: "test"})
	must("SetRule", err)
	if set.Rule.Name != "cut" || set.Rule.Match.Path != "/x" || !set.Rule.Armed || set.Rule.Rev != set.Rev {
		t.Errorf("SetRule: %+v", set)
	}
	_, err = c.Disarm(ctx, RuleNameParams{Route: "api", Name: "cut"})
	must("Disarm", err)
	armed, err := c.Arm(ctx, RuleArmParams{Route: "api", Name: "cut"})
	must("Arm", err)
	rules, err := c.Rules(ctx, middlebox.Filter{Route: "api"})
	must("Rules", err)
	if rules.Total != 2 || rules.Rules[1].ArmedAt != armed.Seq {
		t.Errorf("Rules: %+v", rules)
	}
	state, err := c.State(ctx)
	must("State", err)
	routes, err := c.Routes(ctx)
	must("Routes", err)
	if len(state.Routes) != 3 || len(routes) != 3 {
		t.Errorf("%d and %d routes", len(state.Routes), len(routes))
	}
	catalogue, err := c.Faults(ctx)
	must("Faults", err)
	if len(catalogue) != len(faults.Catalogue()) {
		t.Errorf("%d faults", len(catalogue))
	}
	sessions, err := c.Sessions(ctx, middlebox.Filter{})
	must("Sessions", err)
	if len(sessions.Items) != 1 || sessions.Items[0].ID != "web/1" {
		t.Errorf("Sessions: %+v", sessions)
	}
	_, err = c.Exchanges(ctx, middlebox.Filter{})
	must("Exchanges", err)
	events, err := c.Events(ctx, middlebox.Filter{})
	must("Events", err)
	if events.Total == 0 {
		t.Error("no events")
	}
	n, err := c.Act(ctx, ActParams{ID: "web/1", Act: "rst"})
	must("Act", err)
	if n != 1 || w.box.acted[0] != "web/1 0 2" {
		t.Errorf("Act: %d %s", n, w.box.acted)
	}
	stopped, err := c.Panic(ctx, "stop")
	must("Panic", err)
	if len(stopped.Disarmed) != 1 || stopped.Disarmed[0] != "api/cut" {
		t.Errorf("Panic: %+v", stopped)
	}
	_, err = c.Arm(ctx, RuleArmParams{Route: "api", Name: "cut"})
	var e *faults.Error
	if !errors.As(err, &e) || e.Code != faults.Forbidden || !strings.Contains(e.Message, "panic by go test: stop") {
		t.Errorf("Arm after Panic: %v", err)
	}
	_, err = c.Release(ctx, true)
	must("Release", err)
	_, err = c.Revert(ctx)
	must("Revert", err)
	_, err = c.DeleteRule(ctx, RuleNameParams{Route: "api", Name: "cut"})
	must("DeleteRule", err)
	_, err = c.DeleteRoute(ctx, RouteDeleteParams{Name: "api"})
	must("DeleteRoute", err)
	must("Ping", c.Ping(ctx))
	err = c.Call(ctx, "rule.ram", nil, nil)
	if !errors.As(err, &e) || e.Code != faults.NotFound || e.Field != "method" {
		t.Errorf("unknown method: %v", err)
	}
}

func TestThousandConcurrentCalls(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	var calls sync.WaitGroup
	errs := make(chan error, 1000)
	for i := range 1000 {
		calls.Go(func() {
			name := "r" + strconv.Itoa(i%7)
			r, err := c.SetRule(t.Context(), RuleSetParams{Route: "web", Rule: faults.Rule{Name: name, Fault: "truncate", Armed: true}})
			if err == nil && r.Rule.Name != name {
				err = errors.New("the answer of another call: " + r.Rule.Name)
			}
			errs <- err
		})
	}
	calls.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestCallsAreCarriedOutInOrder(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	for i := range 200 { // none of them awaits the last one's answer
		armed := strconv.FormatBool(i%2 == 0)
		say(t, ws, "rule.set", `{"route":"web","rule":{"name":"r","fault":"truncate","armed":`+armed+`}}`)
	}
	for i := range 200 {
		var r middlebox.Changed
		if err := json.Unmarshal(next(t, ws).Result, &r); err != nil || r.Rev != int64(i+1) || r.Rule.Armed != (i%2 == 0) {
			t.Fatalf("answer %d: %+v, %v", i, r, err)
		}
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := c.Wait(ctx, WaitParams{Filter: middlebox.Filter{Type: "fault.fired"}}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Errorf("the next call: %v", err)
	}
}

func TestClientAfterTheEnd(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	sub, err := c.Subscribe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	<-c.Done()
	for range sub.C { // what came before
	}
	if err := c.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "shutting down") {
		t.Errorf("a call after the end: %v", err)
	}
	d := w.dialErr()
	var no *NoBoxError
	if !errors.As(d, &no) || !strings.Contains(d.Error(), "no crimp at http://127.0.0.1:") || !strings.Contains(d.Error(), `(connection refused): start "crimp serve" or set CRIMP_API`) {
		t.Errorf("dial: %v", d)
	}
}

func (w *world) dialErr() error {
	c, err := Dial(w.t.Context(), w.base, DialOptions{})
	if err == nil {
		c.Close()
	}
	return err
}

func TestDialRefusesWhatIsNoAddress(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:1", "ftp://x", "http://", "::"} {
		_, err := Dial(t.Context(), base, DialOptions{})
		var e *faults.Error
		if !errors.As(err, &e) || e.Code != faults.Invalid {
			t.Errorf("%q: %v", base, err)
		}
	}
	for base, want := range map[string]string{
		"http://h:1": "ws://h:1/v1/ws", "https://h/": "wss://h/v1/ws", "ws://h/v1/ws": "ws://h/v1/ws", "http://h/lab/#token=x": "ws://h/lab/v1/ws",
	} {
		if got, err := socketURL(base); err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", base, got, err, want)
		}
	}
}

func TestSubscriptionOfASlowReader(t *testing.T) {
	// The reader of C does nothing for a while: calls go on, and then it gets a
	// snapshot in place of what did not fit.
	w := newWorld(t)
	c := w.dial(DialOptions{})
	sub, err := c.Subscribe(t.Context(), "fault")
	if err != nil {
		t.Fatal(err)
	}
	const events = maxPending + 2000
	for i := range events {
		w.box.Emit(middlebox.Event{Type: "fault.fired"})
		if i%500 == 0 {
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	resync := false
	for seen := sub.Seq; seen < sub.Seq+events; {
		n := <-sub.C
		switch {
		case n.Resync != nil:
			resync, seen = true, n.Resync.Seq
		case n.Event.Seq != seen+1:
			t.Fatalf("event %d follows %d", n.Event.Seq, seen)
		default:
			seen = n.Event.Seq
		}
	}
	if !resync {
		t.Error("no resync")
	}
	if err := sub.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if _, open := <-sub.C; open {
		t.Error("C goes on after Close")
	}
}

func TestSchema(t *testing.T) {
	var doc struct {
		Ref     string                    `json:"$ref"`
		Defs    map[string]map[string]any `json:"$defs"`
		Methods map[string]struct {
			Params, Result map[string]any
		}
		Errors map[string]int
	}
	if err := json.Unmarshal(Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	for _, m := range methods {
		if _, ok := doc.Methods[m.name]; !ok {
			t.Errorf("no %s", m.name)
		}
	}
	for _, ref := range references(Schema()) {
		if name, ok := strings.CutPrefix(ref, "#/$defs/"); !ok || doc.Defs[name] == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	}
	rule := doc.Defs["Rule"]
	if rule["additionalProperties"] != false || len(rule["allOf"].([]any)) != len(faults.Catalogue()) {
		t.Errorf("Rule: %v", rule)
	}
	for def, want := range map[string][]string{
		"Filter":     {"limit", "match", "outcome", "route", "rule", "session", "since", "type"},
		"ActParams":  {"act", "id", "limit", "match", "outcome", "route", "rule", "session", "side", "since", "type", "why"},
		"WaitParams": {"count", "limit", "match", "outcome", "route", "rule", "session", "since", "timeout", "type"},
	} {
		properties, _ := doc.Defs[def]["properties"].(map[string]any)
		if got := slices.Sorted(maps.Keys(properties)); !slices.Equal(got, want) {
			t.Errorf("%s has %q, want %q", def, got, want)
		}
	}
	for method, def := range map[string]string{"route.list": "Filter", "rule.list": "Filter", "session.list": "Filter", "exchange.list": "Filter", "event.list": "Filter", "session.act": "ActParams", "wait": "WaitParams"} {
		if ref := doc.Methods[method].Params["$ref"]; ref != "#/$defs/"+def {
			t.Errorf("%s takes %v, want %s", method, ref, def)
		}
	}
	set := doc.Defs["RuleSetParams"]
	if got := set["required"].([]any); len(got) != 2 {
		t.Errorf("rule.set requires %v", got)
	}
	if doc.Errors["conflict"] != codeConflict || doc.Ref != "#/$defs/Configuration" {
		t.Errorf("%v %s", doc.Errors, doc.Ref)
	}
}

// references are all values of "$ref".
func references(b []byte) (out []string) {
	for _, piece := range bytes.Split(b, []byte(`"$ref": "`))[1:] {
		ref, _, _ := bytes.Cut(piece, []byte(`"`))
		out = append(out, string(ref))
	}
	return out
}

func FuzzDecodeRequest(f *testing.F) {
	for _, c := range calls {
		f.Add([]byte(call1(c.method, c.params)))
	}
	f.Add([]byte(`{"jsonrpc":"2.0","id":-1e9,"method":"ping","params":{"a":{"a":1,"a":2}}}`))
	f.Add([]byte(`[[{}]]`))
	box := newFakeBox("web")
	s := NewServer(Options{Box: box})
	s.watch = box.watch
	f.Fuzz(func(t *testing.T, raw []byte) {
		q, failed := decodeRequest(raw)
		var answer []byte
		switch {
		case failed != nil:
			answer = encodeReply(q.id, nil, failed)
		case q.method == waits || len(q.params) > 4096:
			return // it may take its time
		default:
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			answer = s.dispatch(&call{ctx: ctx, srv: s, who: "fuzz"}, q)
		}
		var r response
		if err := json.Unmarshal(answer, &r); err != nil || (r.Result == nil) == (r.Error == nil) || r.JSONRPC != "2.0" {
			t.Errorf("%q: %s, %v", raw, answer, err)
		}
		if r.Error != nil && r.Error.Code == codeInternal {
			t.Errorf("%q: %s", raw, answer)
		}
	})
}
