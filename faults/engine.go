package faults

import (
	"net/netip"
	"time"

	"crimp/faults/wire"
)

// Protocol is what a route takes its sessions for.
type Protocol uint8

const (
	Auto Protocol = iota // http if the client's first bytes are an HTTP/1 request line, else tcp
	HTTP                 // HTTP/1, whatever comes
	TCP                  // bytes that nobody looks into
)

// Side is one leg of a session, or both.
type Side uint8

const (
	Client    Side = iota // the one that connected to the box
	Server                // the one the box connected to
	BothSides             // each of them
)

// Options is what an engine is told once.
type Options struct {
	Route    string // its name: draws depend on it
	Session  uint64 // number on the route, from 1
	Client   netip.AddrPort
	Protocol Protocol
	Packets  bool // this process may filter packets
	// Proxying makes an explicit HTTP proxy of the session; Protocol is then HTTP.
	Proxying Proxying
	Plan     *Plan // in force until InSwap; not nil
	// Held bounds the bytes held back in each direction; past it the source is
	// not read. 0: 2 MiB.
	Held int
	// OnDialError is what the client gets when its server cannot be connected: "rst",
	// "fin" or "502" (an answer where there is HTTP, and FIN; else RST: unserved.go).
	OnDialError string
	// Census counts the route's sessions; nil: this is the only one.
	Census Census
	// Scratch is shared with other engines; nil: the engine has its own.
	Scratch *Scratch
}

// Engine is the mind of one session: inputs in, actions out. It does no I/O,
// reads no clock and knows no lock. Same plan, seed and inputs, same actions.
type Engine struct {
	o     Options    // with the plan in force
	pair  *wire.Pair // nil when the session is tcp
	lanes [2]lane
	q     exchanges
	bonds []*bond

	now      time.Time // of this Step; never goes back
	opened   time.Time
	active   time.Time     // when the last byte came, either way
	due      time.Duration // what Deadline said last, since opened; 0: nothing
	door     *door         // nil: no connect rule was asked, or all let it on
	proxy    *proxy        // nil but for an explicit proxy
	shelf    *bar          // whole messages of a direction are kept behind it
	protocol Protocol
	oddly    Odd  // of all its exchanges
	dialed   bool // the upstream connection stands
	closing  bool // a message said Connection: close: no request should follow
	kept     bool // the client means to keep the connection

	*Scratch
}

// NewEngine makes the engine of a session whose client was just accepted. The
// first Step must be InOpen.
func NewEngine(now time.Time, o Options) *Engine {
	if o.Held <= 0 {
		o.Held = 2 << 20
	}
	e := &Engine{o: o, protocol: o.Protocol, now: now, opened: now, active: now, Scratch: o.Scratch}
	if e.Scratch == nil {
		e.Scratch = &Scratch{}
	}
	for d := range e.lanes {
		e.lanes[d].e, e.lanes[d].dir = e, wire.Direction(d)
	}
	if o.Protocol != TCP {
		e.pair = wire.NewPair(func(s wire.Segment) { e.lanes[s.Dir].segment(&s) })
		e.pair.Share(&e.heads)
	}
	if o.Proxying != Forward {
		e.proxy = &proxy{e: e, next: o.Proxying == ToProxy}
	}
	return e
}

// Step takes one input and says what to do about it. The actions, and all they
// point to, are valid until the next Step.
func (e *Engine) Step(now time.Time, in Input) []Action {
	e.begin(now)
	switch in.Kind {
	case InOpen:
		if len(e.o.Plan.connect) > 0 {
			e.door = &door{parts: e.o.Plan.connect}
		}
		if e.knock(); !e.refused() {
			e.install(e.o.Plan.stream)
		}
	case InTick:
		if e.waitsAtDoor() {
			e.knock()
		}
	case InDialed:
		if e.dialed = true; e.proxy != nil {
			e.proxy.dialled()
		}
	case InDialFailed:
		e.dialFailed(in.Err)
	case InBytes:
		e.bytes(in.Dir, in.Data)
	case InSkipped:
		e.skipped(in.Dir, in.N)
	case InEOF:
		e.eof(in.Dir)
	case InReset:
		e.reset(in.Dir)
	case InHangup:
		e.hangup(in.Dir)
	case InUnread:
		e.unread(in.N)
	case InCramped:
		e.lanes[in.Dir].letGo()
	case InSwap:
		e.swap(in.Plan)
	case InCommand:
		e.command(in.Act, in.Side)
	}
	e.wake()
	return e.finish()
}

// begin makes ready for a Step: memory that the last one's actions pointed to is
// free again, and what is due goes out before anything new.
func (e *Engine) begin(now time.Time) {
	if now.After(e.now) {
		e.now = now
	}
	e.belated()
	clear(e.actions)
	e.actions, e.notes, e.made = e.actions[:0], e.notes[:0], 0
	if e.gather = e.gather[:0]; cap(e.gather) > 64<<10 {
		e.gather = nil
	}
	e.reuse()
	e.refill()
	for d := range e.lanes {
		if l := &e.lanes[d]; l.out != nil {
			l.out.compact()
			l.releaseDue()
		}
	}
}

// belated tells the stages that this Step should have been before, if it should.
func (e *Engine) belated() {
	if e.due == 0 {
		return
	}
	by := e.now.Sub(e.opened) - e.due
	if by <= 0 {
		return
	}
	e.due = 0
	for d := range e.lanes {
		for _, s := range e.lanes[d].chain {
			if k, ok := s.stage.(Later); ok {
				k.Late(by)
			}
		}
	}
}

// finish lets out what has become due, and adds the notes.
func (e *Engine) finish() []Action {
	if !e.idle() || e.shelf != nil || e.proxy != nil {
		e.letOut()
	}
	e.settle()
	e.refilter()
	if e.pair != nil {
		e.pair.Rest()
	}
	for i := range e.notes {
		e.actions = append(e.actions, Action{Op: OpNote, Dir: e.notes[i].Dir, Note: &e.notes[i]})
	}
	return e.actions
}

// letOut lets out what has become due, and keeps the rest in memory of its own.
func (e *Engine) letOut() {
	for d := range e.lanes {
		e.lanes[d].settleShelf()
	}
	e.release()
	if e.proxy != nil && e.proxy.settle() {
		e.release()
	}
	for d := range e.lanes {
		l := &e.lanes[d]
		l.hold.own()
		if l.out != nil && l.out.empty() {
			e.dismiss(l.out)
			l.out = nil
		}
	}
}

func (e *Engine) release() {
	for d := range e.lanes {
		e.lanes[d].releaseDue()
	}
}

// Deadline is when Step InTick is due; zero: not by itself.
func (e *Engine) Deadline() time.Time {
	if e.idle() {
		e.due = 0
		return time.Time{}
	}
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && !isNever(t) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if e.waitsAtDoor() || e.unserved() {
		sooner(e.door.until)
	}
	for d := range e.lanes {
		l := &e.lanes[d]
		if !l.stopped() {
			sooner(l.out.next())
		}
		sooner(l.hold.due())
		for _, s := range l.chain {
			sooner(s.alarm)
			if n, again := s.ration(e.now); n == 0 {
				sooner(again)
			}
		}
	}
	if e.due = 0; !first.IsZero() {
		e.due = first.Sub(e.opened)
	}
	return first
}

// idle says that nothing waits and no rule is at work, as is usual.
func (e *Engine) idle() bool {
	return e.door == nil && e.lanes[0].idle() && e.lanes[1].idle()
}

// Behind says that the session has more to do at once, and is made to wait for it.
func (e *Engine) Behind() { e.due = max(1, e.now.Sub(e.opened)) }

// HeldBytes is how many bytes wait in each direction: said, kept by a stage, or the
// beginning of a message that a rule must see more of.
func (e *Engine) HeldBytes() (down, up int) {
	if e.idle() {
		return 0, 0
	}
	return e.lanes[wire.Downstream].held(), e.lanes[wire.Upstream].held()
}

// Offset is how many bytes of a direction's stream came in: the place of the next
// one, as positions count (byte:N).
func (e *Engine) Offset(d wire.Direction) int64 {
	switch {
	case e.pair == nil:
		return e.lanes[d].off
	case e.proxy != nil && d == wire.Downstream:
		return e.proxy.base + e.pair.Offset(d)
	}
	return e.pair.Offset(d)
}

// Owes says that something is still to be said in a direction: bytes, FIN or an
// ending wait there for their time, or for the upstream connection.
func (e *Engine) Owes(d wire.Direction) bool { return !e.lanes[d].out.empty() }

// Over says that both legs have been told their ending.
func (e *Engine) Over() bool {
	return e.lanes[wire.Downstream].closed && e.lanes[wire.Upstream].closed
}

// Protocol is what the session turned out to be; Auto until that is known.
func (e *Engine) Protocol() Protocol { return e.protocol }

// Exchanges calls f with each exchange that is not over, oldest first.
func (e *Engine) Exchanges(f func(*Exchange)) {
	for _, x := range e.q.open {
		if !x.done {
			f(x)
		}
	}
}

// Newest is the exchange that started last; nil before the first. Of one that is
// over, its number, the request's head and the status are known. It is valid until
// the next Step.
func (e *Engine) Newest() *Exchange {
	x := e.q.young
	if h := wire.ReadHead(e.q.head); x == nil && h != nil {
		x = &Exchange{N: e.q.n, Head: *h, Status: e.q.status, Declared: -1}
	}
	if x == nil || x.Head.StartStop == 0 {
		return nil
	}
	return x
}
