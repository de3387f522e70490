package faults

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCatalogueOrder(t *testing.T) {
	declareProbe(t)
	rank := func(f Fault) int {
		switch {
		case f.Headline:
			return 0
		case f.PresetOf != nil:
			return 1
		}
		return 2
	}
	last, names := 0, map[string]bool{}
	for _, f := range Catalogue() {
		if rank(f) < last {
			t.Errorf("%s stands too late", f.Name)
		}
		last = rank(f)
		if names[f.Name] {
			t.Errorf("%s is listed twice", f.Name)
		}
		names[f.Name] = true
	}
	if !names["probe"] || !names["soft-probe"] {
		t.Error("the declared kind or its preset is missing")
	}
}

func TestLookup(t *testing.T) {
	declareProbe(t)
	for name, want := range map[string]string{"probe": "probe", "PROBE": "probe", "soft-probe": "soft-probe", "Soft_Probe": "soft-probe"} {
		if f, err := Lookup(name); err != nil || f.Name != want {
			t.Errorf("%s: %s (%v)", name, f.Name, err)
		}
	}
	if _, err := Lookup("prob"); err == nil || err.Code != NotFound || err.Message != `no fault "prob"; did you mean "probe"?` {
		t.Error(err)
	}
}

// A preset's entry is its kind's with what it fills in.
func TestPresetEntry(t *testing.T) {
	declareProbe(t)
	f, err := Lookup("soft-probe")
	if err != nil {
		t.Fatal(err)
	}
	if *f.PresetOf != "probe" || f.Defaults["need"] != int64(3) || f.Defaults["at"] != "body:50%" || f.Defaults["close_after"] != "2s" || f.Defaults["size"] != "1" {
		t.Errorf("%+v", f)
	}
	if f.Match.String() != "reused=true path=/a" || f.Gate.Times != 2 || f.Client != "nothing" {
		t.Errorf("%+v", f)
	}
	raw, _ := json.Marshal(f)
	for _, want := range []string{`"name":"soft-probe"`, `"preset_of":"probe"`, `"group":"bytes"`, `"gate":{"times":2}`, `"examples":[]`, `"additionalProperties":false`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestSchema(t *testing.T) {
	declareProbe(t)
	f, _ := Lookup("probe")
	raw, err := json.Marshal(f.Params)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"need":{"description":"how many","maximum":100,"minimum":-5,"type":["integer","string"],"x-max":"100","x-min":"-5","x-type":"int"}`,
		`"delay":{"default":"0s","description":"how long","type":"string","x-max":"1h","x-type":"duration"}`,
		`"mode":{"default":"plain","description":"which way","enum":["plain","half_way"],"type":"string","x-type":"string"}`,
		`"race":{"default":false,`, `"required":["need"]`, `"x-order":["at","need",`,
	} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in %s", want, raw)
		}
	}
}

func TestMarkdown(t *testing.T) {
	declareProbe(t)
	text := Markdown()
	for _, want := range []string{
		"| [`soft-probe`](#soft-probe) | probe plain at body:50% need 3 close_after 2s, fin | a probe \\| soft |\n",
		"| [`probe`](#probe) | `at` now, `need` (required), `delay` 0s,",
		"`mode` plain/half_way",
		"### probe\n\nDoes nothing.\n\nWhat a client sees: Nothing.\n",
		"| `need` | required | how many (int, -5 to 100) |\n",
		"| `ratio` | `0` | a \\| b (number, 0 to 1) |\n",
		"Nothing happens: `crimp arm ROUTE probe need=1 bytes='text:it'\\''s\\r\\n' --match 'path=/*'`\n\n```\ns> x\n>c x\n```\n",
		"Short for `probe at=body:50% need=3",
		"--match reused=true --match path=/a`, with the parameters of [`probe`](#probe).",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	alone, err := Lookup("soft-probe")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"A preset: `probe plain at body:50%", "Match: `reused=true path=/a`."} {
		if !strings.Contains(alone.Markdown(), want) {
			t.Errorf("no %q in\n%s", want, alone.Markdown())
		}
	}
	if !strings.HasPrefix(text, Tables()) {
		t.Error("Markdown does not begin with the tables")
	}
}
