package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"crimp/faults"
	"crimp/middlebox"
)

// metrics answers GET /metrics. The figures are read from the box when they are
// asked for: counting happens where the bytes pass, and nowhere twice.
func metrics(box *middlebox.Box) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		boxCollector{box},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// The metrics of a box, in the order of docs/metrics.md, which a test compares
// with what a box answers.
var (
	buildInfo       = described("crimp_build_info", "1; the label says which crimp this is.", "version")
	sessionsLive    = described("crimp_sessions", "Live sessions.", "route")
	sessionsTotal   = described("crimp_sessions_total", "Sessions accepted since start.", "route")
	sessionsRefused = described("crimp_sessions_refused_total", "Connections beyond limits.sessions or the file descriptors.", "route")
	failedDials     = described("crimp_dials_failed_total", "Upstream connections that could not be made.", "route")
	exchanges       = described("crimp_exchanges_total", "HTTP exchanges begun.", "route")
	relayed         = described("crimp_bytes_total", "Bytes that went out to the peers.", "route", "direction")
	heldBytes       = described("crimp_held_bytes", "Bytes that rules or slow peers hold back.", "route")
	fired           = described("crimp_faults_fired_total", "Faults that fired, by kind.", "route", "fault")
	rulesMissed     = described("crimp_rules_missed_total", "Rules that matched and had nothing to damage, by reason.", "route", "reason")
	addedDelay      = described("crimp_added_delay_seconds", "For how long rules kept back what they delayed.")
	loopTurn        = described("crimp_loop_turn_seconds", "How long the turns of a loop took.", "loop")
	loopDelay       = described("crimp_loop_delay_seconds", "How late a loop served what was due.", "loop")
	eventsTotal     = described("crimp_events_total", "Events since start.")
	eventsDropped   = described("crimp_events_dropped_total", "Events that the journal no longer has.")
)

var descriptions []*prometheus.Desc

func described(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	descriptions = append(descriptions, d)
	return d
}

type boxCollector struct{ box *middlebox.Box }

func (c boxCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range descriptions {
		out <- d
	}
}

func (c boxCollector) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, n int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	s := c.box.Stats()
	send(buildInfo, prometheus.GaugeValue, 1, build().Version)
	for _, r := range s.Routes {
		send(sessionsLive, prometheus.GaugeValue, r.Sessions, r.Route)
		send(sessionsTotal, prometheus.CounterValue, r.Total, r.Route)
		send(sessionsRefused, prometheus.CounterValue, r.Refused, r.Route)
		send(failedDials, prometheus.CounterValue, r.Failed, r.Route)
		send(exchanges, prometheus.CounterValue, r.Exchanges, r.Route)
		send(relayed, prometheus.CounterValue, r.Bytes.Upstream, r.Route, "upstream")
		send(relayed, prometheus.CounterValue, r.Bytes.Downstream, r.Route, "downstream")
		send(heldBytes, prometheus.GaugeValue, r.Held, r.Route)
		for kind, n := range r.Fired {
			send(fired, prometheus.CounterValue, n, r.Route, kind)
		}
		for reason, n := range r.Missed {
			send(rulesMissed, prometheus.CounterValue, n, r.Route, reason)
		}
	}
	out <- histogram(addedDelay, s.Delays)
	for i, l := range s.Loops {
		out <- histogram(loopTurn, l.Turns, strconv.Itoa(i))
		out <- histogram(loopDelay, l.Late, strconv.Itoa(i))
	}
	send(eventsTotal, prometheus.CounterValue, s.Events)
	send(eventsDropped, prometheus.CounterValue, s.Dropped)
}

// histogram is what was counted as Prometheus has it: each bucket with all below it.
func histogram(d *prometheus.Desc, c faults.Counts, labels ...string) prometheus.Metric {
	buckets, below := map[float64]uint64{}, uint64(0)
	for i, bound := range faults.HistogramBounds {
		below += c.Buckets[i]
		buckets[float64(bound)/float64(time.Second)] = below
	}
	return prometheus.MustNewConstHistogram(d, c.Total(), c.Sum.Seconds(), buckets, labels...)
}
