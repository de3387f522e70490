package faultstest

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestJitterOfSmallMessages: each of them has a delay of its own, the same however
// it is cut, and what a rule puts before it is delayed with it.
func TestJitterOfSmallMessages(t *testing.T) {
	const delay, jitter, messages = time.Second, 500 * time.Millisecond, 20
	delays := func(cut int) (out []time.Duration) {
		k := newLink(t, 1, 1<<20, faults.Rule{Fault: "latency", Params: map[string]any{"delay": "1s", "jitter": "500ms"}})
		for range messages {
			came, before := k.now, k.total
			for at := 0; at < 60; at += cut {
				k.step(0, faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: make([]byte, cut)})
			}
			for k.total < before+60 {
				if k.now = k.engines[0].Deadline(); k.now.IsZero() {
					t.Fatal("a message is held for ever")
				}
				k.step(0, faults.Input{Kind: faults.InTick})
			}
			out = append(out, k.now.Sub(came))
		}
		return out
	}
	whole, cut := delays(60), delays(12)
	differ := map[time.Duration]bool{}
	for i, d := range whole {
		if differ[d] = true; d < delay-jitter || d > delay+jitter {
			t.Errorf("message %d came after %v", i, d)
		}
		if d != cut[i] {
			t.Errorf("message %d came after %v whole and %v in pieces", i, d, cut[i])
		}
	}
	if len(differ) < messages/2 {
		t.Errorf("%d messages have %d different delays", messages, len(differ))
	}

	play(t, []faults.Rule{
		{Name: "i", Fault: "inject", Armed: true, Params: map[string]any{"at": "start", "bytes": "text:!"}},
		{Name: "l", Fault: "latency", Armed: true, Params: map[string]any{"delay": "1s", "jitter": "1ms"}},
	}, `
s> HTTP/1.1 204 a\r\n\r\n
+998ms
+10ms
>c !HTTP/1.1 204 a\r\n\r\n`)
}
