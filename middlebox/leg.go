package middlebox

import (
	"time"

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
	pipe   sys.Pipe // lent while piped is not 0
	unread int32    // how many unread bytes the engine was told of
	piped  int32    // bytes read from it that are still in pipe: see pipe.go

	pend *backlog // what the peer did not take; nil: it took all
	said int64    // bytes its kernel took

	ending *ending // what is asked for and not yet done
	ended  string  // fin, rst, close, linger, refused; for people
}

// ending is how a leg is to end, and how the wait for it goes.
type ending struct {
	op       faults.Op // OpShut to OpAbort
	firings  []firing  // to be told when it is done
	asked    time.Time
	progress time.Time     // when bytes were last taken or acknowledged
	left     int           // bytes pending or unacknowledged then
	poll     time.Duration // until the next look at what is acknowledged
	look     time.Time     // when that is
}

const (
	pollFirst = 200 * time.Microsecond // how soon to look whether all is acknowledged
	pollMost  = 2 * time.Millisecond
	// A reset goes out without acknowledgement after so long without progress,
	// or so long in all: the client does not read, and says so by that.
	resetIdle  = 5 * time.Second
	resetTotal = 30 * time.Second
)

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
func (g *leg) outgone() int64 { return g.said + int64(g.pending()) }

// backlog is bytes that wait for a peer. The loop lends it, since few sessions have one.
type backlog struct {
	bytes []byte
	at    int       // bytes before it are out
	lone  []stretch // what is to leave apart
}

// stretch is a run of a backlog's bytes.
type stretch struct {
	from, to int
	number   uint64
}

// send says b to the peer: at once as far as it takes it, the rest is kept. What
// is to be apart leaves in a segment of its own; what is left of it does, too. It
// waits for the flush that follows the step, for pieces come in crowds.
func (g *leg) send(b []byte, apart uint64) {
	if g.gone || g.broken || g.shut || len(b) == 0 {
		return
	}
	if apart == 0 && g.up && g.pending() == 0 && g.flags&sys.Out != 0 && !g.mute {
		b = b[g.write(b):]
		if g.broken || len(b) == 0 {
			return
		}
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
	g.mute = f.All
	if err := g.s.l.k.Filter(g.sock, sys.Filter{All: f.All, Fin: f.Fin, Loss: float64(f.Loss)}); err != nil {
		g.s.l.box.log.Warn().Str("session", g.s.id()).Err(err).Msg("no packet filter")
	}
}

// mark notes that the next n bytes to be pending leave apart.
func (p *backlog) mark(n int, number uint64) {
	if k := len(p.lone) - 1; k >= 0 && p.lone[k].number == number && p.lone[k].to == len(p.bytes) {
		p.lone[k].to += n
		return
	}
	p.lone = append(p.lone, stretch{len(p.bytes), len(p.bytes) + n, number})
}

// write gives b to the kernel and says how much of it was taken.
func (g *leg) write(b []byte) int {
	n, out := g.s.l.k.Write(g.sock, b)
	return g.took(n, len(b), out)
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
	p.at += g.took(n, to-p.at, out)
	l.pieces = pieces
	done := 0
	for done < len(p.lone) && p.lone[done].to <= p.at {
		done++
	}
	p.lone = p.lone[:copy(p.lone, p.lone[done:])]
}

// compact drops what is out.
func (p *backlog) compact() {
	p.bytes = p.bytes[:copy(p.bytes, p.bytes[p.at:])]
	for i := range p.lone {
		p.lone[i].from -= p.at
		p.lone[i].to -= p.at
	}
	p.at = 0
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
		_, out = g.input(len(g.s.l.buf))
	}
	if out == sys.Reset || g.eof && g.dead() {
		g.over("rst")
	}
	return out == sys.OK
}

// ask orders an ending. A stronger one replaces a weaker one that waits; what
// the weaker had to tell is told with it.
func (g *leg) ask(op faults.Op, f *firing) {
	if g.gone { // it has ended already, in its own way
		if f != nil {
			f.data.Acked = g.acked(f.data.Bytes)
			g.s.emitFired(f)
		}
		return
	}
	now := g.s.l.now
	if g.ending == nil {
		g.ending = &ending{asked: now, progress: now, left: -1, poll: pollFirst}
	}
	e := g.ending
	if op > e.op {
		e.op = op
		e.asked, e.progress = now, now
	}
	if f != nil {
		e.firings = append(e.firings, *f)
	}
}

// settle carries an ending out as soon as it may be.
func (g *leg) settle() {
	if e := g.ending; e != nil {
		switch {
		case e.op == faults.OpAbort || e.op > faults.OpShut && (g.broken || !g.up && g.s.dial == nil):
			g.over("rst")
		case !g.up: // what a rule does to a server waits until there is one
		case g.pending() > 0 || g.mute && e.op < faults.OpReset:
			g.patience(e)
		case e.op == faults.OpShut:
			g.tell(e)
			g.ending = nil
			g.fin()
		case e.op >= faults.OpDesert:
			g.patience(e)
		default:
			g.tell(e) // first: who sees the ending finds it in the journal
			g.fin()
			g.retire(e.op)
		}
	}
	if !g.gone && g.eof && g.shut && !g.broken && g.ending == nil {
		g.over("fin")
	}
}

// fin says FIN, once.
func (g *leg) fin() {
	if !g.shut && !g.broken {
		g.s.l.k.ShutdownWrite(g.sock)
	}
	g.shut = true
}

// patience waits for the peer to take, and before a reset to acknowledge, what
// was said, within bounds that count from the asking.
func (g *leg) patience(e *ending) {
	l := g.s.l
	left := g.pending()
	hard := e.op >= faults.OpDesert
	if hard {
		left += l.k.Unacked(g.sock)
		if left == 0 {
			g.leaveHard(e)
			return
		}
	}
	if e.left < 0 || left < e.left {
		e.left, e.progress = left, l.now
	}
	switch {
	case e.op == faults.OpShut: // as a FIN that is relayed: the peer may take its time
		return
	case hard && (l.now.Sub(e.progress) >= resetIdle || l.now.Sub(e.asked) >= resetTotal):
		g.leaveHard(e)
		return
	case !hard && l.now.Sub(e.progress) >= l.box.linger:
		g.over("linger")
		return
	}
	if !hard {
		e.look = e.progress.Add(l.box.linger)
		return
	}
	e.look = l.now.Add(e.poll)
	e.poll = min(2*e.poll, pollMost)
}

// leaveHard ends the leg by a RST, or by a FIN and a close with input unread,
// which the kernel makes a RST.
func (g *leg) leaveHard(e *ending) {
	if e.op == faults.OpReset {
		g.over("rst")
		return
	}
	sock := g.sock
	g.tell(e)
	g.fin()
	g.ended = "close"
	g.leave()
	g.s.l.own(sock, nil)
	g.s.l.k.Close(sock)
}

// acked is how many of the first n bytes said to the peer it has acknowledged.
func (g *leg) acked(n int64) int64 {
	said := g.said
	if g.up && g.sock != sys.None {
		u := g.s.l.k.Unacked(g.sock)
		if g.shut && u > 0 {
			u-- // the FIN counts one, and is the last to be acknowledged
		}
		said -= int64(u)
	}
	return max(0, min(n, said))
}

// tell journals what the ending had to tell, now that it goes out.
func (g *leg) tell(e *ending) {
	for i := range e.firings {
		f := &e.firings[i]
		f.data.Acked = g.acked(f.data.Bytes)
		g.s.emitFired(f)
	}
	e.firings = nil
}

// retire hands the socket, which only has to end well, to the loop.
func (g *leg) retire(op faults.Op) {
	sock, eof, flags := g.sock, g.eof, g.flags
	g.ended = "fin"
	if op == faults.OpClose {
		g.ended = "close"
	}
	g.leave()
	g.s.l.linger(sock, flags, op == faults.OpClose, eof)
}

// over ends the leg now: with a RST unless it ended cleanly.
func (g *leg) over(how string) {
	if g.gone {
		return
	}
	sock := g.sock
	if sock != sys.None {
		g.ended = how
	}
	g.leave()
	if sock == sys.None {
		return
	}
	g.s.l.own(sock, nil)
	if how == "fin" {
		g.s.l.k.Close(sock)
	} else {
		g.s.l.k.Reset(sock)
	}
}

// leave parts the leg from its socket, telling first what its ending had to tell.
func (g *leg) leave() {
	if e := g.ending; e != nil {
		g.ending = nil
		g.tell(e)
	}
	g.forget()
	g.spill()
	g.gone, g.sock = true, sys.None
}
