package faults

import (
	"strings"

	"crimp/faults/wire"
)

// Where on_dial_error says 502, a client whose server cannot be connected is answered,
// and what it says first tells how: to HEAD there is no body (RFC 9110 section 9.3.2),
// and on an auto route a client that speaks no HTTP gets RST, as if nobody had been
// there. So its request line is waited for, but no longer than a head is held.

// unserved says that the client waits to be answered so.
func (e *Engine) unserved() bool { return e.door != nil && e.door.unserved }

func (l *lane) unserved() bool { return l.dir == wire.Upstream && l.e.unserved() }

// turnAway answers a request that has no server, of no method if none was seen.
func (e *Engine) turnAway(method []byte) {
	e.door = nil
	down := &e.lanes[wire.Downstream]
	if down.closed {
		return
	}
	if len(method) == 0 && e.o.Protocol == Auto {
		down.finish(term{op: OpReset}, e.now, nil)
		return
	}
	text := answer(502, "the upstream cannot be connected")
	if string(method) == "HEAD" {
		text = text[:strings.Index(text, "\r\n\r\n")+4]
	}
	down.sayBytes(entry{at: e.now, op: OpSend}, []byte(text), inserted)
	down.finish(term{op: OpFinish}, e.now, nil)
}
