//go:build linux || darwin

package sys

import (
	"slices"
	"testing"
)

// Each is reported once, in its order, in as many turns as it takes; one that is
// closed before is not.
func TestLost(t *testing.T) {
	l := lost{3, 4, 5, 6}
	l.forget(5)
	l.forget(9)
	var got []Socket
	var ev [2]Event
	for n := l.report(ev[:]); n > 0; n = l.report(ev[:]) {
		for _, e := range ev[:n] {
			if got = append(got, e.Sock); e.Ready != In|Fin|Err {
				t.Errorf("%d is reported as %v", e.Sock, e.Ready)
			}
		}
	}
	if want := []Socket{3, 4, 6}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
