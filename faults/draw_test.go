package faults

import (
	"math"
	"testing"
)

// A seed means the same in every version: these numbers may never change.
func TestDrawsAreForever(t *testing.T) {
	for _, row := range []struct {
		seed                uint64
		route, rule         string
		session, occurrence uint64
		want                uint64
	}{
		{42, "web", "truncate", 1, 1, 0x658f0246bada95db},
		{42, "web", "truncate", 1, 2, 0x361bb4eff17f21ab},
		{43, "web", "truncate", 1, 1, 0xe5b9633e44c11f9e},
		{0, "", "", 0, 0, 0xc2913327da36ec6c},
	} {
		if got := draw(row.seed, row.route, row.rule, row.session, row.occurrence).Uint64(); got != row.want {
			t.Errorf("%+v: %#x", row, got)
		}
	}
	if got := drawAt(1, 4096); got != 0x895cf91e4a4a3d88 {
		t.Errorf("at 4096: %#x", got)
	}
}

// Neighbouring ordinals, and names that join to the same, draw independently.
func TestDrawsDiffer(t *testing.T) {
	seen := map[uint64]bool{}
	n := 0
	add := func(v uint64) {
		n++
		seen[v] = true
	}
	for i := range uint64(50) {
		for j := range uint64(50) {
			add(drawSeed(1, "a", "b", i, j))
			add(drawSeed(i, "a", "b", j, 99))
			add(drawAt(i, int64(j)))
		}
	}
	add(drawSeed(1, "ab", "c", 0, 0))
	add(drawSeed(1, "a", "bc", 0, 0))
	add(drawSeed(1, "", "abc", 0, 0))
	if len(seen) != n {
		t.Errorf("%d of %d draws are different", len(seen), n)
	}
}

// The mean and the spread of shares over neighbouring occurrences are those of a
// uniform draw.
func TestSharesAreUniform(t *testing.T) {
	const n = 20000
	var sum, squares float64
	var tenths [10]int
	for i := range uint64(n) {
		s := share(drawSeed(9, "web", "r", i/10, i%10))
		sum += s
		squares += s * s
		tenths[int(s*10)]++
	}
	mean, variance := sum/n, squares/n-(sum/n)*(sum/n)
	if math.Abs(mean-0.5) > 0.01 || math.Abs(variance-1.0/12) > 0.003 {
		t.Errorf("mean %v, variance %v", mean, variance)
	}
	for i, got := range tenths {
		if got < n/10-250 || got > n/10+250 {
			t.Errorf("%d of %d draws in tenth %d", got, n, i)
		}
	}
}
