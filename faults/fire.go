package faults

// How a stage asks its rule's gate, and what the journal is told of it: once for an
// occurrence, at the place and, where there is one, with the ending.

// FireAs is Fire for an ending that the event is to name, and the place where it
// comes: call End or Desert next. Called before the ending is due, it tells nothing
// yet: it is to be called again there, and if the message is over without it, what
// was fired is told without an ending. A rule that has told what it did before,
// in an earlier exchange perhaps, tells its ending as a second firing.
func (w *Writer) FireAs() bool { return w.fireAs(0) }

// FireBehind is FireAs for an ending behind what is being seen.
func (w *Writer) FireBehind() bool { return w.fireAs(len(w.seg.Data)) }

// FireFor is FireAs, or FireBehind, for an ending that comes with the stage's own
// exchange, whichever the direction is at.
func (w *Writer) FireFor(behind bool) {
	k := 0
	if behind {
		k = len(w.seg.Data)
	}
	if w.fireAs(k) {
		w.pending.Exchange = w.slot.ex
	}
}

// FireNow is Fire where FireAs has asked the gate already.
func (w *Writer) FireNow() bool {
	yes := w.fireAs(0)
	w.slot.untold()
	return yes
}

// Unfire takes back what FireAs has not told: a rule before has rewritten what this
// one was to act on. A miss may be told instead; the gate was asked all the same.
func (w *Writer) Unfire() {
	if w.pending != nil {
		w.pending, w.slot.asked, w.slot.fires = nil, false, false
	}
}

func (w *Writer) fireAs(k int) bool {
	note := w.slot.note(w.seg, k)
	if w.slot.part.prep.kind.both && w.slot.asked {
		note.Exchange = w.slot.lane.ex
	}
	if w.slot.ask() {
		w.pending = note
	}
	return w.slot.fires
}

// Fire asks the rule's gate, once for this occurrence: true means act now. It
// counts the hit and tells the journal where.
func (w *Writer) Fire() bool {
	if !w.slot.asked {
		note := w.slot.note(w.seg, 0)
		if w.slot.ask() {
			w.slot.tell(note)
		}
	}
	return w.slot.fires
}
