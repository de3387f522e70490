package main

import (
	"net/http/httptest"
	"strings"
	"testing"

	"crimp/middlebox"
)

func TestMetrics(t *testing.T) {
	box, err := middlebox.New(middlebox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Kill()
	if err := box.Configure([]middlebox.Route{{Name: "web", Listen: "127.0.0.1:0", Upstream: "127.0.0.1:9"}}, "test"); err != nil {
		t.Fatal(err)
	}
	answer := httptest.NewRecorder()
	metrics(box).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`crimp_sessions{route="web"} 0`, `crimp_sessions_total{route="web"} 0`, `crimp_exchanges_total{route="web"} 0`,
		`crimp_dials_failed_total{route="web"} 0`, `crimp_bytes_total{direction="upstream",route="web"} 0`,
		`crimp_held_bytes 0`, `crimp_events_dropped_total 0`, `# TYPE go_goroutines gauge`,
	} {
		if !strings.Contains(answer.Body.String(), line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
}
