package faults

import (
	"net/netip"
	"time"

	"crimp/faults/wire"
)

// Protocol is what a route takes its sessions for.
type Protocol uint8

const (
	Auto Protocol = iota // http if the client's first bytes are an HTTP/1 request line, else tcp
	HTTP
	TCP
)

// Side is one leg of a session, or both.
type Side uint8

const (
	Client Side = iota
	Server
	BothSides
)

// InputKind is what happened.
type InputKind uint8

const (
	InOpen       InputKind = iota // the client's connection was accepted
	InDialed                      // the upstream connection stands
	InDialFailed                  // it does not: Err says why
	InBytes                       // Data arrived, flowing in Dir
	InSkipped                     // N bytes that Demand said need not be seen went by, flowing in Dir
	InEOF                         // the sender of Dir sent FIN; everything before it was given
	InReset                       // the sender of Dir sent RST; everything readable before it was given
	InHangup                      // Dir is on Hold, and its sender's FIN waits unread in the kernel
	InSwap                        // Plan replaces the plan in force
	InTick                        // Deadline has come
	InCommand                     // an operator acts on this session: Act, Side
)

// Act is what session.act can do to a session.
type Act uint8

const (
	ActRst Act = iota
	ActClose
	ActFin
	ActStall
	ActResume
)

// Input is one thing that happened to a session.
type Input struct {
	Kind InputKind
	Dir  wire.Direction
	Data []byte // valid during Step; actions may point into it
	N    int64
	Plan *Plan
	Err  error
	Act  Act
	Side Side
}

// Op is what a session has to do. Ops on a leg are ordered: each waits for the
// bytes sent before it, and a stronger one replaces a weaker one that waits
// (Shut < Finish < Close < Reset).
type Op uint8

const (
	OpDial   Op = iota // connect to Target (empty: the route's upstream)
	OpSend             // write Data to the leg that Dir flows to
	OpShut             // FIN to that leg; the other direction goes on
	OpFinish           // FIN to that leg, its input is read away until its FIN, RST or the linger limit
	OpClose            // as OpFinish, but closed as soon as the FIN is acknowledged: later input is answered with RST
	OpReset            // RST to that leg once all bytes before it are acknowledged (bounded)
	OpAbort            // the leg is dead already (its peer reset it) or must go at once: RST without waiting
	OpNote             // tell the journal: Note
)

// Action is one thing to do, in order. An action that ends a leg may carry a
// Note, to be told when the ending is out, with what was acknowledged.
type Action struct {
	Op     Op
	Dir    wire.Direction // the leg it flows to: Downstream is the client's
	Data   []byte         // valid until the next Step
	Target string
	Note   *Note
}

// DemandMode is what an engine wants of a direction's source.
type DemandMode uint8

const (
	Read   DemandMode = iota // read up to N bytes (0: as many as you like) and Step them
	Splice                   // up to N bytes may go by unseen; tell InSkipped
	Hold                     // leave it unread: back-pressure
)

// Demand is what an engine wants of a direction's source.
type Demand struct {
	Mode DemandMode
	N    int64
}

// NoteKind is what an engine has to tell.
type NoteKind uint8

const (
	NoteFired            NoteKind = iota // a fault acted
	NoteMissed                           // a matching message did not have the rule's position
	NoteSpent                            // the rule fired for the last time its gate allows
	NoteOpaque                           // a direction is relayed as opaque bytes from here on: Text says why
	NoteHeld                             // a head was held to its limit and let go: Text says why
	NoteExchangeStarted                  // Exchange: its request line is known
	NoteExchangeFinished                 // Exchange: done, or as far as it will get
	NoteProtocol                         // an auto session turned out to be Text: "http" or "tcp"
)

// Note is something for the journal. Its pointers are valid until the next Step.
type Note struct {
	Kind     NoteKind
	Rule     *Compiled
	Exchange *Exchange // nil outside any
	Dir      wire.Direction
	Off, Pos int64 // in the stream, in the message (-1: outside any)
	Part     wire.Part
	End      Ending // what goes out with it: NoEnding if only bytes change
	Bytes    int64  // bytes of the direction said before it
	Body     int64  // body bytes of the message said before it (-1: outside any)
	Text     string
}

// Options is what an engine is told once.
type Options struct {
	Route    string
	Session  uint64 // number on the route, from 1
	Client   netip.AddrPort
	Protocol Protocol
	Plan     *Plan
	// Held bounds the bytes held back in each direction; past it the source is
	// not read. 0: 2 MiB.
	Held int
	// OnDialError is "rst", "fin" or "502".
	OnDialError string
}
