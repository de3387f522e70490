package middlebox

import (
	"crimp/faults"
	"crimp/faults/wire"
	"crimp/middlebox/sys"
)

// leg is one side of a session: the socket to the client or to the server, what
// that peer has not taken yet, and how the connection is to end.
//
// Three rules keep what it does true to the wire:
//
//   - A failed write only marks the leg broken. The reader alone says how the
//     peer ended, after it has read what lay before: by FIN, even if a RST came
//     after that and met the write, or by RST (sys.Kernel.Read remembers an error
//     that the system handed to another call).
//   - An ending waits until everything said before it was taken by the kernel; a
//     reset waits further until the peer has acknowledged it, because a RST
//     throws away what is still queued.
//   - What has ended is still read, and dropped: closing a socket with unread
//     input would turn the ending into a RST.
type leg struct {
	s     *session
	to    wire.Direction // what is written to it flows that way
	sock  sys.Socket     // sys.None before the dial and after the end
	flags sys.Ready      // readiness as far as it is not proven stale

	up     bool // the connection stands
	eof    bool // its FIN was read
	broken bool // a write failed: the reader will find a reset
	hup    bool // the engine was told that the FIN waits unread
	shut   bool // our FIN is out
	gone   bool // ended: how is in ended
	mute   bool // nothing is written: its peer is behind a pulled cable

	full   uint8    // reads in a row that filled the loop's buffer, up to fullReads
	posted uint16   // bytes of it in the loop's batch, said only when that leaves
	pipe   sys.Pipe // lent while piped is not 0
	unread int32    // how many unread bytes the engine was told of
	piped  int32    // bytes read from it that are still in pipe: see pipe.go

	pend *backlog // what the peer did not take; nil: it took all
	said int64    // bytes its kernel took

	ending *ending // what is asked for and not yet done
	ended  string  // fin, rst, close, linger, refused; for people
}

// ready notes what the kernel says and queues the session.
func (g *leg) ready(l *loop, r sys.Ready) {
	g.flags |= r
	if r&(sys.Fin|sys.Err) != 0 {
		g.flags |= sys.In
	}
	if r&sys.Err != 0 {
		g.flags |= sys.Out
	}
	l.enqueue(&g.s.task)
}

// pending is how many bytes wait for the peer to take them.
func (g *leg) pending() int {
	if g.pend == nil {
		return 0
	}
	return len(g.pend.bytes) - g.pend.at
}

// outgone is how many bytes were said to the peer, taken by it or not.
func (g *leg) outgone() int64 { return g.said + int64(g.posted) + int64(g.pending()) }

// writable says whether what is written now goes out at once.
func (g *leg) writable() bool {
	return g.up && g.pending() == 0 && g.flags&sys.Out != 0 && !g.mute && !g.broken
}

// send says b to the peer: at once as far as it takes it, the rest is kept. What
// is to be apart leaves in a segment of its own; what is left of it does, too. It
// waits for the flush that follows the step, for pieces come in crowds.
func (g *leg) send(b []byte, apart uint64) {
	if g.gone || g.broken || g.shut || len(b) == 0 {
		return
	}
	if apart != 0 {
		g.depart()
	} else if g.writable() {
		if g.post(b) {
			return
		}
		if g.writable() {
			b = b[g.write(b):]
		}
	}
	if g.broken || len(b) == 0 {
		return
	}
	if g.pend == nil {
		g.pend = g.s.l.block()
	}
	if apart != 0 {
		g.pend.mark(len(b), apart)
	}
	g.pend.bytes = append(g.pend.bytes, b...)
}

// filter makes the kernel lose segments of the peer. That it may was asked when
// the rule was armed.
func (g *leg) filter(f faults.Filter) {
	if g.gone || g.sock == sys.None {
		return
	}
	g.depart()
	g.mute = f.All
	if err := g.s.l.k.Filter(g.sock, sys.Filter{All: f.All, Fin: f.Fin, Loss: float64(f.Loss)}); err != nil {
		g.s.l.box.log.Warn().Str("session", g.s.id()).Err(err).Msg("no packet filter")
	}
}

// write gives b to the kernel and says how much of it was taken.
func (g *leg) write(b []byte) int {
	n, out := g.s.l.k.Write(g.sock, b)
	n = g.took(n, len(b), out)
	if g.s.captured {
		g.captureOut(b[:n])
	}
	return n
}

// took notes that the kernel took n bytes of so many; it says how many count.
func (g *leg) took(n, of int, out sys.Outcome) int {
	switch {
	case out == sys.Reset || out == sys.EOF:
		g.fail()
		return 0
	case n < of:
		g.flags &^= sys.Out
	}
	g.said += int64(n)
	g.s.l.spent += n
	return n
}

// flush writes what waits, as far as the peer takes it.
func (g *leg) flush() {
	p := g.pend
	if p == nil {
		return
	}
	for g.up && g.pending() > 0 && g.flags&sys.Out != 0 && !g.broken && !g.mute {
		if len(p.lone) > 0 && p.at >= p.lone[0].from {
			g.flushApart(p)
			continue
		}
		to := len(p.bytes)
		if len(p.lone) > 0 {
			to = p.lone[0].from
		}
		p.at += g.write(p.bytes[p.at:to])
	}
	switch {
	case g.pending() == 0:
		g.forget()
	case p.at > len(p.bytes)/2:
		p.compact()
	}
}

// flushApart writes what is next, which is to leave apart, and what of that kind
// follows it.
func (g *leg) flushApart(p *backlog) {
	l := g.s.l
	pieces, to := l.pieces[:0], p.at
	for _, lone := range p.lone {
		if lone.from > to {
			break
		}
		pieces = append(pieces, p.bytes[to:lone.to])
		to = lone.to
	}
	n, out := l.k.WriteApart(g.sock, pieces)
	n = g.took(n, to-p.at, out)
	if g.s.captured {
		g.captureOut(p.bytes[p.at : p.at+n])
	}
	p.at += n
	l.pieces = pieces
	done := 0
	for done < len(p.lone) && p.lone[done].to <= p.at {
		done++
	}
	p.lone = p.lone[:copy(p.lone, p.lone[done:])]
}

// forget drops what waits.
func (g *leg) forget() {
	if g.pend != nil {
		g.s.l.giveBack(g.pend)
		g.pend = nil
	}
}

// fail notes that a write met a dead connection. What it was to carry is
// dropped; why it is dead is for the reader to find out and to tell.
func (g *leg) fail() {
	g.broken = true
	g.forget()
	g.flags |= sys.In
	g.s.l.enqueue(&g.s.task)
}

// dead says, without reading, that the connection was reset. A hang-up alone is
// no error: it also stands when both sides have said FIN.
func (g *leg) dead() bool {
	if g.broken {
		return true
	}
	return g.flags&sys.Err != 0 && !(g.shut && g.flags&sys.Fin != 0)
}

// input reads up to n bytes into the loop's buffer. Again when there is nothing
// to be had now; EOF and Reset once, each when everything before was read.
func (g *leg) input(n int) ([]byte, sys.Outcome) {
	b, out := g.next(n)
	if g.s.captured {
		g.captureIn(b, out)
	}
	return b, out
}

func (g *leg) next(n int) ([]byte, sys.Outcome) {
	if g.piped > 0 {
		return g.s.l.buf[:g.recall(g.s.l.buf[:n])], sys.OK
	}
	if g.flags&sys.In == 0 {
		return nil, sys.Again
	}
	l := g.s.l
	got, out := l.k.Read(g.sock, l.buf[:n])
	if out != sys.OK {
		return nil, g.stopped(out)
	}
	g.unread = 0
	l.spent += got
	switch {
	case got == len(l.buf):
		g.full = min(g.full+1, fullReads)
	case got < n:
		g.full = 0
		if g.flags&(sys.Fin|sys.Err) == 0 && !g.broken {
			g.flags &^= sys.In
		}
	}
	return l.buf[:got], sys.OK
}

// stopped is what it means that a read, or a pipe's filling, got nothing.
func (g *leg) stopped(out sys.Outcome) sys.Outcome {
	switch out {
	case sys.Again:
		g.flags &^= sys.In
		if g.broken {
			return sys.Reset
		}
		return sys.Again
	case sys.EOF:
		if g.eof = true; !g.dead() { // else the RST behind the FIN is told next
			g.flags &^= sys.In
		}
		return sys.EOF
	}
	return sys.Reset
}

// discard reads away what comes on a leg whose ending waits; it says whether
// there may be more. A peer that resets meanwhile ends the leg.
func (g *leg) discard() bool {
	out := sys.Again
	if !g.eof {
		var b []byte
		b, out = g.input(len(g.s.l.buf))
		g.ending.away += int64(len(b))
	}
	if out == sys.Reset || g.eof && g.dead() {
		g.over("rst")
	}
	return out == sys.OK
}
