package middlebox

import (
	"io"
	"testing"
	"time"

	"crimp/faults"
)

// TestIdleRace: the second request on a connection meets FIN, then RST, and the
// server never sees any of it, whether it comes at once or later.
func TestIdleRace(t *testing.T) {
	for _, pause := range []time.Duration{0, 30 * time.Millisecond} {
		b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{rule("idle-race", nil)}})
		c := dial(t, b, "web")
		say(t, c, request)
		expect(t, c, response)
		time.Sleep(pause)
		say(t, c, request)
		if text, end := rest(t, c); text != "" || end != "fin" {
			t.Errorf("%q and %s", text, end)
		}
		until(t, "what is written now meets a RST", func() bool { _, err := io.WriteString(c, "x"); return err != nil })
		it := closedSession(t, b, "web/1")
		if it.Ended == nil || it.Ended.Client != "close" || it.Bytes.Upstream != int64(len(request)) || it.Exchanges != 1 {
			t.Errorf("%+v %+v", it, it.Ended)
		}
		if e, _ := b.Events(Filter{Type: "fault.fired"}); len(e.Items) != 1 || e.Items[0].Data.(FiredData).End != "close" {
			t.Errorf("%+v", e.Items)
		}
	}
}

// TestIdleClose: a quiet connection is closed, one that is not is not.
func TestIdleClose(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{
		rule("idle_close", map[string]any{"after": "150ms", "end": "rst"})}})
	c := dial(t, b, "web")
	for range 5 {
		say(t, c, request)
		expect(t, c, response)
		time.Sleep(50 * time.Millisecond)
	}
	wantEnd(t, c, "", "rst")
}
