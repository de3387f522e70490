package faults

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// These tests run over every declared fault, so that a new kind is held to them
// without a line of its own.

// needed is a valid value for each required parameter, guessed from its type.
func needed(f Fault) map[string]any {
	out := map[string]any{}
	for _, p := range f.List {
		if !p.Required {
			continue
		}
		switch {
		case p.Enum != nil:
			out[p.Name] = p.Enum[0]
		case p.Min != "":
			out[p.Name] = p.Min
		default:
			out[p.Name] = map[string]any{"duration": "1s", "size": "1KiB", "rate": "1MB/s", "percent": "50%", "bytes": "text:x",
				"position": "now", "string": "x", "int": 1, "number": 1, "bool": true}[p.Type]
		}
	}
	return out
}

func everyFault(t *testing.T, check func(t *testing.T, f Fault)) {
	declareProbe(t)
	for _, f := range Catalogue() {
		t.Run(f.Name, func(t *testing.T) { check(t, f) })
	}
}

func resolved(t *testing.T, f Fault, params map[string]any) *prepared {
	t.Helper()
	prep, _, _, err := Rule{Name: "r", Fault: f.Name, Params: params}.resolve("")
	if err != nil {
		t.Fatalf("%v: %v", params, err)
	}
	return prep
}

// With its defaults, and what it requires, every fault can be armed.
func TestEveryFaultHasValidDefaults(t *testing.T) {
	everyFault(t, func(t *testing.T, f Fault) {
		prep := resolved(t, f, needed(f))
		if prep.parts == nil && given(prep.here != nil)+given(prep.new != nil)+given(prep.arrive != nil) != 1 {
			t.Error("none or several of Here, New and Arrive")
		}
	})
}

// What a fault says its values are, it takes again, as JSON and as a command
// line's text, and comes to the same.
func TestEveryFaultRoundTrips(t *testing.T) {
	everyFault(t, func(t *testing.T, f Fault) {
		first := resolved(t, f, needed(f)).values
		raw, err := json.Marshal(first)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON map[string]any
		if err := DecodeStrict(raw, &fromJSON, ""); err != nil {
			t.Fatal(err)
		}
		asText := map[string]any{}
		for key, value := range first {
			asText[strings.ReplaceAll(key, "_", "-")] = fmt.Sprint(value)
		}
		for _, params := range []map[string]any{fromJSON, asText} {
			if again := resolved(t, f, params).values; !reflect.DeepEqual(again, first) {
				t.Errorf("%v, then %v", first, again)
			}
		}
	})
}

func TestEveryFaultRefusesWhatItDoesNotKnow(t *testing.T) {
	everyFault(t, func(t *testing.T, f Fault) {
		for _, p := range f.List {
			if len(p.Name) < 3 {
				continue
			}
			params := needed(f)
			params[p.Name+"x"] = "1"
			_, _, _, err := Rule{Name: "r", Fault: f.Name, Params: params}.resolve("")
			if err == nil || err.Field != "params."+p.Name+"x" || !strings.Contains(err.Message, "did you mean") {
				t.Errorf("%sx: %v", p.Name, err)
			}
		}
		params := needed(f)
		params["qqqqqq"] = 1
		if _, _, _, err := (Rule{Name: "r", Fault: f.Name, Params: params}).resolve(""); err == nil || err.Field != "params.qqqqqq" {
			t.Error(err)
		}
	})
}

func TestEveryFaultIsExplained(t *testing.T) {
	text := ""
	everyFault(t, func(t *testing.T, f Fault) {
		if text == "" {
			text = Markdown()
		}
		if f.Summary == "" || f.Client == "" || groupOrder[Group(f.Group)] == 0 && f.Group != string(Connect) {
			t.Errorf("summary %q, client %q, group %q", f.Summary, f.Client, f.Group)
		}
		if f.PresetOf == nil && len(f.Examples) == 0 {
			t.Error("no example")
		}
		for _, want := range []string{"| " + link(f.Name) + " |", "### " + f.Name + "\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("Markdown lacks %q", want)
			}
		}
		for _, p := range f.List {
			if p.Help == "" || p.Type == "" || !p.Required && p.Default == nil {
				t.Errorf("%+v", p)
			}
			if f.PresetOf == nil && p.Enum != nil && !p.Required && p.Default != p.Enum[0] {
				t.Errorf("%s: the first value listed is not the default %v", p.Name, p.Default)
			}
		}
		if f.PresetOf != nil && !strings.HasPrefix(f.Is, *f.PresetOf) {
			t.Errorf("a preset of %s is %q", *f.PresetOf, f.Is)
		}
	})
}

// The parameters of every example are valid, and its match.
func TestEveryExampleResolves(t *testing.T) {
	everyFault(t, func(t *testing.T, f Fault) {
		for _, e := range f.Examples {
			r := Rule{Name: "r", Fault: f.Name}
			if err := DecodeStrict(orEmpty(e.Params), &r.Params, "params"); err != nil {
				t.Errorf("%s: %v", e.Title, err)
			}
			if err := DecodeStrict(orEmpty(e.Match), &r.Match, "match"); err != nil {
				t.Errorf("%s: %v", e.Title, err)
			}
			if err := r.Check(""); err != nil {
				t.Errorf("%s: %v", e.Title, err)
			}
			if e.Title == "" || e.Play == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

// The schema says of the defaults what decoding says: nothing else is known.
func TestEverySchemaListsItsParameters(t *testing.T) {
	everyFault(t, func(t *testing.T, f Fault) {
		properties := f.Params["properties"].(map[string]any)
		if len(properties) != len(f.List) || len(f.Params["x-order"].([]string)) != len(f.List) {
			t.Errorf("%v", properties)
		}
		if _, err := json.Marshal(f); err != nil {
			t.Error(err)
		}
	})
}
