//go:build linux

package sys

import (
	"testing"
	"time"
)

// TestSleepIsNoLonger: a sleep that begins with a doze lasts as long as it was asked
// for, not a doze more.
func TestSleepIsNoLonger(t *testing.T) {
	k := newKernel(t)
	var ev [4]Event
	k.Wait(0, ev[:])
	for _, d := range []time.Duration{dozeMost / 2, dozeMost, 3 * dozeMost, 20 * dozeMost} {
		least := time.Hour // of several: the machine may be late, and an interruption early
		for range 20 {
			start := time.Now()
			k.Wait(d, ev[:])
			if took := time.Since(start); took >= d {
				least = min(least, took)
			}
		}
		if least < d || least > d+dozeMost*3/4 {
			t.Errorf("asked to sleep %v it slept at least %v", d, least)
		}
	}
}
