package faults

import "crimp/faults/wire"

// opWhole is an outbox entry that says: the message of ex is out to its last byte.
const opWhole Op = 100

// releaseDue lets out what is due.
func (l *lane) releaseDue() {
	for !l.out.empty() && !l.waits() && !l.halted && l.gag == nil && !l.turnDue() && !l.barred() {
		e, b, ok := l.out.pop(l.e.now)
		if !ok {
			return
		}
		l.perform(e, b)
	}
}

// perform turns an entry that is due into actions.
func (l *lane) perform(e entry, b []byte) {
	switch e.op {
	case OpSend:
		if e.since > 0 {
			l.e.Delays.Add(l.e.now.Sub(l.e.opened) + 1 - e.since)
		}
		if len(b) > 0 { // what was to be repeated may be no more
			l.e.send(l.dir, b, e.lone)
		}
		l.account(e.ex, e.body, len(b))
	case OpNote:
		l.e.tellNow(*e.note)
	case opWhole:
		l.whole(e.ex)
	case opBar, opMark:
	default:
		l.close(e.op, e.note)
	}
}

// account counts, in exchange x, n bytes that went out, some of them body.
func (l *lane) account(x *Exchange, body, n int) {
	switch {
	case x == nil || n == 0:
	case l.dir == wire.Downstream:
		x.Sent += int64(body)
	case x.Said == None:
		x.Said = Some
	}
}

// whole marks a message as gone out to its last byte.
func (l *lane) whole(x *Exchange) {
	if l.dir == wire.Upstream {
		x.Said = All
		return
	}
	x.Whole = true
	l.e.over(x, "ok", NoEnding)
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

// send adds bytes to the actions: joined to the last Send where they lie behind
// it in memory, else gathered with it, so that what leaves together is one write.
// What is to leave apart is joined to its like only.
func (e *Engine) send(d wire.Direction, b []byte, apart uint64) {
	n := len(e.actions)
	if n == 0 || e.actions[n-1].Op != OpSend || e.actions[n-1].Dir != d || apart != e.actions[n-1].Apart {
		e.actions = append(e.actions, Action{Op: OpSend, Dir: d, Data: b, Apart: apart})
		e.gathered = false
		return
	}
	last := &e.actions[n-1]
	if m := len(last.Data); !e.gathered && cap(last.Data) >= m+len(b) && len(b) > 0 && &last.Data[:m+1][m] == &b[0] {
		last.Data = last.Data[:m+len(b)]
		return
	}
	if !e.gathered {
		e.gather = append(e.gather, last.Data...)
		e.gathered = true
		last.Data = e.gather[len(e.gather)-len(last.Data):]
	}
	from := len(e.gather) - len(last.Data)
	e.gather = append(e.gather, b...)
	last.Data = e.gather[from:]
}

// tellNow adds a note to this Step's; they follow its other actions.
func (e *Engine) tellNow(n Note) { e.notes = append(e.notes, n) }
