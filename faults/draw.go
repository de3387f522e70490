package faults

import "math/rand/v2"

// Draws depend on names and ordinals alone: on the seed, the route, the rule, the
// session and the occurrence. So neither other rules nor the way bytes arrive in
// chunks can shift them, and the same traffic is hit again with the same seed.
// The functions here are part of what a seed means: changing one changes runs.

// draw is the generator of one occurrence of a rule: of session and exchange for
// message rules, of session and direction for stream rules.
func draw(seed uint64, route, rule string, session, occurrence uint64) *rand.Rand {
	n := drawSeed(seed, route, rule, session, occurrence)
	return rand.New(rand.NewPCG(n, mix(n)))
}

// drawSeed is what the generator of an occurrence starts from.
func drawSeed(seed uint64, route, rule string, session, occurrence uint64) uint64 {
	h := hashString(mix(hashStart^seed), route)
	h = hashString(mix(h), rule)
	return mix(mix(mix(h)^session) ^ occurrence)
}

// drawAt is a draw keyed by a byte's offset in its stream, for damage within one:
// the same for a byte however the stream is cut.
func drawAt(occurrence uint64, offset int64) uint64 { return mix(mix(occurrence) ^ uint64(offset)) }

// share is the first number from 0 up to, but without, 1 of the generator that
// starts from n; unlike the generator itself it costs no allocation.
func share(n uint64) float64 {
	var pcg rand.PCG
	pcg.Seed(n, mix(n))
	return float64(pcg.Uint64()>>11) / (1 << 53)
}

// hashStart is the offset basis of FNV-1a.
const hashStart = 14695981039346656037

const hashPrime = 1099511628211

// hashString and hashBytes are FNV-1a going on from h, the length last, so that
// "ab"+"c" and "a"+"bc" differ.
func hashString(h uint64, s string) uint64 {
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * hashPrime
	}
	return (h ^ uint64(len(s))) * hashPrime
}

func hashBytes(h uint64, s []byte) uint64 {
	for _, c := range s {
		h = (h ^ uint64(c)) * hashPrime
	}
	return (h ^ uint64(len(s))) * hashPrime
}

// mix is the output function of splitmix64: it spreads neighbouring inputs over
// all 64 bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
