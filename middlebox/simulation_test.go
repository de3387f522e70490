package middlebox

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The simulation: the real loop, sessions and engine in a network in memory, in
// world after world, each drawn from one seed and checked at every step against
// a plain model. Reading order: simworld_test.go, simbuild_test.go and
// simfinish_test.go (what happens, from what, up to which end); simpeers_test.go,
// simtraffic_test.go, simproxy_test.go, simplans_test.go and simoperate_test.go (who
// does what); simspy_test.go (what is observed); simmodel_test.go, simjudge_test.go,
// simclaims_test.go and simalign_test.go (what must hold); simplanted_test.go
// (whether it would be noticed).
//
//	CRIMP_SIM_RUNS=1000000 go test -run TestSimulation ./middlebox    more worlds
//	go test -run TestSimulation ./middlebox -sim.seed=42              one, with its trace

var simSeed = flag.Uint64("sim.seed", 0, "run only the simulated world of this seed, and print what happened in it")
var simFirst = flag.Uint64("sim.first", 1, "the first seed")

// regressions are seeds that once found a bug. They mean what they meant as long as
// the drawing of worlds stands; a kind more in the registry changes some.
var regressions = []struct {
	seed uint64
	bug  string
}{
	{2, "an exchange whose request line never came whole finished without having started"},
	{5, "requests behind a cut started exchanges that never finished"},
	{84, "a rule fired where one behind it in the chain had just ended the direction"},
	{128, "a cut of both directions ended a session twice"},
	{294, "an exchange started on a session that had been ended by command"},
	{298, "a cut after the sender's FIN counted as fired, was not told and did nothing"},
	{364, "a fault that fired towards a server not yet connected was not told"},
	{537, "reset with a match of http keys was refused on an auto route"},
	{587, "a message longer than a second lost its line rules"},
	{1552, "exchanges stayed open when a reset met a leg that was shut already"},
	{2681, "what an ending let out of the other direction ended the session once more"},
	{3453, "a sender that was kept and had said FIN was never told FIN"},
	{2002006, "disarming one of two latencies let bytes out before the other's delay"},
	{3038477, "a peer's FIN, read after a write had met its reset, hid the reset and left the session behind"},
	{3023610, "start_line missed in a line that another rule had parted"},
	{6052345, "a fault that fired towards a server that could not be connected was not told"},
	{6070937, "a body was held for a rule that needed the whole head only"},
	{6072916, "after a fin by command the other side's FIN ended a direction that went on"},
	{7011351, "a firing told late named the exchange after its own"},
	{62488, "a cut at a byte that another rule had dropped named the next one that was left"},
	{115605, "a server that was to get FIN before it was dialled was not dialled, or did not get it"},
	{2024273, "a cut did not count the bytes that another rule kept back"},
	{10752079, "a cut in a field that another rule had removed was missed"},
	{20020958, "a cut in a field let go before its line was whole came late"},
	{700136591, "a proxy let a server go that had the beginning of a request, and the rest went nowhere"},
	{700468058, "after a reset by command a proxy waited for the answer of a server that it had read as another's"},
	{700987624, "chunks were made without end of a message whose head another rule had read away"},
	{700524155, "the model expected a cut before a chunk whose size line was not whole, and held for another rule"},
	{701403309, "the model took for the client's FIN one of a cut that is told only once an operator lets it out"},
	{701325436, "a cut after a time named a place behind bytes that another rule kept back"},
	{447, "a request that waited for a dial stayed open when its client was reset and the dial failed"},
	{830036899, "what a pipe carried when its session ended counted as read (the model)"},
	{2000664182, "the model kept an event from a loop for six seconds, in which the box gave the peer up"},
}

func simRuns() int {
	if n, err := strconv.Atoi(os.Getenv("CRIMP_SIM_RUNS")); err == nil && n > 0 {
		return n
	}
	switch {
	case testing.Short():
		return 1000
	case raceDetector:
		return 700
	}
	return 10_000
}

func TestSimulation(t *testing.T) {
	if *simSeed != 0 {
		w, err := simulate(*simSeed, nil, true)
		t.Logf("%s\n%v", strings.Join(w.trace, "\n"), w.stats)
		if err != nil {
			t.Fatalf("seed %d: %v", *simSeed, err)
		}
		return
	}
	for _, x := range regressions {
		if _, err := simulate(x.seed, nil, false); err != nil {
			t.Errorf("%s is back: %s", x.bug, report(x.seed, nil))
		}
	}
	stats, bad := explore(*simFirst, simRuns(), nil)
	for _, seed := range bad {
		t.Error(report(seed, nil))
	}
	t.Logf("%d worlds: %v", simRuns(), stats)
}

// explore runs worlds from a seed on, on all cores, and gives the first few seeds
// that fail, in order.
func explore(first uint64, runs int, p *plant) (stats map[string]int, bad []uint64) {
	stats = map[string]int{}
	var next atomic.Int64
	var mu sync.Mutex
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				n := next.Add(1) - 1
				if n >= int64(runs) {
					return
				}
				seed := first + uint64(n)
				// A step without end fills all memory before any limit of the test's is over.
				hangs := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("the world of seed %d does not end", seed)) })
				w, err := simulate(seed, p, false)
				hangs.Stop()
				mu.Lock()
				for k, v := range w.stats {
					stats[k] += v
				}
				if err != nil {
					if bad = append(bad, w.seed); len(bad) >= 3 {
						next.Store(int64(runs))
					}
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	slices.Sort(bad)
	return stats, bad
}

// report runs a failing world once more and tells what led to the failure.
func report(seed uint64, p *plant) string {
	w, err := simulate(seed, p, true)
	tail := w.trace[max(0, len(w.trace)-40):]
	return fmt.Sprintf("seed %d: %v\n...\n%s\nall of it: go test -run TestSimulation ./middlebox -sim.seed=%d", seed, err, strings.Join(tail, "\n"), seed)
}

// TestSimulationRepeats: the same seed is the same world, to the last byte.
func TestSimulationRepeats(t *testing.T) {
	for seed := uint64(1); seed <= 50; seed++ {
		a, err1 := simulate(seed, nil, true)
		b, err2 := simulate(seed, nil, true)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || !slices.Equal(a.trace, b.trace) || !maps.Equal(a.stats, b.stats) {
			t.Fatalf("seed %d is not the same world twice", seed)
		}
	}
}
