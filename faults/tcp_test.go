package faults

import "testing"

// TestHTTPIsSaid: what the catalogue says of http is what Compile does on a tcp
// route, for every fault as it stands.
func TestHTTPIsSaid(t *testing.T) {
	for _, f := range Catalogue() {
		rule := Rule{Name: "x", Fault: f.Name, Armed: true}
		if len(f.List) > 0 && f.Defaults != nil && len(f.Examples) > 0 && f.PresetOf == nil {
			continue // a kind's own parameters decide
		}
		_, err := Compile(nil, 1, "db", TCP, []Rule{rule})
		if f.HTTP != (err != nil) {
			t.Errorf("%s: http %v, but on a tcp route: %v", f.Name, f.HTTP, err)
		}
	}
	if _, err := Compile(nil, 1, "db", TCP, []Rule{{Name: "x", Fault: "truncate"}}); err == nil || err.Message != `truncate needs an http route; "db" is tcp` {
		t.Errorf("truncate on tcp: %v", err)
	}
	for _, row := range []struct {
		rule Rule
		want string
	}{
		{Rule{Name: "x", Fault: "stall", Match: Match{Client: "::1", Path: "/x"}}, "rules[0].match.path"},
		{Rule{Name: "x", Fault: "stall", Match: Match{Header: map[string]string{"A": "b"}}}, "rules[0].match.header"},
		{Rule{Name: "x", Fault: "reset", Match: Match{Status: "5xx"}}, "rules[0].match.status"},
		{Rule{Name: "x", Fault: "stall", Gate: Gate{Key: "path"}}, "rules[0].gate.key"},
		{Rule{Name: "x", Fault: "cut", Params: map[string]any{"at": "head"}, Match: Match{Path: "/x"}}, "rules[0].fault"},
	} {
		if _, err := Compile(nil, 1, "db", TCP, []Rule{row.rule}); err == nil || err.Field != row.want {
			t.Errorf("%+v on tcp: %v, want the field %s", row.rule, err, row.want)
		}
	}
	if _, err := Compile(nil, 1, "db", TCP, []Rule{{Name: "x", Fault: "reset"}}); err != nil {
		t.Errorf("reset works on tcp: %v", err)
	}
}
