package faults

import "crimp/faults/wire"

// NoteKind is what an engine has to tell.
type NoteKind uint8

const (
	NoteFired            NoteKind = iota // a fault acted
	NoteMissed                           // a rule that matched had nothing to damage
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
	Text     string // of NoteMissed why, of others as their kind says; for people
	Word     string // of NoteMissed: what it is counted under, one of MissWords
}

// tellNow adds a note to this Step's; they follow its other actions.
func (e *Engine) tellNow(n Note) { e.notes = append(e.notes, n) }
