package faults

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestDistributions: how delays are spread, by what a hundred thousand seeded draws
// of 100 ms and 20 ms have in common. In ms: the mean, the standard deviation, the
// median, the hundredth from below and from above.
func TestDistributions(t *testing.T) {
	for _, c := range []struct {
		name                               string
		mean, deviation, median, low, high float64
	}{
		{"uniform", 100, 20 / math.Sqrt(3), 100, 80.4, 119.6},
		{"normal", 100, 20, 100, 100 - 2.326*20, 100 + 2.326*20},
		// One deviation up is a fifth more: sigma is log 1.2.
		{"lognormal", 100 * math.Exp(lognormalSigma*lognormalSigma/2), 100 * math.Exp(lognormalSigma*lognormalSigma/2) * math.Sqrt(math.Expm1(lognormalSigma*lognormalSigma)),
			100, 100 * math.Exp(-2.326*lognormalSigma), 100 * math.Exp(2.326*lognormalSigma)},
		// Lomax of shape 3 and scale 40: the deviation is scale times the root of 3/4.
		{"pareto", 120, 40 * math.Sqrt(0.75), 100 + 40*(math.Cbrt(2)-1), 100 + 40*(math.Cbrt(1/0.99)-1), 100 + 40*(math.Cbrt(100)-1)},
	} {
		p := latency{Delay: Duration(100 * time.Millisecond), Jitter: Duration(20 * time.Millisecond), Distribution: c.name}
		r, draws := rand.New(rand.NewPCG(1, 2)), make([]float64, 100_000)
		var sum, squares float64
		for i := range draws {
			draws[i] = p.draw(r).Seconds() * 1000
			sum += draws[i]
		}
		mean := sum / float64(len(draws))
		for _, d := range draws {
			squares += (d - mean) * (d - mean)
		}
		slices.Sort(draws)
		at := func(part float64) float64 { return draws[int(part*float64(len(draws)))] }
		for _, got := range []struct {
			what           string
			is, want, part float64
		}{
			{"mean", mean, c.mean, 0.01}, {"deviation", math.Sqrt(squares / float64(len(draws))), c.deviation, 0.06},
			{"median", at(0.5), c.median, 0.01}, {"1 in 100 is below", at(0.01), c.low, 0.02}, {"1 in 100 is above", at(0.99), c.high, 0.03},
		} {
			if math.Abs(got.is-got.want) > got.part*got.want {
				t.Errorf("%s: %s %.2f ms, expected %.2f", c.name, got.what, got.is, got.want)
			}
		}
	}
	// Never below 0, however wide.
	p := latency{Delay: Duration(time.Millisecond), Jitter: Duration(time.Second)}
	for _, p.Distribution = range []string{"uniform", "normal", "lognormal", "pareto"} {
		r := rand.New(rand.NewPCG(3, 4))
		for range 10_000 {
			if d := p.draw(r); d < 0 {
				t.Fatalf("%s: %v", p.Distribution, d)
			}
		}
	}
}

var lognormalSigma = math.Log(1.2)
