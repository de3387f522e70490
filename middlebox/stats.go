package middlebox

import (
	"sync/atomic"

	"crimp/faults"
)

// Stats is what the box can say of itself without asking a loop: counters that
// only grow, and what is held and live now. What sessions count they add up a turn
// at a time, so a session that goes on for hours is in the figures all along.
type Stats struct {
	Routes   []RouteStats  `json:"routes"`
	Sessions int64         `json:"sessions"` // live, over all routes
	Held     int64         `json:"held"`     // bytes that rules or slow peers hold back
	Events   int64         `json:"events"`   // ever
	Dropped  int64         `json:"dropped"`  // events that the journal no longer has
	Delays   faults.Counts `json:"delays"`   // for how long rules kept back what they delayed
	Loops    []LoopStats   `json:"loops"`
}

// RouteStats is a route's share of Stats.
type RouteStats struct {
	Route     string           `json:"route"`
	Sessions  int64            `json:"sessions"` // live
	Total     int64            `json:"sessions_total"`
	Refused   int64            `json:"refused"` // connections beyond limits.sessions, or beyond the file descriptors
	Failed    int64            `json:"failed"`  // dials
	Exchanges int64            `json:"exchanges"`
	Bytes     Flow             `json:"bytes"`
	Held      int64            `json:"held"`
	Fired     map[string]int64 `json:"fired"`  // faults by kind: those that fired, and at 0 those there are rules of
	Missed    map[string]int64 `json:"missed"` // rule.missed by faults.MissWords, all of them
}

// LoopStats is how prompt a loop is. Whatever happens waits for the turn that is
// under way; what is timed is served late by as much.
type LoopStats struct {
	Turns faults.Counts `json:"turns"` // how long turns took
	Late  faults.Counts `json:"late"`  // how late what was due at a time was served
}

// Stats gives the box's counters.
func (b *Box) Stats() Stats {
	out := Stats{Routes: []RouteStats{}, Sessions: b.live.Load(), Held: b.held.Load(), Events: b.journal.newest(), Dropped: b.journal.dropped()}
	for _, r := range b.routesNow() {
		out.Routes = append(out.Routes, RouteStats{
			Route: r.name, Sessions: r.live.Load(), Total: r.total.Load(), Refused: r.refused.Load(), Failed: r.failed.Load(),
			Exchanges: r.exchanges.Load(), Bytes: r.flow(), Held: r.held.Load(), Fired: r.firedByKind(), Missed: r.missedByWord(),
		})
	}
	for _, l := range b.loops {
		out.Delays = out.Delays.Plus(l.scratch.Delays.Counts())
		out.Loops = append(out.Loops, LoopStats{Turns: l.turns.Counts(), Late: l.late.Counts()})
	}
	return out
}

// counters is one for each word.
func counters(words []string) map[string]*atomic.Int64 {
	all := make(map[string]*atomic.Int64, len(words))
	for _, w := range words {
		all[w] = new(atomic.Int64)
	}
	return all
}

func (r *route) missedByWord() map[string]int64 {
	out := make(map[string]int64, len(r.missed))
	for word, n := range r.missed {
		out[word] = n.Load()
	}
	return out
}

func (r *route) firedByKind() map[string]int64 {
	out := map[string]int64{}
	for kind, n := range r.fired {
		if n := n.Load(); n > 0 {
			out[kind] = n
		}
	}
	for _, e := range r.force.Load().rules {
		out[e.c.Kind()] += 0 // a counter that is there from the first is one whose rise can be seen
	}
	return out
}
