package faults

import "crimp/faults/wire"

// unreadClose is the reply lost by closing with unread input. A server that has
// answered closes while something the client sent (the rest of an upload, the
// next request of a pipeline) waits unread: its kernel sends RST instead of FIN,
// and throws away what of the reply was still queued (RFC 9112 section 9.6 asks
// for the lingering close because of it; "HTTP: The Definitive Guide" 4.7.4;
// requests#2422, okhttp#1001, nodejs/help#2034).
//
// From the end of the request on, or from the beginning of its answer if that
// comes first, the client is left unread. The answer goes out but for its last
// `lose` bytes before `at`, which were still queued; there the client gets RST,
// the server close. Where nothing is unread at `at` the answer goes on whole, and
// the rule has missed. On the wire a close with unread input and this RST are the
// same segment; what went out before was acknowledged first.
type unreadClose struct {
	At   Position `json:"at" help:"the place in the answer; now: as soon as input is unread"`
	Lose Size     `json:"lose" help:"how much of what was said before it is lost; 0: all that a send buffer may hold, 1 MiB" max:"1MiB"`
}

// sendBuffer is how much of a reply can be lost: what a kernel would still hold.
const sendBuffer = 1 << 20

var _ = Declare(Kind[unreadClose]{
	Name:     "unread_close",
	Summary:  "closes with the client's input unread: RST, and the last `lose` bytes of the reply never arrive",
	Client:   "ECONNRESET, and none or only the beginning of an answer that the server has sent whole",
	Group:    Bytes,
	HTTP:     true,
	Both:     true,
	Defaults: unreadClose{At: Position{Kind: Now}},
	Words:    []string{"no_lingering_close", "lost_reply", "rst_on_close"},
	Check: func(p unreadClose) *Error {
		if p.At.Kind != Now && (p.At.IsStream() || p.At.Kind == BodyFromEnd) {
			return Errorf(Invalid, "at", "expected now or a place in the answer that its head tells, got %s", p.At)
		}
		return nil
	},
	Grain: func(unreadClose) Grain { return Line }, // an interim response is known by its whole status line
	New: func(p unreadClose) Stage {
		lose := int(p.Lose)
		if lose == 0 {
			lose = sendBuffer
		}
		return &unreadStage{lose: lose, at: locator{pos: p.At}}
	},
	Presets: []Preset{
		{Name: "unread-input-reset", Summary: "the reply lost by closing with unread input", Client: "ECONNRESET instead of the answer, if it has sent more than its request (a pipeline, an upload answered early)",
			Params: `{"at":"end"}`},
	},
	Examples: []Example{
		{Title: "an upload answered early: the answer is lost", Params: `{"at":"end"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc
>s POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc
s> HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno
>c RST
>s CLOSE`},
		{Title: "a pipeline: the first answer but for its last bytes", Params: `{"at":"end","lose":4}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab
>c RST
>s CLOSE`},
		{Title: "at once, as soon as input is unread", Params: `{}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
+1s
c> GET /2 HTTP/1.1\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "nothing unread: missed, and the next exchange is watched again", Params: `{"at":"end"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
c> POST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\n
>s POST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\n
s> HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n
>c RST
>s CLOSE`},
		{Title: "disarmed: what was kept goes out, what waited is relayed", Params: `{"at":"end"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh
disarm
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh
>s GET /2 HTTP/1.1\r\n\r\n`},
	},
})

type unreadStage struct {
	at     locator
	lose   int
	kept   []wire.Segment // of the answer, copies
	bytes  int            // in kept
	asked  bool           // the request is through
	input  bool           // something is unread
	over   bool           // acted, or missed
	closed bool
}

func (u *unreadStage) Segment(s wire.Segment, w *Writer) {
	switch {
	case u.closed:
	case u.over:
		w.Send(s)
	case w.Dir() == wire.Upstream:
		u.request(s, w)
	case s.Off < 0 && len(u.kept) > 0: // what a rule before put there stays in its place
		u.keep(s, w)
	case !w.Mine() || s.Off < 0 || s.Head == nil || s.Head.Status < 200:
		w.Send(s)
		if s.Head != nil && s.Head.Framing == wire.Tunnel && s.Part == wire.HeadEnd && s.Last {
			u.leave(w) // the connection is something else now
		}
	default:
		u.answer(s, w)
	}
}

// request lets the request through and holds what comes after it.
func (u *unreadStage) request(s wire.Segment, w *Writer) {
	w.Send(s)
	if u.asked {
		u.input = u.input || len(s.Data) > 0
		w.Soon()
		return
	}
	if s.End {
		u.asked = true
		w.Until(Never)
	}
}

// answer keeps the last bytes back until the place is reached.
func (u *unreadStage) answer(s wire.Segment, w *Writer) {
	if !u.asked { // the rest of the request will be unread
		u.asked, u.input = true, true
		w.Back().Until(Never)
	}
	k, reached := u.at.find(&s)
	if u.at.pos.Kind == Now {
		reached = u.input
		k = 0
	}
	if !reached {
		u.keep(s, w)
		if s.End {
			u.missed(w, w.slot.lane.noPlace())
		}
		return
	}
	if k > 0 {
		u.keep(s.Slice(0, k), w)
	}
	switch {
	case !u.input:
		u.missed(w, Miss{missRead, "no input is unread"})
	case w.FireAs():
		u.close(w)
		return
	default:
		u.leave(w)
	}
	if k == 0 || k < len(s.Data) {
		w.Send(s.Slice(k, len(s.Data)))
	}
}

// keep puts bytes into the send buffer; what it cannot hold goes out.
func (u *unreadStage) keep(s wire.Segment, w *Writer) {
	s.Data = append([]byte(nil), s.Data...)
	u.kept = append(u.kept, s)
	u.bytes += len(s.Data)
	for u.bytes > u.lose {
		first := u.kept[0]
		if n := u.bytes - u.lose; n < len(first.Data) {
			w.Send(first.Slice(0, n))
			u.kept[0] = first.Slice(n, len(first.Data))
			u.bytes -= n
			return
		}
		w.Send(first)
		u.bytes -= len(first.Data)
		u.kept = u.kept[1:]
	}
}

// Kept is what is in the send buffer, which is of answers.
func (u *unreadStage) Kept(d wire.Direction) int {
	if d != wire.Downstream {
		return 0
	}
	return u.bytes
}

// LetGo lets the answer go on whole.
func (u *unreadStage) LetGo(w *Writer) { u.missed(w, tooMuch) }

// flush lets the send buffer out.
func (u *unreadStage) flush(w *Writer) {
	for _, s := range u.kept {
		w.Send(s)
	}
	u.kept, u.bytes = nil, 0
}

func (u *unreadStage) missed(w *Writer, why Miss) {
	w.Miss(why)
	u.leave(w)
}

// leave lets everything go on: w is the answer's.
func (u *unreadStage) leave(w *Writer) {
	u.over = true
	u.flush(w)
	w.Free()
	w.Leave()
}

func (u *unreadStage) Wake(w *Writer) { u.Unread(0, w) }

// Unread: the client has said more than its request.
func (u *unreadStage) Unread(n int64, w *Writer) {
	u.input = u.input || n > 0
	if w.Dir() == wire.Upstream {
		w = w.Back()
	}
	if u.over || !u.input || u.at.pos.Kind != Now {
		return
	}
	if !w.FireAs() {
		u.leave(w)
		return
	}
	u.close(w)
}

// close: what the client said last is never relayed, what is kept never said.
func (u *unreadStage) close(w *Writer) {
	u.over, u.closed, u.kept, u.bytes = true, true, nil, 0
	w.Discard()
	w.End(Rst, OtherClose)
}

// End: the server's end lets out what was kept.
func (u *unreadStage) End(w *Writer) {
	if w.Dir() == wire.Downstream && !u.over {
		u.flush(w)
	}
	w.Shut()
}

func (u *unreadStage) Disarm(w *Writer) {
	if w.Dir() == wire.Downstream {
		u.flush(w)
	}
}
