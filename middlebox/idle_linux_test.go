package middlebox

import (
	"io"
	"net"
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

// TestIdleClose: a quiet connection is closed, and not before; one that is not quiet
// is not. Where this machine made a pause of its own, another connection is asked.
func TestIdleClose(t *testing.T) {
	const after = 150 * time.Millisecond
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{
		rule("idle_close", map[string]any{"after": after.String(), "end": "rst"})}})
	for range 50 {
		c := dial(t, b, "web")
		asked, err := keepBusy(c, 2*after)
		if err == nil {
			wantEnd(t, c, "", "rst")
			if quiet := time.Since(asked); quiet < after {
				t.Errorf("closed when it was quiet for less than %v", quiet)
			}
			return
		}
		if pause := time.Since(asked); pause < after {
			t.Fatalf("closed in a pause of less than %v: %v", pause, err)
		}
	}
	t.Error("this machine is too busy to keep a connection busy")
}

// keepBusy asks again and again for a while, and says when it asked last with success.
func keepBusy(c net.Conn, span time.Duration) (asked time.Time, err error) {
	asked = time.Now() // a connection is quiet from the start
	for end := asked.Add(span); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		next := time.Now()
		if _, err = io.WriteString(c, request); err == nil {
			_, err = io.ReadFull(c, make([]byte, len(response)))
		}
		if err != nil {
			return asked, err
		}
		asked = next
	}
	return asked, nil
}
