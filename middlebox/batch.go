package middlebox

import (
	"math"

	"crimp/middlebox/sys"
)

// Small writes of a turn leave together, at the end of the turn or as soon as they
// are many. Why that is worth a copy: see sys, linux_ring.go. A write that is
// large, or the only one of its turn, is made at once. Latency does not suffer: beside
// HAProxy (= 1) small round trips took 0.69 of its processor time and 1.4 of its p50,
// with each write made at once 0.92 and 1.6, in one run of make bench's load.
//
// To a leg, what it has in the batch is said, only not yet: whatever needs it to
// be out first (more bytes that do not fit behind it, an ending, a filter) makes the
// whole batch leave. So nothing changes its order on any connection, and no session
// has to come back for it.
const (
	smallWrite = 4 << 10 // bytes
	batchMost  = 64      // writes
)

// batch is what leaves together: a piece of room for each leg, in the order of their
// first bytes.
type batch struct {
	legs   []*leg
	writes []sys.Writing
	room   []byte
}

func newBatch(room int) batch {
	return batch{make([]*leg, 0, batchMost), make([]sys.Writing, 0, batchMost), make([]byte, 0, room)}
}

// fits says whether n more bytes of g can join.
func (p *batch) fits(g *leg, n int) bool {
	if len(p.room)+n > cap(p.room) {
		return false
	}
	if g.posted > 0 { // only behind its own, and as far as a leg can count
		return p.legs[len(p.legs)-1] == g && int(g.posted)+n <= math.MaxUint16
	}
	return len(p.legs) < batchMost
}

// post lets b leave with the batch; false: it is to be written at once, now that
// nothing is before it.
func (g *leg) post(b []byte) bool {
	l := g.s.l
	p := &l.batch
	alone := len(p.legs) == 0 && l.head == len(l.queue) && !l.tune.Alone
	if alone || g.s.captured || len(b) > min(smallWrite, cap(p.room)) { // captures tell things in their order
		g.depart()
		return false
	}
	if !p.fits(g, len(b)) {
		l.dispatch()
		if !g.writable() { // what was before it
			return false
		}
	}
	at := len(p.room)
	p.room = append(p.room, b...)
	if g.posted == 0 {
		p.legs = append(p.legs, g)
		p.writes = append(p.writes, sys.Writing{Sock: g.sock, Data: p.room[at:]})
	} else {
		w := &p.writes[len(p.writes)-1]
		w.Data = w.Data[:len(w.Data)+len(b)]
	}
	g.posted += uint16(len(b))
	return true
}

// depart makes the batch leave if the leg has something in it.
func (g *leg) depart() {
	if g.posted > 0 {
		g.s.l.dispatch()
	}
}

// dispatch writes what is in the batch; what a peer does not take waits for it.
func (l *loop) dispatch() {
	p := &l.batch
	if len(p.legs) == 0 {
		return
	}
	l.k.WriteMany(p.writes)
	for i, g := range p.legs {
		w := &p.writes[i]
		g.posted = 0
		n := g.took(w.N, len(w.Data), w.Out)
		if g.s.captured { // since it was posted
			g.captureOut(w.Data[:n])
		}
		if n < len(w.Data) && !g.broken {
			g.pend = l.block()
			g.pend.bytes = append(g.pend.bytes, w.Data[n:]...)
		}
		g.s.account()
		p.legs[i], w.Data = nil, nil
	}
	p.legs, p.writes, p.room = p.legs[:0], p.writes[:0], p.room[:0]
}
