package faults

import (
	"strings"
	"testing"
)

func TestSuggest(t *testing.T) {
	names := []string{"dumb-proxy", "truncate", "cut-head", "reset", "length-mismatch", "cut", "stall", "latency", "content_length", "inject"}
	for word, want := range map[string]string{
		"trunkate":        "truncate",
		"trucnate":        "truncate", // neighbours swapped
		"TRUNCATE":        "truncate",
		"trunc":           "truncate", // cut short
		"truncated":       "truncate",
		"dumb_proxy":      "dumb-proxy",
		"dump-proxy":      "dumb-proxy",
		"cuthead":         "cut-head",
		"cut-haed":        "cut-head",
		"resett":          "reset",
		"stal":            "stall",
		"latncy":          "latency",
		"contentlength":   "content_length",
		"cot":             "cut",
		"zzz":             "",
		"x":               "",
		"":                "",
		"completely-else": "",
	} {
		if got := Suggest(word, names); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
	if Hint("trunkate", names) != `; did you mean "truncate"?` || Hint("zzz", names) != "" {
		t.Error(Hint("trunkate", names))
	}
}

func TestEditDistance(t *testing.T) {
	for pair, want := range map[string]int{"a/a": 0, "/abc": 3, "abc/acb": 1, "abc/abd": 1, "kitten/sitting": 3, "ca/abc": 3} {
		a, b, _ := strings.Cut(pair, "/")
		if editDistance(a, b) != want || editDistance(b, a) != want {
			t.Errorf("%s: %d, want %d", pair, editDistance(a, b), want)
		}
	}
}

// Other tools' words name ours, and so do those that kinds and presets declare.
func TestForeignWords(t *testing.T) {
	declareProbe(t)
	for word, want := range map[string]string{
		"Stethoscope":    `here that is "probe"`,
		"feather":        `here that is "soft-probe"`,
		"prob":           `did you mean "probe"?`,
		"reset_peer":     `here that is "cut" (cut end=rst, or the preset reset)`,
		"limit_data":     `here that is "cut" (cut at=byte:N)`,
		"slicer":         `here that is "slice"`,
		"fixedDelay":     `here that is "latency"`,
		"EMPTY_RESPONSE": `here that is "empty-reply"`,
		"my-rlue":        `did you mean "my-rule"?`,
	} {
		if got := FaultHint(word, "my-rule"); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

// Every foreign word leads to a name of the catalogue in faults.md, and says so
// if that kind is not here.
func TestForeignWordsLeadSomewhere(t *testing.T) {
	for word, f := range foreign {
		if canonical(word) != word {
			t.Errorf("%q is not written as names compare", word)
		}
		hint := FaultHint(word)
		if missing := strings.Contains(hint, "does not have"); missing != (specOf(f.ours) == nil) {
			t.Errorf("%s: %s", word, hint)
		}
	}
}
