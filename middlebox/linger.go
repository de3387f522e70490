package middlebox

import (
	"time"

	"crimp/middlebox/sys"
)

// retiree is a socket whose session has nothing more to say on it: our FIN is
// out, and it only has to end well. It belongs to the loop, so that the
// session's end is prompt and its memory free.
//
// Its input is read away, because closing a socket with unread input sends a RST
// that takes along what is still queued. It is closed at the peer's FIN or RST,
// or, where the ending is that of a crashed process, as soon as our FIN is
// acknowledged, though that peer may still be talking; at the latest after
// limits.linger or lingerBytes.
type retiree struct {
	task
	sock  sys.Socket
	flags sys.Ready
	until time.Time
	read  int64
	acked int64 // how much was read when the FIN was first seen to be acknowledged
	close bool  // once the FIN is acknowledged
	poll  time.Duration
}

// lingerBytes is how much of a peer's input is read away after our FIN.
const lingerBytes = 16 << 20

// partingBytes is how much is read of a peer that goes on talking after our FIN is
// acknowledged, before its socket is closed in the middle of that: what had come
// by then. A crashed process would not have heard the rest either.
const partingBytes = 256 << 10

// linger takes over a socket on which FIN was said.
func (l *loop) linger(sock sys.Socket, flags sys.Ready, close, eof bool) {
	if eof { // both have said FIN: the kernel delivers what is queued by itself
		l.own(sock, nil)
		l.k.Close(sock)
		return
	}
	r := &retiree{sock: sock, flags: flags | sys.In, until: l.now.Add(l.box.linger), close: close || l.draining, poll: pollFirst}
	r.do = r
	l.own(sock, r)
	l.retirees++
	l.enqueue(&r.task)
}

func (r *retiree) ready(l *loop, flags sys.Ready) {
	r.flags |= flags | sys.In
	l.enqueue(&r.task)
}

// run reads away, a buffer at a time, and closes when it may.
func (r *retiree) run(l *loop) {
	if r.sock == sys.None {
		return
	}
	for r.flags&sys.In != 0 {
		n, out := l.k.Read(r.sock, l.buf)
		r.read += int64(n)
		l.spent += n
		switch {
		case out == sys.EOF || out == sys.Reset:
			r.done(l)
			return
		case out == sys.Again:
			r.flags &^= sys.In
		case r.read > lingerBytes || r.close && r.parted(l):
			r.done(l)
			return
		case l.spent >= l.tune.TurnBytes:
			l.enqueue(&r.task)
			return
		}
	}
	if (r.close || l.draining) && l.k.Unacked(r.sock) == 0 || !l.now.Before(r.until) {
		r.done(l)
		return
	}
	at := r.until
	if r.close || l.draining {
		if look := l.now.Add(r.poll); look.Before(at) {
			at = look
		}
		r.poll = min(2*r.poll, 50*pollMost)
	}
	l.alarms.set(&r.task, at)
}

// parted says that what had come before our FIN was acknowledged is read away.
func (r *retiree) parted(l *loop) bool {
	if r.acked == 0 && l.k.Unacked(r.sock) == 0 {
		r.acked = r.read
	}
	return r.acked > 0 && r.read-r.acked >= partingBytes
}

func (r *retiree) done(l *loop) {
	l.alarms.set(&r.task, time.Time{})
	l.own(r.sock, nil)
	l.k.Close(r.sock)
	r.sock = sys.None
	l.retirees--
}
