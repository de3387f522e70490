package faults

import (
	"time"

	"crimp/faults/wire"
)

// A message is held, from its first byte, while a rule that may be for it is
// undecided (the status is not known before the status line is whole), or while
// a rule that is for it needs whole lines or the whole head. Stages never hold.
// A head that takes too long or grows too large is let go as it is: what was
// undecided is then no, and an event says so.
const (
	holdTime  = time.Second
	holdBytes = 64 << 10
)

// hold is what is kept of one message's beginning.
type hold struct {
	on      bool
	pending []*part // undecided rules
	segs    []held  // what is held, in order, pieces of an element joined
	buf     []byte  // copies, when a Step ended with something held
	bytes   int
	since   time.Time // of the first of segs
	said    bool      // something of this message was passed on already

	reframed [reframings]string // by which rule at work on the message
}

// held is a segment kept; its Data are in the Step's input, or buf[from:].
type held struct {
	wire.Segment
	from  int
	owned bool
}

// decide asks, at a message's start, which rules are for it.
func (l *lane) decide() {
	if l.hold == nil {
		l.hold = &hold{}
	}
	h := l.hold
	h.pending, h.said, h.reframed = h.pending[:0], false, [reframings]string{}
	for _, p := range l.e.o.Plan.message[l.dir] {
		if p.only != TCP && l.e.allows(p) && !l.e.installed(p) {
			h.pending = append(h.pending, p)
		}
	}
	l.ask(0)
	h.on = len(h.pending) > 0 || l.grain() > Fragment
}

// ask decides what can be decided by now; status is that of the response, 0 if
// not known yet.
func (l *lane) ask(status int) {
	h := l.hold
	kept := h.pending[:0]
	for _, p := range h.pending {
		m := p.rule.match
		facts := l.e.facts(l.ex, status)
		answer, key := m.Ask(facts)
		if answer != No && l.dir == wire.Downstream {
			switch interim := status >= 100 && status < 200 && status != 101; {
			case status == 0:
				answer = NotYet
			case interim != (m.WantsInterim() || p.prep.scope.Interim):
				continue // not the message it is for: neither hit nor miss
			}
		}
		switch answer {
		case NotYet:
			kept = append(kept, p)
		case No:
			p.rule.state.miss(key)
			p.rule.state.nearly(l.ex, m, facts)
		case Yes:
			l.e.activate(l, p)
		}
	}
	h.pending = kept
}

// grain is how whole the rules at work on the message need its head.
func (l *lane) grain() Grain {
	g := Fragment
	for _, s := range l.chain {
		if s.msg || s.part.prep.kind.both {
			g = max(g, s.part.prep.grain)
		}
	}
	return g
}

// holdBack takes a segment of a held message, and lets go what may.
func (l *lane) holdBack(s *wire.Segment) {
	h := l.hold
	if s.Part == wire.Opaque {
		l.release(true)
		l.pass(s)
		return
	}
	if len(h.segs) == 0 {
		h.since = l.e.now
	}
	h.add(*s)
	if len(h.pending) > 0 && s.Last && (s.Part == wire.StartLine || s.Part == wire.HeadEnd) {
		status := 0
		if s.Head != nil {
			status = s.Head.Status
		}
		l.ask(status)
	}
	if h.bytes > holdBytes {
		l.overheld("larger than 64 KiB")
		return
	}
	l.release(false)
}

// add keeps a segment, joined to the piece of the same element before it.
func (h *hold) add(s wire.Segment) {
	h.bytes += len(s.Data)
	owned := len(h.segs) > 0 && h.segs[len(h.segs)-1].owned
	if owned {
		h.buf = append(h.buf, s.Data...)
	}
	if !s.First && len(h.segs) > 0 {
		last := &h.segs[len(h.segs)-1]
		n := len(last.Data) + len(s.Data)
		if owned {
			last.Data = h.buf[last.from : last.from+n]
		} else {
			last.Data = last.Data[:n] // the tokenizer's pieces are adjacent in its input
		}
		last.Last, last.End, last.Head = s.Last, s.End, s.Head
		last.Size, last.LastChunk = s.Size, s.LastChunk
		return
	}
	k := held{Segment: s, owned: owned}
	if owned {
		k.from = len(h.buf) - len(s.Data)
		k.Data = h.buf[k.from:]
	}
	h.segs = append(h.segs, k)
}

// own copies what is held at the end of a Step: the input it points to is gone.
func (h *hold) own() {
	if h != nil && len(h.segs) > 0 && !h.segs[0].owned {
		h.copy()
	}
}

// copy puts what is held into buf.
func (h *hold) copy() {
	buf := make([]byte, 0, 2*h.bytes)
	for i := range h.segs {
		s := &h.segs[i]
		s.from, s.owned = len(buf), true
		buf = append(buf, s.Data...)
		s.Data = buf[s.from:]
	}
	h.buf = buf
}

// release passes on what need not be held any more; with all, everything.
func (l *lane) release(all bool) {
	h := l.hold
	if h == nil || !h.on {
		return
	}
	n := len(h.segs)
	grain := l.grain()
	if !all && n > 0 {
		last := h.segs[n-1]
		complete := last.Head != nil && last.Head.Complete // a body waits for nothing
		switch {
		case len(h.pending) > 0, grain == WholeHead && !complete:
			return
		case grain > Fragment && !last.Last && isLine(last.Part):
			n--
		}
	}
	if all {
		for _, p := range h.pending {
			p.rule.state.miss("held")
		}
		h.pending = h.pending[:0]
	}
	if all || grain == Fragment {
		h.on = false // before passing on: what follows need not come here
	}
	l.passHeld(n)
}

// passHeld passes on the first n held segments.
func (l *lane) passHeld(n int) {
	h := l.hold
	owned := n > 0 && h.segs[0].owned
	for i := range n {
		s := h.segs[i].Segment
		h.bytes -= len(s.Data)
		h.said = true
		l.pass(&s)
	}
	rest := copy(h.segs, h.segs[n:])
	clear(h.segs[rest:])
	h.segs, h.since = h.segs[:rest], l.e.now
	if owned { // actions of this Step may point into buf: leave it to them
		h.buf = nil
		h.copy()
	}
}

// size is how many bytes are held.
func (h *hold) size() int {
	if h == nil {
		return 0
	}
	return h.bytes
}

// due is when what is held is let go as it is, zero if nothing is.
func (h *hold) due() time.Time {
	if h == nil {
		return time.Time{}
	}
	if !h.on || len(h.segs) == 0 {
		return time.Time{}
	}
	return h.since.Add(holdTime)
}

func isLine(p wire.Part) bool {
	return p == wire.StartLine || p == wire.Field || p == wire.HeadEnd || p == wire.ChunkSize || p == wire.Trailer
}

// overheld lets a head go that was held to its limit.
func (l *lane) overheld(why string) {
	l.e.tellNow(Note{Kind: NoteHeld, Exchange: l.ex, Dir: l.dir, Off: l.off, Text: "a head held for a rule is " + why + ": let go as it is"})
	l.release(true)
}

// afresh decides again, under a new plan, about a message nothing of which has
// been passed on.
func (l *lane) afresh() {
	h := l.hold
	if h == nil || !h.on || h.said || len(h.segs) == 0 {
		return
	}
	l.dropMessageSlots()
	l.decide()
	h.on = true
	last := h.segs[len(h.segs)-1]
	if head := last.Head; head != nil && head.StartStop > 0 {
		l.ask(head.Status)
	}
	l.release(false)
}
