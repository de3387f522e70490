package faults

import (
	"slices"

	"crimp/faults/wire"
)

// bar is a mark in an outbox behind which whole messages wait, in order, while
// their source is still read: a stall at a cursor would leave unread what has to
// come first. It opens when its rule goes, like anything that a rule holds.
type bar struct {
	slot *slot
	each bool   // it opens by itself once no exchange before it is under way
	swap bool   // its first message goes behind the others
	lone uint64 // not 0: all of it leaves together, in a segment of its own
	open bool
}

// Shelve keeps whole messages from here on, until Unshelve, until nothing more is
// asked that could join them, or until the bound of what may be held. A session
// has one shelf.
func (w *Writer) Shelve(b bar) {
	l := w.slot.lane
	b.slot = w.slot
	l.e.shelf = &b
	l.put(entry{at: w.when(), by: w.binding(), op: opBar, bar: &b}, nil)
}

// Mark says that the first message on the shelf is whole.
func (w *Writer) Mark() {
	if l := w.slot.lane; w.Shelving() {
		l.put(entry{at: w.when(), by: w.binding(), op: opMark, bar: l.e.shelf}, nil)
	}
}

// Shelving says that what this stage shelved is still kept.
func (w *Writer) Shelving() bool {
	s := w.slot.lane.e.shelf
	return s != nil && s.slot == w.slot
}

// Unshelve lets out what was shelved, as the bar says.
func (w *Writer) Unshelve() {
	if w.Shelving() {
		w.slot.lane.unshelve(true)
	}
}

// Queue has what is said from here on wait until the answers to all that was
// forwarded before it are out.
func (w *Writer) Queue() {
	w.slot.lane.put(entry{at: w.when(), by: w.binding(), op: opBar, bar: &bar{slot: w.slot, each: true}}, nil)
}

// Means says that the rule's match is for a direction.
func (w *Writer) Means(d wire.Direction) bool {
	p := w.slot.part
	down, up := p.prep.directions(p.rule.match, p.rule.key.Match)
	return d == wire.Downstream && down || d == wire.Upstream && up
}

// Piped says that more was asked, by the time that is, than what is being
// answered: of the server, or of anybody.
func (w *Writer) Piped(server bool) bool {
	l := w.slot.lane
	return l.ex != nil && slices.ContainsFunc(l.e.q.open, func(x *Exchange) bool {
		return x.N > l.ex.N && !x.answered && !x.done && (x.asked || !server && x.Head.StartStop > 0)
	})
}

// Busy says that an exchange before the one that is being seen is open.
func (w *Writer) Busy() bool {
	l := w.slot.lane
	return slices.ContainsFunc(l.e.q.open, func(x *Exchange) bool { return x != l.ex && !x.done && x.Head.StartStop > 0 })
}

// barred says that what comes next in the outbox waits behind a bar.
func (l *lane) barred() bool {
	if l.out.empty() {
		return false
	}
	b := l.out.entries[l.out.head].bar
	return b != nil && !b.open && (!b.each || l.e.underWay())
}

// underWay says that something was forwarded whose answer is not out.
func (e *Engine) underWay() bool {
	silent := e.lanes[wire.Downstream].out.empty()
	return slices.ContainsFunc(e.q.open, func(x *Exchange) bool {
		return x.Said != None && !x.done && !(x.answered && silent)
	})
}

// shelf is that of this direction, nil if nothing of it is kept.
func (l *lane) shelf() *bar {
	if b := l.e.shelf; b != nil && b.slot.lane == l {
		return b
	}
	return nil
}

// unshelve opens the shelf; done: in the order that its rule is for. The rule
// comes back with the next exchange that matches.
func (l *lane) unshelve(done bool) {
	b := l.shelf()
	if b == nil {
		return
	}
	l.e.shelf, b.open = nil, true
	switch {
	case done && b.swap:
		l.out.swap(b)
	case done && b.lone != 0:
		l.out.join(b)
	}
	if b.slot.w.Means(l.dir.Other()) {
		b.slot.msg = true
	} else {
		b.slot.w.Leave()
	}
}

// settleShelf opens, at the end of a Step, a shelf that is full or to which no
// answer will be added: nothing more was asked.
func (l *lane) settleShelf() {
	switch b := l.shelf(); {
	case b == nil:
	case l.holding() >= l.e.o.Held:
		s := b.slot
		s.between()
		s.miss(tooMuch)
		l.unshelve(false)
	case l.dir == wire.Downstream && l.e.q.first() == nil:
		l.unshelve(true)
	}
}

// of finds an entry of a bar, -1 if there is none.
func (o *outbox) of(b *bar, op Op) int {
	if o == nil {
		return -1
	}
	for i := o.head; i < len(o.entries); i++ {
		if e := &o.entries[i]; e.bar == b && e.op == op {
			return i
		}
	}
	return -1
}

// swap puts what stands between a bar and its mark behind everything.
func (o *outbox) swap(b *bar) {
	i, j := o.of(b, opBar), o.of(b, opMark)
	if i < 0 || j < 0 {
		return
	}
	bytes := func(from, to int) (n int) {
		for _, e := range o.entries[from:to] {
			n += e.n
		}
		return n
	}
	from := o.bufHead + bytes(o.head, i)
	mid := from + bytes(i, j)
	copy(o.buf[from:], slices.Concat(o.buf[mid:], o.buf[from:mid]))
	copy(o.entries[i+1:], slices.Concat(o.entries[j:], o.entries[i+1:j]))
}

// join has all that stands behind a bar leave when its last may, in a segment of
// its own.
func (o *outbox) join(b *bar) {
	i := o.of(b, opBar)
	if i < 0 {
		return
	}
	last := &o.entries[i]
	for j := i; j < len(o.entries); j++ {
		if e := &o.entries[j]; !e.at.Before(last.at) {
			last = e
		}
	}
	at, by := last.at, last.by
	for j := i; j < len(o.entries); j++ {
		e := &o.entries[j]
		if e.at, e.by = at, by; e.lone == 0 {
			e.lone = b.lone
		}
	}
	o.count()
}

// cutAtBar drops what waits for an answer that will not come: it is never
// forwarded. Notes and the ending stay.
func (o *outbox) cutAtBar() {
	i := slices.IndexFunc(o.waiting(), func(e entry) bool { return e.bar != nil && e.bar.each && !e.bar.open })
	if i < 0 {
		return
	}
	i += o.head
	kept, end := o.entries[:i], len(o.buf)
	for _, e := range o.entries[i:] {
		switch e.op {
		case OpSend:
			end -= e.n
			o.held -= e.n + len(e.ext)
		case opBar, opMark, opWhole:
		default:
			kept = append(kept, e)
		}
	}
	clear(o.entries[len(kept):])
	o.entries, o.buf = kept, o.buf[:end]
	o.count()
}
