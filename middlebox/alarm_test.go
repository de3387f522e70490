package middlebox

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Ten thousand alarms, set, moved and taken away at random, ring in the order of their
// times, each once, at the first look at or after its time.
func TestAlarms(t *testing.T) {
	const n, look = 10_000, time.Millisecond
	r := rand.New(rand.NewPCG(1, 2))
	start := time.Unix(1_700_000_000, 0)
	var a alarms
	tasks := make([]task, n)
	want := map[*task]time.Time{} // as a plain list has it
	for range 3 * n {
		x, at := &tasks[r.IntN(n)], start.Add(time.Duration(r.IntN(1e6))*time.Microsecond)
		if want[x] = at; r.IntN(4) == 0 {
			delete(want, x)
			at = time.Time{}
		}
		a.set(x, at)
	}
	for now := start; len(want) > 0; now = now.Add(look) {
		last := now.Add(-look)
		for x, late := a.due(now); x != nil; x, late = a.due(now) {
			at, ok := want[x]
			if !ok || now.Sub(at) != late || late < 0 || late >= look || at.Before(last) {
				t.Fatalf("at %v rings, %v late, what was set for %v (%v) and comes after %v", now.Sub(start), late, at.Sub(start), ok, last.Sub(start))
			}
			delete(want, x)
			last = at
		}
		if next := a.next(); len(want) > 0 && !next.After(now) || len(want) == 0 != next.IsZero() {
			t.Fatalf("at %v the next is due at %v, and there are %d", now.Sub(start), next.Sub(start), len(want))
		}
	}
	for i := range tasks {
		if tasks[i].place != 0 || !tasks[i].at.IsZero() {
			t.Fatalf("a task without an alarm has place %d, time %v", tasks[i].place, tasks[i].at)
		}
	}
}
