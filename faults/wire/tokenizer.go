package wire

import (
	"bytes"
	"strconv"
)

// state is what the next byte of a direction belongs to.
type state uint8

const (
	between      state = iota // a message starts, or an empty line before it
	betweenLF                 // an empty line's CR was seen
	inStartLine               // tokenizer.line says where
	fieldStart                // a field line starts, or a fold, or the blank line
	inField                   // fieldStart + 1: fieldLine and lineStart go to and fro
	headEndLF                 // the blank line's CR was seen
	inBody                    // by length: tokenizer.left bytes of it
	inRest                    // until close
	inChunkSize               // tokenizer.line says where
	inChunkData               // tokenizer.left bytes of it
	chunkEnd                  // the line end behind a chunk's data
	chunkEndLF                // its CR was seen
	trailerStart              // as fieldStart, for trailers
	inTrailer                 // trailerStart + 1
	messageEndLF              // the last blank line's CR was seen
	inOpaque                  // for good
)

func (s state) inMessage() bool { return s != between && s != betweenLF && s != inOpaque }
func (s state) inHead() bool    { return inStartLine <= s && s <= headEndLF }

// tokenizer labels the bytes of one direction. It keeps no byte back: what a byte
// is follows from those before it alone, so however the input is cut, the same
// bytes get the same labels. The one thing that takes the next byte to know,
// whether a field line is folded, is said afterwards (see [Segment]).
//
// Each step takes some bytes of one element, sets the state to what follows and
// only then emits, so that the receiver finds the Pair as it is after them and
// may even turn it into a tunnel.
type tokenizer struct {
	pair *Pair
	dir  Direction

	state   state
	line    lineState // within a start line or a chunk-size line
	seen    uint8     // bytes of a fixed word seen in it
	mid     bool      // the element in progress has begun: the next piece is not First
	begins  bool      // the next segment is the first of its message
	asked   bool      // a request awaited its answer when this response started
	whole   bool      // see whole.go
	message int
	index   int    // of the field, trailer or chunk
	from    int    // where in head.Raw the field line in progress starts
	off     int64  // of the next byte in the stream
	pos     int64  // of the next byte in its message
	left    int64  // of the body or the chunk's data
	size    int64  // of the chunk
	reason  string // why the direction is opaque
	head    *Head  // nil before the first message, and while the pair rests
}

// feed labels all of b.
func (t *tokenizer) feed(b []byte) {
	for len(b) > 0 {
		b = b[t.step(b):]
	}
}

// step labels the bytes at the start of b that belong to one element, or only
// finds out which one is next, and returns how many those were.
func (t *tokenizer) step(b []byte) int {
	if t.state.inHead() {
		room := MaxHead - len(t.head.Raw)
		if room == 0 {
			t.turn("head longer than " + strconv.Itoa(MaxHead) + " bytes")
			return 0
		}
		b = b[:min(len(b), room)]
	}
	switch t.state {
	case between:
		return t.beforeMessage(b)
	case inStartLine:
		return t.startLine(b)
	case fieldStart:
		return t.lineStart(b, Field)
	case inField:
		return t.fieldLine(b, Field)
	case inBody:
		return t.counted(b, Body)
	case inRest:
		t.say(Body, b, false, false)
		return len(b)
	case inChunkSize:
		return t.chunkSize(b)
	case inChunkData:
		return t.counted(b, ChunkData)
	case chunkEnd:
		return t.blank(b, "where the line end behind a chunk is due")
	case trailerStart:
		return t.lineStart(b, Trailer)
	case inTrailer:
		return t.fieldLine(b, Trailer)
	case betweenLF, headEndLF, chunkEndLF, messageEndLF:
		return t.blankLF(b)
	}
	t.say(Opaque, b, false, false) // inOpaque
	return len(b)
}

// say emits b as the next piece of the element in progress.
func (t *tokenizer) say(part Part, b []byte, last, end bool) {
	s := Segment{Dir: t.dir, Part: part, Data: b, Off: t.off, First: !t.mid, Last: last, End: end}
	t.off += int64(len(b))
	t.mid = !last
	if part != Opaque {
		s.Pos, s.Message, s.Head = t.pos, t.message, t.head
		s.Start, t.begins = t.begins, false
		t.pos += int64(len(b))
	}
	switch part {
	case Field, Trailer:
		s.Index = t.index
	case ChunkSize:
		s.Index = t.index
		if last {
			s.Size, s.LastChunk = t.size, t.size == 0
		}
	case ChunkData, ChunkEnd:
		s.Index, s.Size = t.index, t.size
	}
	t.pair.emit(s)
}

// turn makes the direction opaque from the next byte on. The first reason stays.
func (t *tokenizer) turn(reason string) {
	if t.state != inOpaque {
		t.state, t.reason, t.mid = inOpaque, reason, false
	}
}

// refuse turns the direction opaque because of the byte c.
func (t *tokenizer) refuse(c byte, where string) {
	shown := "byte 0x" + strconv.FormatUint(uint64(c), 16)
	if ' ' <= c && c <= '~' {
		shown = strconv.QuoteRune(rune(c))
	}
	t.turn(shown + " " + where)
}

// beforeMessage starts a message or takes an empty line before it.
func (t *tokenizer) beforeMessage(b []byte) int {
	switch c := b[0]; {
	case c == '\r' || c == '\n':
		return t.blank(b, "")
	case t.dir == Upstream && !isToken(c):
		t.refuse(c, "where a request is due")
	case t.dir == Downstream && c != version1[0]:
		t.refuse(c, "where a response is due")
	default:
		t.state, t.line = inStartLine, lineStart
		t.message++
		t.index, t.pos = 0, 0
		t.begins = true
		t.asked = t.dir == Downstream && t.pair.asked.waiting()
		if t.head == nil {
			t.head = t.pair.newHead()
		}
		t.head.reset(t.dir == Upstream)
		if t.whole {
			return t.wholeHead(b)
		}
	}
	return 0
}

func (t *tokenizer) startLine(b []byte) int {
	n, where := 0, ""
	if t.begins {
		n = t.wholeLine(b)
	}
	if n > 0 {
		t.line = lineDone
	} else {
		n, where = t.scan(b)
	}
	t.head.Raw = append(t.head.Raw, b[:n]...)
	done := t.line == lineDone
	if done {
		t.head.startLine(t.head.Raw)
		t.state = fieldStart
	}
	t.sayLine(StartLine, b, n, where)
	return n
}

// scan advances over a start line or chunk-size line: up to its end, the end of b
// or a byte that has no place in it, and then where says why.
func (t *tokenizer) scan(b []byte) (n int, where string) {
	advance := (*tokenizer).startByte
	if t.state == inChunkSize {
		advance = (*tokenizer).sizeByte
	}
	for n < len(b) {
		if where = advance(t, b[n]); where != "" {
			return n, where
		}
		if n++; t.line == lineDone {
			break
		}
	}
	return n, ""
}

// sayLine emits what scan advanced over, and refuses what it stopped at.
func (t *tokenizer) sayLine(part Part, b []byte, n int, where string) {
	if n > 0 {
		t.say(part, b[:n], t.line == lineDone, false)
	}
	if where != "" {
		t.refuse(b[n], where)
	}
}

// lineStart finds out what a line of the head or of the trailers is.
func (t *tokenizer) lineStart(b []byte, part Part) int {
	c := b[0]
	folded := c == ' ' || c == '\t'
	switch {
	case folded && t.mid: // the field goes on
		t.state++
	case folded:
		t.turn("white space before the first field")
	case t.mid: // the field before it turns out to be complete
		t.endField(part)
		t.say(part, b[:0], true, false)
	case c == '\r' || c == '\n':
		return t.blank(b, "")
	default:
		t.state++ // inField or inTrailer
		t.index++
		t.from = len(t.head.Raw)
	}
	return 0
}

// fieldLine takes a field line up to its end, with the folds that can be seen.
func (t *tokenizer) fieldLine(b []byte, part Part) int {
	n, last := 0, false
	for n < len(b) && !last {
		lf := bytes.IndexByte(b[n:], '\n')
		if lf < 0 {
			n = len(b)
			break
		}
		if n += lf + 1; n == len(b) { // folded or not: the next byte tells
			t.state--
			break
		}
		last = b[n] != ' ' && b[n] != '\t'
	}
	if part == Field {
		t.head.Raw = append(t.head.Raw, b[:n]...)
	}
	if last {
		t.state--
		t.endField(part)
	}
	t.say(part, b[:n], last, false)
	return n
}

func (t *tokenizer) endField(part Part) {
	if part == Field {
		t.head.field(t.head.Raw, t.from)
	}
}

// counted takes bytes of a body by length or of a chunk's data.
func (t *tokenizer) counted(b []byte, part Part) int {
	n := int(min(int64(len(b)), t.left))
	t.count(int64(n))
	done := t.left == 0
	t.say(part, b[:n], done, done && part == Body)
	return n
}

// count takes n off what is left, and changes the state if nothing is.
func (t *tokenizer) count(n int64) {
	if t.left -= n; t.left > 0 {
		return
	}
	if t.state == inBody {
		t.state = between
	} else {
		t.state = chunkEnd
	}
}

func (t *tokenizer) chunkSize(b []byte) int {
	if !t.mid {
		t.index++
		t.size, t.line = 0, lineStart
	}
	n, where := t.scan(b)
	if t.line == lineDone {
		t.state, t.left = inChunkData, t.size
		if t.size == 0 {
			t.state = trailerStart
		}
	}
	t.sayLine(ChunkSize, b, n, where)
	if t.state == trailerStart {
		t.index = 0
	}
	return n
}

// headEnd takes the end of the blank line after a head and decides what follows.
func (t *tokenizer) headEnd(b []byte) {
	h := t.head
	h.Raw = append(h.Raw, b...)
	h.Complete = true
	m := MethodOther
	if t.asked {
		m = t.pair.answers(h)
	}
	reason := h.frame(m)
	end := false
	switch h.Framing {
	case ByChunks:
		t.state, t.index = inChunkSize, 0
	case UntilClose:
		t.state = inRest
	case Undecided:
		t.state = between
	default: // ByLength, NoBody, Tunnel
		t.state, t.left = inBody, max(h.Length, 0)
		if end = t.left == 0; end {
			t.state = between
		}
	}
	t.say(HeadEnd, b, true, end)
	switch h.Framing {
	case Undecided:
		t.turn(reason)
	case Tunnel:
		t.pair.Tunnel()
	}
}

// eof is [Pair.EOF].
func (t *tokenizer) eof() (cut bool) {
	switch {
	case t.state == inRest:
		t.state = between
		t.say(Body, nil, true, true)
		return false
	case t.mid && (t.state == fieldStart || t.state == trailerStart): // no fold will follow
		part := Field
		if t.state == trailerStart {
			part = Trailer
		}
		t.endField(part)
		t.say(part, nil, true, false)
	}
	return t.state.inMessage()
}

// skip is [Pair.Skip].
func (t *tokenizer) skip(n int64) {
	if n <= 0 {
		return
	}
	left := t.pair.Remaining(t.dir)
	t.off += n
	if n > left {
		t.turn(tooMuch(n, left))
		return
	}
	t.mid = true // the element has begun, unseen
	if t.state == inOpaque {
		return
	}
	t.pos += n
	if t.state == inRest {
		return
	}
	part := Body
	if t.state == inChunkData {
		part = ChunkData
	}
	if t.count(n); t.left == 0 {
		t.say(part, nil, true, part == Body)
	}
}
