package faults

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecodeRule(t *testing.T) {
	declareProbe(t)
	yes := true
	for raw, want := range map[string]Rule{
		// Armed and named as its fault, if nothing else is said.
		`{"fault": "probe", "params": {"need": 1}}`: {Name: "probe", Fault: "probe", Params: map[string]any{"need": 1.0}, Armed: true},
		`{"fault": "soft-probe"}`:                   {Name: "soft-probe", Fault: "soft-probe", Armed: true},
		`{"fault": "Soft_Probe", "armed": false}`:   {Name: "Soft_Probe", Fault: "Soft_Probe"},
		`{"name": "a.b-c_1", "fault": "soft-probe", "params": {"at": "head"}, "match": {"exchange": 2, "reused": true}, "gate": {"times": 1}}`: {
			Name: "a.b-c_1", Fault: "soft-probe", Params: map[string]any{"at": "head"}, Match: Match{Exchange: "2", Reused: &yes}, Gate: Gate{Times: 1}, Armed: true},
	} {
		got, err := DecodeRule([]byte(raw), "rule")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\n%+v", raw, err, got, want)
		}
		// As JSON it is the same rule again.
		out, _ := json.Marshal(got)
		if again, err := DecodeRule(out, ""); err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%s is written as %s: %v", raw, out, err)
		}
	}
}

func TestDecodeRuleRefuses(t *testing.T) {
	declareProbe(t)
	for raw, want := range map[string]string{
		`{}`:                      "invalid r.fault: is required",
		`{"fault": "prob"}`:       `not_found r.fault: no fault "prob"; did you mean "probe"?`,
		`{"fault": "reset_peer"}`: `not_found r.fault: no fault "reset_peer"; here that is "cut"`,
		`{"fault": "probe"}`:      "invalid r.params.need: probe needs it",
		`{"fault": "probe", "params": {"need": 1, "at": "x"}}`:                       `invalid r.params.at: unknown position "x"`,
		`{"fault": "probe", "params": {"need": 1, "race": true, "delay": "1s"}}`:     "invalid r.params.race: not with delay",
		`{"fault": "probe", "parms": {}}`:                                            `invalid r.parms: unknown key "parms"; did you mean "params"?`,
		`{"fault": "soft-probe", "name": "a b"}`:                                     `invalid r.name: expected 1 to 64 letters, digits, - _ or ., got "a b"`,
		`{"fault": "soft-probe", "name": "` + strings.Repeat("a", 65) + `"}`:         "invalid r.name: expected 1 to 64",
		`{"fault": "soft-probe", "match": {"path": "api"}}`:                          "invalid r.match.path: expected a glob",
		`{"fault": "soft-probe", "gate": {"key": "x"}}`:                              "invalid r.gate.key: expected path",
		`{"fault": "soft-probe", "match": {"direction": "upstream", "status": 200}}`: "invalid r.match.status: can never be known while the request is held",
		`{"fault": "soft-probe", "match": {"direction": "both", "status": 200}}`:     "invalid r.match.status: can never be known",
		`{"fault": "reply", "params": {"status": 304, "body": "text:x"}}`:            "invalid r.params.body: expected none with status 304",
		`{"fault": 7}`: "invalid r.fault: expected a string, got number 7",
	} {
		_, err := DecodeRule([]byte(raw), "r")
		if err == nil || !strings.HasPrefix(string(err.Code)+" "+err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", raw, err, want)
		}
	}
}

// A preset's parameters, match and gate lie under the rule's own, key by key.
func TestPresetLiesUnderTheRule(t *testing.T) {
	declareProbe(t)
	no := false
	r := Rule{Name: "r", Fault: "soft_probe", Params: map[string]any{"at": "head", "close-after": "9s"}, Match: Match{Reused: &no, Method: "GET"}, Gate: Gate{Skip: 1}}
	prep, match, gate, err := r.resolve("")
	if err != nil {
		t.Fatal(err)
	}
	if prep.at.Kind != HeadAt || prep.values["need"] != int64(3) || prep.values["close_after"] != "9s" || prep.kind.name != "probe" {
		t.Errorf("%+v", prep.values)
	}
	if match.String() != "reused=false method=GET path=/a" || gate.Skip != 1 || gate.Times != 2 {
		t.Errorf("%s, %+v", match, gate)
	}
	if !reflect.DeepEqual(r.Params, map[string]any{"at": "head", "close-after": "9s"}) {
		t.Error("resolving changed the rule")
	}
}

func TestRuleDescribes(t *testing.T) {
	declareProbe(t)
	for want, r := range map[string]Rule{
		"probe plain need 1, fin":                                        {Fault: "probe", Params: map[string]any{"need": 1}},
		"probe plain at body:50% need 3 close_after 2s, fin":             {Fault: "soft-probe"},
		"probe half_way v need 1 delay 1.5s, rst, other drain, then fin": {Fault: "probe", Params: map[string]any{"need": 1, "delay": "1500ms", "mode": "half-way", "value": "v", "end": "rst", "then": "fin", "other": "drain"}},
		"probe hex:00 plain need 1 race, fin":                            {Fault: "probe", Params: map[string]any{"need": 1, "race": "true", "bytes": "hex:00"}},
		"nonsense":                                                       {Fault: "nonsense"},
	} {
		if got := r.Describe(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestDurationsInParamsAreText(t *testing.T) {
	declareProbe(t)
	r := Rule{Name: "r", Fault: "probe", Params: map[string]any{"need": 1, "delay": Duration(time.Second)}}
	if prep, _, _, err := r.resolve(""); err != nil || prep.values["delay"] != "1s" {
		t.Error(err)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "A-1_b.c": true, "": false, "a b": false, "é": false, "a/b": false, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false} {
		if ValidName(name) != want {
			t.Errorf("%q", name)
		}
	}
}

// A preset is written by us: what is wrong in one is found when it is first used.
func TestPresetsThatPanic(t *testing.T) {
	for says, f := range map[string]func(){
		"preset p: match": func() { (&Preset{Name: "p", Match: `{"pth":"/"}`}).filters() },
		"preset p: gate":  func() { (&Preset{Name: "p", Gate: `{"time":1}`}).filters() },
		"parameters":      func() { laidUnder(`{"a":`, nil) },
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, says) {
					t.Errorf("want a panic that says %q, got %q", says, got)
				}
			}()
			f()
		}()
	}
}
