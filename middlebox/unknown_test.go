package middlebox

import (
	"errors"
	"fmt"
	"testing"

	"crimp/faults"
)

// A list of nothing is an answer for what is or was there, and an error for a name
// that nothing ever had.
func TestNamesThatNothingHas(t *testing.T) {
	b, client, server := pair(t, Config{})
	say(t, client, "hello")
	expect(t, server, "hello")
	for _, rule := range []string{"stays", "goes"} {
		if _, err := b.SetRule("web", faults.Rule{Name: rule, Fault: "stall"}, Change{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.DeleteRule("web", "goes", Change{}); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(Filter) error{
		"routes":    func(f Filter) error { _, err := b.Routes(f); return err },
		"rules":     func(f Filter) error { _, err := b.Rules(f); return err },
		"sessions":  func(f Filter) error { _, err := b.Sessions(f); return err },
		"exchanges": func(f Filter) error { _, err := b.Exchanges(f); return err },
		"events":    func(f Filter) error { _, err := b.Events(f); return err },
		"act":       func(f Filter) error { _, err := b.Act(f, faults.ActResume, faults.BothSides, Change{}); return err },
	}
	for _, test := range []struct {
		f     Filter
		field string // empty: no error
	}{
		{Filter{}, ""},
		{Filter{Route: "web", Outcome: "cut"}, ""},
		{Filter{Route: "wbe"}, "route"},
		{Filter{Route: "web", Rule: "stays"}, ""},
		{Filter{Rule: "goes"}, ""},
		{Filter{Rule: "never"}, "rule"},
		{Filter{Session: "web/1", Outcome: "cut"}, ""},
		{Filter{Session: "web/2"}, "session"},
		{Filter{Session: "web"}, "session"},
		{Filter{Session: "wbe/1"}, "session"},
	} {
		for name, call := range calls {
			err := call(test.f)
			var fault *faults.Error
			if errors.As(err, &fault); (err == nil) != (test.field == "") || err != nil && fault.Field != test.field {
				t.Errorf("%s of %s: %v, want an error of %q", name, fmt.Sprintf("%+v", test.f), err, test.field)
			}
		}
	}
}

func TestRulesArePickedByNames(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:9", Rules: []faults.Rule{{Name: "a", Fault: "stall"}, {Name: "b", Fault: "stall"}}})
	if l, err := b.Rules(Filter{Route: "web", Rule: "b", Limit: 1}); err != nil || len(l.Items) != 1 || l.Items[0].Name != "b" {
		t.Errorf("%+v, %v", l.Items, err)
	}
}
