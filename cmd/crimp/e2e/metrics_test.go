package e2e

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metrics asks a box for its figures: values by name and labels, as they are written.
func (b *box) metrics(t testing.TB) map[string]float64 {
	t.Helper()
	values := map[string]float64{}
	for _, line := range b.scrape(t) {
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			values[line[:at]], _ = strconv.ParseFloat(line[at+1:], 64)
		}
	}
	return values
}

func (b *box) scrape(t testing.TB) (lines []string) {
	t.Helper()
	resp, err := api.Get(b.api + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("/metrics: HTTP %d", resp.StatusCode)
	}
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func (b *box) scrapes(t testing.TB, line string) bool {
	t.Helper()
	return slices.Contains(b.scrape(t), line)
}

var (
	metricRow  = regexp.MustCompile("^\\| `(crimp_[a-z_]+)` \\| (\\w+) \\| ([a-z, ]*?) ?\\|")
	reasonRow  = regexp.MustCompile("^\\| `([a-z]+)` \\| [^|]*\\|\n$")
	metricType = regexp.MustCompile(`^# TYPE (crimp_\w+) (\w+)$`)
	metricLine = regexp.MustCompile(`^(crimp_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? `)
	labelName  = regexp.MustCompile(`(\w+)="`)
)

// docs/metrics.md names every metric of a box with its type and labels, and no other.
func TestMetricsAreAsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if m := metricRow.FindStringSubmatch(line); m != nil {
			wanted[m[1]] = m[2] + " " + strings.ReplaceAll(m[3], " ", "")
		}
	}
	b := newBench(t, "hello")
	b.arm("web", params{"fault": "latency", "params": params{"delay": "1ms"}})
	dial(t, b.addr).send(ask("/")).expect(b.full)

	reasons := map[string]bool{} // documented, and whether the box counts under it
	for line := range strings.Lines(string(text)) {
		if m := reasonRow.FindStringSubmatch(line); m != nil {
			reasons[m[1]] = b.scrapes(t, `crimp_rules_missed_total{reason="`+m[1]+`",route="web"} 0`)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^crimp_rules_missed_total\{.*route="web"`).FindAllString(strings.Join(b.scrape(t), "\n"), -1)); n != len(reasons) || n == 0 {
		t.Errorf("%d reasons are documented, %d counted", len(reasons), n)
	}
	for reason, counted := range reasons {
		if !counted {
			t.Errorf("the reason %s is documented, and nothing is counted under it", reason)
		}
	}

	types, labels := map[string]string{}, map[string]string{}
	for _, line := range b.scrape(t) {
		if m := metricType.FindStringSubmatch(line); m != nil {
			types[m[1]] = m[2]
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var names []string
		for _, l := range labelName.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				names = append(names, l[1])
			}
		}
		labels[m[1]] = strings.Join(names, ",")
	}
	got := map[string]string{}
	for name, kind := range types {
		got[name] = kind + " " + labels[name]
	}
	for name, is := range got {
		// Prometheus sorts labels, people do not.
		if w, ok := wanted[name]; !ok || len(w) != len(is) || !sameWords(w, is) {
			t.Errorf("%s is %q, documented as %q", name, is, w)
		}
	}
	for name := range wanted {
		if got[name] == "" {
			t.Errorf("%s is documented, and the box does not have it", name)
		}
	}
	if len(wanted) < 10 {
		t.Errorf("only %d metrics are documented: is the table still read?", len(wanted))
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total", "process_open_fds"} {
		if b.metrics(t)[name] == 0 {
			t.Errorf("no %s", name)
		}
	}
}

func sameWords(a, b string) bool {
	words := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
	}
	count := map[string]int{}
	for _, w := range words(a) {
		count[w]++
	}
	for _, w := range words(b) {
		count[w]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

// What metrics say of a session that goes on, a rule that fires and one that delays.
func TestMetricsMove(t *testing.T) {
	more := make(chan bool)
	raw := newOrigin(t, func(p *peer) {
		for range more {
			p.say(pattern(100_000))
		}
	})
	hello := answer("0123456789")
	o := always(t, hello)
	b := serve(t, "--route", "raw=127.0.0.1:0,"+raw.addr+",tcp", "--route", "web=127.0.0.1:0,"+o.addr+",http")
	wants := func(what string, name string, value float64) {
		t.Helper()
		b.eventually(what, func() error {
			if got := b.metrics(t)[name]; got != value {
				return fmt.Errorf("%s is %v, expected %v", name, got, value)
			}
			return nil
		})
	}
	// Bytes, while the session goes on.
	r := dial(t, b.routes["raw"])
	for i := 1; i <= 3; i++ {
		more <- true
		r.expect(pattern(100_000))
		wants("the bytes so far", `crimp_bytes_total{direction="downstream",route="raw"}`, float64(i)*100_000)
	}
	wants("one live session", `crimp_sessions{route="raw"}`, 1)
	close(more)

	// Faults by kind, from 0: truncate is a preset of cut.
	b.arm("web", params{"fault": "truncate", "armed": false})
	wants("a kind that has not fired", `crimp_faults_fired_total{fault="cut",route="web"}`, 0)
	b.arm("web", params{"fault": "truncate"})
	dial(t, b.routes["web"]).send(ask("/")).restIs(hello[:len(hello)-5], fin)
	wants("a kind that fired", `crimp_faults_fired_total{fault="cut",route="web"}`, 1)
	b.disarm("web", "truncate")

	// Misses by their reason.
	for _, miss := range []struct {
		fault, reason string
		params        params
	}{
		{"cut", "position", params{"at": "chunk:3"}},
		{"field", "field", params{"name": "X-None", "mode": "remove"}},
		{"rewrite", "params", params{}},
	} {
		b.arm("web", params{"name": "misses", "fault": miss.fault, "params": miss.params})
		dial(t, b.routes["web"]).send(ask("/")).expect(hello)
		wants("a miss by "+miss.reason, `crimp_rules_missed_total{reason="`+miss.reason+`",route="web"}`, 1)
		if s, _ := b.rule("web", "misses"); len(s.Misses) != 1 || s.Misses[miss.reason] != 1 {
			t.Errorf("the rule's own count: %v, expected one by %s", s.Misses, miss.reason)
		}
	}
	b.disarm("web", "misses")

	// Delays: held while it waits, counted when it goes.
	wants("no delay yet", `crimp_added_delay_seconds_count`, 0)
	const delay = 200 * time.Millisecond
	b.arm("web", params{"fault": "latency", "params": params{"delay": delay.String()}})
	late := dial(t, b.routes["web"]).send(ask("/"))
	wants("the answer is held", `crimp_held_bytes{route="web"}`, float64(len(hello)))
	late.expect(hello)
	wants("one piece was delayed", `crimp_added_delay_seconds_count`, 1)
	m := b.metrics(t)
	if sum := m[`crimp_added_delay_seconds_sum`]; sum < delay.Seconds() || sum > 10 {
		t.Errorf("%v s of delay were added, expected %v", sum, delay)
	}
	if m[`crimp_added_delay_seconds_bucket{le="0.1"}`] != 0 || m[`crimp_added_delay_seconds_bucket{le="10"}`] != 1 {
		t.Errorf("the delay is in the wrong bucket: %v", m)
	}
	if m[`crimp_exchanges_total{route="web"}`] != 5 || m[`crimp_sessions_total{route="web"}`] != 5 {
		t.Errorf("five sessions with an exchange each: %v", m)
	}
	if m[`crimp_loop_delay_seconds_count{loop="0"}`] == 0 || m[`crimp_loop_turn_seconds_count{loop="0"}`] == 0 {
		t.Errorf("the loop has not counted: %v", m)
	}
}
