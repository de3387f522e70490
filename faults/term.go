package faults

import (
	"time"

	"crimp/faults/wire"
)

// term is the end of a direction on its way through the chain.
type term struct {
	op   Op
	note *Note
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
			passing := t // a copy, lest every t is allocated
			s.w.passing = &passing
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
	l.ending, l.ender, opp.ender = true, w.slot.part.rule, w.slot.part.rule
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
	l.missed()
	opp.missed()
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

// close hands an ending to the receiver's leg.
func (l *lane) close(op Op, note *Note) {
	if l.closed && op <= l.op {
		if note != nil {
			l.e.tellNow(*note)
		}
		return
	}
	l.closed, l.op = true, op
	l.e.actions = append(l.e.actions, Action{Op: op, Dir: l.dir, Note: note})
	if l.dir == wire.Downstream {
		l.e.unkeep()
	}
	l.e.windUp()
}

// cutOff drops what was not let out and ends the leg now.
func (l *lane) cutOff(op Op) {
	l.halted, l.gag = false, nil
	l.unshelve(false)
	l.out.drop(l.e.now)
	l.releaseDue()
	l.close(op, nil)
}
