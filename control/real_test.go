package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// realWorld is a server on a real box with one route, web, before an origin that
// answers every request with 1,024 bytes.
func realWorld(t *testing.T) (base, url string, box *middlebox.Box) {
	t.Helper()
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 1024))
	}))
	box, err := middlebox.New(middlebox.Config{Seed: 42})
	if err != nil {
		t.Fatal(err)
	}
	route := middlebox.Route{Name: "web", Listen: "127.0.0.1:0", Upstream: origin.Listener.Addr().String(), Protocol: "http"}
	if err := box.Configure([]middlebox.Route{route}, "test"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(Options{Box: box})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(srv.Shutdown(ctx), <-served); err != nil {
			t.Error(err)
		}
		box.Kill()
		origin.Close()
	})
	return "http://" + l.Addr().String(), "http://" + box.State().Routes[0].Listen, box
}

// fetch gets a page over a connection of its own and says how much came.
func fetch(url string) (int, error) {
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return len(b), err
}

// A call with several mistakes is told of all: the first in the error's own members,
// the others behind it.
func TestAllMistakesOfACall(t *testing.T) {
	base, _, box := realWorld(t)
	c, err := Dial(t.Context(), base, DialOptions{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := box.State().Seq
	for _, test := range []struct{ method, params, want string }{
		{"rule.set", `{"route": "web", "rule": {"fault": "cut", "params": {"end": "fni"}, "match": {"path": "x"}}, "befor": "y"}`,
			"invalid rule.params.end invalid rule.match.path invalid befor"},
		{"route.set", `{"route": {"name": "a b", "upstream": "x", "rules": [{"fault": "stall"}, {"fault": "trunkate"}]}}`,
			"not_found route.rules[1].fault"}, // decoded first; what it says of the route itself, only when it is all of the right form
		{"route.set", `{"route": {"name": "a b", "upstream": "x", "rules": [{"fault": "stall"}, {"fault": "stall"}]}}`,
			"invalid route.name invalid route.listen invalid route.upstream conflict route.rules[1].name"},
	} {
		var fault *faults.Error
		if err := c.Call(t.Context(), test.method, json.RawMessage(test.params), nil); !errors.As(err, &fault) {
			t.Fatalf("%s %s: %v", test.method, test.params, err)
		}
		var got []string
		for _, e := range fault.All() {
			got = append(got, string(e.Code), e.Field)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %s: %v, want %s", test.method, test.params, got, test.want)
		}
	}
	if after := box.State().Seq; after != before {
		t.Errorf("%d events came of it", after-before)
	}
}

func TestArmActWait(t *testing.T) {
	base, url, _ := realWorld(t)
	ctx := t.Context()
	c, err := Dial(ctx, base, DialOptions{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sub, err := c.Subscribe(ctx, "fault", "rule")
	if err != nil {
		t.Fatal(err)
	}
	rule := faults.Rule{Name: "truncate", Fault: "truncate", Armed: true, Match: faults.Match{Path: "/api/*"}}
	set, err := c.SetRule(ctx, RuleSetParams{Route: "web", Rule: rule, Lease: "client"})
	if err != nil {
		t.Fatal(err)
	}
	if set.Rule.Summary == "" || set.Rule.Lease == "" {
		t.Errorf("rule.set: %+v", set)
	}

	if n, err := fetch(url + "/apis/x"); n != 1024 || err != nil {
		t.Fatalf("a path that does not match: %d, %v", n, err)
	}
	f := middlebox.Filter{Type: "fault.fired", Rule: "truncate"}
	_, err = c.Wait(ctx, waitFor(0, f, 1))
	if err == nil || err.Error() != "0 of 1 fault.fired for truncate in what has happened so far; near miss: GET /apis/x (path): path /apis/x is not /api/*" {
		t.Errorf("%v", err)
	}

	if n, err := fetch(url + "/api/x"); n != 512 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("truncated: %d, %v", n, err)
	}
	r, err := c.Wait(ctx, waitFor(10*time.Second, f, 1))
	if err != nil {
		t.Fatal(err)
	}
	e := r.Events[0]
	if e.Rule != "truncate" || e.Route != "web" || e.Session != "web/2" || e.Exchange != "web/2/1" || e.Data.(map[string]any)["end"] != "fin" {
		t.Errorf("%+v", e)
	}
	for seq := sub.Seq; ; {
		n := <-sub.C
		if n.Event == nil || n.Event.Seq <= seq {
			t.Fatalf("%+v after %d", n, seq)
		}
		if seq = n.Event.Seq; n.Event.Type == "fault.fired" {
			if seq != e.Seq {
				t.Errorf("the subscriber saw it as %d, the wait as %d", seq, e.Seq)
			}
			break
		}
	}

	x, err := c.Exchanges(ctx, middlebox.Filter{Rule: "truncate"})
	if err != nil || x.Total != 1 || x.Items[0].Response.Sent != 512 {
		t.Errorf("%+v, %v", x, err)
	}
	if _, err := c.Disarm(ctx, RuleNameParams{Route: "web", Name: "truncate"}); err != nil {
		t.Fatal(err)
	}
	if n, err := fetch(url + "/api/x"); n != 1024 || err != nil {
		t.Errorf("disarmed: %d, %v", n, err)
	}
	_, err = c.Wait(ctx, waitFor(0, middlebox.Filter{Type: "fault.fired", Rule: "trunkate"}, 1))
	if err == nil || !strings.Contains(err.Error(), `did you mean "truncate"?`) {
		t.Errorf("a misspelt rule: %v", err)
	}
}

func TestLeaseAndTTLOnTheRealBox(t *testing.T) {
	base, _, box := realWorld(t)
	ctx := t.Context()
	has := func(name string) (armed, there bool) {
		for _, r := range box.State().Routes[0].Rules {
			if r.Name == name {
				return r.Armed, true
			}
		}
		return false, false
	}
	within := func(what string, is func() bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("in 10s it did not happen: %s", what)
			}
		}
	}
	a, err := Dial(ctx, base, DialOptions{Name: "a"})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Dial(ctx, base, DialOptions{Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	do := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	ttl := faults.Duration(20 * time.Millisecond)
	for _, name := range []string{"mine", "ours", "panicked"} {
		p := leased(name)
		_, err := a.SetRule(ctx, p)
		do(name, err)
	}
	p := leased("stays")
	p.Lease, p.Rule.Armed = "", false
	_, err = b.SetRule(ctx, p)
	do("stays", err)
	_, err = a.Arm(ctx, RuleArmParams{Route: "web", Name: "stays", Lease: "client"})
	do("arming under a lease", err)
	_, err = b.Arm(ctx, RuleArmParams{Route: "web", Name: "ours", TTL: &ttl})
	do("arming with a ttl", err)
	_, err = b.Arm(ctx, RuleArmParams{Route: "web", Name: "ours"})
	do("arming what is armed", err)
	within("its time runs out", func() bool { armed, there := has("ours"); return there && !armed })
	if l, err := b.Rules(ctx, middlebox.Filter{Rule: "ours"}); err != nil || l.Rules[0].Lease == "" {
		t.Errorf("after its time it is no longer leased: %+v, %v", l, err)
	}
	_, err = b.Panic(ctx, "look")
	do("panic", err)
	a.Close()
	for _, name := range []string{"mine", "ours", "panicked"} {
		if _, there := has(name); there {
			t.Errorf("%s is there when its client's Close has returned", name)
		}
	}
	if armed, there := has("stays"); armed || !there {
		t.Errorf("the rule whose arming was leased: armed %v, there %v", armed, there)
	}
}

// What a rule is tied to outlasts a panic: armed again by a release, it ends when
// its ttl runs out or its client goes; one whose client has gone meanwhile stays off.
func TestPanicForgetsNoEnd(t *testing.T) {
	base, _, box := realWorld(t)
	ctx := t.Context()
	dial := func() *Client {
		t.Helper()
		c, err := Dial(ctx, base, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	armed := func(name string) bool {
		l, err := box.Rules(middlebox.Filter{Rule: name})
		return err == nil && len(l.Items) == 1 && l.Items[0].Armed
	}
	a, b := dial(), dial()
	start := time.Now()
	ttl := faults.Duration(500 * time.Millisecond)
	for _, p := range []RuleSetParams{
		{Route: "web", Rule: faults.Rule{Name: "timed", Fault: "truncate", Armed: true}, TTL: &ttl},
		{Route: "web", Rule: faults.Rule{Name: "leased", Fault: "truncate"}},
		{Route: "web", Rule: faults.Rule{Name: "held", Fault: "truncate"}},
	} {
		if _, err := b.SetRule(ctx, p); err != nil {
			t.Fatal(err)
		}
	}
	holder := dial()
	for name, c := range map[string]*Client{"leased": a, "held": holder} {
		if _, err := c.Arm(ctx, RuleArmParams{Route: "web", Name: name, Lease: "client"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Panic(ctx, ""); err != nil {
		t.Fatal(err)
	}
	before := box.State().Seq
	a.Close()
	if _, err := b.Wait(ctx, WaitParams{Filter: middlebox.Filter{Type: "control.left", Since: strconv.FormatInt(before, 10)}}); err != nil {
		t.Fatal(err)
	}
	r, err := b.Release(ctx, true)
	if err != nil || !slices.Equal(r.Rearmed, []string{"web/timed", "web/held"}) && time.Since(start) < time.Duration(ttl) {
		t.Errorf("armed again: %v, %v; want web/timed and web/held", r.Rearmed, err)
	}
	holder.Close()
	for end := time.Now().Add(10 * time.Second); armed("timed") || armed("held"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("armed again by the release, a rule outlived what it was tied to: ttl %v, lease %v", armed("timed"), armed("held"))
		}
	}
	if armed("leased") {
		t.Error("armed again, though the client whose lease it was is gone")
	}
}
