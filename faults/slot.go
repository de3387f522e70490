package faults

import (
	"math"
	"math/rand/v2"
	"time"

	"crimp/faults/wire"
)

// slot is a rule's place in the chain of a direction. Stages are plain nested
// calls: what slot i sends, slot i+1 sees within the same call.
type slot struct {
	part  *part
	lane  *lane
	i     int       // its index in the lane's chain
	stage Stage     // nil: damage that has a place (part.prep.here)
	at    locator   // finds that place
	tail  tail      // keeps back what a place counted from an unknown end needs
	ex    *Exchange // the message's exchange; nil for a stream rule
	msg   bool      // goes when its message ends
	bond  *bond
	w     Writer
	alarm time.Time

	deaf         bool // the other direction's sender is left unread
	asked, fires bool // the gate was asked for this occurrence; it said yes
	leaving      bool // its rule is gone, its stage cannot stop half-way (Finisher)
}

// open gives the slot its first look. A stream rule's place may be here already,
// behind already, or a matter of time.
func (s *slot) open() {
	l, now := s.lane, s.lane.e.now
	s.w.at, s.w.by, s.w.seg = now, nil, wire.Segment{Dir: l.dir, Off: s.off(), Pos: inserted}
	if s.stage != nil {
		if o, ok := s.stage.(Opener); ok {
			o.Open(&s.w)
		}
		return
	}
	switch pos := s.part.prep.at; {
	case s.msg && (pos.Kind == Now || pos.Kind == NoPosition): // the message's start
	case pos.Kind == Now || pos.Kind == NoPosition:
		s.reachHere()
	case pos.Kind == ByteN && l.off > pos.N:
		s.at.done, s.asked = true, true
		s.miss(s.lane.noPlace())
	case pos.Kind == ByteN || pos.Kind == Next:
		s.at.target, s.at.known = pos.N, true
		if pos.Kind == Next {
			s.at.target += l.off
		}
		if s.at.target == l.off && !s.msg {
			s.reachHere()
		}
	case pos.Kind == After:
		s.alarm = l.e.opened.Add(pos.D)
	case pos.Kind == Idle:
		s.alarm = l.e.active.Add(pos.D)
	}
	if !s.alarm.IsZero() && !s.alarm.After(now) {
		s.wake()
	}
}

// segment shows the slot a run of bytes that reaches it at a time.
func (s *slot) segment(seg wire.Segment, at time.Time, by *late) {
	w := &s.w
	if w.ended {
		return
	}
	w.at, w.by, w.seg = at, by, seg
	switch {
	case s.stage != nil:
		s.stage.Segment(seg, w)
	case seg.Off < 0 && len(s.tail.segs) > 0: // it stands behind what is kept back
		s.tail.push(seg)
	case seg.Off < 0: // inserted by a rule before: positions do not count it
		w.Send(seg)
	case seg.Message > 0 && s.at.fromUnknownEnd(seg.Head):
		s.keepBack(seg)
	default:
		s.locate(seg)
	}
}

// locate passes the segment on, with the damage at its place if it is in it.
func (s *slot) locate(seg wire.Segment) {
	s.at.middle = s.lane.middle
	k, ok := s.at.find(&seg)
	switch {
	case !ok:
		s.w.Send(seg)
	case k == len(seg.Data):
		s.w.Send(seg)
		s.reach(seg, k)
	default:
		if k > 0 {
			s.w.Send(seg.Slice(0, k))
		}
		s.reach(seg, k)
		s.after(seg.Slice(k, len(seg.Data)))
	}
}

// after sends on what stands behind the place, or shows it to the stage that
// the damage has put to work there (Writer.Continue).
func (s *slot) after(seg wire.Segment) {
	if s.stage != nil && !s.w.ended {
		s.w.seg = seg
		s.stage.Segment(seg, &s.w)
		return
	}
	s.w.Send(seg)
}

// keepBack serves body:-N where the end is not known yet: the last N data bytes
// wait in the tail until the end is seen.
func (s *slot) keepBack(seg wire.Segment) {
	n := s.at.pos.N
	ends := seg.End || seg.Part == wire.ChunkSize && seg.Last && seg.LastChunk
	if seg.Part == wire.StartLine || seg.Part == wire.Field || seg.Part == wire.HeadEnd {
		s.w.Send(seg)
		return
	}
	s.tail.push(seg)
	s.lane.tails = true
	for {
		out, ok := s.tail.surplus(n)
		if !ok {
			break
		}
		s.w.Send(out)
	}
	if ends {
		enough := s.tail.data == n
		s.at.done = true
		if enough {
			first, _ := s.tail.first()
			s.reach(first, 0)
		} else {
			s.asked = true
			s.miss(s.lane.noPlace())
		}
		s.letGo()
	}
}

// letGo sends on what the tail keeps back.
func (s *slot) letGo() {
	for _, seg := range s.tail.take() {
		s.after(seg)
	}
}

// reach does the damage at byte k of seg, if the gate says yes. Where the
// direction has ended (its sender said FIN, or a rule behind this one cut it at
// the bytes just before) there is nothing to damage; what is let out because the
// other direction is being cut goes as it is.
func (s *slot) reach(seg wire.Segment, k int) {
	if s.lane.mute || s.lane.eof || s.lane.opposite().ending {
		if m := s.lane.noPlace(); m.Word == missRule {
			s.w.Miss(m)
		}
		return
	}
	if s.part.prep.kind.behind && s.msg && seg.End && k == len(seg.Data) {
		s.w.Miss(s.lane.noPlace()) // of its message nothing follows
		return
	}
	note := s.note(seg, k)
	if !s.ask() {
		return
	}
	s.w.pending = note
	s.part.prep.here(&s.w)
	if s.w.pending != nil { // no ending took it along
		s.tell(s.w.pending)
		s.w.pending = nil
	}
}

// reachHere does the damage between bytes.
func (s *slot) reachHere() {
	s.at.done = true
	s.reach(wire.Segment{Dir: s.lane.dir, Off: s.off(), Pos: inserted}, 0)
}

// wake is called when the slot's alarm has come.
func (s *slot) wake() {
	e := s.lane.e
	s.alarm = time.Time{}
	s.between()
	if s.stage != nil {
		if k, ok := s.stage.(Waker); ok {
			k.Wake(&s.w)
		}
		return
	}
	if pos := s.part.prep.at; pos.Kind == Idle {
		if quiet := e.active.Add(pos.D); quiet.After(e.now) {
			s.alarm = quiet
			return
		}
	}
	if !s.at.done {
		s.reachHere()
	}
}

// between makes ready for a call that no bytes are the cause of.
func (s *slot) between() {
	l := s.lane
	s.w.at, s.w.by, s.w.seg = l.e.now, nil, wire.Segment{Dir: l.dir, Off: s.off(), Pos: inserted}
}

// off is how far the stream has come here: not to what a slot before keeps back.
func (s *slot) off() int64 {
	if !s.lane.tails {
		return s.lane.off
	}
	for i := s.i - 1; i >= 0; i-- {
		if kept, ok := s.lane.chain[i].tail.first(); ok {
			return kept.Off
		}
	}
	return s.lane.off
}

// curious says that the stage is to be told what waits unread.
func (s *slot) curious() bool {
	_, ok := s.stage.(Unreader)
	return ok
}

// close takes the slot out of work because its rule is gone: what it keeps back
// goes on. What its bond holds in the outboxes is freed by the engine.
func (s *slot) close() {
	s.w.at, s.w.by, s.w.cursor = s.lane.e.now, nil, time.Time{}
	if d, ok := s.stage.(Disarmer); ok {
		d.Disarm(&s.w)
	}
	s.letGo()
	s.untold()
	s.w.Shut()
}

// blind is how many bytes from off the slot need not see.
func (s *slot) blind(off int64, now time.Time) int64 {
	switch k := s.stage.(type) {
	case nil:
		return s.at.blind(off)
	case Skipper:
		return k.Blind(off)
	case Counter:
		return k.Free(now)
	}
	return 0
}

// ration is how many bytes of the direction are to be read at most.
func (s *slot) ration(now time.Time) (int64, time.Time) {
	if r, ok := s.stage.(Rationer); ok && !s.w.ended {
		return r.Ration(now)
	}
	return math.MaxInt64, time.Time{}
}

// ask asks the gate, once for this occurrence, and counts.
func (s *slot) ask() bool {
	if s.asked {
		return s.fires
	}
	s.asked = true
	st := s.part.rule.state
	if yes, known := s.ex.verdict(st); known {
		s.fires = yes
		return yes
	}
	if s.part.prep.kind.adds && s.crammed() {
		s.fires = false
		s.miss(tooMuch)
		return false
	}
	e := s.lane.e
	yes, why, spent := st.gate.Ask(occasion{seed: e.o.Plan.seed, route: e.o.Route, rule: s.part.rule.Rule.Name,
		session: e.o.Session, number: s.occurrence(), facts: e.facts(s.ex, 0)})
	s.fires = yes
	if s.part.twice && s.ex != nil {
		s.ex.verdicts = append(s.ex.verdicts, verdict{st, yes})
	}
	if !yes {
		st.miss(why)
		return false
	}
	st.hits.Add(1)
	if spent {
		st.spent.Store(true)
		s.lane.note(Note{Kind: NoteSpent, Rule: s.part.rule, Exchange: s.ex, Dir: s.lane.dir}, s.w.at, s.w.by)
	}
	return true
}

// note says where byte k of seg stands, for a firing there.
func (s *slot) note(seg wire.Segment, k int) *Note {
	n := &Note{Kind: NoteFired, Rule: s.part.rule, Exchange: s.ex, Dir: s.lane.dir, Off: seg.Off + int64(k), Pos: inserted, Part: seg.Part, Body: inserted, Bytes: s.lane.said}
	if seg.Message > 0 {
		n.Pos = seg.Pos + int64(k)
		n.Body = s.lane.body - s.tail.data
		if seg.Part == wire.Body || seg.Part == wire.ChunkData {
			n.Body += int64(k)
		}
	}
	past := s.at.past
	if s.at.known && (s.at.pos.Kind == ByteN || s.at.pos.Kind == Next) {
		past = n.Off - s.at.target
	}
	if past > 0 {
		n.Off -= past // another rule dropped the byte of the place: it is where it was all the same
		n.Pos = max(n.Pos-past, inserted)
	}
	return n
}

// tell sends a firing to the journal, in its place between the bytes.
func (s *slot) tell(n *Note) {
	s.record(n)
	s.lane.note(*n, s.w.at, s.w.by)
}

// untold tells what FireAs kept for an ending that did not come.
func (s *slot) untold() {
	if n := s.w.pending; n != nil {
		s.w.pending = nil
		s.tell(n)
	}
}

// record writes a firing into its exchange.
func (s *slot) record(n *Note) {
	if x := n.Exchange; x != nil {
		x.Fired = append(x.Fired, Firing{Rule: n.Rule, Dir: n.Dir, Off: n.Off, Pos: n.Pos, Part: n.Part, Body: n.Body, End: n.End})
	}
}

// occurrence is what a gate counts: an exchange, or a direction of a session.
func (s *slot) occurrence() uint64 {
	if s.ex != nil {
		return s.ex.N<<1 | 1
	}
	return uint64(s.lane.dir) << 1
}

// draws is this occurrence's own source of randomness.
func (s *slot) draws(salt uint64) *rand.Rand {
	e := s.lane.e
	return draw(e.o.Plan.seed, e.o.Route, s.part.rule.Rule.Name, e.o.Session, s.occurrence()^mix(salt))
}
