package faultstest

import (
	"encoding/json"
	"fmt"
	"testing"

	"crimp/faults"
)

// TestExamples runs every example of the catalogue as a play: whole, byte by
// byte and at random cuts.
func TestExamples(t *testing.T) {
	for _, f := range faults.Catalogue() {
		for _, ex := range f.Examples {
			t.Run(f.Name+"/"+ex.Title, func(t *testing.T) {
				raw := fmt.Sprintf(`{"fault":%q,"params":%s,"match":%s}`, f.Name, orEmpty(ex.Params), orEmpty(ex.Match))
				rule, err := faults.DecodeRule(json.RawMessage(raw), "")
				if err != nil {
					t.Fatalf("%s: %v", raw, err)
				}
				play(t, []faults.Rule{rule}, ex.Play)
			})
		}
	}
}

func orEmpty(s json.RawMessage) string {
	if len(s) == 0 {
		return "{}"
	}
	return string(s)
}

func play(t *testing.T, rules []faults.Rule, script string) {
	t.Helper()
	if err := Run(rules, script, Whole); err != nil {
		t.Fatalf("whole: %v", err)
	}
	if err := Run(rules, script, Bytewise); err != nil {
		t.Fatalf("byte by byte: %v", err)
	}
	for seed := range uint64(25) {
		if err := Run(rules, script, Random(seed)); err != nil {
			t.Fatalf("cut by seed %d: %v", seed, err)
		}
		if err := Run(rules, script, Spliced(seed)); err != nil {
			t.Fatalf("spliced, seed %d: %v", seed, err)
		}
	}
}
