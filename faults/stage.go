package faults

import (
	"time"

	"crimp/faults/wire"
)

// Grain is how whole a kind needs a head to be before it sees it. The engine
// holds (hold.go); stages never do.
type Grain uint8

const (
	Fragment  Grain = iota // bytes as they come
	Line                   // whole start lines, field lines and chunk-size lines
	WholeHead              // the complete head, in one Step
)

// Stage is a rule at work on one session: it sees every segment of the traffic
// the rule is for and says with w what goes on. A stage that sends nothing
// swallows. All else is optional faces:
//
//	its place in the chain           Opener, Disarmer, Finisher
//	its source's FIN and RST         Ender, Hanger, Gluer
//	time                             Waker, Rester, Later
//	bytes that it keeps              Keeper
//	bytes that it need not see       Skipper, Counter
//	bytes that are to stay unread    Taker, Rationer, Unreader
type Stage interface {
	Segment(s wire.Segment, w *Writer)
}

// Opener is told when the stage takes its place: at session open, when its rule
// comes into force on a live session, or when its message starts.
type Opener interface{ Open(w *Writer) }

// Disarmer is told that its rule is gone: what it keeps back must be sent now. One
// that is a Finisher too may go on.
type Disarmer interface{ Disarm(w *Writer) }

// Finisher is a message stage that cannot stop half-way: a body that it began to
// chunk must end in a last chunk. While Unfinished says true its slot outlives
// its rule, up to the end of the message; it can no more delay anything. A stage
// for both directions says itself when it is through (Writer.Gone).
type Finisher interface{ Unfinished() bool }

// Ender is told that the source's FIN reached the stage. Without it, or with
// w.Shut, the FIN goes on.
type Ender interface{ End(w *Writer) }

// Hanger is told that the sender hung up (FIN or RST waiting) while its bytes
// are left unread.
type Hanger interface{ Hangup(w *Writer) }

// Gluer is asked whether, with it at work, a proxy's connection to its client ends
// with that to the server, whatever else is armed.
type Gluer interface{ Glues() bool }

// Waker is told that the time asked for with Writer.Alarm has come.
type Waker interface{ Wake(w *Writer) }

// Rester is a Waker that, if it says so, is also woken when the last open exchange
// is over.
type Rester interface{ AtRest() bool }

// Later is told that a Step that was due came so much too late: the machine was
// busy. A stage that keeps to a schedule may catch up.
type Later interface{ Late(by time.Duration) }

// Skipper says how many bytes of the direction, from offset off, the stage need
// not see at all; they may then be spliced.
type Skipper interface{ Blind(off int64) int64 }

// Counter is a stage that need not see bytes, only count them, as long as there
// are few: Free says how many may go by unseen now, and Counted that some did.
type Counter interface {
	// Free is asked before each Splice: 0 means that the stage must see what comes.
	Free(now time.Time) int64
	// Counted is called before anything else is seen; n is at most what Free said.
	Counted(now time.Time, n int64)
}

// Taker says how many bytes a stage wants to be read at most, given how long
// what it said last has still to wait: 0 leaves the source unread until that is
// less. A stage that makes many small pieces of what it gets needs it.
type Taker interface {
	Take(behind time.Duration) int64
}

// Rationer says how many bytes of its direction are to be read at most; 0: none
// before again. A stage that lets bytes go slowly is not to be given what it will
// need seconds for: it stays with the sender, which feels it.
type Rationer interface {
	Ration(now time.Time) (n int64, again time.Time)
}

// Unreader is told that so many bytes wait unread in the kernel, where it made
// the engine leave them: of its own direction by Until(Never), of the other by Deaf.
type Unreader interface{ Unread(n int64, w *Writer) }
