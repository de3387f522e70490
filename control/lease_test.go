package control

import (
	"context"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"crimp/faults"
	"crimp/middlebox"
)

func leased(name string) RuleSetParams {
	return RuleSetParams{Route: "web", Rule: faults.Rule{Name: name, Fault: "truncate", Armed: true}, Lease: "client"}
}

func TestLeaseEndsHoweverTheClientGoes(t *testing.T) {
	for name, goes := range map[string]func(ws *websocket.Conn){
		"closed": func(ws *websocket.Conn) {
			ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(time.Second))
		},
		"FIN":   func(ws *websocket.Conn) { ws.NetConn().Close() },
		"reset": func(ws *websocket.Conn) { tcp(ws).SetLinger(0); tcp(ws).Close() },
		"garbage": func(ws *websocket.Conn) {
			ws.NetConn().Write([]byte("\xff\xff\xff\xff\xff\xff"))
		},
		"too much": func(ws *websocket.Conn) { ws.WriteMessage(websocket.TextMessage, make([]byte, maxMessage+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			ws := w.raw(nil)
			say(t, ws, "rule.set", `{"route":"web","rule":{"name":"mine","fault":"truncate"},"lease":"client"}`)
			if n := next(t, ws); n.Error != nil {
				t.Fatal(n.Error)
			}
			if r, ok := w.ruleState("web", "mine"); !ok || r.Lease == "" {
				t.Fatalf("%+v %v", r, ok)
			}
			goes(ws)
			w.eventually("the rule is gone", func() bool { _, ok := w.ruleState("web", "mine"); return !ok })
		})
	}
}

func TestShutdownEndsLeases(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	if _, err := c.SetRule(t.Context(), leased("mine")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := w.srv.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.ruleState("web", "mine"); ok {
		t.Error("the rule is still there")
	}
}

func TestLeaseMovesAndClears(t *testing.T) {
	w := newWorld(t)
	a, b := w.dial(DialOptions{Name: "a"}), w.dial(DialOptions{Name: "b"})
	ctx := t.Context()
	for _, name := range []string{"moved", "cleared", "touched", "deleted"} {
		if _, err := a.SetRule(ctx, leased(name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.SetRule(ctx, leased("moved")); err != nil {
		t.Fatal(err)
	}
	p := leased("cleared")
	p.Lease = ""
	if _, err := b.SetRule(ctx, p); err != nil {
		t.Fatal(err)
	}
	// Disarming and arming it by another hand leaves it leased.
	for _, call := range []func() (middlebox.Changed, error){
		func() (middlebox.Changed, error) {
			return b.Disarm(ctx, RuleNameParams{Route: "web", Name: "touched"})
		},
		func() (middlebox.Changed, error) { return b.Arm(ctx, RuleArmParams{Route: "web", Name: "touched"}) },
		func() (middlebox.Changed, error) {
			return b.DeleteRule(ctx, RuleNameParams{Route: "web", Name: "deleted"})
		},
	} {
		if _, err := call(); err != nil {
			t.Fatal(err)
		}
	}
	a.Close()
	w.eventually("a's rule is gone", func() bool { _, ok := w.ruleState("web", "touched"); return !ok })
	for _, name := range []string{"moved", "cleared"} {
		if _, ok := w.ruleState("web", name); !ok {
			t.Errorf("%s went with a", name)
		}
	}
	b.Close()
	w.eventually("b's rule is gone", func() bool { _, ok := w.ruleState("web", "moved"); return !ok })
	if _, ok := w.ruleState("web", "cleared"); !ok {
		t.Error("a rule without a lease went with b")
	}
}

func TestLeasedArmingIsUndone(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, name := range []string{"ready", "again", "set"} {
		w.box.SetRule("web", faults.Rule{Name: name, Fault: "truncate"}, middlebox.Change{})
	}
	a, b := w.dial(DialOptions{}), w.dial(DialOptions{})
	for _, name := range []string{"ready", "again"} {
		if _, err := a.Arm(ctx, RuleArmParams{Route: "web", Name: name, Lease: "client"}); err != nil {
			t.Fatal(err)
		}
	}
	// What was set under a lease goes, also if the arming was leased after that.
	if _, err := a.SetRule(ctx, leased("set")); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Arm(ctx, RuleArmParams{Route: "web", Name: "set", Lease: "client"}); err != nil {
		t.Fatal(err)
	}
	b.Disarm(ctx, RuleNameParams{Route: "web", Name: "again"})
	b.Arm(ctx, RuleArmParams{Route: "web", Name: "again"})
	a.Close()
	w.eventually("the arming is undone", func() bool { r, ok := w.ruleState("web", "ready"); return ok && !r.Armed })
	w.eventually("the leased rule is gone", func() bool { _, ok := w.ruleState("web", "set"); return !ok })
	if r, _ := w.ruleState("web", "again"); !r.Armed {
		t.Error("b's arming was undone with a's lease")
	}
}

func TestTTLDisarms(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	ctx := t.Context()
	short, long := faults.Duration(20*time.Millisecond), faults.Duration(time.Hour)
	set := func(name string, ttl *faults.Duration) middlebox.Changed {
		t.Helper()
		r, err := c.SetRule(ctx, RuleSetParams{Route: "web", Rule: faults.Rule{Name: name, Fault: "truncate", Armed: true}, TTL: ttl})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := set("short", &short); r.Rule.Expires == nil {
		t.Error("the rule does not say when its time runs out")
	}
	set("kept", &short)
	set("kept", nil) // set anew without one
	set("longer", &short)
	set("longer", &long)
	set("armed", nil)
	if _, err := c.Arm(ctx, RuleArmParams{Route: "web", Name: "armed", TTL: &short}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"short", "armed"} {
		w.eventually(name+" is disarmed", func() bool { r, ok := w.ruleState("web", name); return ok && !r.Armed })
	}
	time.Sleep(40 * time.Millisecond)
	for _, name := range []string{"kept", "longer"} {
		if r, ok := w.ruleState("web", name); !ok || !r.Armed {
			t.Errorf("%s was disarmed by a time that was taken back", name)
		}
	}
	l, _ := w.box.Events(middlebox.Filter{})
	who := ""
	for _, e := range l.Items {
		if e.Type == "rule.disarmed" && e.Rule == "short" {
			who, _ = e.Data.(map[string]any)["who"].(string)
		}
	}
	if who != "ttl" {
		t.Errorf("disarmed by %q", who)
	}
}

func TestTTLOfARuleThatIsGone(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	ttl := faults.Duration(10 * time.Millisecond)
	p := leased("gone")
	p.TTL = &ttl
	if _, err := c.SetRule(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.box.DeleteRule("web", "gone", middlebox.Change{}) // behind control's back, as a reload does
	w.eventually("the timer is through", func() bool { w.srv.ttls.mu.Lock(); defer w.srv.ttls.mu.Unlock(); return len(w.srv.ttls.timers) == 0 })
}

// What comes after a client that was closed finds none of its rules, at once.
func TestLeasesAreOverWhenCloseReturns(t *testing.T) {
	base, _, box := realWorld(t)
	for range 50 {
		c, err := Dial(t.Context(), base, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.SetRule(t.Context(), leased("mine")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if l, err := box.Rules(middlebox.Filter{Route: "web"}); err != nil || len(l.Items) > 0 {
			t.Fatalf("after Close: %+v, %v", l.Items, err)
		}
	}
}
