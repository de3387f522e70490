package middlebox

import (
	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

// Bytes that the engine need not see go from socket to socket through a pipe of
// the kernel, and never come into this process.
//
// A pipe belongs to the leg that its bytes came from, and what is in it counts as
// not yet read: the engine is told of bytes that went by when they leave the pipe,
// never when they enter it. So a plan that wants to see them, an ending that
// drops them and a receiver that is gone need nothing of their own: the leg's next
// reads find what is in the pipe first (leg.input), and then what is in the socket.
//
// A pipe is lent only while it carries something, since there are few.
//
// Both ways were measured, as processor time for each GiB over loopback in one run
// beside HAProxy (its figure = 1, medians of rounds, `make bench`): one stream
// read and written 0.91, spliced 0.58; four streams 0.99 and 0.40. Hence
// splicing, once a session has shown that it has much to say. Where it says little
// at a time a pipe costs: a call of the kernel more each time, and the pages that
// a buffer would have kept warm.
const (
	// fullReads is how many reads in a row must have filled the buffer before a
	// pipe is tried: a session that says little at a time would pay three calls of
	// the kernel for two, and most sessions say little at a time.
	fullReads = 2
)

// carry moves up to n bytes of direction d through a pipe. With done false
// nothing was moved, and they are to be read.
func (s *session) carry(d wire.Direction, n int64) (out sys.Outcome, done bool) {
	from, to := &s.leg[d.Other()], &s.leg[d]
	if !to.up || to.gone || to.broken || to.shut || s.captured {
		return sys.OK, false // nobody takes them: they are read, and dropped where such bytes are; or somebody looks
	}
	if from.piped == 0 {
		if from.full < fullReads || n < int64(len(s.l.buf)) {
			return sys.OK, false
		}
		if to.flags&sys.Out == 0 { // nothing is taken up that would only wait
			return sys.Again, true
		}
		if out, done = from.fill(n); out != sys.OK || !done {
			return out, done
		}
		s.last = s.l.now.Sub(s.opened)
	}
	to.depart()
	if moved := to.drain(from, n); moved > 0 {
		s.step(faults.Input{Kind: faults.InSkipped, Dir: d, N: moved})
	}
	if from.piped > 0 {
		return sys.Again, true
	}
	return sys.OK, true
}

// fill takes a pipe and up to n bytes of what there is into it; done is false
// where there is no pipe to be had.
func (g *leg) fill(n int64) (out sys.Outcome, done bool) {
	l := g.s.l
	p, ok := l.k.Pipe()
	if !ok {
		g.full = 0
		return sys.OK, false
	}
	held := max(int64(l.box.limits.HeldBytesPerSession)/2, int64(len(l.buf))) // if the receiver takes nothing
	most := min(n, int64(l.tune.TurnBytes), held)
	got, out := l.k.Fill(p, g.sock, int(most))
	if out != sys.OK {
		l.k.Return(p)
		return g.stopped(out), true
	}
	g.pipe, g.piped = p, int32(got)
	l.spent += got
	if got < len(l.buf) {
		g.full = 0
	}
	return sys.OK, true
}

// drain moves up to n bytes of what is in from's pipe to g's peer, as far as it
// takes them, and says how many went.
func (g *leg) drain(from *leg, n int64) (moved int64) {
	l := g.s.l
	for from.piped > 0 && moved < n && g.flags&sys.Out != 0 {
		got, out := l.k.Drain(from.pipe, g.sock, int(min(n-moved, int64(from.piped))))
		if out == sys.Reset || out == sys.EOF {
			g.fail()
			break
		}
		if out == sys.Again || got == 0 {
			g.flags &^= sys.Out
		}
		moved += int64(got)
		from.piped -= int32(got)
	}
	g.said += moved
	l.spent += int(moved)
	from.emptied()
	return moved
}

// recall reads into b what the leg's pipe carries.
func (g *leg) recall(b []byte) int {
	n := g.s.l.k.Recall(g.pipe, b)
	g.piped -= int32(n)
	g.emptied()
	return n
}

// spill drops what the leg's pipe carries: the leg ends with it unread. It goes
// into a buffer of its own; what an engine answered may still point to the loop's.
func (g *leg) spill() {
	if g.piped == 0 {
		return
	}
	b := g.s.l.block()
	for g.piped > 0 {
		g.recall(b.bytes[:cap(b.bytes)])
	}
	g.s.l.giveBack(b)
}

// emptied gives a pipe back as soon as it carries nothing.
func (g *leg) emptied() {
	if g.piped == 0 {
		g.s.l.k.Return(g.pipe)
	}
}
