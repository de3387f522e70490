// Command bench puts crimp beside HAProxy, nginx and a plain io.Copy relay, all
// in one run on this machine, and says what each costs as ratios.
//
// A shared machine makes figures of different minutes incomparable. So every
// relay runs all the time, the rounds go round all of them, each time from
// another one on, a ratio is taken within a round, and what is reported is the
// median over the rounds. The processor time is that of the relay's own processes, from
// /proc: the load and the origin, which are this process or wrk and nginx, do not count.
//
// Reading order: relay.go and process.go (who takes part), conf.go (how they are set
// up), origin.go and load.go (what they have to do), wrk.go (the same by programs of
// others), usage.go (what it cost them), table.go (what is said of it). `make bench`
// runs it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// plan is what a run does.
type plan struct {
	rounds    int
	window    time.Duration // of each measurement
	sessions  int           // idle ones; 0: as many as the descriptor limit allows
	crimp     string        // the binary
	args      []string      // further arguments of crimp serve
	toxiproxy string        // the binary; empty: it takes no part
	only      *regexp.Regexp
	among     *regexp.Regexp
}

func main() {
	fail(runAsCopy())
	debug.SetGCPercent(400) // this process shares the cores with those it measures
	var p plan
	var out, only, among, args string
	var procs int
	flag.IntVar(&p.rounds, "rounds", 5, "how many times each relay is measured; medians are reported")
	flag.DurationVar(&p.window, "window", time.Second, "how long each measurement lasts")
	flag.IntVar(&p.sessions, "sessions", 0, "idle sessions held to measure memory; 0: as many as the descriptor limit allows, at most 9000")
	flag.StringVar(&p.crimp, "crimp", "./crimp", "the crimp binary")
	flag.StringVar(&args, "args", "", "further arguments of crimp serve, apart by spaces")
	flag.StringVar(&p.toxiproxy, "toxiproxy", "", "the Toxiproxy server's binary; without it, Toxiproxy takes no part")
	flag.StringVar(&only, "only", ".", "run only the loads whose name matches")
	flag.StringVar(&among, "among", ".", "measure only the relays whose name matches; the one compared to always takes part")
	flag.IntVar(&procs, "procs", 0, "on how many cores at a time this process runs, load and origin; 0: on all")
	flag.StringVar(&out, "out", "", "write the report to this file, too")
	flag.Parse()
	runtime.GOMAXPROCS(procs) // 0 changes nothing; the relays do not inherit it
	p.args = strings.Fields(args)
	var err error
	p.only, err = regexp.Compile(only)
	fail(err)
	p.among, err = regexp.Compile(among)
	fail(err)

	dir, err := os.MkdirTemp("", "bench")
	fail(err)
	results, err := p.run(dir)
	os.RemoveAll(dir)
	fail(err)
	if len(results.rows) == 0 {
		fail(errors.New("nothing was measured"))
	}
	report := results.report(p)
	fmt.Print(report)
	if out != "" {
		fail(os.WriteFile(filepath.Clean(out), []byte(report), 0o644))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run starts the relays, measures them round by round, and ends them.
func (p *plan) run(dir string) (*results, error) {
	sessions, err := room(p.sessions)
	if err != nil {
		return nil, err
	}
	p.sessions = sessions
	all := &results{}
	bench := &bench{dir: dir, plan: p, relays: map[string]*relay{}}
	defer bench.stop()
	for round := range p.rounds {
		for _, l := range loads {
			if !p.only.MatchString(l.name) {
				continue
			}
			kinds := slices.DeleteFunc(slices.Clone(l.relays), func(k string) bool {
				return k != l.base && !p.among.MatchString(k) || p.toxiproxy == "" && strings.HasPrefix(k, toxiproxy)
			})
			for i := range kinds {
				kind := kinds[(i+round)%len(kinds)]
				s, err := bench.measure(l, kind)
				if err != nil { // the others' rounds are not lost
					fmt.Fprintf(os.Stderr, "round %d/%d  %s of %s: %v\n", round+1, p.rounds, l.name, kind, err)
					continue
				}
				all.add(l, kind, round, s)
				fmt.Fprintf(os.Stderr, "round %d/%d  %-18s %-22s %s\n", round+1, p.rounds, l.name, kind, s)
			}
		}
	}
	return all, nil
}

// bench keeps the relays that run.
type bench struct {
	dir    string
	plan   *plan
	relays map[string]*relay
}

// measure gives one relay one load. Memory is measured on a relay of its own: one
// that has worked before has memory at hand already.
func (b *bench) measure(l load, kind string) (sample, error) {
	if l.fresh {
		r, err := startRelay(b.dir, kind, b.plan, l)
		if err != nil {
			return sample{}, err
		}
		defer r.stop()
		return l.run(l, r, b.plan)
	}
	name := kind
	if l.user {
		name += ", user"
	}
	if l.nginx {
		name += ", nginx behind it"
	}
	r := b.relays[name]
	if r == nil {
		var err error
		if r, err = startRelay(b.dir, kind, b.plan, l); err != nil {
			return sample{}, err
		}
		b.relays[name] = r
	}
	return l.run(l, r, b.plan)
}

func (b *bench) stop() {
	for _, r := range b.relays {
		r.stop()
	}
}
