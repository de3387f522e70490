package e2e

import (
	"strings"
	"testing"
)

// Promise 4: same seed, same order of sessions, same faults.

// hits runs 4 sessions of 25 exchanges under a rule with probability 0.3 and
// says which were hit.
func hits(t *testing.T, seed string, others ...params) string {
	t.Helper()
	full := answer("0123456789")
	o := always(t, full)
	b := serve(t, "--seed", seed, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	for _, rule := range others {
		b.arm("web", rule)
	}
	b.arm("web", params{"name": "chance", "fault": "content_length", "params": params{"mode": "add", "value": "10"}, "gate": params{"probability": 0.3}})
	damaged := strings.Replace(full, "Content-Length: 10", "Content-Length: 20", 1)
	var pattern strings.Builder
	for range 4 {
		r := dial(t, b.routes["web"])
		for range 25 {
			r.send(ask("/"))
			got := make([]byte, len(full))
			n, _ := readFull(r, got)
			switch string(got[:n]) {
			case full:
				pattern.WriteByte('.')
			case damaged:
				pattern.WriteByte('x')
			default:
				t.Fatalf("received %s", clip(got[:n]))
			}
		}
		r.Close()
		pattern.WriteByte(' ')
	}
	return pattern.String()
}

func TestSameSeedSameFaults(t *testing.T) {
	want := hits(t, "42")
	t.Log(want)
	if n := strings.Count(want, "x"); n < 10 || n > 55 { // 100 draws of 0.3: this is beyond 4 sigma
		t.Errorf("%d of 100 hit at probability 0.3: %s", n, want)
	}
	if got := hits(t, "42"); got != want {
		t.Errorf("the same seed hit\n%s, then\n%s", want, got)
	}
	others := []params{
		{"name": "a", "fault": "latency", "params": params{"delay": "1ms"}, "gate": params{"probability": "50%"}},
		{"name": "b", "fault": "truncate", "match": params{"path": "/elsewhere"}},
		{"name": "c", "fault": "inject", "params": params{"at": "start", "bytes": "text:x"}, "match": params{"exchange": "100-"}, "gate": params{"probability": 0.3}},
	}
	if got := hits(t, "42", others...); got != want {
		t.Errorf("with other rules before it the seed hit\n%s, without\n%s", got, want)
	}
	if got := hits(t, "43"); got == want {
		t.Errorf("seeds 42 and 43 hit the same: %s", got)
	}
}

func TestGatesCount(t *testing.T) {
	full := answer("0123456789")
	o := always(t, full)
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	damaged := strings.Replace(full, "Content-Length: 10", "Content-Length: 20", 1)
	for _, c := range []struct {
		name        string
		gate, match params
		want        string
	}{
		{"times", params{"times": 2}, nil, "xx........"},
		{"skip", params{"skip": 3}, nil, "...xxxxxxx"},
		{"every", params{"every": 3}, nil, "..x..x..x."},
		{"all", params{"skip": 1, "every": 2, "times": 2}, nil, "..x.x....."},
		{"exchange", nil, params{"exchange": "2-4"}, ".xxx......"},
		{"reused", nil, params{"reused": true}, ".xxxxxxxxx"},
		{"every third", nil, params{"exchange": "3n"}, "..x..x..x."},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.arm("web", params{"name": "rule", "fault": "length-mismatch", "gate": c.gate, "match": c.match})
			r := dial(t, b.routes["web"])
			var got strings.Builder
			for range 10 {
				answer := make([]byte, len(full))
				n, _ := readFull(r.send(ask("/")), answer)
				got.WriteByte(map[bool]byte{true: 'x', false: '.'}[string(answer[:n]) == damaged])
			}
			if got.String() != c.want {
				t.Errorf("hit %s, expected %s", got.String(), c.want)
			}
			r.Close()
			// The identical rule changes nothing; another one counts afresh.
			b.must("rule.delete", params{"route": "web", "name": "rule"}, nil)
		})
	}
}
