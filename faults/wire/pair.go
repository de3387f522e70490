package wire

import (
	"math"
	"strconv"
)

// TunnelReason is what [Pair.Opaque] gives for a direction that was made opaque
// by [Pair.Tunnel], by a 101 answer or by a 2xx answer to CONNECT.
const TunnelReason = "tunnel"

// Pair is the two directions of one session, upstream requests and downstream
// responses. They meet in two places: a response's framing depends on the method
// it answers, and a tunnel makes both opaque. A Pair is used by one goroutine.
type Pair struct {
	emit  func(Segment)
	toks  [2]tokenizer
	asked methods
	spare *Spare
}

// Spare is heads, which a session needs only while there is a message. Pairs that
// are used by one goroutine may share them. The zero value is ready.
type Spare struct {
	heads []*Head
	bytes int // of their buffers
}

// What is kept for others is bounded. A head is lent for as long as its body comes,
// and that each of a loop's sessions is amid one is usual.
const (
	mostSpare      = 256
	mostSpareBytes = 1 << 20
)

// put keeps a head if there is room.
func (s *Spare) put(h *Head) {
	if n := h.size(); len(s.heads) < mostSpare && s.bytes+n <= mostSpareBytes {
		s.heads, s.bytes = append(s.heads, h), s.bytes+n
	}
}

// take takes out a head; there is one.
func (s *Spare) take() *Head {
	last := len(s.heads) - 1
	h := s.heads[last]
	s.heads[last] = nil
	s.heads, s.bytes = s.heads[:last], s.bytes-h.size()
	return h
}

// Share makes the pair take its heads from s, and give them back when it rests.
func (p *Pair) Share(s *Spare) { p.spare = s }

// Rest gives back the heads of directions that are between messages, or opaque:
// those Heads are no longer valid.
func (p *Pair) Rest() {
	if p.spare == nil {
		return
	}
	for d := range p.toks {
		if t := &p.toks[d]; t.head != nil && !t.state.inMessage() {
			p.spare.put(t.head)
			t.head = nil
		}
	}
}

// newHead is a head to be filled.
func (p *Pair) newHead() *Head {
	if p.spare == nil || len(p.spare.heads) == 0 {
		return &Head{}
	}
	return p.spare.take()
}

// NewPair makes a pair that hands each segment to emit, in order, from within
// the call that made it. While it runs, emit may call Expect, Tunnel and whatever
// only asks; not Feed, Skip, EOF or Restart.
func NewPair(emit func(Segment)) *Pair {
	p := &Pair{emit: emit}
	p.Restart(Downstream)
	p.Restart(Upstream)
	return p
}

// Feed takes the next bytes of direction d. The segments emitted during the call
// are, joined, exactly b. Their Data are subslices of b with its capacity, so two
// that follow each other can be joined by reslicing the first.
func (p *Pair) Feed(d Direction, b []byte) { p.toks[d].feed(b) }

// Expect says that the start line of a request with that method was forwarded:
// one final response will answer it, after those to earlier requests. A response
// that starts while nothing is expected is framed by its own fields alone, as
// for MethodOther, and counts as nobody's answer. Interim responses answer nothing.
func (p *Pair) Expect(m Method) { p.asked.push(m) }

// Whole says whether the head of a message of d is wanted as one segment where it
// came in one piece: a [HeadEnd] that has Start, and all of the head as its Data. It
// holds from the next message on.
func (p *Pair) Whole(d Direction, on bool) { p.toks[d].whole = on }

// EOF says that the sender of d sent FIN. It is true if that cuts a message off.
// A body until close is complete by it: an empty segment with Last and End says
// so. An opaque direction has no messages that could be cut.
func (p *Pair) EOF(d Direction) (cut bool) { return p.toks[d].eof() }

// Restart forgets everything about direction d, as for a new connection on the
// side it comes from: offsets and message numbers start again, an opaque
// direction is HTTP again. For Downstream, no request awaits an answer any more.
func (p *Pair) Restart(d Direction) {
	t := &p.toks[d]
	*t = tokenizer{pair: p, dir: d, head: t.head, whole: t.whole}
	if d == Downstream {
		p.asked = methods{list: p.asked.list[:0]}
	}
}

// Skip says that n bytes of d, at most Remaining(d), went by without being fed.
// If they ended a body or a chunk's data, an empty segment says so with Last, and
// End if the message ended too. More than Remaining means that nobody knows any
// more what the next byte is: the direction turns opaque.
func (p *Pair) Skip(d Direction, n int64) { p.toks[d].skip(n) }

// Remaining is how many bytes of d may go by unseen right now: what is left of a
// body by length or of a chunk's data, math.MaxInt64 in a body until close and
// in an opaque direction, else 0.
func (p *Pair) Remaining(d Direction) int64 {
	t := &p.toks[d]
	switch t.state {
	case inBody, inChunkData:
		return t.left
	case inRest, inOpaque:
		return math.MaxInt64
	}
	return 0
}

// Offset is the place in the stream of d's next byte.
func (p *Pair) Offset(d Direction) int64 { return p.toks[d].off }

// Opaque is whether d has turned opaque, and why.
func (p *Pair) Opaque(d Direction) (reason string, ok bool) {
	t := &p.toks[d]
	return t.reason, t.state == inOpaque
}

// Tunnel makes both directions opaque from now on, in the middle of a message
// too: what follows is not HTTP.
func (p *Pair) Tunnel() {
	p.toks[Upstream].turn(TunnelReason)
	p.toks[Downstream].turn(TunnelReason)
}

// Opaquely makes d alone opaque from its next byte on, and says why: for a CONNECT
// whose answer is still to be framed, say ([TunnelReason]).
func (p *Pair) Opaquely(d Direction, reason string) { p.toks[d].turn(reason) }

// InMessage is whether a message of d has started and not ended.
func (p *Pair) InMessage(d Direction) bool { return p.toks[d].state.inMessage() }

// Message is the head of the message of d that has started and not ended, as far
// as it has been seen; nil outside any.
func (p *Pair) Message(d Direction) *Head {
	if !p.InMessage(d) {
		return nil
	}
	return p.toks[d].head
}

// answers is the class of the method that the response with head h answers.
// Interim responses leave the request waiting for its final one; after a 101
// nothing is answered any more.
func (p *Pair) answers(h *Head) Method {
	if h.Status/100 == 1 {
		return MethodOther
	}
	return p.asked.pop()
}

// methods is a queue of the methods that await their final response. Its memory
// is reused; a pipeline that never runs dry moves it down now and then.
type methods struct {
	list []Method
	next int // of list, the first that waits
}

func (q *methods) waiting() bool { return q.next < len(q.list) }

func (q *methods) push(m Method) {
	if q.next > 0 && len(q.list) == cap(q.list) {
		q.list = q.list[:copy(q.list, q.list[q.next:])]
		q.next = 0
	}
	q.list = append(q.list, m)
}

func (q *methods) pop() Method {
	m := q.list[q.next]
	if q.next++; q.next == len(q.list) {
		q.list, q.next = q.list[:0], 0
	}
	return m
}

// tooMuch is why a direction turns opaque whose caller skipped more than it might.
func tooMuch(n, left int64) string {
	return strconv.FormatInt(n, 10) + " bytes went by unseen where at most " + strconv.FormatInt(left, 10) + " might"
}
