package middlebox

import (
	"time"

	"crimp/faults"
	"crimp/middlebox/sys"
)

// ending is how a leg is to end, and how the wait for it goes.
type ending struct {
	op       faults.Op // OpShut to OpAbort
	away     int64     // bytes that were read away meanwhile
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
		g.depart()
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

// fin says FIN, once. Where the peer has said its own, what follows is the close, at
// the turn's end, which says it as well and for less: nothing can be unread.
func (g *leg) fin() {
	if !g.shut && !g.broken {
		if !g.eof {
			g.s.l.k.ShutdownWrite(g.sock)
		}
		if g.s.captured {
			g.captureFin()
		}
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
	if g.s.captured {
		g.captureRst(wayOut)
	}
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
	if g.s.captured {
		g.captureOver(how)
	}
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
	g.depart()
	if e := g.ending; e != nil {
		g.ending = nil
		g.tell(e)
	}
	g.forget()
	g.spill()
	g.gone, g.sock = true, sys.None
}
