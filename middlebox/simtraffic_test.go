package middlebox

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"crimp/faults"
)

// What peers of a simulated world say to each other, and where in it things
// stand. Positions are found here anew, from how the text was put together, not
// by a tokenizer: that is what makes them a check of the engine's.

// mark is the byte that only rules say. Peers never do, so that whatever was
// inserted can be told from what was relayed.
const mark = '~'

// talk is all that a client and its server have to say to each other.
type talk struct {
	name  func() string // what stands before a request's path
	http  bool          // messages from the first byte to the last of both streams, or a tunnel after them
	says  [2]text
	plain bool // neither stream has a close-delimited answer or a tunnel
}

// text is what one side says, by the direction it flows in.
type text struct {
	raw   []byte
	msgs  []message
	pause []pause
}

// pause holds a text back at one of its bytes until so much of the other was heard.
type pause struct{ at, heard int }

// message is an HTTP/1 message and where its parts are, from its own first byte.
type message struct {
	at       int // in its text
	exchange uint64
	status   int
	raw      []byte
	named    span // of a proxy's request: http://host
	line     int  // length of the start line without its line end
	fields   []field
	blank    int // where the blank line begins
	head     int // and ends
	framing  byte
	body     []span // its data
	data     int
	declared int
	chunks   []chunk
	zero     int // behind the line of the last chunk
}

// The ways a body can be framed.
const (
	unframed  = 'n'
	byLength  = 'l'
	byChunks  = 'c'
	untilFIN  = 'u'
	tunnelled = 't'
)

type field struct{ name, colon, value, stop, end int }
type span struct{ from, to int }
type chunk struct{ line, text, data, size int }

func (m *message) end() int { return m.at + len(m.raw) }

// lengths are drawn for bodies and used by rules, so that what rules ask for is there.
var lengths = []int{0, 1, 2, 3, 5, 10, 17}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// newTalk draws a conversation.
func newTalk(r *rand.Rand, http bool, name func() string) *talk {
	if !http {
		return opaqueTalk(r)
	}
	t := &talk{http: true, plain: true, name: name}
	pipelined := oneIn(r, 3)
	for n, last := 1, pick(r, 1, 1, 2, 2, 3, 5); n <= last; n++ {
		t.exchange(r, uint64(n), n == last, pipelined)
	}
	return t
}

// opaqueTalk draws bytes both ways, with pauses for each other or without.
func opaqueTalk(r *rand.Rand) *talk {
	t := &talk{plain: true}
	size := pick(r, 3, 30, 30, 300)
	if oneIn(r, 50) {
		size = 4000
	}
	for d := range t.says {
		raw := make([]byte, r.IntN(size))
		for i := range raw {
			raw[i] = "\x00\x16\n\r: aAzZ09/"[r.IntN(13)]
		}
		t.says[d].raw = raw
	}
	switch r.IntN(4) {
	case 0: // a server that speaks first, answered
		t.says[1].pause = []pause{{0, len(t.says[0].raw) / 2}}
	case 1: // a request and its reply
		t.says[0].pause = []pause{{0, len(t.says[1].raw)}}
	}
	return t
}

// exchange adds a request and what answers it.
func (t *talk) exchange(r *rand.Rand, n uint64, last, pipelined bool) {
	up, down := &t.says[1], &t.says[0]
	method := pick(r, "GET", "GET", "GET", "HEAD", "POST", "POST")
	if !pipelined && n > 1 {
		up.pause = append(up.pause, pause{len(up.raw), len(down.raw)})
	}
	tunnel := last && oneIn(r, 12)
	req := &writer{r: r, m: message{exchange: n, declared: -1}}
	version := pick(r, "1.1", "1.1", "1.1", "1.0")
	if tunnel {
		method = "GET"
	}
	server := t.name()
	req.m.named = span{len(method) + 1, len(method) + 1 + len(server)}
	req.start(fmt.Sprintf("%s %s/%c%d HTTP/%s", method, server, "ab"[r.IntN(2)], n, version))
	req.field("Host", pick(r, "a", "b"))
	if tunnel {
		req.field("Upgrade", "x")
	}
	interim := oneIn(r, 8)
	switch {
	case method == "POST" && oneIn(r, 3):
		req.chunked(pick(r, lengths...), 0, oneIn(r, 3))
	case method == "POST":
		req.length(pick(r, lengths...), true, 0)
	default:
		req.close()
	}
	bodyAt := len(up.raw) + req.m.head
	up.add(req.m)

	early := pick(r, len(up.raw), len(up.raw), len(up.raw), bodyAt)
	if !pipelined { // an early answer could come before the next request's pause
		early = len(up.raw)
	}
	down.pause = append(down.pause, pause{len(down.raw), early})
	if interim && version == "1.1" {
		hint := &writer{r: r, m: message{exchange: n, status: pick(r, 100, 103), declared: -1}}
		hint.start(fmt.Sprintf("HTTP/1.1 %d Hint", hint.m.status))
		if oneIn(r, 2) {
			hint.field("Link", "x")
		}
		hint.close()
		down.add(hint.m)
	}
	t.answer(r, n, method, last, tunnel)
}

// answer adds the final response of an exchange.
func (t *talk) answer(r *rand.Rand, n uint64, method string, last, tunnel bool) {
	up, down := &t.says[1], &t.says[0]
	a := &writer{r: r, m: message{exchange: n, status: pick(r, 200, 200, 200, 404, 500), declared: -1}}
	bare := !tunnel && oneIn(r, 6)
	switch {
	case tunnel:
		a.m.status = 101
	case bare:
		a.m.status = pick(r, 204, 304)
	}
	a.start(pick(r, fmt.Sprintf("HTTP/1.1 %d OK", a.m.status), fmt.Sprintf("HTTP/1.1 %d ", a.m.status)))
	for range r.IntN(3) {
		a.field(pick(r, "A", "Server", "Content-Type", "X-Long-Name"), pick(r, "", "b", "text/html", "two words", "fo\r\n ld"))
	}
	size := pick(r, lengths...)
	if oneIn(r, 60) {
		size = 700
	}
	switch {
	case tunnel:
		a.m.framing = tunnelled
		a.close()
	case bare || method == "HEAD":
		if oneIn(r, 2) {
			a.length(size, false, 0)
		} else {
			a.close()
		}
	case last && oneIn(r, 6):
		a.m.framing = untilFIN
		t.plain = false
		a.close()
		a.data(size, int(n))
	case oneIn(r, 3):
		a.chunked(size, int(n), oneIn(r, 3))
	default:
		a.length(size, true, int(n))
	}
	down.add(a.m)
	if !tunnel {
		return
	}
	t.plain = false
	up.pause = append(up.pause, pause{len(up.raw), len(down.raw)})
	for d := range t.says {
		for range r.IntN(30) {
			t.says[d].raw = append(t.says[d].raw, "\x00\x81GET /\r\n"[r.IntN(9)])
		}
	}
}

func (t *text) add(m message) {
	m.at = len(t.raw)
	t.raw = append(t.raw, m.raw...)
	t.msgs = append(t.msgs, m)
}

// writer puts a message together.
type writer struct {
	r   *rand.Rand
	m   message
	eol string
}

func (w *writer) say(s string) { w.m.raw = append(w.m.raw, s...) }

func (w *writer) start(line string) {
	w.eol = pick(w.r, "\r\n", "\r\n", "\r\n", "\r\n", "\n")
	w.m.line, w.m.framing = len(line), unframed
	w.say(line + w.eol)
}

func (w *writer) field(name, value string) {
	f := field{name: len(w.m.raw), colon: len(w.m.raw) + len(name)}
	w.say(name + ":" + pick(w.r, " ", " ", "", "  "))
	f.value = len(w.m.raw)
	if value == "" { // the white space is before nothing
		w.m.raw = w.m.raw[:f.colon+1]
		f.value = len(w.m.raw)
	}
	w.say(value)
	f.stop = len(w.m.raw)
	w.say(w.eol)
	f.end = len(w.m.raw)
	w.m.fields = append(w.m.fields, f)
}

// close ends the head.
func (w *writer) close() {
	w.m.blank = len(w.m.raw)
	w.say(w.eol)
	w.m.head = len(w.m.raw)
}

// data says n bytes of which none looks like its neighbours.
func (w *writer) data(n, salt int) {
	from := len(w.m.raw)
	for range n {
		w.m.raw = append(w.m.raw, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[(w.m.data+7*salt)%62])
		w.m.data++
	}
	w.m.body = append(w.m.body, span{from, len(w.m.raw)})
}

// length declares n bytes and, if there is to be a body, says them.
func (w *writer) length(n int, body bool, salt int) {
	w.field("Content-Length", strconv.Itoa(n))
	w.m.declared = n
	w.close()
	if body {
		w.m.framing = byLength
		w.data(n, salt)
	}
}

// chunked says n bytes, and twice as many if there are to be two chunks.
func (w *writer) chunked(n, salt int, two bool) {
	w.field("Transfer-Encoding", "chunked")
	w.close()
	w.m.framing = byChunks
	count := 1
	if two {
		count = 2
	}
	for range count {
		if n == 0 {
			break
		}
		c := chunk{line: len(w.m.raw), size: n}
		w.say(strconv.FormatInt(int64(n), 16) + pick(w.r, "", "", ";x=y"))
		c.text = len(w.m.raw)
		w.say(w.eol)
		c.data = len(w.m.raw)
		w.data(n, salt)
		w.say(w.eol)
		w.m.chunks = append(w.m.chunks, c)
	}
	w.m.chunks = append(w.m.chunks, chunk{line: len(w.m.raw), text: len(w.m.raw) + 1})
	w.say("0" + w.eol)
	w.m.zero = len(w.m.raw)
	if oneIn(w.r, 3) {
		w.say("T: v" + w.eol)
	}
	w.say(w.eol)
}

// place is where in the message a position falls. sure is false where the
// catalogue leaves it open, or it turns on when things were read.
func (m *message) place(p faults.Position) (at int, found, sure bool) {
	yes := func(at int) (int, bool, bool) { return at, true, true }
	n := int(p.N)
	switch p.Kind {
	case faults.MsgStart:
		return yes(0)
	case faults.MsgByte:
		return n, n <= len(m.raw), m.framing != untilFIN || n <= len(m.raw)
	case faults.MsgEnd:
		return len(m.raw), true, m.framing != untilFIN && m.framing != tunnelled
	case faults.StartLineMid:
		return yes(m.line / 2)
	case faults.HeadEndAt:
		return yes(m.blank)
	case faults.HeadAt:
		return yes(m.head)
	case faults.FieldMid, faults.FieldNameMid:
		if p.Name != "" || n > len(m.fields) {
			return 0, false, p.Name == ""
		}
		f := m.fields[n-1]
		if p.Kind == faults.FieldNameMid {
			return yes(f.name + (f.colon-f.name)/2)
		}
		return yes(f.value + (f.stop-f.value)/2)
	case faults.LastChunkAt:
		return m.zero, m.framing == byChunks, true
	case faults.ChunkAt, faults.ChunkSizeMid, faults.ChunkDataMid:
		if n > len(m.chunks) {
			return 0, false, true
		}
		c := m.chunks[n-1]
		switch {
		case p.Kind == faults.ChunkAt:
			return yes(c.line)
		case p.Kind == faults.ChunkSizeMid:
			return yes(c.line + (c.text-c.line)/2)
		}
		return c.data + c.size/2, c.size > 0, true
	}
	return m.bodyPlace(p, n)
}

func (m *message) bodyPlace(p faults.Position, n int) (at int, found, sure bool) {
	if m.framing == unframed || m.framing == tunnelled {
		return 0, false, m.declared != 0 && p.Kind != faults.BodyAt
	}
	switch p.Kind {
	case faults.BodyFromEnd:
		if m.framing != byLength { // where the tail begins is a matter of the chunk framing before it
			return 0, false, false
		}
		n = m.data - n
	case faults.BodyPercent:
		whole := m.declared
		if m.framing == byChunks {
			whole = m.chunks[0].size
		}
		if whole <= 0 || m.framing == untilFIN {
			return 0, false, true
		}
		if n = int(float64(whole) * p.Percent / 100); n == 0 {
			return m.head, true, m.framing == byLength
		}
	}
	if n < 0 || n > m.data {
		return 0, false, m.framing != untilFIN
	}
	if n == 0 {
		return m.head, true, true
	}
	for _, s := range m.body {
		if n <= s.to-s.from {
			return s.from + n, true, true
		}
		n -= s.to - s.from
	}
	return 0, false, false
}
