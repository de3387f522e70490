package faults

import (
	"slices"
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
}

// term is the end of a direction on its way through the chain.
type term struct {
	op   Op
	note *Note
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
	if s.Part == wire.StartLine && s.Last || s.Part == wire.HeadEnd && s.Last {
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

// headline keeps in the exchange what a start line, and later a whole head, says.
func (l *lane) headline(s *wire.Segment) {
	x, h := l.ex, s.Head
	if s.Part == wire.HeadEnd && saysClose(h) {
		l.e.closing = true
	}
	if s.Part == wire.HeadEnd {
		l.e.persists(x, h)
	}
	if l.dir == wire.Downstream {
		l.final = h.Status >= 200 || h.Framing == wire.Tunnel
		if x != nil && l.final && !x.replied {
			x.Status, x.Declared = h.Status, -1
			if s.Part == wire.HeadEnd {
				x.Declared = h.Declared
			}
		}
		return
	}
	if x == nil || x.done { // what nobody will answer is no exchange
		return
	}
	x.copyHead(h)
	if s.Part == wire.StartLine {
		l.e.becomes(HTTP)
		l.e.oddRequest(x)
		l.e.tellNow(Note{Kind: NoteExchangeStarted, Exchange: x, Dir: l.dir, Off: s.Off})
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
		x.requested = true
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

// say sends a segment to the receiver: at once if nothing waits, else in its turn.
func (l *lane) say(s *wire.Segment, at time.Time, by *late) {
	var x *Exchange
	body := 0
	if s.Off >= 0 && s.Message > 0 {
		if l.dir == wire.Upstream || l.final { // an interim response is not the exchange's answer
			x = l.ex
		}
		if s.Part == wire.Body || s.Part == wire.ChunkData {
			body = len(s.Data)
		}
		if l.dir == wire.Upstream && s.Part == wire.StartLine && s.Last {
			l.ex.asked = true
			l.e.pair.Expect(l.ex.forwarded())
		}
	}
	if l.e.proxy == nil && l.passes(at) { // as nearly everything does
		if l.said += int64(len(s.Data)); len(s.Data) > 0 {
			l.e.send(l.dir, s.Data, s.Apart)
			l.account(x, body, len(s.Data))
		}
		if s.End && x != nil {
			l.whole(x)
		}
		return
	}
	l.sayLater(entry{at: at, by: by, op: OpSend, lone: s.Apart, ex: x, body: body}, s)
}

// sayLater is say where there is something to wait for, or a proxy has its say.
func (l *lane) sayLater(e entry, s *wire.Segment) {
	data := s.Data
	if p := l.e.proxy; p != nil && l.dir == wire.Upstream {
		p.say(l, e)
		if s.Part == wire.StartLine && s.Off >= 0 && !p.next {
			before, between, behind := originForm(*s)
			l.sayBytes(e, before, s.Off)
			l.sayBytes(e, []byte(between), inserted)
			data = behind
		}
	}
	l.sayBytes(e, data, s.Off)
	if s.End && e.ex != nil {
		e.op, e.body = opWhole, 0
		l.queue(e)
	}
}

// sayBytes sends bytes from an offset of the stream, or inserted ones.
func (l *lane) sayBytes(e entry, b []byte, off int64) {
	l.said += int64(len(b))
	switch {
	case len(b) == 0:
	case l.passes(e.at):
		l.e.send(l.dir, b, e.lone)
		l.account(e.ex, e.body, len(b))
	case off < 0:
		e.ext = b
		l.put(e, nil)
	default:
		if e.by != nil {
			e.since = l.e.now.Sub(l.e.opened) + 1
		}
		l.put(e, b)
	}
}

// passes says that what may go at a time need not be queued. Under an operator's
// stall everything is.
func (l *lane) passes(at time.Time) bool {
	return l.out.empty() && !l.halted && l.gag == nil && !at.After(l.e.now) && !l.waits()
}

// waits says that the receiver's leg does not stand yet, and may some time.
func (l *lane) waits() bool {
	return l.dir == wire.Upstream && !l.e.dialed && !l.closed && !(l.mute && l.e.proxy != nil && l.e.proxy.idle())
}

// queue performs an entry without bytes now, or in its turn.
func (l *lane) queue(e entry) {
	if l.passes(e.at) {
		l.perform(e, nil)
		return
	}
	l.put(e, nil)
}

// note tells the journal something when the bytes said before it are out.
func (l *lane) note(n Note, at time.Time, by *late) {
	if e := (entry{at: at, by: by, op: OpNote}); !l.passes(e.at) {
		e.note = &n
		l.put(e, nil)
		return
	}
	l.e.tellNow(n)
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

// terminate takes FIN, RST or an ending through the chain after from.
func (l *lane) terminate(from *slot, t term, at time.Time, by *late) {
	i := 0
	if from != nil {
		i = from.i + 1
	}
	for ; i < len(l.chain); i++ {
		s := l.chain[i]
		s.letGo()
		s.w.at, s.w.by = at, by
		at, by = s.w.when(), s.w.binding()
		if ender, ok := s.stage.(Ender); ok && !s.w.ended {
			s.w.passing = &t
			ender.End(&s.w)
			return
		}
	}
	l.finish(t, at, by)
}

// finish ends the receiver's leg after all that was said.
func (l *lane) finish(t term, at time.Time, by *late) {
	l.unshelve(false)
	for _, s := range l.chain {
		s.untold()
	}
	l.queue(entry{at: at, by: by, op: t.op, note: t.note})
}

// end is Writer.End: this direction's receiver as how says, its sender as other
// says. Both start at the same instant, each behind what was said to its leg.
func (l *lane) end(w *Writer, how Ending, op Op, other Other, note *Note) {
	opp := l.opposite()
	l.ending = true
	opp.release(true)
	l.mute, opp.mute, l.ending = true, true, false
	at, by := w.when(), w.binding()
	t := term{op: op, note: note}
	if note != nil {
		for _, s := range l.chain[w.slot.i+1:] { // what others keep back goes out before the end
			s.letGo()
		}
		note.Bytes = l.said
		w.slot.record(note)
	}
	if how == StallEnd {
		if note != nil { // told now: the ending is only carried out when the rule goes
			l.note(*note, at, by)
			t.note = nil
		}
		if l.ex != nil {
			l.ex.Outcome = "stalled"
		}
		w.Until(Never)
		l.terminate(w.slot, t, Never, w.slot.bond.late(w.at, w.by, false))
	} else {
		l.terminate(w.slot, t, at, by)
	}
	switch {
	case other == OtherKeep:
	case other == OtherDrain && l.ex != nil && l.e.pair != nil && l.e.pair.InMessage(l.dir):
		l.drain = true
	default:
		opp.finish(term{op: other.op()}, at, by)
	}
}

// op is how an ending is carried out on the receiver's leg.
func (e Ending) op() Op {
	switch e {
	case Close:
		return OpClose
	case Rst:
		return OpReset
	}
	return OpFinish
}

// op is how what the sender gets is carried out on its leg.
func (o Other) op() Op {
	switch o {
	case OtherRst:
		return OpReset
	case OtherDrain:
		return OpFinish
	}
	return OpClose
}

func (l *lane) opposite() *lane { return &l.e.lanes[l.dir.Other()] }

// insert puts a slot into the chain at its rule's place.
func (l *lane) insert(s *slot) {
	i, _ := slices.BinarySearchFunc(l.chain, s.part.n, func(x *slot, n int) int { return x.part.n - n })
	l.chain = slices.Insert(l.chain, i, s)
	l.number()
}

// remove takes slots out of the chain.
func (l *lane) remove(gone func(*slot) bool) {
	if len(l.chain) > 0 {
		l.chain = slices.DeleteFunc(l.chain, gone)
		l.number()
	}
}

func (l *lane) number() {
	for i, s := range l.chain {
		s.i = i
	}
}

func (l *lane) dropMessageSlots() {
	if s := l.shelf(); s != nil && s.slot.msg {
		l.unshelve(false)
	}
	for _, s := range l.chain {
		if s.msg {
			s.untold()
		}
	}
	l.remove(func(s *slot) bool { return s.msg })
}

// newSlot puts a part to work on this direction, for the message in progress if msg.
func (l *lane) newSlot(p *part, msg bool) *slot {
	s := &slot{part: p, lane: l, msg: msg, bond: l.e.bondOf(p.rule.state), at: locator{pos: p.prep.at}}
	s.w.slot = s
	if msg {
		s.ex = l.ex
	}
	if p.prep.new != nil {
		s.stage = p.prep.new()
	}
	l.insert(s)
	return s
}

// saysClose says that a head's Connection field lists close (RFC 9112 section 9.6).
func saysClose(h *wire.Head) bool { return lists(h, "Connection", "close") }

// turnsOpaque is called where bytes begin that are no message's: empty lines
// between messages, or the end of HTTP on this direction.
func (l *lane) turnsOpaque() {
	reason, ok := l.e.pair.Opaque(l.dir)
	if !ok || l.told {
		return
	}
	l.told = true
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
	l.e.becomes(TCP)
	if l.e.protocol == HTTP {
		l.e.tellNow(Note{Kind: NoteOpaque, Dir: l.dir, Off: l.off, Pos: inserted, Body: inserted, Text: reason})
	}
}

// missed tells of the rules that matched the message and found no place in it.
func (l *lane) missed() {
	for _, s := range l.chain {
		if s.msg && s.stage == nil && !s.at.done && !s.asked {
			s.w.at, s.w.by = l.e.now, nil
			s.miss("position")
		}
	}
}
