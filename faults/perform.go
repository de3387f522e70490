package faults

import "crimp/faults/wire"

// releaseDue lets out what is due.
func (l *lane) releaseDue() {
	for !l.out.empty() && !l.stopped() {
		e, b, ok := l.out.pop(l.e.now)
		if !ok {
			return
		}
		l.perform(e, b)
	}
}

// stopped says that what comes next in the outbox does not go, whatever its time:
// there is no server yet, or another one's turn has not come; an operator or a pulled
// cable lets nothing out; or it stands behind a bar.
func (l *lane) stopped() bool {
	return l.waits() || l.silent() || l.turnDue() || l.barred()
}

// silent says that an operator, or a rule, lets nothing out.
func (l *lane) silent() bool { return l.halted || l.gag != nil }

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
	if x.Whole = true; x.replied {
		x.Sent = x.made
	}
	l.e.over(x, "ok", NoEnding)
}
