package faults

import (
	"slices"
	"time"

	"crimp/faults/wire"
)

// Exchange is one HTTP/1 request and its answer on a session, as the engine
// follows it. What a Note shows of it is valid until the next Step.
type Exchange struct {
	N     uint64    // ordinal on the session, from 1
	Head  wire.Head // the request's head, a copy: complete once its blank line was read
	Asked int64     // body bytes of the request that were read
	Said  Delivered // what of the request was let out to the server

	Status   int      // of the final response, 0: none yet
	Declared int64    // its Content-Length, -1 without
	Sent     int64    // body bytes of the final response let out to the client
	End      Ending   // how it was ended before it was whole; else NoEnding
	Whole    bool     // the response went out to its last byte
	Outcome  string   // open, ok, cut, rst, stalled
	Odd      Odd      // what its client did against the rules of persistence
	Fired    []Firing // what rules did to it, in the order in which they did

	Started, Finished time.Time

	verdicts []verdict // of the gates that were asked for both its messages

	reused    bool
	idle      time.Duration // since the exchange before it was answered
	requested bool          // its request's last byte was read
	answered  bool          // its final response's last byte was read
	replied   bool          // a rule answers it: what the server says of it is not its status
	made      int64         // body bytes of that answer
	weight    int           // what it counts towards the queue's
	done      bool          // told as finished
	asked     bool          // its start line was said to the server: an answer will come
	renamed   bool          // with another method: as
	as        wire.Method
}

// verdict is what a rule's gate said of an exchange.
type verdict struct {
	of  *state
	yes bool
}

// verdict is what the gate said for this exchange already.
func (x *Exchange) verdict(of *state) (yes, known bool) {
	if x != nil {
		for _, v := range x.verdicts {
			if v.of == of {
				return v.yes, true
			}
		}
	}
	return false, false
}

// forwarded is the method that the server was told.
func (x *Exchange) forwarded() wire.Method {
	if x.renamed {
		return x.as
	}
	return wire.MethodOf(x.Head.Method())
}

// Delivered says how much of a request was let out to the server.
type Delivered uint8

const (
	None Delivered = iota // not a byte
	Some                  // a part of it
	All                   // its last byte, too
)

// String is none, part or whole.
func (d Delivered) String() string { return [...]string{"none", "part", "whole"}[d] }

// Firing is a rule that acted on an exchange, and where.
type Firing struct {
	Rule     *Compiled
	Dir      wire.Direction
	Off, Pos int64 // in the stream, in the message (-1: outside any)
	Part     wire.Part
	Body     int64  // body bytes of the message before it (-1: outside any)
	End      Ending // what went out with it: NoEnding if only bytes changed
}

// reset makes the exchange new, keeping its buffers.
func (x *Exchange) reset(n uint64, now time.Time) {
	raw, fields := x.Head.Raw[:0], x.Head.Fields[:0]
	fired, verdicts := x.Fired[:0], x.verdicts[:0]
	*x = Exchange{N: n, Started: now, Declared: -1, Outcome: "open", Fired: fired, verdicts: verdicts}
	x.Head.Raw, x.Head.Fields = raw, fields
}

// copyHead keeps what is known of the request's head: the tokenizer's own is
// gone with its next message, the answer may come later.
func (x *Exchange) copyHead(h *wire.Head) {
	raw, fields := x.Head.Raw[:0], x.Head.Fields[:0]
	x.Head = *h
	x.Head.Raw = append(raw, h.Raw...)
	x.Head.Fields = append(fields, h.Fields...)
}

// exchanges is the queue of a session's exchanges, oldest first: the first is
// the one whose answer comes next. An idle session has none, only what is still
// asked of its newest (Engine.Newest).
type exchanges struct {
	open   []*Exchange
	n      uint64
	young  *Exchange // the one that started last, until it is over
	weight int       // of those open, in bytes: about what they cost
	head   []byte    // that of the newest, which is over
	status int       // of its answer
	last   time.Time // when the last one was answered
}

// start begins an exchange, in the memory of one that is over if there is one.
func (q *exchanges) start(now time.Time, shared *Scratch) *Exchange {
	var x *Exchange
	if n := len(shared.spare); n > 0 {
		x, shared.spare = shared.spare[n-1], shared.spare[:n-1]
	} else {
		x = &Exchange{}
	}
	q.n++
	x.reset(q.n, now)
	x.reused = q.n > 1
	if !q.last.IsZero() {
		x.idle = now.Sub(q.last)
	}
	q.open = append(q.open, x)
	q.young = x
	q.weigh(x)
	return x
}

// What an open exchange costs about, in bytes, beside its head, and each field of that.
const (
	exchangeCost = 512
	fieldCost    = 40
)

// weigh counts what is kept of an exchange, as far as its head is known by now.
func (q *exchanges) weigh(x *Exchange) {
	q.weight -= x.weight
	x.weight = exchangeCost + len(x.Head.Raw) + fieldCost*len(x.Head.Fields)
	q.weight += x.weight
}

// leastOpen is how much open exchanges may always cost, in bytes: some 2,000 of them.
const leastOpen = 1 << 20

// crowded says that the exchanges whose answers are owed cost as much as may be held
// back. A client may ask for ever where nobody answers, or answers what cannot be
// told from one answer: on a relay its requests are then no more followed (they go on
// as bytes), on a proxy, which must know for whom each is, left unread.
func (e *Engine) crowded() bool { return e.q.weight >= max(e.o.Held, leastOpen) }

// first is the exchange whose answer comes next, nil if none was asked.
func (q *exchanges) first() *Exchange {
	for _, x := range q.open {
		if x.asked && !x.answered {
			return x
		}
	}
	return nil
}

// settle forgets the exchanges that are over on both sides. Another session may
// have their memory, unless something of this one still speaks of them.
func (e *Engine) settle() {
	q := &e.q
	kept := q.open[:0]
	for _, x := range q.open {
		if !x.done || !x.requested {
			kept = append(kept, x)
			continue
		}
		q.weight -= x.weight
		if x == q.young {
			q.young, q.status, q.head = nil, x.Status, append(q.head[:0], x.Head.Raw...)
		}
		if !e.speaksOf(x) {
			e.past = append(e.past, x)
		}
	}
	clear(q.open[len(kept):])
	q.open = kept
}

// speaksOf says that an exchange may be referred to after this Step.
func (e *Engine) speaksOf(x *Exchange) bool {
	for d := range e.lanes {
		l := &e.lanes[d]
		if l.ex == x || !l.out.empty() || slices.ContainsFunc(l.chain, func(s *slot) bool { return s.ex == x }) {
			return true
		}
	}
	return false
}

func (x *Exchange) method() []byte {
	if x == nil {
		return nil
	}
	return x.Head.Method()
}

func (x *Exchange) target() []byte {
	if x == nil {
		return nil
	}
	return x.Head.Target()
}

// An exchange ends in one of three ways. Its answer went out to the last byte
// (lane.whole). Its client has an ending before that: windUp. Or nobody is there any
// more to be answered: lose.

// windUp ends what was open towards a client that has its ending. What still waits
// for the server ends with the server's leg: how much is delivered is not known before.
func (e *Engine) windUp() {
	down, up := &e.lanes[wire.Downstream], &e.lanes[wire.Upstream]
	if !down.closed {
		return
	}
	up.out.cutAtBar()
	outcome, end := "cut", Fin
	switch down.op {
	case OpClose, OpDesert:
		end = Close
	case OpReset, OpAbort:
		outcome, end = "rst", Rst
	}
	for _, x := range e.q.open {
		switch {
		case x.done || !up.closed && up.out.owes(x):
		case x.Outcome == "stalled":
			e.over(x, x.Outcome, end)
		default:
			e.over(x, outcome, end)
		}
	}
}

// lose ends all that is open: the client, or both sides, have reset.
func (e *Engine) lose() {
	for _, x := range e.q.open {
		e.over(x, "rst", Rst)
	}
}

// over ends an exchange and tells the journal.
func (e *Engine) over(x *Exchange, outcome string, end Ending) {
	up := &e.lanes[wire.Upstream]
	if x.done || x.Head.StartStop == 0 && !up.mute && !up.closed { // its request line may still come
		return
	}
	x.done, x.Outcome, x.End, x.Finished = true, outcome, end, e.now
	if x.Head.StartStop == 0 { // it never came: nobody was told that the exchange started
		return
	}
	e.tellNow(Note{Kind: NoteExchangeFinished, Exchange: x, Dir: wire.Downstream, Off: e.lanes[wire.Downstream].off})
	if !e.busy() {
		for d := range e.lanes {
			for _, s := range e.lanes[d].chain {
				if r, ok := s.stage.(Rester); ok && r.AtRest() {
					s.alarm = e.now
				}
			}
		}
	}
}

// busy says that an exchange is open.
func (e *Engine) busy() bool {
	return slices.ContainsFunc(e.q.open, func(x *Exchange) bool { return !x.done })
}
