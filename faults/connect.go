package faults

import (
	"math/rand/v2"
	"time"

	"crimp/faults/wire"
)

// Connect faults act on the making of a session: once its client was accepted,
// before its upstream is dialled. They are asked in their order, and each can let
// the session on to the next, refuse it, or let it wait. A session that waits is
// as one whose dial takes long: its client is accepted and left unread. What
// comes into force later is for later sessions; what goes lets on at once.

// Census counts the sessions of a route; each session has its own face of it.
type Census interface {
	// Before is how many sessions accepted before this one are still there, all of
	// them or those of the same client address. Once asked, the session is stepped
	// (InTick) when one of those that count has gone.
	Before(sameClient bool) int
	// Leave takes this session out of the count: it is refused.
	Leave()
	// Keep says whether this session is a persistent connection of its client, and
	// answers how many of these that client address has here now.
	Keep(on bool) int
}

// Door is what a route's listening socket does for all.
type Door uint8

const (
	DoorOpen   Door = iota // it accepts
	DoorClosed             // nobody listens: the kernel answers a SYN with RST
	DoorDrop               // SYNs of those that match are lost
)

// Arrival is a session asking to be let in.
type Arrival struct {
	e     *Engine
	p     *part
	until time.Time
	end   Ending
	acts  bool
}

// Now is the time of this Step.
func (a *Arrival) Now() time.Time { return a.e.now }

// Opened is when the client was accepted.
func (a *Arrival) Opened() time.Time { return a.e.opened }

// Before is how many sessions were there before this one and still are, all of them
// or those of the same client address.
func (a *Arrival) Before(sameClient bool) int {
	if a.e.o.Census == nil {
		return 0
	}
	return a.e.o.Census.Before(sameClient)
}

// Rand is a source of draws for this rule and session.
func (a *Arrival) Rand() *rand.Rand {
	return draw(a.e.o.Plan.seed, a.e.o.Route, a.p.rule.Rule.Name, a.e.o.Session, doorOccurrence)
}

// Refuse ends the session: the client gets RST or FIN, upstream is never dialled.
func (a *Arrival) Refuse(how Ending) { a.acts, a.end = true, how }

// Wait lets the session wait; at a time, or when the census changes, the rule is
// asked again. Wait(Never) is until the rule goes.
func (a *Arrival) Wait(until time.Time) { a.acts, a.end, a.until = true, NoEnding, until }

// doorOccurrence is the occurrence of a session as such: no exchange's, and no
// direction's.
const doorOccurrence = 4

// door is how far a session has come in.
type door struct {
	parts        []*part   // of the plan it was opened under, still to be asked
	until        time.Time // when the first is to be asked again
	asked, fires bool      // the gate of the first
	waits        bool
	refused      bool
	unserved     bool // let on, and there is no server: answered by until
}

func (e *Engine) waitsAtDoor() bool { return e.door != nil && e.door.waits }

// AtDoor says that a connect rule lets the session wait: it will be dialled yet.
func (e *Engine) AtDoor() bool { return e.waitsAtDoor() }

func (e *Engine) refused() bool { return e.door != nil && e.door.refused }

// knock asks the connect rules, and dials once all let the session on.
func (e *Engine) knock() {
	for d := e.door; d != nil && len(d.parts) > 0; {
		d.waits = false
		if a, acts := e.arrive(d.parts[0]); acts {
			if a.end != NoEnding {
				e.refuse(d.parts[0], a.end)
			}
			d.waits, d.until = a.end == NoEnding, a.until
			return
		}
		d.parts = d.parts[1:]
		d.asked, d.fires = false, false
	}
	e.door = nil
	if !e.Over() && e.proxy == nil { // a proxy dials whom the request names
		e.actions = append(e.actions, Action{Op: OpDial})
	}
}

// arrive asks one rule.
func (e *Engine) arrive(p *part) (a Arrival, acts bool) {
	st := p.rule.state
	if e.o.Plan.armed[st] == nil || p.only != Auto && p.only != e.protocol {
		return a, false
	}
	if answer, key := p.rule.match.Session(e.facts(nil, 0)); answer == No {
		st.miss(key)
		return a, false
	}
	a = Arrival{e: e, p: p}
	if p.prep.arrive(&a); !a.acts {
		return a, false
	}
	d := e.door
	if !d.asked {
		var why string
		var spent bool
		d.asked = true
		d.fires, why, spent = st.gate.Ask(occasion{seed: e.o.Plan.seed, route: e.o.Route, rule: p.rule.Rule.Name,
			session: e.o.Session, number: doorOccurrence, facts: e.facts(nil, 0)})
		if !d.fires {
			st.miss(why)
			return a, false
		}
		st.hits.Add(1)
		if spent {
			st.spent.Store(true)
			e.tellNow(Note{Kind: NoteSpent, Rule: p.rule})
		}
		if a.end == NoEnding {
			e.tellNow(Note{Kind: NoteFired, Rule: p.rule, Pos: inserted, Body: inserted, End: StallEnd})
		}
	}
	return a, d.fires
}

// refuse ends a session that is not let in.
func (e *Engine) refuse(p *part, how Ending) {
	e.door.refused, e.door.parts = true, nil
	if e.o.Census != nil {
		e.o.Census.Leave()
	}
	down, up := &e.lanes[wire.Downstream], &e.lanes[wire.Upstream]
	down.mute, up.mute, up.closed = true, true, true
	down.finish(term{op: how.op(), note: &Note{Kind: NoteFired, Rule: p.rule, Pos: inserted, Body: inserted, End: how}}, e.now, nil)
}
