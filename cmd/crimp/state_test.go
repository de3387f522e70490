package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"crimp/faults"
	"crimp/middlebox"
)

// What state --yaml writes is read back as what it was, whatever YAML might take
// a text for.
func TestStateRoundTrip(t *testing.T) {
	texts := []string{
		"true", "no", "null", "~", "1", "1e3", "0x10", "0o7", "1_000", ".inf", "2026-01-02", "12:30:00", "=", "<<",
		"- a", "a: b", " x ", "#x", "a #b", "*a", "&a", "!a", "%a", "@a", "`a", "{a}", "[a", "'", `"`, `\`, `a\r\n`, "|", ">", "?", ":", "-", "---", "...",
		"text:a\r\nb", "tab\there", "\x00\x01\x7f", "é 日本 😀 \u2028\ufeff", "line\nline\n", "\n", " \n x", "x: |\n y",
	}
	var rules []middlebox.RuleState
	for i, text := range texts {
		rules = append(rules, middlebox.RuleState{Rule: faults.Rule{
			Name: "r" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Fault: "truncate",
			Match: faults.Match{Path: "/" + text, Header: map[string]string{"X": text}}, Armed: i%2 == 0,
		}})
	}
	rules = append(rules,
		middlebox.RuleState{Rule: faults.Rule{Name: "p", Fault: "cut", Params: map[string]any{"at": "field:2", "end": "rst"}, Gate: faults.Gate{Times: 3}}},
		middlebox.RuleState{Rule: faults.Rule{Name: "leased", Fault: "cut"}, Lease: "c1"})
	s := middlebox.State{Routes: []middlebox.RouteState{
		{Name: "web", Listen: "127.0.0.1:8080", Upstream: "[::1]:9000", Protocol: "http", Mode: "forward", OnDialError: "502", Rules: rules},
		{Name: "123", Listen: "[::]:80", Upstream: "true:1", Protocol: "auto", Mode: "forward", OnDialError: "rst"},
	}}
	file, err := stateYAML(s, 1<<63, middlebox.Limits{
		Sessions: 7, HeldBytes: 1 << 20, HeldBytesPerSession: 1 << 16, Linger: faults.Duration(time.Second), Events: 9, Exchanges: 9})
	if err != nil {
		t.Fatal(err)
	}
	conf, err := decodeConfig("state.yaml", file)
	if err != nil {
		t.Fatalf("%v\n%s", err, file)
	}
	if *conf.Seed != 1<<63 || conf.Limits.Sessions != 7 || conf.Limits.HeldBytes != 1<<20 || len(conf.Routes) != 2 {
		t.Errorf("seed %d, limits %+v, %d routes", *conf.Seed, conf.Limits, len(conf.Routes))
	}
	for i, got := range conf.Routes[0].Rules {
		if diff := cmp.Diff(rules[i].Rule, got); diff != "" {
			t.Error(diff)
		}
	}
	if n := len(conf.Routes[0].Rules); n != len(rules)-1 {
		t.Errorf("%d rules, want %d: all but the leased one", n, len(rules)-1)
	}
}
