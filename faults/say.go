package faults

import (
	"time"

	"crimp/faults/wire"
)

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
		if l.dir == wire.Upstream && s.Last && (s.Part == wire.StartLine || s.Part == wire.HeadEnd && s.Start) {
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

// passes says that what may go at a time need not be queued. Where nothing
// may go out everything is.
func (l *lane) passes(at time.Time) bool {
	return l.out.empty() && !l.silent() && !at.After(l.e.now) && !l.waits()
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
