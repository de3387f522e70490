package faults

import (
	"slices"
	"time"
)

// outbox is what one direction has said and not yet let out: bytes, notes and
// the ending, in order, each with the time before which it may not go. While it
// is empty and nothing waits, bytes pass by it (lane.say); once it is not,
// everything of its direction goes through it, so nothing can overtake. A lane has
// none, a nil one, until something waits, and none again once all is out.
type outbox struct {
	entries []entry
	head    int // entries before it are out
	buf     []byte
	bufHead int // bytes before it are out
	stuck   int // entries that are never due by themselves
	held    int // bytes waiting, those of others' buffers included
}

// What may stand in an outbox beside the ops of actions.
const (
	opWhole Op = iota + 100 // the message of ex is out to its last byte
	opTurn                  // what is behind it is for the server of the next turn (turn.go)
	opBar                   // it holds up those behind it (bar.go)
	opMark                  // the first message behind a bar ends here
)

// entry is one thing waiting. Bytes are the next n of buf, or ext.
type entry struct {
	at    time.Time
	by    *late // why it waits; nil: for what is before it
	op    Op
	n     int
	ext   []byte // bytes that stay valid by themselves (inserted ones): not copied
	lone  uint64 // not 0: the bytes leave apart, see wire.Segment.Apart
	ex    *Exchange
	body  int // how many of the bytes are body of ex
	note  *Note
	again *again        // said more than once
	turn  *turn         // of opTurn: what is behind it is for another server
	since time.Duration // when it was read, since the session opened, and 1 ns, if a rule delays it; else 0
	bar   *bar          // of opBar and opMark
}

// again repeats an entry: it stays the first until it was said the last time.
type again struct {
	left  int64
	every time.Duration
	bond  *bond // of the rule whose going ends it
}

func (o *outbox) empty() bool { return o == nil || o.head == len(o.entries) }

// waiting is what is not out yet.
func (o *outbox) waiting() []entry {
	if o == nil {
		return nil
	}
	return o.entries[o.head:]
}

// stalled says that something said never goes by itself, nor what is behind it.
func (o *outbox) stalled() bool { return o != nil && o.stuck > 0 }

// holds is how many bytes wait.
func (o *outbox) holds() int {
	if o == nil {
		return 0
	}
	return o.held
}

// count counts anew what is stuck.
func (o *outbox) count() {
	o.stuck = 0
	for i := o.head; i < len(o.entries); i++ {
		if isNever(o.entries[i].at) {
			o.stuck++
		}
	}
}

// owes says that something of an exchange waits.
func (o *outbox) owes(x *Exchange) bool {
	return slices.ContainsFunc(o.waiting(), func(e entry) bool { return e.ex == x })
}

// next is when the first entry may go, zero if there is none or it never may.
func (o *outbox) next() time.Time {
	if o.empty() || isNever(o.entries[o.head].at) {
		return time.Time{}
	}
	return o.entries[o.head].at
}

// put adds an entry to the lane's outbox and copies b for it. Its time is its own:
// that it does not go before those that stand before it is a matter of pop.
func (l *lane) put(e entry, b []byte) {
	if l.out == nil {
		l.out = l.e.outbox()
	}
	o := l.out
	o.held += len(b) + len(e.ext)
	if len(b) > 0 {
		o.buf = append(o.buf, b...)
		if !o.empty() {
			last := &o.entries[len(o.entries)-1]
			if last.op == OpSend && last.ext == nil && last.lone == e.lone && last.by == e.by && last.ex == e.ex && last.at.Equal(e.at) {
				last.n += len(b)
				last.body += e.body
				return
			}
		}
		e.n = len(b)
	}
	if isNever(e.at) {
		o.stuck++
	}
	o.entries = append(o.entries, e)
}

// pop takes the first entry if it is due; its bytes stay valid until compact.
func (o *outbox) pop(now time.Time) (e entry, b []byte, ok bool) {
	if o.empty() || o.entries[o.head].at.After(now) {
		return e, nil, false
	}
	e = o.entries[o.head]
	if e.again != nil && e.again.left > 1 {
		e.again.left--
		o.entries[o.head].at = e.at.Add(e.again.every)
		return e, e.ext, true
	}
	o.entries[o.head] = entry{}
	o.head++
	if e.ext != nil {
		b = e.ext
	} else {
		b = o.buf[o.bufHead : o.bufHead+e.n]
		o.bufHead += e.n
	}
	o.held -= len(b)
	return e, b, true
}

// compact forgets what is out. Only at the start of a Step: actions of the last
// one pointed into buf.
func (o *outbox) compact() {
	if o.empty() {
		return
	}
	if o.bufHead > len(o.buf)/2 {
		o.buf = o.buf[:copy(o.buf, o.buf[o.bufHead:])]
		o.bufHead = 0
	}
	if o.head > len(o.entries)/2 {
		n := copy(o.entries, o.entries[o.head:])
		clear(o.entries[n:])
		o.entries, o.head = o.entries[:n], 0
	}
}

// free lets go what b made wait: to what else delays it, or out.
func (o *outbox) free(b *bond, now time.Time) {
	if o == nil {
		return
	}
	for i := o.head; i < len(o.entries); i++ {
		e := &o.entries[i]
		if e.again != nil && e.again.bond == b { // nothing of the peer's is lost with it
			o.held -= len(e.ext)
			e.at, e.by, e.ext, e.again = now, nil, nil, nil
		}
		if e.bar != nil && e.bar.slot.bond == b {
			e.bar.open = true
		}
		e.at, e.by = e.by.without(b, e.at, now)
	}
	o.count()
}

// discard drops the bytes that b made wait, and whatever else it bound but notes.
func (o *outbox) discard(b *bond) {
	if o == nil {
		return
	}
	kept := o.entries[:o.head]
	buf := o.buf[:o.bufHead]
	from := o.bufHead
	for _, e := range o.entries[o.head:] {
		if e.by.of(b) && e.op != OpNote {
			from += e.n
			o.held -= e.n + len(e.ext)
			continue
		}
		buf = append(buf, o.buf[from:from+e.n]...)
		from += e.n
		kept = append(kept, e)
	}
	clear(o.entries[len(kept):])
	o.entries, o.buf = kept, buf
	o.count()
}

// drop forgets everything but notes, those of endings too, which become due: the
// receiver is gone, what fired towards it is still to be told.
func (o *outbox) drop(now time.Time) {
	if o == nil {
		return
	}
	kept := o.entries[:o.head]
	for _, e := range o.entries[o.head:] {
		if e.note != nil {
			kept = append(kept, entry{at: now, op: OpNote, note: e.note})
		}
	}
	clear(o.entries[len(kept):])
	o.entries = kept
	o.buf, o.held, o.stuck = o.buf[:o.bufHead], 0, 0
}
