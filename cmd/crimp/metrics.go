package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

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

var (
	sessionsLive  = prometheus.NewDesc("crimp_sessions", "Live sessions.", []string{"route"}, nil)
	sessionsTotal = prometheus.NewDesc("crimp_sessions_total", "Sessions accepted since start.", []string{"route"}, nil)
	exchanges     = prometheus.NewDesc("crimp_exchanges_total", "HTTP exchanges since start.", []string{"route"}, nil)
	failedDials   = prometheus.NewDesc("crimp_dials_failed_total", "Upstream connections that could not be made.", []string{"route"}, nil)
	relayed       = prometheus.NewDesc("crimp_bytes_total", "Bytes relayed since start.", []string{"route", "direction"}, nil)
	heldBytes     = prometheus.NewDesc("crimp_held_bytes", "Bytes held back.", nil, nil)
	eventsDropped = prometheus.NewDesc("crimp_events_dropped_total", "Events that the journal no longer has.", nil, nil)
)

type boxCollector struct{ box *middlebox.Box }

func (c boxCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sessionsLive, sessionsTotal, failedDials, exchanges, relayed, heldBytes, eventsDropped} {
		out <- d
	}
}

func (c boxCollector) Collect(out chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, n int64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	s := c.box.Stats()
	for _, r := range s.Routes {
		send(sessionsLive, prometheus.GaugeValue, r.Sessions, r.Route)
		send(sessionsTotal, prometheus.CounterValue, r.Total, r.Route)
		send(failedDials, prometheus.CounterValue, r.Failed, r.Route)
		send(exchanges, prometheus.CounterValue, r.Exchanges, r.Route)
		send(relayed, prometheus.CounterValue, r.Bytes.Upstream, r.Route, "upstream")
		send(relayed, prometheus.CounterValue, r.Bytes.Downstream, r.Route, "downstream")
	}
	send(heldBytes, prometheus.GaugeValue, s.Held)
	send(eventsDropped, prometheus.CounterValue, s.Dropped)
}
