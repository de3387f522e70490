package faults

import (
	"math"

	"crimp/faults/wire"
)

// A proxy's session turns from one server to another.
//
// The first bytes said for a request to another server have a mark before them in
// the outbox (opTurn): what is behind it waits until the answers to all requests
// before it were read to their last byte. Then the session replaces its upstream
// leg (OpDial), and what it reads from there is a new stream to the tokenizer. With
// rules that delay or swallow a request its server is dialled late or never:
// nothing is connected that is not spoken to.
//
// A server that closes ends the client's connection too, as in any relay. Only an
// intermediary that knows what of a message is meant for one hop (hop_by_hop in
// mode correct) can keep its two connections apart: behind an answer that it has
// passed, framed, the server may close, or say that it will, and the session is as
// it was before its first request (OpPart). What was asked of that server and not
// answered is the client's to ask again: then its connection ends, as ever.

// turn is what a session does when the exchanges before are answered: it connects
// to another server, or refuses and ends.
type turn struct {
	exchange uint64
	target   string
	connect  bool
	refusal  string
}

// say is told of all that is about to be said to a server, and when.
func (p *proxy) say(l *lane, e entry) {
	if x := l.ex; x != nil && x.N != p.asked {
		p.asked = x.N
		if p.named != p.newest() {
			p.turnTo(l, turn{exchange: x.N, target: p.named}, e)
		}
	}
}

// turnTo puts a turn where its bytes will be in the outbox. Before the first one
// nobody is connected: it is made at once.
func (p *proxy) turnTo(l *lane, t turn, e entry) {
	if p.newest() == "" {
		p.first = &t
		return
	}
	l.put(entry{at: e.at, by: e.by, op: opTurn, turn: &t}, nil)
}

// newest is the server that what is said next is for, unless it says otherwise;
// empty if there is none.
func (p *proxy) newest() string {
	waiting := p.e.lanes[wire.Upstream].out.waiting()
	for i := len(waiting) - 1; i >= 0; i-- {
		if t := waiting[i].turn; t != nil && t.target != "" {
			return t.target
		}
	}
	if p.first != nil {
		return p.first.target
	}
	return p.origin
}

// idle says that nobody is connected, nor will be.
func (p *proxy) idle() bool {
	return p.origin == "" && p.first == nil && p.nextTurn() == nil
}

// nextTurn is the one that waits in the outbox; nil if there is none.
func (p *proxy) nextTurn() *turn {
	for _, w := range p.e.lanes[wire.Upstream].out.waiting() {
		if t := w.turn; t != nil {
			return t
		}
	}
	return nil
}

// settle does, at the end of a Step, what has become due; it says whether the session
// turned to another server.
func (p *proxy) settle() (turned bool) {
	if len(p.line) > 0 && p.newest() != "" {
		if _, opaque := p.e.pair.Opaque(wire.Upstream); opaque { // by an answer that makes a tunnel
			p.noLine(&p.e.lanes[wire.Upstream])
		}
	}
	if p.parting && p.severable(nil) {
		p.part()
	}
	return p.turn()
}

// turn makes the next turn if its time has come, and says whether it did.
func (p *proxy) turn() bool {
	up := &p.e.lanes[wire.Upstream]
	t := p.first
	if t == nil && up.turnDue() {
		t = up.out.entries[up.out.head].turn
	}
	down := &p.e.lanes[wire.Downstream]
	if t == nil || p.dialing || up.closed || up.halted || down.drain {
		return false
	}
	if down.eof { // the server before has closed: the client was told so
		p.hangUp()
		return true
	}
	for _, x := range p.e.q.open { // what a rule has lost is not waited for, nor anything when nobody is there to be answered
		if x.N < t.exchange && x.asked && !x.answered && !x.done && !down.closed {
			return false
		}
	}
	if p.first == nil {
		up.out.pop(p.e.now)
	}
	p.first, p.origin = nil, t.target
	if p.e.dialed { // whatever it still says is nobody's answer
		p.restart(t.exchange)
	}
	if t.refusal != "" {
		p.reply(t.refusal)
		p.hangUp()
		return true
	}
	p.e.dialed, p.dialing, p.tunnel = false, true, t.connect
	target := t.target
	if p.next {
		target = ""
	}
	p.e.actions = append(p.e.actions, Action{Op: OpDial, Target: target})
	return true
}

// shut is told that an operator has said FIN to the server: no other is turned to.
// If there was none, nobody will ever answer, and the client is told so.
func (p *proxy) shut() {
	if p.first = nil; p.idle() && !p.e.lanes[wire.Downstream].mute {
		p.hangUp()
	}
}

// turnDue says that what comes next in the outbox is for another server.
func (l *lane) turnDue() bool {
	return !l.out.empty() && l.out.entries[l.out.head].op == opTurn && !l.out.next().After(l.e.now) && !l.out.next().IsZero()
}

// restart makes ready for what another server says: a new connection's bytes,
// and the next ones of the client's stream. It will be asked exchange from, and on.
func (p *proxy) restart(from uint64) {
	down := &p.e.lanes[wire.Downstream]
	down.release(true)
	down.dropMessageSlots()
	p.e.lanes[wire.Upstream].filter = Filter{} // the next server's socket has none
	p.base, down.ex, down.told, down.eof = down.off, nil, false, false
	p.apart, p.parting = nil, false
	p.e.pair.Restart(wire.Downstream)
	for _, x := range p.e.q.open { // what waits in the outbox
		if x.N >= from && x.asked && !x.answered {
			p.e.pair.Expect(x.forwarded())
		}
	}
}

// severable says that the connection to the server may end here without the
// client's: all it was asked was asked whole and answered whole (answering counts as
// that), nothing more is on its way there, and the client may ask on.
func (p *proxy) severable(answering *Exchange) bool {
	up, down := &p.e.lanes[wire.Upstream], &p.e.lanes[wire.Downstream]
	if !p.e.dialed || p.tunnel || up.eof || up.mute || up.closed || down.mute || down.closed {
		return false
	}
	if _, opaque := p.e.pair.Opaque(wire.Upstream); opaque { // what the client says names no server: it is for this one
		return false
	}
	for _, s := range down.chain {
		if g, ok := s.stage.(Gluer); ok && g.Glues() {
			return false
		}
	}
	next := uint64(math.MaxUint64) // what is behind a turn is not for this server
	if !up.out.empty() {
		t := up.out.entries[up.out.head].turn
		if t == nil {
			return false
		}
		next = t.exchange
	}
	for _, x := range p.e.q.open {
		begun := x.asked || x.N == p.asked // of a line that came slowly, it may have the first piece alone
		if x.N < next && begun && !(x.requested && (x.answered || x.done || x == answering)) {
			return false
		}
	}
	return true
}

// parts lets the server go, and only it, if that may be: it has said FIN or RST.
func (p *proxy) parts() bool {
	_, opaque := p.e.pair.Opaque(wire.Downstream)
	if p.apart == nil || p.e.o.Plan.armed[p.apart] == nil || opaque || p.e.pair.InMessage(wire.Downstream) || !p.severable(nil) {
		return false
	}
	p.part()
	return true
}

// part ends the connection to the server, who has answered all it was asked.
func (p *proxy) part() {
	from := p.e.q.n + 1
	if t := p.nextTurn(); t != nil {
		from = t.exchange
	}
	p.restart(from)
	p.e.dialed, p.origin = false, ""
	p.e.actions = append(p.e.actions, Action{Op: OpPart})
}

// Parts says that the server's connection may end behind the answer in progress
// and the client's stay: this is an explicit proxy, and nothing else is owed there.
func (w *Writer) Parts() bool {
	p := w.slot.lane.e.proxy
	return p != nil && p.severable(w.slot.lane.ex)
}

// Part, at the end of a framed answer, makes the two connections of a proxy persist
// each for itself until the next answer: the server may close, or is left if over.
func (w *Writer) Part(over bool) {
	if p := w.slot.lane.e.proxy; p != nil {
		p.apart, p.parting = w.slot.part.rule.state, over
	}
}
