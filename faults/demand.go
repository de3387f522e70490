package faults

import (
	"math"

	"crimp/faults/wire"
)

// DemandMode is what an engine wants of a direction's source.
type DemandMode uint8

const (
	Read   DemandMode = iota // read up to N bytes (0: as many as you like) and Step them
	Splice                   // up to N bytes may go by unseen; tell InSkipped
	Hold                     // leave it unread: back-pressure
)

// Demand is what an engine wants of a direction's source.
type Demand struct {
	Mode DemandMode
	N    int64 // bytes, of Read and Splice; Read 0 is without bound
	Tell bool  // with Hold: tell InUnread when there is something
}

// Demand is what to do with a direction's source now. Ask again after each Step.
func (e *Engine) Demand(d wire.Direction) Demand {
	l := &e.lanes[d]
	switch {
	case l.mute:
		return Demand{Mode: Read}
	case e.proxy != nil && d == wire.Upstream && e.crowded() && e.q.open[0].requested:
		return Demand{Mode: Hold}
	case e.waitsAtDoor(), e.early(d), l.silent(), l.out.stalled(), l.holding() >= e.o.Held && !e.unled(d):
		return Demand{Mode: Hold}
	}
	for _, s := range l.opposite().chain {
		if s.deaf {
			return Demand{Mode: Hold, Tell: s.curious()}
		}
	}
	n, most := int64(math.MaxInt64), int64(math.MaxInt64)
	for _, s := range l.chain {
		ration, _ := s.ration(e.now)
		if !s.w.line && isNever(s.w.cursor) || ration == 0 {
			return Demand{Mode: Hold, Tell: s.curious()}
		}
		if t, ok := s.stage.(Taker); ok && !isNever(s.w.cursor) {
			k := t.Take(max(0, s.w.cursor.Sub(e.now)))
			if k <= 0 {
				return Demand{Mode: Hold}
			}
			ration = min(ration, k)
		}
		n, most = min(n, s.blind(l.off, e.now)), min(most, ration)
	}
	if e.pair != nil {
		n = min(n, e.pair.Remaining(d))
	}
	if n == 0 || !l.out.empty() || l.holds() || e.protocol == Auto {
		if most == math.MaxInt64 {
			most = 0
		}
		return Demand{Mode: Read, N: most}
	}
	return Demand{Mode: Splice, N: min(n, most)}
}

// early says that there is no server yet; but of a proxy the client is read before
// the dial: it says whom to dial.
func (e *Engine) early(d wire.Direction) bool {
	return !e.dialed && (e.proxy == nil || e.proxy.dialing || d == wire.Downstream)
}

// unled says that what waits in a direction waits for a request that names a
// server: that must be read, however much a rule has said before.
func (e *Engine) unled(d wire.Direction) bool {
	return e.proxy != nil && d == wire.Upstream && e.proxy.newest() == ""
}

// Room is how many bytes of a direction may be given to Step though Demand says
// Hold: they are held, in order. It is for the last words of a peer that is gone.
func (e *Engine) Room(d wire.Direction) int {
	return max(0, e.o.Held-e.lanes[d].holding())
}
