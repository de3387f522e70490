package wire

import "bytes"

// Method classes a response's framing depends on (RFC 9112 section 6.3).
type Method uint8

const (
	MethodOther   Method = iota // any method whose answers are framed by their own fields
	MethodHead                  // answers never have a body
	MethodConnect               // a 2xx answer turns both directions opaque
)

// MethodOf classes a request method; methods are case-sensitive (RFC 9110 section 9.1).
func MethodOf(name []byte) Method {
	switch string(name) {
	case "HEAD":
		return MethodHead
	case "CONNECT":
		return MethodConnect
	}
	return MethodOther
}

// Framing says how a message's body is delimited.
type Framing uint8

const (
	NoBody     Framing = iota // ends with its head
	ByLength                  // Head.Length bytes follow
	ByChunks                  // chunked, until the last chunk
	UntilClose                // everything until FIN
	Tunnel                    // 101, or 2xx to CONNECT: both directions are opaque from here
	Undecided                 // the fields leave it open: this direction is opaque from here
)

// Line is where one field stands in Head.Raw. Offsets are into Raw. A line
// without a colon has an empty name: it is all value, and Colon is Start.
type Line struct {
	Start int // first byte of the name
	Colon int // the colon
	Value int // first byte of the value, white space skipped
	Stop  int // after the value's last byte, white space and line end not counted
	End   int // after the line end, that of the last folded line if there are any
}

// Head is a message's head: the raw bytes and where things stand in them. It is
// reused for the next message of its direction.
type Head struct {
	Request   bool
	Raw       []byte // the head's bytes so far, start line included, at most MaxHead kept
	StartStop int    // after the start line's last byte, line end not counted (0: not yet complete)
	StartEnd  int    // after the start line's line end
	Fields    []Line // of the fields whose segment with Last was emitted
	Complete  bool   // the blank line was seen: all below from Framing on is decided

	// Start line, as offsets into Raw: method/target/version or version/status/reason.
	Word [3][2]int
	// Status is the response's status code, 0 in a request.
	Status int
	// Minor is the HTTP/1 minor version.
	Minor int

	Framing Framing
	// Length is the number of body bytes that follow when Framing is ByLength
	// or NoBody (then 0), else -1.
	Length int64
	// Declared is what Content-Length says, whether or not it frames the body
	// (answers to HEAD, 304); -1 without a usable field.
	Declared int64
	// Close and KeepAlive say that Connection lists that word (RFC 9112 section 9.3).
	Close, KeepAlive bool
}

// ReadHead finds once more where things stand in a request's head that was kept
// raw, or in the beginning of one; nil if it is none. So who keeps many heads need
// not keep their places.
func ReadHead(raw []byte) (h *Head) {
	NewPair(func(s Segment) { h = s.Head }).Feed(Upstream, raw)
	return h
}

// MaxHead is the largest head, in bytes, whose raw bytes are kept; a longer one
// turns its direction Opaque. nginx and Apache refuse heads of 32 KiB and more.
const MaxHead = 256 << 10

// keptRaw and keptFields bound what a Head keeps for the next message, so that
// one enormous head does not cost an idle session its memory for good.
const (
	keptRaw    = 16 << 10
	keptFields = 256
)

// lineSize is about what a Line takes, in bytes.
const lineSize = 40

// size is what the buffers of h take, in bytes.
func (h *Head) size() int { return cap(h.Raw) + lineSize*cap(h.Fields) }

// reset makes h ready for the next message, keeping its buffers.
func (h *Head) reset(request bool) {
	raw, fields := h.Raw[:0], h.Fields[:0]
	if cap(raw) > keptRaw {
		raw = nil
	}
	if cap(fields) > keptFields {
		fields = nil
	}
	*h = Head{Request: request, Raw: raw, Fields: fields, Length: -1, Declared: -1}
}

// Method is a request's method; nil in a response, or before the request line
// is complete. It is valid as long as the Head is.
func (h *Head) Method() []byte { return h.word(0) }

// Target is a request's target as it was sent; nil in a response, or before the
// request line is complete. It is valid as long as the Head is.
func (h *Head) Target() []byte { return h.word(1) }

func (h *Head) word(i int) []byte {
	if !h.Request || h.StartStop == 0 {
		return nil
	}
	return h.Raw[h.Word[i][0]:h.Word[i][1]]
}

// StartLine is the request or status line without its line end; empty before it
// is complete.
func (h *Head) StartLine() []byte { return h.Raw[:h.StartStop] }

// Name is the name of field i, counted from 0, as it was sent: white space that
// wrongly stands before the colon is part of it.
func (h *Head) Name(i int) []byte { return h.Raw[h.Fields[i].Start:h.Fields[i].Colon] }

// Value is the value of field i, counted from 0, without the white space around
// it. The line ends inside a folded value are part of it.
func (h *Head) Value(i int) []byte { return h.Raw[h.Fields[i].Value:h.Fields[i].Stop] }

// Find is the number, counted from 0, of the first field of that name in any
// case; -1 if no complete field line so far has it.
func (h *Head) Find(name string) int {
	for i := range h.Fields {
		if equalFold(h.Name(i), name) {
			return i
		}
	}
	return -1
}

// startLine notes where the words of the start line are, which is all of raw and
// known to follow the grammar.
func (h *Head) startLine(raw []byte) {
	h.StartEnd = len(raw)
	if h.StartStop = len(raw) - 1; raw[h.StartStop-1] == '\r' {
		h.StartStop--
	}
	line := raw[:h.StartStop]
	if !h.Request { // HTTP/1.x 200 reason, where the reason and the space before it may be missing
		h.Word = [3][2]int{{0, 8}, {9, 12}, {min(13, len(line)), len(line)}}
		h.Status = int(line[9]-'0')*100 + int(line[10]-'0')*10 + int(line[11]-'0')
		h.Minor = int(line[7] - '0')
		return
	}
	a := bytes.IndexByte(line, ' ')
	b := len(line) - len(" HTTP/1.x")
	h.Word = [3][2]int{{0, a}, {a + 1, b}, {b + 1, len(line)}}
	h.Minor = int(line[len(line)-1] - '0')
}

// field notes where the parts of the field line are that starts at from and ends
// with raw, which is the head so far.
func (h *Head) field(raw []byte, from int) {
	l := Line{Start: from, Colon: from, Value: from, Stop: len(raw), End: len(raw)}
	for l.Stop > from && isSpace(raw[l.Stop-1]) {
		l.Stop--
	}
	// A colon behind a fold is part of the value: names do not span lines.
	colon := from
	for raw[colon] != ':' && raw[colon] != '\n' {
		colon++
	}
	if raw[colon] == ':' {
		l.Colon, l.Value = colon, colon+1
	}
	for l.Value < l.Stop && isSpace(raw[l.Value]) {
		l.Value++
	}
	h.Fields = append(h.Fields, l)
}

// equalFold compares a name to one in ASCII, case aside.
func equalFold(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	if string(a) == b { // as nearly everybody spells it
		return true
	}
	for i, c := range a {
		if lower(c) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// isSpace holds for white space around values; line ends are such inside a folded one.
func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
