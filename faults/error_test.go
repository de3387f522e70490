package faults

import (
	"fmt"
	"strings"
	"testing"
)

// A rule is told of all its mistakes, and of none that only follow from another.
func TestAllMistakesOfARule(t *testing.T) {
	for _, test := range []struct{ name, rule, want string }{
		{"several fields", `{"name": "a b", "fault": "cut", "params": {"at": "feld:2", "end": "fni", "x": 1}, "match": {"path": "api", "status": "x"}, "gate": {"times": -1, "key": "z"}}`,
			"r.gate.times r.name r.params.at r.params.end r.params.x r.match.path r.match.status r.gate.key"},
		{"a fault that is not known leaves match and gate", `{"fault": "trunkate", "params": {"x": 1}, "match": {"idle": "x"}, "gate": {"key": "z"}}`,
			"r.fault r.match.idle r.gate.key"},
		{"a required parameter whose name is misspelt is not missing", `{"fault": "latency", "params": {"dely": "1s", "jitter": 3}}`,
			"r.params.dely r.params.jitter"},
		{"nor is a key", `{"fualt": "cut", "match": 3}`, "r.fualt r.match"},
		{"without a fault there is no name", `{"match": {"pth": "/"}}`, "r.match.pth r.fault"},
		{"no object", `[1]`, "r"},
		{"what does not go together is looked at when each is right", `{"fault": "refuse", "match": {"path": "/", "session": "x"}}`, "r.match.session"},
		{"of a composite, all parts", `{"fault": "slow-3g", "params": {"latency_delay": 3, "bandwidth_rate": "x", "y": 1}}`,
			"r.params.y r.params.latency_delay r.params.bandwidth_rate"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := DecodeRule([]byte(test.rule), "r")
			var fields []string
			for _, e := range err.All() {
				fields = append(fields, e.Field)
			}
			if got := strings.Join(fields, " "); got != test.want {
				t.Errorf("told of\n%s, want\n%s\n%v", got, test.want, err)
			}
		})
	}
}

// Rules that are wrong do not hide those behind them.
func TestAllMistakesOfAPlan(t *testing.T) {
	_, err := Compile(nil, 0, "db", TCP, []Rule{
		{Name: "a", Fault: "truncate"}, {Name: "b", Fault: "stall"}, {Name: "b", Fault: "cutt"},
	})
	const want = "rules[0].fault: truncate needs an http route; \"db\" is tcp\n" +
		"rules[2].name: db: there is a rule \"b\" already\n" +
		"rules[2].fault: no fault \"cutt\"; did you mean \"cut\"?"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// An answer stays short however much is wrong.
func TestMistakesAreBounded(t *testing.T) {
	var keys []string
	for i := range 10_000 {
		keys = append(keys, fmt.Sprintf(`"key%d": 1`, i))
	}
	object := "{" + strings.Join(keys, ",") + "}"
	for _, raw := range []string{object, `{"fault": "cut", "params": ` + object + `}`, `{"fault": "slow-3g", "params": ` + object + `}`} {
		if _, err := DecodeRule([]byte(raw), ""); len(err.All()) != MaxMistakes {
			t.Errorf("%.40s: %d mistakes told, want %d", raw, len(err.All()), MaxMistakes)
		}
	}
}

func TestThenLeavesOutWhatFollows(t *testing.T) {
	first := Errorf(Invalid, "a.b[1]", "is wrong")
	for field, kept := range map[string]bool{"a.b[1]": false, "a.b[1].c": false, "a.b": false, "a": false, "": false, "a.b[10]": true, "a.bc": true, "a.b[0]": true} {
		fresh := *first
		if got := len(fresh.Then(Errorf(Invalid, field, "follows")).All()) == 2; got != kept {
			t.Errorf("%q kept: %v", field, got)
		}
	}
	var none *Error
	if none.And(nil) != nil || none.Then(nil) != nil || none.In("x") != nil || none.All() != nil {
		t.Error("nothing came to something")
	}
}
