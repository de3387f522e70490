package middlebox

import (
	"net"
	"slices"
	"strings"
	"testing"

	"crimp/faults"
)

func TestRouteErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := Route{Name: "web", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}
	with := func(edit func(*Route)) []Route {
		r := good
		r.Name = "other"
		edit(&r)
		return []Route{good, r}
	}
	b := start(t, Config{Forbidden: []string{"127.0.0.1:27467"}}, good)
	before := b.State()
	for name, test := range map[string]struct {
		routes []Route
		code   faults.Code
		field  string
		text   string
	}{
		"name":            {with(func(r *Route) { r.Name = "a b" }), faults.Invalid, "routes[1].name", "letters"},
		"twice":           {with(func(r *Route) { r.Name = "web" }), faults.Invalid, "routes[1].name", "two routes"},
		"listen":          {with(func(r *Route) { r.Listen = "example.org:80" }), faults.Invalid, "routes[1].listen", "example.org:80"},
		"upstream":        {with(func(r *Route) { r.Upstream = "127.0.0.1" }), faults.Invalid, "routes[1].upstream", "HOST:PORT"},
		"protocol":        {with(func(r *Route) { r.Protocol = "udp" }), faults.Invalid, "routes[1].protocol", "auto, http or tcp"},
		"mode":            {with(func(r *Route) { r.Mode = "tproxy" }), faults.Unsupported, "routes[1].mode", "forward or proxy"},
		"proxy of tcp":    {with(func(r *Route) { r.Mode, r.Protocol = "proxy", "tcp" }), faults.Invalid, "routes[1].protocol", "got tcp"},
		"no upstream":     {with(func(r *Route) { r.Upstream = "" }), faults.Invalid, "routes[1].upstream", "HOST:PORT"},
		"on_dial_error":   {with(func(r *Route) { r.OnDialError = "503" }), faults.Invalid, "routes[1].on_dial_error", "rst, fin or 502"},
		"502 on tcp":      {with(func(r *Route) { r.OnDialError, r.Protocol = "502", "tcp" }), faults.Invalid, "routes[1].on_dial_error", "tcp"},
		"rule":            {with(func(r *Route) { r.Rules = []faults.Rule{rule("latency", map[string]any{"delay": "5"})} }), faults.Invalid, "routes[1].rules[0].params.delay", "unit"},
		"port taken":      {with(func(r *Route) { r.Listen = taken.Addr().String() }), faults.Bind, "routes[1].listen", "in use"},
		"its own address": {with(func(r *Route) { r.Listen, r.Upstream = "127.0.0.1:7711", "127.0.0.1:7711" }), faults.Invalid, "routes[1].upstream", "itself"},
		"every address":   {with(func(r *Route) { r.Listen, r.Upstream = "0.0.0.0:7711", "127.0.0.1:7711" }), faults.Invalid, "routes[1].upstream", "itself"},
		"in a circle": {append(with(func(r *Route) { r.Listen, r.Upstream = "127.0.0.1:7711", "127.0.0.1:7712" }),
			Route{Name: "third", Listen: "127.0.0.1:7712", Upstream: "127.0.0.1:7711"}), faults.Invalid, "routes[1].upstream", "circle"},
		"control by name": {with(func(r *Route) { r.Upstream = "localhost:27467" }), faults.Invalid, "routes[1].upstream", "own address"},
		"control":         {with(func(r *Route) { r.Upstream = "127.0.0.1:27467" }), faults.Invalid, "routes[1].upstream", "own address"},
		"one address for two": {append(with(func(r *Route) { r.Listen = "127.0.0.1:7711" }),
			Route{Name: "third", Listen: "127.0.0.1:7711", Upstream: "127.0.0.1:9"}), faults.Invalid, "routes[2].listen", "other"},
	} {
		t.Run(name, func(t *testing.T) {
			err := b.Configure(test.routes, "test")
			e, ok := err.(*faults.Error)
			if !ok || e.Code != test.code || e.Field != test.field || !strings.Contains(e.Message, test.text) {
				t.Errorf("got %#v", err)
			}
		})
	}
	if after := b.State(); after.Seq != before.Seq || len(after.Routes) != 1 || after.Routes[0].Listen != before.Routes[0].Listen {
		t.Errorf("refused configurations changed something: %+v", after)
	}
}

// A reload keeps what stays: listeners, sessions, rules that did not change.
func TestReload(t *testing.T) {
	up := origin(t, echo)
	listen := func(b *Box) (all []string) {
		for _, r := range b.State().Routes {
			all = append(all, r.Name+" "+r.Listen)
		}
		return all
	}
	a := Route{Name: "a", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: up, Rules: []faults.Rule{rule("latency", map[string]any{"delay": "0s"})}}
	b := start(t, Config{}, a, Route{Name: "b", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: up})
	before := listen(b)
	first := b.State().Routes[0].Rules[0]
	c := dial(t, b, "a")
	say(t, c, "hello")
	expect(t, c, "hello")

	// b goes, c comes on b's very address, a stays.
	addr := listenOf(t, b, "b")
	// Given at the address that port 0 came to, a route keeps its listener, and
	// with its port as it was configured too.
	for _, at := range []string{addr, "127.0.0.1:0"} {
		if err := b.Configure([]Route{a, {Name: "b", Listen: at, Protocol: "tcp", Upstream: up}}, "test"); err != nil {
			t.Fatal(err)
		}
		if got := listen(b); !slices.Equal(got, before) {
			t.Errorf("b at %s: routes are %v, were %v", at, got, before)
		}
	}
	if _, err := b.DeleteRoute("b", Change{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.SetRoute(Route{Name: "b", Listen: addr, Protocol: "tcp", Upstream: up}, Change{}); err != nil {
		t.Fatal(err)
	}
	if got := listen(b); !slices.Equal(got, before) {
		t.Errorf("routes are %v, were %v", got, before)
	}
	if err := b.Configure([]Route{{Name: "renamed", Listen: addr, Protocol: "tcp", Upstream: up}, a}, "test"); err != nil {
		t.Fatal(err)
	}
	if got := listen(b); !slices.Equal(got, []string{"renamed " + addr, before[0]}) {
		t.Errorf("routes are %v", got)
	}
	if now := b.State().Routes[1].Rules[0]; now.Rev != first.Rev || now.ArmedAt != first.ArmedAt {
		t.Errorf("a rule that did not change went from %+v to %+v", first, now)
	}
	say(t, c, "still here")
	expect(t, c, "still here")
	fresh := dial(t, b, "renamed")
	say(t, fresh, "hello")
	expect(t, fresh, "hello")
}

func TestSetRoute(t *testing.T) {
	old, fresh := origin(t, func(c *net.TCPConn) { say(t, c, "old"); echo(c) }), origin(t, func(c *net.TCPConn) { say(t, c, "new"); echo(c) })
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: old})
	live := dial(t, b, "web")
	expect(t, live, "old")
	rev := b.State().Routes[0].Rev
	said, seq, err := b.SetRoute(Route{Name: "web", Listen: listenOf(t, b, "web"), Protocol: "tcp", Upstream: old}, Change{})
	if err != nil || said.Rev != rev || seq != b.State().Seq {
		t.Errorf("set as it stands: revision %d, was %d, %v", said.Rev, rev, err)
	}
	r := Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: fresh}
	got, _, err := b.SetRoute(r, Change{IfRev: &rev})
	if err != nil || got.Rev == rev || got.Listen != b.State().Routes[0].Listen {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, _, err := b.SetRoute(r, Change{IfRev: &rev}); code(err) != faults.Conflict {
		t.Errorf("changed over a revision it did not know: %v", err)
	}
	expect(t, dial(t, b, "web"), "new")
	say(t, live, "still")
	expect(t, live, "still")

	if _, err := b.DeleteRoute("web", Change{}); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", got.Listen); err == nil {
		c.Close()
		t.Error("a deleted route still accepts")
	}
	say(t, live, "still")
	expect(t, live, "still")
	if _, err := b.DeleteRoute("web", Change{}); code(err) != faults.NotFound {
		t.Errorf("deleted twice: %v", err)
	}
	list, _ := b.Events(Filter{Type: "route"})
	var types []string
	for _, e := range list.Items {
		types = append(types, e.Type)
	}
	if want := []string{"route.added", "route.changed", "route.removed"}; !slices.Equal(types, want) {
		t.Errorf("told as %v", types)
	}
}
