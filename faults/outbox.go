package faults

import (
	"time"
)

// outbox is what one direction has said and not yet let out: bytes, notes and
// the ending, in order, each with the time before which it may not go. While it
// is empty and nothing waits, bytes pass by it (lane.emit); once it is not,
// everything of its direction goes through it, so nothing can overtake.
type outbox struct {
	entries []entry
	head    int // entries before it are out
	buf     []byte
	bufHead int // bytes before it are out
	held    int // bytes waiting, those of others' buffers included
}

// entry is one thing waiting. Bytes are the next n of buf, or ext.
type entry struct {
	at   time.Time
	by   *bond // who made it wait: freed when that rule goes
	op   Op
	n    int
	ext  []byte // bytes that stay valid by themselves (inserted ones): not copied
	lone uint64 // not 0: the bytes leave apart, see wire.Segment.Apart
	ex   *Exchange
	body int // how many of the bytes are body of ex
	note *Note
}

// bond ties waiting entries to what made them wait: a rule at work on this
// session, or the operator. When it goes, what it held goes out in order.
type bond struct {
	state  *state
	own    map[int]any // by part: what its stages of this session share
	filter [2]Filter   // what it filters of each leg, by the direction that flows to it
}

func (o *outbox) empty() bool { return o.head == len(o.entries) }

// stalled says that the last thing said never comes by itself.
func (o *outbox) stalled() bool {
	return !o.empty() && o.entries[len(o.entries)-1].at.Equal(Never)
}

// next is when the first entry may go, zero if there is none or it never may.
func (o *outbox) next() time.Time {
	if o.empty() || o.entries[o.head].at.Equal(Never) {
		return time.Time{}
	}
	return o.entries[o.head].at
}

// put adds an entry, not before the last one, and copies b for it.
func (o *outbox) put(e entry, b []byte) {
	if !o.empty() {
		if last := &o.entries[len(o.entries)-1]; e.at.Before(last.at) {
			e.at, e.by = last.at, last.by
		}
	}
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
	o.entries = append(o.entries, e)
}

// pop takes the first entry if it is due; its bytes stay valid until compact.
func (o *outbox) pop(now time.Time) (e entry, b []byte, ok bool) {
	if o.empty() || o.entries[o.head].at.After(now) {
		return e, nil, false
	}
	e = o.entries[o.head]
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
		o.entries, o.head = o.entries[:0], 0
		o.buf, o.bufHead = o.buf[:0], 0
		if cap(o.buf) > 64<<10 || cap(o.entries) > 256 {
			o.buf, o.entries = nil, nil // an idle session keeps no memory of a busy time
		}
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

// free lets out, in order, what b made wait. What stands behind something that
// others make wait, waits with it.
func (o *outbox) free(b *bond, now time.Time) {
	var last *entry
	for i := o.head; i < len(o.entries); i++ {
		e := &o.entries[i]
		if e.by == b {
			e.at, e.by = now, nil
		}
		if last != nil && e.at.Before(last.at) {
			e.at, e.by = last.at, last.by
		}
		last = e
	}
}

// discard drops the bytes that b made wait, and whatever else it bound but notes.
func (o *outbox) discard(b *bond) {
	kept := o.entries[:o.head]
	buf := o.buf[:o.bufHead]
	from := o.bufHead
	for _, e := range o.entries[o.head:] {
		if e.by == b && e.op != OpNote {
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
}

// drop forgets everything but notes, those of endings too, which become due: the
// receiver is gone, what fired towards it is still to be told.
func (o *outbox) drop(now time.Time) {
	kept := o.entries[:o.head]
	for _, e := range o.entries[o.head:] {
		if e.note != nil {
			kept = append(kept, entry{at: now, op: OpNote, note: e.note})
		}
	}
	clear(o.entries[len(kept):])
	o.entries = kept
	o.buf, o.held = o.buf[:o.bufHead], 0
}
