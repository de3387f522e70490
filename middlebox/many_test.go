package middlebox

import (
	"fmt"
	"testing"

	"crimp/faults"
)

// To arm one of two thousand rules makes nothing anew for the others.
func TestToggleAmongManyRules(t *testing.T) {
	rules := make([]faults.Rule, 2000)
	for i := range rules {
		rules[i] = faults.Rule{Name: fmt.Sprint("r", i), Fault: "truncate", Armed: true, Match: faults.Match{Path: fmt.Sprintf("/%d/*", i)}}
	}
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: rules})
	armed := true
	n := testing.AllocsPerRun(10, func() {
		armed = !armed
		if _, err := b.Arm("web", "r1001", armed, Change{}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 1000 {
		t.Errorf("%v allocations for a toggle", n)
	}
}
