package faultstest

import (
	"net/netip"
	"strings"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// Talk is a session in fake time whose peers say what they are told to, a line of
// a play at a time. What came of it is what real sockets are held against.
type Talk struct{ player }

// NewTalk opens the first session of route web, with seed 42 and these rules; packets
// says that packets may be filtered.
func NewTalk(packets bool, rules ...faults.Rule) (*Talk, error) {
	plan, err := faults.Compile(nil, 42, "web", faults.HTTP, rules)
	if err != nil {
		return nil, err
	}
	t := &Talk{player{cut: Whole, rules: rules, now: time.Unix(1_700_000_000, 0), plan: plan}}
	t.e = faults.NewEngine(t.now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: plan, Client: netip.MustParseAddrPort("127.0.0.1:50000"), Census: &t.player, Packets: packets})
	t.step(faults.Input{Kind: faults.InOpen})
	return t, nil
}

// Say does a line that begins with "c>" or "s>".
func (t *Talk) Say(line string) error { return t.line(line) }

// Rest lets time go by as long as something is due within most. It says how long
// that was, and after how much more time something is due; 0: nothing is.
func (t *Talk) Rest(most time.Duration) (took, next time.Duration) {
	began := t.now
	for {
		due := t.e.Deadline()
		if due.IsZero() {
			return t.now.Sub(began), 0
		}
		if due.Sub(began) > most {
			return t.now.Sub(began), due.Sub(t.now)
		}
		t.pass(max(0, due.Sub(t.now)))
	}
}

// Disarm takes all rules away.
func (t *Talk) Disarm() error {
	plan, err := t.compile(false)
	if err == nil {
		t.step(faults.Input{Kind: faults.InSwap, Plan: plan})
	}
	return err
}

// Got is all that the receiver of a direction has got, and how it ended: FIN, RST,
// or empty while it goes on.
func (t *Talk) Got(d wire.Direction) (text, end string) {
	if len(t.ends[d]) > 0 {
		end = strings.NewReplacer("CLOSE", "FIN", "ABORT", "RST").Replace(t.ends[d][0])
	}
	return string(t.out[d]), end
}

// Hits is how often the first rule fired.
func (t *Talk) Hits() int64 { return t.plan.Rules()[0].Counters().Hits }
