package faults

import "crimp/faults/wire"

// Scratch is memory that an engine needs only from one Step to the next. Engines
// that are stepped by one goroutine may share it: then what a Step answers is
// valid until the next Step of any of them. The zero value is ready.
type Scratch struct {
	actions  []Action
	notes    []Note
	gather   []byte // bytes from several places that leave together
	gathered bool   // the last action's Data is in gather
	made     int    // bytes that rules said of their own in this Step
	known    Facts  // reused
	heads    wire.Spare
	past     []*Exchange // over with the last Step, whose notes point to them
	spare    []*Exchange // to be used again
	boxes    []*outbox   // to be used again
	boxed    int         // bytes of their buffers
	emptied  []*outbox   // of the last Step

	// Delays counts for how long rules kept back what they delayed: from when it
	// was read until it went out. It is all that outlives a Step.
	Delays Histogram
}

// outbox is an empty one.
func (s *Scratch) outbox() *outbox {
	n := len(s.boxes)
	if n == 0 {
		return &outbox{}
	}
	o := s.boxes[n-1]
	s.boxes = s.boxes[:n-1]
	s.boxed -= cap(o.buf)
	return o
}

// dismiss takes an outbox from which all is out: not to be used before the next
// Step, since actions point into it.
func (s *Scratch) dismiss(o *outbox) { s.emptied = append(s.emptied, o) }

// refill makes the outboxes that were dismissed in the last Step ready for others.
func (s *Scratch) refill() {
	for _, o := range s.emptied {
		if len(s.boxes) < mostSpare && cap(o.entries) <= 256 && s.boxed+cap(o.buf) <= mostBoxed {
			s.boxed += cap(o.buf)
			*o = outbox{entries: o.entries[:0], buf: o.buf[:0]}
			s.boxes = append(s.boxes, o)
		}
	}
	clear(s.emptied)
	s.emptied = s.emptied[:0]
}

// reuse makes the exchanges that were over with the last Step, whose notes still
// pointed to them, free for new ones.
func (s *Scratch) reuse() {
	for _, x := range s.past {
		if len(s.spare) < mostSpare && cap(x.Head.Raw) <= 16<<10 {
			s.spare = append(s.spare, x)
		}
	}
	clear(s.past)
	s.past = s.past[:0]
}

// What is kept for others is bounded. An outbox is lent for as long as something
// waits, an exchange until its answer is there, and that each of a loop's sessions has
// one at a time is usual.
const (
	mostSpare = 256
	mostBoxed = 1 << 20 // bytes
)
