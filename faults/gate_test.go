package faults

import (
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func percent(p float64) *Percent { v := Percent(p); return &v }

// asked asks the gate so many times, as exchanges of one session, and gives a
// letter each: F fired, S skip, E every, P probability, X spent; a capital L after
// the firing that was said to be the last.
func asked(g *gate, times int) string {
	var b strings.Builder
	for i := range times {
		fire, why, spent := g.Ask(occasion{seed: 1, route: "web", rule: "r", session: 1, number: uint64(i + 1)})
		if fire {
			why = "F"
		}
		b.WriteString(map[string]string{"F": "F", "skip": "S", "every": "E", "probability": "P", "spent": "X"}[why])
		if spent {
			b.WriteString("L")
		}
	}
	return b.String()
}

func TestGateAnswers(t *testing.T) {
	for _, row := range []struct {
		gate Gate
		want string
	}{
		{Gate{}, "FFFFFFFF"},
		{Gate{Times: 1}, "FLXXXXXXX"},
		{Gate{Times: 3}, "FFFLXXXXX"},
		{Gate{Skip: 3}, "SSSFFFFF"},
		{Gate{Every: 3}, "EEFEEFEE"},
		{Gate{Every: 1}, "FFFFFFFF"},
		{Gate{Skip: 1, Every: 2, Times: 2}, "SEFEFLEXE"}, // in this order
		{Gate{Probability: percent(0)}, "PPPPPPPP"},
		{Gate{Probability: percent(1)}, "FFFFFFFF"},
		{Gate{Skip: 2, Probability: percent(0), Times: 1}, "SSPPPPPP"},
	} {
		g := row.gate.compile()
		if got := asked(g, 8); got != row.want {
			t.Errorf("%+v: %s, want %s", row.gate, got, row.want)
		}
		if g.Spent() != strings.Contains(row.want, "L") {
			t.Errorf("%+v: spent is %v", row.gate, g.Spent())
		}
	}
}

// The same seed hits the same exchanges, whatever else is asked in between; a
// share is about kept.
func TestGateDrawsFollowNames(t *testing.T) {
	hits := func(seed uint64, rule string, sessions int) (out []uint64) {
		g := Gate{Probability: percent(0.3)}.compile()
		for s := range sessions {
			for x := range 10 {
				if fire, _, _ := g.Ask(occasion{seed: seed, route: "web", rule: rule, session: uint64(s), number: uint64(x)}); fire {
					out = append(out, uint64(s*10+x))
				}
			}
		}
		return out
	}
	one, again := hits(7, "a", 1000), hits(7, "a", 1000)
	if len(one) < 2800 || len(one) > 3200 {
		t.Errorf("fired %d of 10000 times at 30%%", len(one))
	}
	if len(one) != len(again) {
		t.Fatal("the same seed hits other exchanges")
	}
	for i := range one {
		if one[i] != again[i] {
			t.Fatal("the same seed hits other exchanges")
		}
	}
	shared := 0
	in := map[uint64]bool{}
	for _, n := range one {
		in[n] = true
	}
	for _, n := range hits(7, "b", 1000) {
		if in[n] {
			shared++
		}
	}
	if shared < 700 || shared > 1100 { // 0.3 * 0.3 of 10000 is 900
		t.Errorf("two rules share %d hits: their draws depend on each other", shared)
	}
}

// With a key the draw is of the value and how often it was seen, so the order in
// which parallel clients come does not matter.
func TestGateKeys(t *testing.T) {
	path := func(p string) *Facts { return &Facts{Request: RequestHead("GET", p, "h")} }
	a, b := path("/a"), path("/b?x")
	hits := func(order []*Facts) map[string]int {
		g := Gate{Probability: percent(0.5), Key: "path"}.compile()
		out := map[string]int{}
		for i, f := range order {
			o := occasion{seed: 5, route: "web", rule: "r", session: uint64(i * 7), number: uint64(i), facts: f}
			if fire, _, _ := g.Ask(o); fire {
				out[string(f.Request.Target())]++
			}
		}
		return out
	}
	var mixed, sorted []*Facts
	for range 50 {
		mixed = append(mixed, a, b)
	}
	for range 50 {
		sorted = append(sorted, b)
	}
	for range 50 {
		sorted = append(sorted, a)
	}
	x, y := hits(mixed), hits(sorted)
	if x["/a"] != y["/a"] || x["/b?x"] != y["/b?x"] || x["/a"] == 0 || x["/a"] == 50 {
		t.Errorf("%v in one order, %v in another", x, y)
	}
}

func TestGateKeyValues(t *testing.T) {
	client := func(s string) *Facts { return &Facts{Client: netip.MustParseAddrPort(s)} }
	value := func(key string, f *Facts) uint64 { return Gate{Key: key}.compile().valueOf(f) }
	if value("client", client("10.0.0.1:1")) != value("client", client("[::ffff:10.0.0.1]:2")) {
		t.Error("a client is its address, without port")
	}
	if value("client", client("10.0.0.1:1")) == value("client", client("10.0.0.2:1")) {
		t.Error("two clients are one")
	}
	device := headOf("GET /a?1 HTTP/1.1\r\nX-Device: 7\r\n\r\n")
	same := headOf("GET /a?2 HTTP/1.1\r\nx-device:7\r\n\r\n")
	for _, key := range []string{"path", "header:X-Device"} {
		if value(key, &Facts{Request: device}) != value(key, &Facts{Request: same}) {
			t.Errorf("%s: two values of one", key)
		}
		if value(key, &Facts{Request: device}) == value(key, nil) || value(key, nil) != value(key, &Facts{}) {
			t.Errorf("%s: no value is a value", key)
		}
	}
}

// The memory of a keyed gate is bounded.
func TestGateKeyMemoryIsBounded(t *testing.T) {
	var s seen
	for i := range uint64(3 * maxSeen) {
		s.count(mix(i))
	}
	if len(s.counts) > maxSeen {
		t.Errorf("%d values kept", len(s.counts))
	}
	if n := s.count(mix(0)); n != 2 {
		t.Errorf("the first value was seen %d times, want 2", n)
	}
}

// However many ask at once: exactly Skip are skipped, exactly Times fire, and
// one of them is told that it was the last.
func TestGateCountsExactlyUnderContention(t *testing.T) {
	g := Gate{Skip: 100, Every: 2, Times: 50}.compile()
	var skipped, fired, spent atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 100 {
				fire, why, last := g.Ask(occasion{})
				if fire {
					fired.Add(1)
				}
				if why == "skip" {
					skipped.Add(1)
				}
				if last {
					spent.Add(1)
				}
			}
		})
	}
	group.Wait()
	if skipped.Load() != 100 || fired.Load() != 50 || spent.Load() != 1 || !g.Spent() {
		t.Errorf("skipped %d, fired %d, last %d", skipped.Load(), fired.Load(), spent.Load())
	}
}

func TestGatesThatAreNone(t *testing.T) {
	for raw, want := range map[string]string{
		`{"times": -1}`:         "gate.times: expected 0 or more, got -1",
		`{"skip": 1.5}`:         "gate.skip: expected a whole number, got number 1.5",
		`{"every": "x"}`:        `gate.every: expected a whole number, got string "x"`,
		`{"probability": 30}`:   "gate.probability: expected a share from 0% to 100%",
		`{"probability": "x"}`:  "gate.probability: expected a share",
		`{"probability": true}`: "gate.probability: expected a share such as 50%, 0.1% or 0.3, got true",
		`{"propability": "3%"}`: `gate.propability: unknown key "propability"; did you mean "probability"?`,
		`{"key": "header:"}`:    "gate.key: expected path, client or header:NAME",
		`{"key": "session"}`:    "gate.key: expected path, client or header:NAME",
	} {
		var g Gate
		err := DecodeStrict([]byte(raw), &g, "gate")
		if err == nil {
			err = g.check("gate")
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", raw, err, want)
		}
	}
	if err := (Gate{Probability: percent(math.NaN())}).check(""); err == nil {
		t.Error("NaN is no probability")
	}
}

func TestGateDecodesAndIsLaidUnder(t *testing.T) {
	var under, over Gate
	for raw, g := range map[string]*Gate{
		`{"skip": "2", "probability": 0.3, "times": 1}`:                &under,
		`{"every": 3, "probability": "50%", "key": "header:X-Device"}`: &over,
	} {
		if err := DecodeStrict([]byte(raw), g, "gate"); err != nil || g.check("") != nil {
			t.Fatal(raw, err)
		}
	}
	got := under.With(over)
	if got.Skip != 2 || got.Every != 3 || got.Times != 1 || *got.Probability != 0.5 || got.Key != "header:X-Device" || !got.HTTPKey() || under.HTTPKey() {
		t.Errorf("%+v", got)
	}
}
