package faultstest

import "math/rand/v2"

// Cut says how a play's input lines are cut into reads: it returns the size of
// the next one, at most n; below 0 to have that many go by unseen where the
// engine lets them.
type Cut func(n int) int

// Whole gives each line in one read, Bytewise a byte at a time.
func Whole(n int) int  { return n }
func Bytewise(int) int { return 1 }

// Random cuts at places drawn from seed.
func Random(seed uint64) Cut {
	r := rand.New(rand.NewPCG(seed, seed))
	return func(n int) int { return 1 + r.IntN(n) }
}

// Spliced cuts at places drawn from seed and lets bytes go by unseen wherever the
// engine lets them, as a session does that splices.
func Spliced(seed uint64) Cut {
	r := rand.New(rand.NewPCG(seed, seed))
	return func(n int) int { return -1 - r.IntN(n) }
}
