package faults

import "crimp/faults/wire"

// Op is what a session has to do. Ops on a leg are ordered: each waits for the
// bytes sent before it, and a stronger one replaces a weaker one that waits
// (Shut < Finish < Close < Desert < Reset).
type Op uint8

const (
	OpDial   Op = iota // connect to Target (empty: the route's upstream)
	OpPart             // the upstream connection is over, its server is owed nothing; the client's stays
	OpSend             // write Data to the leg that Dir flows to
	OpShut             // FIN to that leg; the other direction goes on
	OpFinish           // FIN to that leg, its input is read away until its FIN, RST or the linger limit
	OpClose            // as OpFinish, but closed as soon as the FIN is acknowledged: later input is answered with RST
	OpDesert           // FIN to that leg once all before it is acknowledged, then closed with its input unread: RST
	OpReset            // RST to that leg once all bytes before it are acknowledged (bounded)
	OpAbort            // the leg is dead already (its peer reset it) or must go at once: RST without waiting
	OpFilter           // lose segments of the peer of that leg: Filter
	OpNote             // tell the journal: Note
)

// Action is one thing to do, in order. An action that ends a leg may carry a
// Note, to be told when the ending is out, with what was acknowledged.
type Action struct {
	Op     Op
	Dir    wire.Direction // the leg it flows to: Downstream is the client's
	Data   []byte         // valid until the next Step
	Target string         // of OpDial, host:port; empty: the route's upstream
	Note   *Note          // of OpNote, or of an ending; may be nil there
	Filter Filter         // of OpFilter: in place of the one before
	// Apart, if not 0: Data is to leave in a write and a TCP segment of its own,
	// joined only to what has the same number.
	Apart uint64
}

// send adds bytes to the actions: joined to the last Send where they lie behind
// it in memory, else gathered with it, so that what leaves together is one write.
// What is to leave apart is joined to its like only.
func (e *Engine) send(d wire.Direction, b []byte, apart uint64) {
	n := len(e.actions)
	if n == 0 || e.actions[n-1].Op != OpSend || e.actions[n-1].Dir != d || apart != e.actions[n-1].Apart {
		e.actions = append(e.actions, Action{Op: OpSend, Dir: d, Data: b, Apart: apart})
		e.gathered = false
		return
	}
	last := &e.actions[n-1]
	if m := len(last.Data); !e.gathered && cap(last.Data) >= m+len(b) && len(b) > 0 && &last.Data[:m+1][m] == &b[0] {
		last.Data = last.Data[:m+len(b)]
		return
	}
	if !e.gathered {
		e.gather = append(e.gather, last.Data...)
		e.gathered = true
		last.Data = e.gather[len(e.gather)-len(last.Data):]
	}
	from := len(e.gather) - len(last.Data)
	e.gather = append(e.gather, b...)
	last.Data = e.gather[from:]
}
