package faults

import (
	"time"

	"crimp/faults/wire"
)

// lane is one direction of a session: the chain of rules at work on it, and
// what it has said and not yet let out.
//
// A byte's way: segment (is its message decided?) -> pass -> deliver through the
// chain -> say -> straight to an action, or into the outbox.
type lane struct {
	e     *Engine
	chain []*slot   // rules at work, in the order of their plan
	out   *outbox   // nil: nothing waits
	hold  *hold     // nil until a message of this direction had to be decided on
	ex    *Exchange // of the message in progress; nil outside any, and for answers nobody asked for
	gag   *bond     // a rule lets nothing out
	ender *Compiled // the rule that ended it

	off    int64  // bytes of the stream that entered the chain
	body   int64  // body bytes of the message that entered the chain
	said   int64  // bytes said to the receiver, inserted ones included
	middle int64  // of the chunk-size line in the chain, as a place in its message
	filter Filter // as its leg was told

	dir    wire.Direction
	op     Op   // the ending that closed it; a stronger one may follow
	shut   bool // mute, its receiver got FIN, and the other direction goes on
	mute   bool // an ending was said or the receiver is gone: what still comes is dropped
	eof    bool // the sender's FIN was read: there is nothing more to damage
	closed bool // the ending, or FIN, was handed to the receiver's leg
	ending bool // a rule is cutting it just now
	drain  bool // mute, and the sender is closed once its message is complete
	halted bool // an operator stalled it
	told   bool // that it is opaque
	final  bool // the response in progress is a final one
	tails  bool // a rule has kept the end of a body back, once
}

// segment takes what the tokenizer says of the bytes just read. A segment is a
// hundred bytes, and a head has many: the lane hands it on by its address, which
// nobody keeps.
func (l *lane) segment(s *wire.Segment) {
	if l.e.proxy != nil && l.dir == wire.Downstream {
		s.Off += l.e.proxy.base
	}
	if p := l.e.proxy; p != nil && l.dir == wire.Upstream {
		var ok bool
		if *s, ok = p.take(l, *s); !ok {
			return
		}
	}
	l.proceed(s)
}

func (l *lane) proceed(s *wire.Segment) {
	if s.Start {
		l.begin()
	}
	if s.Part == wire.Opaque && s.First {
		l.turnsOpaque()
	}
	if s.Last && (s.Part == wire.StartLine || s.Part == wire.HeadEnd) {
		l.headline(s)
	}
	if l.holds() {
		l.holdBack(s)
	} else {
		l.pass(s)
	}
	if s.End {
		l.complete()
	}
}

// holds says that the message in progress is held back.
func (l *lane) holds() bool { return l.hold != nil && l.hold.on }

// idle says that nothing waits in the direction and no rule is at work on it.
func (l *lane) idle() bool { return l.out == nil && len(l.chain) == 0 && !l.holds() }

// begin makes ready for a message: whose it is, and which rules are for it.
func (l *lane) begin() {
	l.open()
	if (len(l.e.o.Plan.message[l.dir]) > 0 || l.grain() > Fragment) && !l.mute {
		l.decide()
	}
}

// open finds the exchange of a message that starts.
func (l *lane) open() {
	l.body, l.final = 0, false
	l.dropMessageSlots()
	switch {
	case l.dir == wire.Downstream:
		if l.ex = l.e.q.first(); l.e.proxy != nil {
			l.e.proxy.apart = nil
		}
	case l.mute: // a request that is read away is no exchange
		l.ex = nil
	default:
		l.ex = l.e.q.start(l.e.now, l.e.Scratch)
	}
}

// plain says that nothing on this direction looks into heads, nor will before the
// bytes now read have been through: they need not be taken apart.
func (l *lane) plain() bool {
	return len(l.chain) == 0 && len(l.e.o.Plan.message[l.dir]) == 0 && !l.holds() && l.e.proxy == nil && l.e.protocol == HTTP
}

// headline keeps in the exchange what a start line, and later a whole head, says. Of
// a plain lane both come at once.
func (l *lane) headline(s *wire.Segment) {
	x, h := l.ex, s.Head
	if l.unserved() {
		l.e.turnAway(h.Method())
	}
	switch {
	case l.dir == wire.Downstream:
		l.final = h.Status >= 200 || h.Framing == wire.Tunnel
		if x != nil && l.final && !x.replied {
			x.Status, x.Declared = h.Status, h.Declared
		}
	case x != nil && !x.done: // what nobody will answer is no exchange
		x.copyHead(h)
		l.e.q.weigh(x)
		if s.Part == wire.StartLine || s.Start {
			l.e.becomes(HTTP)
			l.e.oddRequest(x)
			l.e.tellNow(Note{Kind: NoteExchangeStarted, Exchange: x, Dir: l.dir, Off: s.Off})
		}
	}
	if s.Part == wire.HeadEnd {
		l.e.persists(x, h)
	}
}

// pass lets a segment into the chain.
func (l *lane) pass(s *wire.Segment) {
	if s.Part == wire.ChunkSize {
		if l.middle = -1; s.First && s.Last { // as it is where a rule needs it
			l.middle = s.Pos + int64(len(lineText(s.Data))/2)
		}
	}
	if !l.mute {
		if l.dir == wire.Upstream && l.ex != nil && (s.Part == wire.Body || s.Part == wire.ChunkData) {
			l.ex.Asked += int64(len(s.Data))
		}
		l.deliver(nil, s, l.e.now, nil)
	}
	l.off = s.Off + int64(len(s.Data))
	if s.Part == wire.Body || s.Part == wire.ChunkData {
		l.body += int64(len(s.Data))
	}
}

// complete is called when the last byte of a message has been read.
func (l *lane) complete() {
	l.release(true)
	x := l.ex
	switch {
	case x == nil:
	case l.dir == wire.Upstream:
		if x.requested = true; l.e.crowded() && l.e.proxy == nil {
			l.e.pair.Opaquely(wire.Upstream, "more requests than are kept wait for their answers")
		}
	case l.final:
		x.answered = true
		l.e.q.last = l.e.now
	}
	l.missed()
	l.dropMessageSlots()
	l.ex = nil
	if l.drain {
		l.drain = false
		l.opposite().finish(term{op: OpFinish}, l.e.now, nil)
	}
}

// deliver shows a segment to the slot after from, or says it.
func (l *lane) deliver(from *slot, s *wire.Segment, at time.Time, by *late) {
	i := 0
	if from != nil {
		i = from.i + 1
	}
	if i < len(l.chain) {
		l.chain[i].segment(*s, at, by)
		return
	}
	l.say(s, at, by)
}

// free lets go, in order, what a rule held back here, and moves its cursors back
// to now.
func (l *lane) free(b *bond) {
	l.out.free(b, l.e.now)
	if s := l.shelf(); s != nil && s.open {
		l.e.shelf = nil
	}
	for _, s := range l.chain {
		if s.bond == b {
			s.w.cursor = time.Time{}
		}
	}
}

func (l *lane) opposite() *lane { return &l.e.lanes[l.dir.Other()] }

// turnsOpaque is called where bytes begin that are no message's: empty lines
// between messages, or the end of HTTP on this direction.
func (l *lane) turnsOpaque() {
	reason, ok := l.e.pair.Opaque(l.dir)
	if !ok || l.told {
		return
	}
	l.told = true
	if l.unserved() {
		l.e.turnAway(nil)
	}
	l.release(true)
	l.unshelve(false)
	l.missed()
	for i := 0; i < len(l.chain); i++ { // what they keep back goes on
		if s := l.chain[i]; s.msg {
			s.close()
		}
	}
	l.dropMessageSlots()
	if x := l.ex; x != nil && l.dir == wire.Upstream {
		x.requested = true
		if x.Head.StartStop == 0 { // it began like a request line and is none
			x.done = true
		}
	}
	l.ex = nil
	l.e.unkeep()
	guessed := l.e.protocol == Auto
	l.e.becomes(TCP)
	if guessed || l.e.protocol == HTTP {
		l.e.tellNow(Note{Kind: NoteOpaque, Dir: l.dir, Off: l.off, Pos: inserted, Body: inserted, Text: reason})
	}
}
