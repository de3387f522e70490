package faults

import (
	"math"
	"net/netip"
	"time"

	"crimp/faults/wire"
)

// Protocol is what a route takes its sessions for.
type Protocol uint8

const (
	Auto Protocol = iota // http if the client's first bytes are an HTTP/1 request line, else tcp
	HTTP
	TCP
)

// Side is one leg of a session, or both.
type Side uint8

const (
	Client Side = iota
	Server
	BothSides
)

// InputKind is what happened.
type InputKind uint8

const (
	InOpen       InputKind = iota // the client's connection was accepted
	InDialed                      // the upstream connection stands
	InDialFailed                  // it does not: Err says why
	InBytes                       // Data arrived, flowing in Dir
	InSkipped                     // N bytes that Demand said need not be seen went by, flowing in Dir
	InEOF                         // the sender of Dir sent FIN; everything before it was given
	InReset                       // the sender of Dir sent RST; everything readable before it was given
	InHangup                      // Dir is on Hold, and its sender's FIN waits unread in the kernel
	InUnread                      // Dir is on Hold with Tell, and N bytes wait unread in the kernel
	InSwap                        // Plan replaces the plan in force
	InTick                        // Deadline has come
	InCommand                     // an operator acts on this session: Act, Side
)

// Act is what session.act can do to a session.
type Act uint8

const (
	ActRst Act = iota
	ActClose
	ActFin
	ActStall
	ActResume
)

// Input is one thing that happened to a session.
type Input struct {
	Kind InputKind
	Dir  wire.Direction
	Data []byte // valid during Step; actions may point into it
	N    int64
	Plan *Plan
	Err  error
	Act  Act
	Side Side
}

// Op is what a session has to do. Ops on a leg are ordered: each waits for the
// bytes sent before it, and a stronger one replaces a weaker one that waits
// (Shut < Finish < Close < Desert < Reset).
type Op uint8

const (
	OpDial   Op = iota // connect to Target (empty: the route's upstream)
	OpPart             // the upstream connection is over, its server is owed nothing; the client's stays
	OpSend             // write Data to the leg that Dir flows to
	OpShut             // FIN to that leg; the other direction goes on
	OpFinish           // FIN to that leg, its input is read away until its FIN, RST or the linger limit
	OpClose            // as OpFinish, but closed as soon as the FIN is acknowledged: later input is answered with RST
	OpDesert           // FIN to that leg once all before it is acknowledged, then closed with its input unread: RST
	OpReset            // RST to that leg once all bytes before it are acknowledged (bounded)
	OpAbort            // the leg is dead already (its peer reset it) or must go at once: RST without waiting
	OpFilter           // lose segments of the peer of that leg: Filter
	OpNote             // tell the journal: Note
)

// Action is one thing to do, in order. An action that ends a leg may carry a
// Note, to be told when the ending is out, with what was acknowledged.
type Action struct {
	Op     Op
	Dir    wire.Direction // the leg it flows to: Downstream is the client's
	Data   []byte         // valid until the next Step
	Target string
	Note   *Note
	Filter Filter
	// Apart, if not 0: Data is to leave in a write and a TCP segment of its own,
	// joined only to what has the same number.
	Apart uint64
}

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
	N    int64
	Tell bool // with Hold: tell InUnread when there is something
}

// NoteKind is what an engine has to tell.
type NoteKind uint8

const (
	NoteFired            NoteKind = iota // a fault acted
	NoteMissed                           // a matching message did not have the rule's position
	NoteSpent                            // the rule fired for the last time its gate allows
	NoteOpaque                           // a direction is relayed as opaque bytes from here on: Text says why
	NoteHeld                             // a head was held to its limit and let go: Text says why
	NoteExchangeStarted                  // Exchange: its request line is known
	NoteExchangeFinished                 // Exchange: done, or as far as it will get
	NoteProtocol                         // an auto session turned out to be Text: "http" or "tcp"
)

// Note is something for the journal. Its pointers are valid until the next Step.
type Note struct {
	Kind     NoteKind
	Rule     *Compiled
	Exchange *Exchange // nil outside any
	Dir      wire.Direction
	Off, Pos int64 // in the stream, in the message (-1: outside any)
	Part     wire.Part
	End      Ending // what goes out with it: NoEnding if only bytes change
	Bytes    int64  // bytes of the direction said before it
	Body     int64  // body bytes of the message said before it (-1: outside any)
	Text     string
}

// Options is what an engine is told once.
type Options struct {
	Route    string
	Session  uint64 // number on the route, from 1
	Client   netip.AddrPort
	Protocol Protocol
	Packets  bool // this process may filter packets
	// Proxying makes an explicit HTTP proxy of the session; Protocol is then HTTP.
	Proxying Proxying
	Plan     *Plan
	// Held bounds the bytes held back in each direction; past it the source is
	// not read. 0: 2 MiB.
	Held int
	// OnDialError is "rst", "fin" or "502".
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

// Scratch is memory that an engine needs only from one Step to the next. Engines
// that are stepped by one goroutine may share it: then what a Step answers is
// valid until the next Step of any of them. The zero value is ready.
type Scratch struct {
	actions  []Action
	notes    []Note
	gather   []byte // bytes from several places that leave together
	gathered bool   // the last action's Data is in gather
	known    Facts  // reused
	heads    wire.Spare
	past     []*Exchange // over with the last Step, whose notes point to them
	spare    []*Exchange // to be used again
	boxes    []*outbox   // to be used again
	emptied  []*outbox   // of the last Step

	// Delays counts for how long rules kept back what they delayed: from when it
	// was read until it went out. It is all that outlives a Step.
	Delays Histogram
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
			e.install()
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
	e.late()
	clear(e.actions)
	e.actions, e.notes = e.actions[:0], e.notes[:0]
	if e.gather = e.gather[:0]; cap(e.gather) > 64<<10 {
		e.gather = nil
	}
	e.reuse()
	e.refill()
	for d := range e.lanes {
		e.lanes[d].out.compact()
		e.lanes[d].releaseDue()
	}
}

// late tells the stages that this Step should have been before, if it should.
func (e *Engine) late() {
	by := e.now.Sub(e.opened) - e.due
	if e.due == 0 || by <= 0 {
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
	for d := range e.lanes {
		e.lanes[d].settleShelf()
	}
	e.release()
	if p := e.proxy; p != nil && len(p.line) > 0 && p.newest() != "" {
		if _, turned := e.pair.Opaque(wire.Upstream); turned { // by an answer that makes a tunnel
			p.noLine(&e.lanes[wire.Upstream])
		}
	}
	if p := e.proxy; p != nil && p.parting && p.severable(nil) {
		p.part()
	}
	if e.proxy != nil && e.proxy.turn() {
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

func (e *Engine) release() {
	for d := range e.lanes {
		e.lanes[d].releaseDue()
	}
}

// Deadline is when Step InTick is due; zero: not by itself.
func (e *Engine) Deadline() time.Time {
	var first time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && !isNever(t) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if e.waitsAtDoor() {
		sooner(e.door.until)
	}
	for d := range e.lanes {
		l := &e.lanes[d]
		if !l.waits() && !l.halted && l.gag == nil && !l.turnDue() && !l.barred() {
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

// Behind says that the session has more to do at once, and is made to wait for it.
func (e *Engine) Behind() { e.due = max(1, e.now.Sub(e.opened)) }

// Demand is what to do with a direction's source now. Ask again after each Step.
func (e *Engine) Demand(d wire.Direction) Demand {
	l := &e.lanes[d]
	switch {
	case l.mute:
		return Demand{Mode: Read}
	case e.waitsAtDoor(), !e.dialed && !(e.proxy != nil && !e.proxy.dialing && d == wire.Upstream), l.halted, l.gag != nil, l.out.stalled(), l.out.holds() >= e.o.Held && !e.unled(d):
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

// unled says that what waits in a direction waits for a request that names a
// server: that must be read, however much a rule has said before.
func (e *Engine) unled(d wire.Direction) bool {
	return e.proxy != nil && d == wire.Upstream && e.proxy.newest() == ""
}

// Room is how many bytes of a direction may be given to Step though Demand says
// Hold: they are held, in order. It is for the last words of a peer that is gone.
func (e *Engine) Room(d wire.Direction) int {
	return max(0, e.o.Held-e.lanes[d].out.holds())
}

// HeldBytes is how many bytes wait in each direction.
func (e *Engine) HeldBytes() (down, up int) {
	return e.lanes[wire.Downstream].out.holds(), e.lanes[wire.Upstream].out.holds()
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
