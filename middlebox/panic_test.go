package middlebox

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

func TestPanicReleaseRevert(t *testing.T) {
	configured := Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{rule("truncate", nil)}}
	b := start(t, Config{}, configured)
	if _, err := b.SetRule("web", rule("latency", map[string]any{"delay": "1h"}), Change{}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, b, "web")
	say(t, c, request)
	until(t, "the answer is held", func() bool { return b.Stats().Held > 0 })

	names, _, err := b.Panic(Change{Who: "ann", Why: "lab on fire"})
	if err != nil || !slices.Equal(names, []string{"web/truncate", "web/latency"}) {
		t.Fatalf("disarmed %v, %v", names, err)
	}
	expect(t, c, response[:len(response)-5]) // the cut was said before it; what was held is let go
	for what, call := range map[string]func() error{
		"arm":   func() error { _, err := b.Arm("web", "latency", true, Change{}); return err },
		"set":   func() error { _, err := b.SetRule("web", rule("stall", nil), Change{}); return err },
		"route": func() error { _, _, err := b.SetRoute(configured, Change{}); return err },
	} {
		err := call()
		if code(err) != faults.Forbidden || !strings.Contains(err.Error(), "ann") || !strings.Contains(err.Error(), "lab on fire") {
			t.Errorf("%s during a panic: %v", what, err)
		}
	}
	off := rule("stall", nil)
	off.Armed = false
	if _, err := b.SetRule("web", off, Change{}); err != nil {
		t.Errorf("a disarmed rule during a panic: %v", err)
	}
	if s := b.State(); s.Panic == nil || s.Panic.Who != "ann" {
		t.Errorf("state: %+v", s.Panic)
	}
	if _, err := b.DeleteRule("web", "latency", Change{}); err != nil {
		t.Fatal(err)
	}
	names, _, err = b.Release(true, Change{Who: "ben"})
	if err != nil || !slices.Equal(names, []string{"web/truncate"}) {
		t.Errorf("rearmed %v, %v", names, err)
	}
	if _, _, err := b.Release(true, Change{}); code(err) != faults.Conflict {
		t.Errorf("released twice: %v", err)
	}
	if _, _, err := b.Panic(Change{Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	if changed, _, err := b.Revert(Change{Who: "ann"}); err != nil || !slices.Equal(changed, []string{"web"}) {
		t.Fatal(changed, err)
	}
	if changed, _, err := b.Revert(Change{Who: "ann"}); err != nil || len(changed) > 0 {
		t.Error("nothing was to revert:", changed, err)
	}
	s := b.State()
	if s.Panic != nil || len(s.Routes) != 1 || len(s.Routes[0].Rules) != 1 || !s.Routes[0].Rules[0].Armed {
		t.Errorf("reverted to %+v", s)
	}
	list, _ := b.Events(Filter{Type: "box"})
	var types []string
	for _, e := range list.Items {
		types = append(types, e.Type)
	}
	if want := []string{"box.panicked", "box.released", "box.panicked", "box.reverted", "box.reverted"}; !slices.Equal(types, want) {
		t.Errorf("told as %v", types)
	}
}

// A ttl outlasts a panic: what is armed again ends when it would have ended.
func TestReleaseKeepsTheTTL(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	soon, later := time.Now().Add(50*time.Millisecond), time.Now().Add(time.Hour)
	set := func(name string, expires *time.Time) {
		t.Helper()
		r := rule("truncate", nil)
		r.Name = name
		if _, err := b.SetRule("web", r, Change{Expiry: expires}); err != nil {
			t.Fatal(err)
		}
	}
	set("soon", &soon)
	set("later", &later)
	set("ever", nil)
	set("off", nil)
	if _, _, err := b.Panic(Change{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.State().Routes[0].Rules {
		if r.Armed || r.Expires != nil {
			t.Errorf("during the panic %s is armed %v until %v", r.Name, r.Armed, r.Expires)
		}
	}
	if _, err := b.Arm("web", "off", false, Change{}); err != nil { // said once more, and meant
		t.Fatal(err)
	}
	time.Sleep(time.Until(soon))
	names, _, err := b.Release(true, Change{})
	if err != nil || !slices.Equal(names, []string{"web/later", "web/ever"}) {
		t.Errorf("armed again: %v, %v", names, err)
	}
	for _, r := range b.State().Routes[0].Rules {
		if want := map[string]*time.Time{"later": &later}[r.Name]; !sameTime(r.Expires, want) {
			t.Errorf("%s is armed until %v, want %v", r.Name, r.Expires, want)
		}
	}
}
