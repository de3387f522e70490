package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"crimp/control"
)

// A file becomes the JSON that the protocol would carry.
func TestYAMLBecomesJSON(t *testing.T) {
	for _, test := range []struct{ name, yaml, json string }{
		{"nothing", "", `{}`},
		{"only comments", "# nothing\n", `{}`},
		{"block", "a:\n  - b: 1\n    c: x\n  - 2.5\n", `{"a":[{"b":1,"c":"x"},2.5]}`},
		{"flow", `{a: [1, "x", {b: null}], c: true}`, `{"a":[1,"x",{"b":null}],"c":true}`},
		{"what looks like a number in quotes stays text", `a: "502"`, `{"a":"502"}`},
		{"text keys are text as written", "name: 0x10\n", `{"name":"0x10"}`},
		{"text keys: true is a word", "name: true\n", `{"name":"true"}`},
		{"text keys: nothing is nothing", "name:\n", `{"name":null}`},
		{"numbers", "a: [0x10, 0o17, 1_000, -3, 1.5]\n", `{"a":[16,15,1000,-3,1.5]}`},
		{"folded", "a: >-\n  b\n  c\n", `{"a":"b c"}`},
		{"escapes", `a: "\r\n\u00e9"`, `{"a":"\r\né"}`},
		{"alias", "a: &x [1]\nb: *x\n", `{"a":[1],"b":[1]}`},
		{"merge: its own keys win", "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}\n", `{"a":{"k":1,"l":2},"b":{"k":3,"l":2}}`},
		{"merge of several: the first wins", "a: &x {k: 1}\nb: &y {k: 2, l: 2}\nc:\n  <<: [*x, *y]\n", `{"a":{"k":1},"b":{"k":2,"l":2},"c":{"k":1,"l":2}}`},
		{"CRLF", "a: 1\r\nb: x\r\n", `{"a":1,"b":"x"}`},
		{"a byte-order mark", "\ufeffa: 1\n", `{"a":1}`},
		{"a document mark", "---\na: 1\n", `{"a":1}`},
		{"no mapping: the decoder's to judge", "- 1\n", `[1]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			doc, err := parseYAML("f.yaml", []byte(test.yaml), func(path string) bool { return path == "name" })
			if err != nil {
				t.Fatal(err)
			}
			var got, want any
			if err := json.Unmarshal(doc.json, &got); err != nil {
				t.Fatalf("%s: %v", doc.json, err)
			}
			if err := json.Unmarshal([]byte(test.json), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// judge is what check does with a file.
func judge(source []byte) (*configuration, error) {
	conf, err := decodeConfig("f.yaml", source)
	if err == nil {
		err = conf.judged()
	}
	if err != nil {
		return nil, err
	}
	return conf, nil
}

// What is wrong in a file is shown at its place.
func TestConfigErrorsHaveAPlace(t *testing.T) {
	const web = "routes:\n- name: web\n  listen: 127.0.0.1:0\n  upstream: 127.0.0.1:9\n"
	for _, test := range []struct{ name, yaml, want string }{
		{"unknown key: the key", "sed: 1\n", `f.yaml:1:1: sed: unknown key "sed"; did you mean "seed"?`},
		{"wrong value: the value", "seed:   x\n", `f.yaml:1:9: seed: `},
		{"no session allowed", "limits: { sessions: -1 }\n", `f.yaml:1:21: limits.sessions: expected 1 to 10000000, got -1`},
		{"nothing may be held", "limits: { held_bytes: 12 }\n", `f.yaml:1:23: limits.held_bytes: expected 64KiB or more, got 12`},
		{"bare duration", "limits: { linger: 30 }\n", `f.yaml:1:19: limits.linger: expected a duration such as 250ms, got number 30`},
		{"missing: what is around it", "routes:\n- name: web\n  upstream: 127.0.0.1:9\n", `f.yaml:2:3: routes[0].listen: is missing`},
		{"empty: its key", "routes:\n- name: web\n  listen:\n", `f.yaml:3:3: routes[0].listen: is missing`},
		{"duplicate key", "seed: 1\nseed: 2\n", `f.yaml:2:1: seed: is given twice`},
		{"duplicate route", web + "- { name: web, listen: 127.0.0.1:0, upstream: 127.0.0.1:9 }\n", `f.yaml:5:11: routes[1].name: "web" is the name of two routes`},
		{"unknown fault", web + "  rules:\n  - fault: trunkate\n", `f.yaml:6:12: routes[0].rules[0].fault: no fault "trunkate"; did you mean "truncate"?`},
		{"position that does not parse", web + "  rules:\n  - fault: cut\n    params: { at: \"feld:2\" }\n", `f.yaml:7:19: routes[0].rules[0].params.at: `},
		{"unknown parameter", web + "  rules:\n  - fault: cut\n    params: { att: now }\n", `f.yaml:7:15: routes[0].rules[0].params.att: cut has no parameter "att"; did you mean "at"`},
		{"unknown match key", web + "  rules:\n  - fault: truncate\n    match:\n      pth: /x\n", `f.yaml:8:7: routes[0].rules[0].match.pth: unknown key "pth"; did you mean "path"?`},
		{"duplicate rule", web + "  rules:\n  - fault: truncate\n  - fault: truncate\n", `f.yaml:7:`},
		{"message rule on a tcp route", web + "  protocol: tcp\n  rules:\n  - fault: truncate\n", `"web" is tcp`},
		{"its own control address", "control: { listen: 127.0.0.1:5 }\nroutes:\n- { name: w, listen: \"127.0.0.1:0\", upstream: \"127.0.0.1:5\" }\n", `f.yaml:3:47: routes[0].upstream: 127.0.0.1:5 is the box's own address`},
		{"an upstream that is the route itself", "routes:\n- { name: w, listen: \"127.0.0.1:5\", upstream: \"127.0.0.1:5\" }\n", `f.yaml:2:47: routes[0].upstream: 127.0.0.1:5 would dial in a circle`},
		{"an answer for http alone", web + "  protocol: tcp\n  on_dial_error: 502\n", `f.yaml:6:18: routes[0].on_dial_error: 502 needs an http route; "web" is tcp`},
		{"open to all without token", "control: { listen: 0.0.0.0:5 }\n", `f.yaml:1:20: control.listen: 0.0.0.0:5 is not a loopback address`},
		{"one listening address for two", web + "- { name: other, listen: \"127.0.0.1:80\", upstream: \"127.0.0.1:9\" }\n- { name: third, listen: \"127.0.0.1:80\", upstream: \"127.0.0.1:9\" }\n", `f.yaml:6:26: routes[2].listen: 127.0.0.1:80 is the address of route "other"`},
		{"syntax", "a: [1\nb: 2\n", `f.yaml:2:1: `},
		{"not UTF-8", "seed: 1\n# \xff\n", `f.yaml:2:3: not UTF-8 text`},
		{"an alias within itself", "a: &a [*a]\n", `f.yaml:1:8: a[0][0]: *a: within itself`},
		{"no such anchor", "a: *b\n", `f.yaml:1:4: a: *b: no anchor &b before it`},
		{"two documents", "seed: 1\n---\nseed: 2\n", `f.yaml:3:1: one document was expected`},
		{"a list", "- 1\n", `f.yaml:1:1: expected an object, got a list`},
		{"a byte-order mark is no column", "\ufeffsede: 1\n", `f.yaml:1:1: `},
		{"runes, not bytes", "routes:\n- { name: wéb, listen: x }\n", `f.yaml:2:11: routes[0].name: expected 1 to 64 letters, digits, - or _, got "wéb"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := judge([]byte(test.yaml))
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), test.want) || exitCode(err) != exitUsage {
				t.Errorf("exit %d:\n%v\nwant exit 2 and %s", exitCode(err), err, test.want)
			}
		})
	}
}

// The schema of the protocol has the keys that a file may have, all of them.
func TestSchemaIsOfTheFile(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(control.Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	for def, where := range map[string]string{"Configuration": "%s", "Settings": "control: { %s }", "Limits": "limits: { %s }", "Route": "routes: [ { %s } ]"} {
		var keys []string
		for key := range schema.Defs[def].Properties {
			keys = append(keys, key)
			if _, err := judge(fmt.Appendf(nil, where, key+": null")); err != nil && strings.Contains(err.Error(), "unknown key") {
				t.Errorf("the schema has %s of %s: %v", key, def, err)
			}
		}
		_, err := judge(fmt.Appendf(nil, where, "zzzzzz: null"))
		_, list, _ := strings.Cut(fmt.Sprint(err), "expected one of ")
		list, _, _ = strings.Cut(list, "\n")
		known := strings.Split(list, ", ")
		slices.Sort(keys)
		slices.Sort(known)
		if diff := cmp.Diff(known, keys); diff != "" || len(keys) == 0 {
			t.Errorf("%s: a file may have -, the schema has +\n%s", def, diff)
		}
	}
}

// A file is told of all its mistakes in the order in which they stand in it, and
// of none that only follows from another.
func TestAllMistakesOfAFile(t *testing.T) {
	for _, test := range []struct {
		name, yaml string
		want       []string
	}{
		{"routes and rules", "seed: x\nroutes:\n- name: w b\n  listen: 127.0.0.1:0\n  upsteam: 127.0.0.1:9\n  rules:\n  - fault: cut\n    params: { at: \"feld:2\", end: fni }\n  - fault: trunkate\n- name: db\n  protocol: tpc\n  upstream: 127.0.0.1\n",
			[]string{`1:7: seed: `, `3:9: routes[0].name: `, `5:3: routes[0].upsteam: unknown key "upsteam"; did you mean "upstream"?`, `8:19: routes[0].rules[0].params.at: `,
				`8:34: routes[0].rules[0].params.end: `, `9:12: routes[0].rules[1].fault: no fault "trunkate"`, `10:3: routes[1].listen: is missing`, `11:13: routes[1].protocol: expected auto, http or tcp, got "tpc"`,
				`12:13: routes[1].upstream: expected HOST:PORT`, `9 mistakes`}},
		{"what is wrong as YAML too", "seed: *none\nlimits: { linger: .inf, linger: 1s, events: x }\n", []string{`1:7: seed: *none: no anchor`, `2:19: limits.linger: inf: only mappings, lists, text, numbers`, `2:25: limits.linger: is given twice`, `2:45: limits.events: `, `4 mistakes`}},
		{"control, limits and routes", "control: { listen: nowhere }\nlimits: { excess: drop }\nroutes: [{}]\n", []string{`1:20: control.listen: `, `2:19: limits.excess: `, `3:10: routes[0].name`, `3:10: routes[0].listen: is missing`, `3:10: routes[0].upstream: is missing`, `5 mistakes`}},
		{"alone it is not counted", "sed: 1\n", []string{`1:1: sed: `}},
		{"more than anybody reads", "control: { hosts: [" + strings.Repeat("[], ", 60) + "] }\n", append(slices.Repeat([]string{"1:"}, 50), `50 mistakes, perhaps more`)},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := judge([]byte(test.yaml))
			if err == nil {
				t.Fatal("no error")
			}
			var got []string
			for line := range strings.Lines(err.Error()) {
				if line = strings.TrimSpace(line); strings.HasPrefix(line, "f.yaml:") {
					got = append(got, strings.TrimSpace(strings.TrimPrefix(line, "f.yaml:")))
				}
			}
			if len(got) != len(test.want) {
				t.Fatalf("%d lines, want %d:\n%v", len(got), len(test.want), err)
			}
			for i := range got {
				if !strings.HasPrefix(got[i], test.want[i]) {
					t.Errorf("%s\nwant %s", got[i], test.want[i])
				}
			}
		})
	}
}

// The caret stands under the place, also far right and behind tabs.
func TestExcerpt(t *testing.T) {
	for _, test := range []struct {
		source string
		at     place
		want   string
	}{
		{"a: 1\nb: 2\nc: 3\nd: 4\n", place{4, 4}, "    2 | b: 2\n    3 | c: 3\n    4 | d: 4\n      |    ^"},
		{"a: 1\n", place{1, 1}, "    1 | a: 1\n      | ^"},
		{"a:\t1\r\n", place{1, 4}, "    1 | a: 1\n      |    ^"},
		{strings.Repeat("x", 200) + "y", place{1, 201}, "    1 | " + strings.Repeat("x", 54) + "y\n      | " + strings.Repeat(" ", 54) + "^"},
	} {
		d := &document{source: []byte(test.source)}
		if got := d.excerpt(test.at); got != test.want {
			t.Errorf("%q at %v:\n%s\nwant\n%s", test.source, test.at, got, test.want)
		}
	}
}

// A few lines cannot name a billion values.
func TestAliasesAreBounded(t *testing.T) {
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		n := string(rune('0' + i))
		prev := string(rune('0' + i - 1))
		bomb += "a" + n + ": &a" + n + " [" + strings.TrimSuffix(strings.Repeat("*a"+prev+", ", 10), ", ") + "]\n"
	}
	_, err := judge([]byte(bomb))
	if err == nil || !strings.Contains(err.Error(), "too much") {
		t.Fatalf("%.200v", err)
	}
}

// A deep file costs no more than a long one.
func TestDepthIsBounded(t *testing.T) {
	for _, yaml := range []string{
		"a: " + strings.Repeat("[", 500_000),
		"a: " + strings.Repeat("{a: ", 100_000),
		strings.Repeat("- ", 300_000) + "1",
	} {
		_, err := judge([]byte(yaml))
		if err == nil || !strings.Contains(err.Error(), "too deep") {
			t.Errorf("%.300v", err)
		}
	}
	var steps strings.Builder
	for i := range 200 {
		steps.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	if _, err := judge([]byte(steps.String())); err == nil || !strings.Contains(err.Error(), "deep") {
		t.Errorf("%.300v", err)
	}
}

// Whatever the file, the answer is a configuration or an error with a place.
func FuzzConfig(f *testing.F) {
	f.Add("routes:\n- name: web\n  listen: 127.0.0.1:0\n  upstream: 127.0.0.1:9\n  rules:\n  - {fault: cut, params: {at: \"field:2\"}}\n")
	f.Add("a: &a [1, *a]\nb: {<<: *a, c: !!str 3}\n---\n...\n")
	f.Add("? x\n: |\n  y\n- 'z'\n\t%YAML 1.2\n\"\\u12")
	f.Fuzz(func(t *testing.T, yaml string) {
		conf, err := judge([]byte(yaml))
		if (conf == nil) == (err == nil) {
			t.Fatal("neither or both")
		}
		if err != nil && exitCode(err) != exitUsage {
			t.Fatal(err)
		}
	})
}
