package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// results are all samples, by load and relay, a slice entry for each round.
type results struct{ rows []*row }

type row struct {
	load    load
	relay   string
	samples map[int]sample // by round
}

func (rs *results) add(l load, relay string, round int, s sample) {
	for _, r := range rs.rows {
		if r.load.name == l.name && r.relay == relay {
			r.samples[round] = s
			return
		}
	}
	rs.rows = append(rs.rows, &row{load: l, relay: relay, samples: map[int]sample{round: s}})
}

// median over the rounds of what of gives, 0 where there is nothing.
func (r *row) median(of func(sample) float64) float64 {
	var all []float64
	for _, s := range r.samples {
		all = append(all, of(s))
	}
	return median(all)
}

// least is the smallest of all rounds.
func (r *row) least(of func(sample) float64) float64 {
	first := true
	var min float64
	for _, s := range r.samples {
		if first || of(s) < min {
			min, first = of(s), false
		}
	}
	return min
}

// ratio is the median of the rounds' ratios to base.
func (r *row) ratio(base *row, of func(sample) float64) float64 {
	var all []float64
	for round, s := range r.samples {
		if b, ok := base.samples[round]; ok && of(b) > 0 {
			all = append(all, of(s)/of(b))
		}
	}
	return median(all)
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	slices.Sort(all)
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

func cpu(s sample) float64  { return s.cpu }
func rate(s sample) float64 { return s.rate }
func mean(s sample) float64 { return s.mean }
func p50(s sample) float64  { return s.p50 }
func p99(s sample) float64  { return s.p99 }
func low(s sample) float64  { return s.low }
func rss(s sample) float64  { return s.rss }

// instruments says what the two kinds of figures are good for. What it claims was
// measured: each of the two loads with each of the two origins, and ours with -procs 1.
const instruments = `
## Two instruments

They do not say the same, and neither is the truth about a relay; what both say is.

**Ours** makes all loads but those headed wrk. It is one process with a goroutine for each connection, the origin's among them. It can do
anything, and counts requests and processor time within one window, which opens when all is under way. But it runs on all cores, so a
relay takes turns with its own load on each, and its scheduler has a say in who waits: on two cores p99 is about 5 ms whoever relays,
and p50 well below the mean. With nginx for its origin, or wrk for its load, or on one core at a time (` + "`-procs 1`" + `), p99 through a
relay with one thread is about half of that. So it is good for bulk, connections, memory and processor time, all beside a load that is
busy on the same cores, and not for what a relay adds to a latency. Each connection waits for its answer before it asks again, so the mean
is about connections / rate; p50 and p99 say how it is shared out. A relay that serves some at once and lets others wait has a lower p50
for the same mean, and a higher p99: read the three together.

**wrk** with one thread, and nginx with one worker as its origin, are programs that nobody here wrote, each with one loop. They leave a
relay most of a core, and take the connections in turn: p50 is near the mean, and p50 and p99 are about the relay. A run lasts whole
seconds and counts from its start to its end, the opening of its connections included; the processor time is taken over the same. Its
clock runs from sending a request to having the answer, not until the next one is sent, so the mean is less than connections / rate. For an
answer that took more than twice the usual it adds those that could not be asked for meanwhile: a stall weighs more in its mean and p99.

On two cores crimp is better in latencies and worse in processor time by wrk than by ours. Its loop makes as many calls to the kernel for
a request either way, but each costs more where it has a core nearly to itself; ours says so too with ` + "`-procs 1`" + `. HAProxy's two threads
are on both cores either way; by wrk they ask for events a quarter less often, and cost the same or less. So crimp's advantage in
processor time is smaller by wrk.
`

// report is the whole, as Markdown.
func (rs *results) report(p plan) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\nWritten by `make bench`, which installs the peers it lacks and puts all relays side by side in one run, over loopback.\n\n")
	b.WriteString(machine(p))
	fmt.Fprintf(&b, `
%d rounds, each going round all relays; %s a measurement. A ratio is taken within a round, and the median over the rounds is shown; the
figures in units are medians, too. cpu is the processor time of the relay's own processes, user and system; load and origin are other
processes on the same cores. HAProxy and nginx run as many threads or processes as there are cores, crimp its default number of loops,
each with its own default way of moving bytes, unless its name says otherwise.

Anew: `+"`make bench`, or `go run ./cmd/bench -rounds 5 -only 'bulk|trip'` after `make build`"+`.
%s`, len(rs.rounds()), p.window, instruments)
	for _, l := range loads {
		var rows []*row
		for _, r := range rs.rows {
			if r.load.name == l.name {
				rows = append(rows, r)
			}
		}
		if !slices.ContainsFunc(rows, func(r *row) bool { return r.relay == l.base }) {
			continue // nothing to compare with
		}
		slices.SortFunc(rows, func(a, b *row) int { return slices.Index(l.relays, a.relay) - slices.Index(l.relays, b.relay) })
		fmt.Fprintf(&b, "\n## %s\n\n", l.title)
		if l.note != "" {
			b.WriteString(l.note + "\n\n")
		}
		if l.delay == 0 {
			fmt.Fprintf(&b, "Ratios to %s.\n\n", l.base)
		}
		writeTable(&b, table(l, rows, p))
	}
	return b.String()
}

func (rs *results) rounds() map[int]bool {
	all := map[int]bool{}
	for _, r := range rs.rows {
		for round := range r.samples {
			all[round] = true
		}
	}
	return all
}

// table has a line for each relay, the first being the heading.
func table(l load, rows []*row, p plan) [][]string {
	base := rows[slices.IndexFunc(rows, func(r *row) bool { return r.relay == l.base })]
	if l.fresh {
		lines := [][]string{{"relay", "memory", fmt.Sprintf("KiB a session, of %d (io.Copy: a quarter)", p.sessions)}}
		for _, r := range rows {
			lines = append(lines, []string{r.relay, times(r.ratio(base, rss)), fmt.Sprintf("%.2f", r.median(rss)/1024)})
		}
		return lines
	}
	if l.delay > 0 {
		lines := [][]string{{"relay", "shortest, ms", "p50, ms", "p99, ms", "cpu a " + l.unit}}
		for _, r := range rows {
			lines = append(lines, []string{r.relay, millis(r.least(low)), millis(r.median(p50)), millis(r.median(p99)), duration(r.median(cpu))})
		}
		return lines
	}
	latency := base.median(p50) > 0
	head := []string{"relay", "cpu", "rate"}
	if latency {
		head = append(head, "mean", "p50", "p99")
	}
	head = append(head, "cpu a "+l.unit, l.unit+"s a second")
	if latency {
		head = append(head, "mean, ms", "p50, ms", "p99, ms")
	}
	lines := [][]string{head}
	for _, r := range rows {
		line := []string{r.relay, times(r.ratio(base, cpu)), times(r.ratio(base, rate))}
		if latency {
			line = append(line, times(r.ratio(base, mean)), times(r.ratio(base, p50)), times(r.ratio(base, p99)))
		}
		line = append(line, duration(r.median(cpu)), fmt.Sprintf("%.4g", r.median(rate)))
		if latency {
			line = append(line, millis(r.median(mean)), millis(r.median(p50)), millis(r.median(p99)))
		}
		lines = append(lines, line)
	}
	return lines
}

func millis(x float64) string { return fmt.Sprintf("%.2f", 1e3*x) }

func times(x float64) string { return fmt.Sprintf("%.2f", x) }

func duration(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d >= time.Second/10:
		return fmt.Sprintf("%.2f s", seconds)
	case d >= time.Millisecond:
		return fmt.Sprintf("%.2f ms", seconds*1e3)
	}
	return fmt.Sprintf("%.1f us", seconds*1e6)
}

func writeTable(b *strings.Builder, lines [][]string) {
	for i, line := range lines {
		fmt.Fprintf(b, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			fmt.Fprintf(b, "|---%s|\n", strings.Repeat("|---:", len(line)-1))
		}
	}
}

// machine describes where this ran, without saying which machine it was.
func machine(p plan) string {
	text := func(file string) string {
		b, _ := os.ReadFile(file)
		return string(b)
	}
	model := "unknown processor"
	if m := regexp.MustCompile(`(?m)^model name\s*: (.*)$`).FindStringSubmatch(text("/proc/cpuinfo")); m != nil {
		model = m[1]
	}
	memory, _ := kibibytes(text("/proc/meminfo"), "MemTotal:")
	kernel, _, _ := strings.Cut(text("/proc/sys/kernel/osrelease"), "-")
	peers := fmt.Sprintf("HAProxy %s, nginx %s, wrk %s", version("haproxy", "-v"), version("nginx", "-v"), version("wrk", "-v"))
	if p.toxiproxy != "" {
		peers += ", Toxiproxy " + toxiproxyVersion(p.toxiproxy)
	}
	return fmt.Sprintf("Machine: %s, %d cores, %d GiB, Linux %s, %s. Peers: %s.\n", model, runtime.NumCPU(), (memory+1<<19)>>20,
		strings.TrimSpace(kernel), strings.Replace(runtime.Version(), "go", "Go ", 1), peers)
}

var versionNumber = regexp.MustCompile(`\d+\.\d+(\.\d+)*`)

func version(program, flag string) string {
	said, _ := exec.Command(find(program), flag).CombinedOutput()
	return versionNumber.FindString(string(said))
}
