package faults

import (
	"math/rand/v2"
	"time"

	"crimp/faults/wire"
)

// Writer is how a stage says what goes on. Time flows with the bytes: each stage
// has a cursor, what it sends reaches the next stage at that cursor, so delays
// of several rules add up and nothing needs a queue between them.
type Writer struct {
	slot    *slot
	at      time.Time // when what is being seen reached this stage
	by      *late     // why it was late, if it was
	cursor  time.Time // nothing of this stage goes on before it
	line    bool      // the cursor was moved by Delay
	seg     wire.Segment
	passing *term // the FIN, RST or ending that Ender is told of, until Shut
	pending *Note // a firing not yet told: its ending may still be said
	ended   bool  // End was called
}

// Dir is the direction of what is being seen.
func (w *Writer) Dir() wire.Direction { return w.slot.lane.dir }

// Now is when what is being seen reaches this stage.
func (w *Writer) Now() time.Time { return w.at }

// Exchange is the exchange of a message rule, nil for a stream rule.
func (w *Writer) Exchange() *Exchange { return w.slot.ex }

// Send passes a segment on to the next stage, at this stage's cursor.
func (w *Writer) Send(s wire.Segment) {
	if w.ended || len(s.Data) == 0 && !s.Last && !s.End {
		return
	}
	w.slot.lane.deliver(w.slot, &s, w.when(), w.binding())
}

// Insert says bytes that the peer never sent. They must stay valid and
// unchanged: they are not copied when they have to wait.
func (w *Writer) Insert(b []byte) {
	if w.ended || len(b) == 0 {
		return
	}
	w.slot.lane.e.made += len(b)
	w.slot.lane.deliver(w.slot, &wire.Segment{Dir: w.Dir(), Part: wire.Opaque, Data: b, Off: inserted, Pos: inserted}, w.when(), w.binding())
}

// Replace sends a segment with other bytes in place of its own. Later rules see
// it where the peer's bytes stood: what is longer than they were does not count
// for their positions.
func (w *Writer) Replace(s wire.Segment, b []byte) {
	n := min(len(b), len(s.Data))
	s.Data = b[:n:n]
	w.Send(s)
	w.Insert(b[n:])
}

// Omit lets the bytes of a segment vanish and sends on what it marks: that its
// element or its message ends here.
func (w *Writer) Omit(s wire.Segment) {
	t := s.Slice(len(s.Data), len(s.Data))
	t.First, t.Start = s.First, s.Start
	w.Send(t)
}

// Continue puts a stage to work from the place of the damage on (Kind.Here): it
// sees what follows, up to the end of the message for a message rule.
func (w *Writer) Continue(s Stage) { w.slot.stage = s }

// Repeat inserts b n times, every so often, one after the other and before
// whatever is said next. It is for what has no end but the rule's: rules further on
// do not see it, for most of it is said when the message, and its stages, may be
// long gone. The caller says by Until how long that is. When the rule is disarmed no
// more are said.
func (w *Writer) Repeat(b []byte, n int64, every time.Duration) {
	if w.ended || len(b) == 0 || n <= 0 {
		return
	}
	e := entry{at: w.when(), by: w.binding(), op: OpSend, ext: b, again: &again{left: n, every: every, bond: w.slot.bond}}
	w.slot.lane.put(e, nil)
}

// Behind is when what was said before on this direction has left, zero if that is
// over, or no matter of time because of a stall.
func (w *Writer) Behind() (last time.Time) {
	out := w.slot.lane.out
	if out.empty() || out.stalled() {
		return last
	}
	for _, e := range out.waiting() {
		if e.at.After(last) {
			last = e.at
		}
	}
	return last
}

// inserted as Off marks bytes that are not the peer's.
const inserted = -1

// Until moves the cursor to t: nothing said later by this stage goes on before.
// Until(Never) is a stall: it ends when the rule is disarmed.
func (w *Writer) Until(t time.Time) {
	if t.After(w.cursor) && !w.slot.leaving {
		w.cursor = t
	}
}

// Wait moves the cursor by d, from now or from where it stands if that is later.
func (w *Writer) Wait(d time.Duration) { w.Until(w.when().Add(d)) }

// Delay is for a delay line: what is said next goes on d after it came to this
// stage. It holds up nothing that comes later, but for the order of bytes; and if
// a rule goes because of which it came late, it goes on that much sooner.
func (w *Writer) Delay(d time.Duration) { w.line, w.cursor = true, w.at.Add(d) }

// Stall lets nothing pass for d (0: until disarmed) and says so in the event.
func (w *Writer) Stall(d time.Duration) {
	if w.pending != nil {
		w.pending.End = StallEnd
	}
	if d <= 0 {
		if w.slot.ex != nil {
			w.slot.ex.Outcome = "stalled"
		}
		w.Until(Never)
		return
	}
	w.Wait(d)
}

// Alarm asks for Waker.Wake at t.
func (w *Writer) Alarm(t time.Time) { w.slot.alarm = t }

// Soon asks for Waker.Wake at the end of this Step: for what is not to be done
// while bytes pass, such as ending the other direction.
func (w *Writer) Soon() { w.slot.alarm = w.slot.lane.e.now }

// Resetting says that what Ender is told of is a RST, not a FIN.
func (w *Writer) Resetting() bool { return w.passing != nil && w.passing.op == OpReset }

// Shut passes on the FIN, RST or ending that Ender is being told of.
func (w *Writer) Shut() {
	if w.passing != nil {
		w.slot.lane.terminate(w.slot, *w.passing, w.when(), w.binding())
		w.passing = nil
	}
}

// End ends both legs after everything said before: the receiver of this
// direction as how says, the sender as other says. Nothing can be said after.
func (w *Writer) End(how Ending, other Other) {
	w.end(how, how.op(), other)
}

// Desert ends both legs as a process does that closes while something it has not
// read waits: FIN, and RST for what is unread. None of that is relayed.
func (w *Writer) Desert(other Other) {
	w.end(Close, OpDesert, other)
}

func (w *Writer) end(how Ending, op Op, other Other) {
	if w.ended {
		return
	}
	w.ended = true
	note := w.pending
	w.pending = nil
	if note != nil {
		note.End = how
	}
	w.slot.lane.end(w, how, op, other, note)
}

// Deaf leaves the other direction's sender unread, or no more.
func (w *Writer) Deaf(on bool) { w.slot.deaf = on }

// Opposite is the writer of the same stage in the other direction, ready to say
// something now; nil unless the kind sees both, and is at work there.
func (w *Writer) Opposite() *Writer {
	for _, s := range w.slot.lane.opposite().chain {
		if s.stage != nil && s.stage == w.slot.stage && s.bond == w.slot.bond {
			s.between()
			return &s.w
		}
	}
	return nil
}

// Back is Opposite, or w itself where there is none. Nothing is to be ended with it
// while bytes pass: ask for Soon.
func (w *Writer) Back() *Writer {
	if back := w.Opposite(); back != nil {
		return back
	}
	return w
}

// Mine says that what is being seen belongs to the exchange that the rule was
// put to work for.
func (w *Writer) Mine() bool { return w.slot.ex != nil && w.slot.lane.ex == w.slot.ex }

// Leave takes a stage that sees both directions out of work at the end of the
// message in progress; it comes back with the next exchange that matches.
func (w *Writer) Leave() { w.slot.msg, w.Back().slot.msg = true, true }

// Gone is Leave for this direction alone.
func (w *Writer) Gone() { w.slot.msg = true }

// Turn says that the answers to all requests before this stage's own have been
// read, the one that is being seen included: the next to say is its own.
func (w *Writer) Turn() bool {
	l := w.slot.lane
	for _, x := range l.e.q.open {
		if x == w.slot.ex {
			return true
		}
		if !x.answered && !x.done && !(x == l.ex && w.seg.End) {
			return false
		}
	}
	return false
}

// Replied says that what was inserted is the whole answer to this stage's exchange,
// which length it declares (-1: none) and how much of it is body.
func (w *Writer) Replied(status int, declared, body int64) {
	x, l := w.slot.ex, w.slot.lane
	if x == nil {
		return
	}
	x.Status, x.Declared, x.answered, x.replied, x.made = status, declared, true, true, body
	l.e.q.last = l.e.now
	l.queue(entry{at: w.when(), by: w.binding(), op: opWhole, ex: x})
}

// Quiet says since when neither peer has said a byte, and whether the session is
// at rest: no exchange is open and nothing waits to go out.
func (w *Writer) Quiet() (since time.Time, rests bool) {
	e := w.slot.lane.e
	for d := range e.lanes {
		if l := &e.lanes[d]; !l.out.empty() || l.holds() {
			return e.active, false
		}
	}
	return e.active, !e.busy()
}

// Used says that the session has served: an exchange is over, or, where there is
// no HTTP, something was said.
func (w *Writer) Used() bool {
	e := w.slot.lane.e
	if e.pair == nil {
		return e.active.After(e.opened) || e.lanes[0].off+e.lanes[1].off > 0
	}
	return !e.q.last.IsZero()
}

// HalfClose says FIN to one side behind what was said to it, and lets the other
// direction go on; what still comes for that side is dropped.
func (w *Writer) HalfClose(side Side) {
	l := &w.slot.lane.e.lanes[wire.Downstream]
	if side == Server {
		l = l.opposite()
	}
	t := term{op: OpShut, note: w.pending}
	if w.pending = nil; t.note != nil {
		t.note.End = Fin
		w.slot.record(t.note)
	}
	at, by := w.when(), w.binding()
	if l == w.slot.lane {
		l.mute, l.shut, l.ender, w.ended = true, true, w.slot.part.rule, true
		l.terminate(w.slot, t, at, by)
		return
	}
	l.release(true)
	l.mute, l.shut, l.ender = true, true, w.slot.part.rule
	l.finish(t, at, by)
}

// Told says whether the client was told, by other fields than the server's, that
// the connection closes: it should ask nothing more then.
func (w *Writer) Told(closes bool) {
	x := w.slot.lane.ex
	e := w.slot.lane.e
	if e.closing = closes || x != nil && x.Head.Close; e.closing {
		e.unkeep()
	} else if x != nil && !e.kept && asksToKeep(&x.Head) {
		e.keep(true)
	}
}

// Free lets go, in order, what this stage held back in either direction, and
// moves its cursors back to now.
func (w *Writer) Free() {
	e := w.slot.lane.e
	for i := range e.lanes {
		e.lanes[i].free(w.slot.bond)
	}
}

// Discard drops the bytes this stage held back, in either direction, and moves
// its cursors back to now.
func (w *Writer) Discard() {
	e := w.slot.lane.e
	for i := range e.lanes {
		e.lanes[i].out.discard(w.slot.bond)
	}
	w.Free()
}

// Rand is a source of draws for this rule, this session and this exchange (or
// direction): the same in every run with the same seed, whatever else happens.
func (w *Writer) Rand(salt uint64) *rand.Rand {
	return w.slot.draws(salt)
}

// Key is what draws for single bytes start from (drawAt): one for each rule,
// session and exchange or direction.
func (w *Writer) Key() uint64 {
	e := w.slot.lane.e
	return drawSeed(e.o.Plan.seed, e.o.Route, w.slot.part.rule.Rule.Name, e.o.Session, w.slot.occurrence())
}

// Route is what the stages of this rule share over all sessions: Kind.Memory.
func (w *Writer) Route() any { return w.slot.part.rule.state.shared[w.slot.part.k] }

// Session is what the stages of this rule share on this session: Kind.Memory.
func (w *Writer) Session() any {
	b, p := w.slot.bond, w.slot.part
	if b.own == nil {
		b.own = map[int]any{}
	}
	if b.own[p.k] == nil {
		b.own[p.k] = p.prep.memory()
	}
	return b.own[p.k]
}

// Ahead is how far in the future what is being seen reaches this stage: what the
// stages before it add.
func (w *Writer) Ahead() time.Duration { return max(0, w.at.Sub(w.slot.lane.e.now)) }

func (w *Writer) when() time.Time {
	if w.cursor.After(w.at) {
		return w.cursor
	}
	return w.at
}

// binding is this stage's bond if it is what makes the bytes late.
func (w *Writer) binding() *late {
	if w.cursor.After(w.at) {
		return w.slot.bond.late(w.at, w.by, w.line)
	}
	return w.by
}
