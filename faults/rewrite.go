package faults

import (
	"bytes"
	"strconv"

	"crimp/faults/wire"
)

// rewrite changes the body on its way, holding back no more than the beginning of
// what it looks for. With `length` fix the framing follows: Content-Length where
// the new length is known before the body; else, where find and with differ in
// length, the message becomes chunked (missed if its receiver speaks HTTP/1.0),
// and a chunked one gets chunks of its own, one for each piece that arrives. With
// keep the framing says what it said: a proxy that edits pages and forgets their
// length (RFC 9110 section 8.6).
//
// A body that is coded with gzip is kept until it is whole, decoded, changed and
// coded anew, without compressing; its new length is not known before, so with fix
// the message becomes chunked. One above 1 MiB, coded or decoded, or that is not the
// gzip it says it is, goes out as it came and is missed, and so is one with another
// coding (br, zstd) or several: the event says which. `field name=Accept-Encoding
// mode=remove` on requests makes servers send plain text. `body` needs not look and
// takes Content-Encoding away.
//
// A `with` longer than `find` adds at most 1 MiB to a message, or itself once, and 64
// times what has come of the body; where that is used up what is found stays as it
// was. So a small body cannot become gigabytes.
type rewrite struct {
	Find   ByteString `json:"find" help:"what is replaced, each time it occurs in the data: text:... or hex:..."`
	With   ByteString `json:"with" help:"what comes in its place; empty: nothing; it adds no more than 1 MiB and 64 times the body"`
	Prefix ByteString `json:"prefix" help:"what comes before the body"`
	Suffix ByteString `json:"suffix" help:"what comes after the body"`
	Body   ByteString `json:"body" help:"what comes instead of the body"`
	Length string     `json:"length" help:"whether the framing is that of the new body or of the old" enum:"fix,keep"`
}

var _ = Declare(Kind[rewrite]{
	Name:     "rewrite",
	Summary:  "the body is changed, its framing fixed or kept as it was",
	Client:   "another body than the server sent",
	Group:    Message,
	HTTP:     true,
	Adds:     true,
	Defaults: rewrite{Length: "fix"},
	Words:    []string{"replace", "modify_body", "sed", "substitute"},
	Check:    rewrite.check,
	Grain:    func(rewrite) Grain { return WholeHead },
	New:      func(p rewrite) Stage { return &rewriteStage{p: p} },
	Examples: []Example{
		{Title: "as long as before", Params: `{"find":"text:cat","with":"text:dog"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nacatcatcaca
>c HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nadogdogcaca`},
		{Title: "longer, and the length is kept", Params: `{"find":"text:a","with":"text:aaa","length":"keep"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbab
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbaaab`},
		{Title: "around a request's body, its length fixed", Params: `{"prefix":"text:<<","suffix":"text:>>"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
>s POST / HTTP/1.1\r\nContent-Length: 6\r\n\r\n<<hi>>`},
		{Title: "instead of a chunked and zipped one", Params: `{"body":"text:new"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\nA: b\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnew\r\n0\r\nA: b\r\n\r\n`},
		{Title: "disarmed half-way: what was promised is kept", Params: `{"suffix":"text:!"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nh
disarm
s> i
>c i!`},
		{Title: "zipped: decoded, changed and coded anew", Params: `{"find":"text:i","with":"text:ey"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 25\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x02\x00\xfd\xffhi\xac\x2a\x93\xd8\x02\x00\x00\x00
>c HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x00\x03\x00\xfc\xffhey\x01\x00\x00\xff\xff\xf0\x15\xd6\x88\x03\x00\x00\x00\r\n0\r\n\r\n`},
		{Title: "another coding is missed", Params: `{"find":"text:h","with":"text:H"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi`},
	},
})

func (p rewrite) check() *Error {
	find, around, whole := p.Find.Len() > 0, p.Prefix.Len()+p.Suffix.Len() > 0, p.Body.Text != ""
	n := 0
	for _, given := range []bool{find, around, whole} {
		if given {
			n++
		}
	}
	switch {
	case p.Find.Random > 0:
		return Errorf(Invalid, "find", "expected text:... or hex:..., got %q: it would never be found", p.Find)
	case p.With.Text != "" && !find:
		return Errorf(Invalid, "with", "needs find: what it replaces")
	case n > 1:
		return Errorf(Invalid, "", "expected one of find, prefix and suffix, or body")
	}
	return nil
}

// What finds may add to a message, in bytes, and for each byte of the body so far.
const (
	growth       = 1 << 20
	growthByByte = 64
)

type rewriteStage struct {
	p      rewrite
	asked  bool
	on     bool
	length int64  // Content-Length is to be this; -1: it stays
	chunks bool   // it gets chunks of its own
	to     bool   // it had none before
	with   []byte // random: drawn once
	body   []byte // prefix or body, until it is out
	kept   []byte // the end of the data so far, which may be the start of what is looked for
	data   bool   // the body has begun
	past   int64  // how much of the body has been edited
	added  int64  // by what was found
	coded  *coded // it is gzip: nil if not
}

func (r *rewriteStage) Segment(s wire.Segment, w *Writer) {
	if !r.asked && s.Message > 0 {
		r.asked = true
		r.begin(s, w)
	}
	switch {
	case !r.on:
		w.Send(s)
	case made(s): // it stands behind what was kept, which it parts from what would have made it a find
		r.past += int64(len(r.kept))
		r.say(r.kept, w)
		r.kept = nil
		w.Send(s)
	case s.Part == wire.Body || s.Part == wire.ChunkData:
		r.piece(s, w)
	case s.Part == wire.HeadEnd:
		r.headEnd(s, w)
	case r.to && ownField(s, "Content-Length"), r.p.Body.Text != "" && ownField(s, "Content-Encoding"):
		w.Omit(s)
	case r.length >= 0 && ownField(s, "Content-Length"):
		w.Replace(s, changed(s, "", strconv.FormatInt(r.length, 10)))
	case r.chunks && (s.Part == wire.ChunkSize && !s.LastChunk || s.Part == wire.ChunkEnd):
		w.Omit(s)
	case s.Part == wire.ChunkSize && s.LastChunk:
		r.last(w)
		w.Send(s)
	default:
		w.Send(s)
	}
}

// begin decides what becomes of the message's framing.
func (r *rewriteStage) begin(s wire.Segment, w *Writer) {
	h := s.Head
	why := r.misses(s, w.Exchange())
	if why == (Miss{}) {
		why = w.Reframed(remade, damaged)
	}
	if why != (Miss{}) {
		w.Miss(why)
		return
	}
	if r.p.Body.Text == "" && gzipped(h) {
		r.coded = &coded{}
	}
	if r.on = w.FireAs(); !r.on {
		return
	}
	if r.coded == nil {
		w.FireNow()
	}
	w.Reframes(remade)
	draw := w.Rand(0).Uint64
	r.with, r.body = r.p.With.Bytes(draw), r.p.Prefix.Bytes(draw)
	if r.p.Body.Text != "" {
		r.body = r.p.Body.Bytes(draw)
	}
	r.length = -1
	if r.p.Length == "keep" {
		return
	}
	if h.Framing == wire.ByLength {
		r.length, r.to = r.newLength(h.Length), r.resized()
	}
	r.chunks = r.to || h.Framing == wire.ByChunks
}

// misses says why a message is left as it is.
func (r *rewriteStage) misses(s wire.Segment, x *Exchange) Miss {
	h := s.Head
	if r.p.Find.Len()+r.p.Prefix.Len()+r.p.Suffix.Len() == 0 && r.p.Body.Text == "" {
		return Miss{missParams, "none of find, prefix, suffix and body is given"}
	}
	if headless(s) {
		return lostHead
	}
	if !h.Complete {
		return Miss{missHeld, "its head is too long to be looked at whole"}
	}
	if h.Framing != wire.ByLength && h.Framing != wire.ByChunks && h.Framing != wire.UntilClose {
		return Miss{missFraming, "it has no body"}
	}
	if i := h.Find("Content-Encoding"); i >= 0 && !equalFold(h.Value(i), "identity") && r.p.Body.Text == "" && !gzipped(h) {
		return Miss{missCoding, "its body is " + string(h.Value(i)) + "-coded, and is not looked into"}
	}
	if h.Framing == wire.ByLength && r.p.Length == "fix" && (r.resized() || r.p.Body.Text == "" && gzipped(h)) {
		return chunkable(s, x)
	}
	return Miss{}
}

// resized says that nobody knows the new length before the end.
func (r *rewriteStage) resized() bool {
	return r.coded != nil || r.p.Find.Len() > 0 && r.p.Find.Len() != r.p.With.Len()
}

func (r *rewriteStage) newLength(n int64) int64 {
	if r.p.Body.Text != "" {
		return int64(r.p.Body.Len())
	}
	return n + int64(r.p.Prefix.Len()+r.p.Suffix.Len())
}

func (r *rewriteStage) headEnd(s wire.Segment, w *Writer) {
	if r.to && headEnds(s) {
		w.Insert([]byte("Transfer-Encoding: chunked\r\n"))
	}
	ends := s.End
	s.End = false
	w.Send(s)
	if ends { // a length of 0: the body is what we put there
		s.Data, s.First, s.Start, s.End = nil, false, false, true
		r.piece(s, w)
	}
}

// piece rewrites a run of data bytes, and says what comes last if they are that.
func (r *rewriteStage) piece(s wire.Segment, w *Writer) {
	switch {
	case r.coded != nil && !r.coded.over:
		if r.data = true; !r.coded.add(s.Data) {
			r.giveUp(Miss{missHeld, "its body is larger than 1 MiB"}, w)
		}
	case len(s.Data) > 0:
		out := r.edit(s.Data)
		if !r.data {
			out, r.body = joined(r.body, out), nil
		}
		r.data = true
		t := s
		t.End = false
		r.size(len(out), w)
		w.Replace(t, out)
		r.close(len(out), w)
	}
	if s.End {
		r.last(w)
		if r.to {
			w.Insert([]byte("0\r\n\r\n"))
		}
		w.Omit(s)
	}
}

// edit is what data becomes, but for an end that may be the start of a find.
func (r *rewriteStage) edit(data []byte) []byte {
	find := r.p.Find.Fixed
	switch {
	case r.p.Body.Text != "":
		return nil
	case len(find) == 0 || r.coded != nil && r.coded.over:
		return data
	}
	data = joined(r.kept, data)
	var out []byte
	for {
		i := bytes.Index(data, find)
		if i < 0 {
			break
		}
		put := find
		if gain := int64(len(r.with) - len(find)); r.affords(r.past+int64(i+len(find)), gain) {
			put = r.with
			r.added += gain
		}
		out = append(append(out, data[:i]...), put...)
		data = data[i+len(find):]
		r.past += int64(i + len(find))
	}
	n := min(len(find)-1, len(data))
	for !bytes.HasPrefix(find, data[len(data)-n:]) {
		n--
	}
	r.kept = data[len(data)-n:]
	r.past += int64(len(data) - n)
	return append(out, data[:len(data)-n]...)
}

// affords says whether a find may add so much, so many bytes of the body being past:
// by its place alone, so that how the body arrives makes no difference.
func (r *rewriteStage) affords(past, gain int64) bool {
	return r.added+gain <= max(growth, int64(len(r.with)))+growthByByte*past
}

// last says what is still to come when the data has ended.
func (r *rewriteStage) last(w *Writer) {
	if r.coded != nil {
		r.recode(w)
		return
	}
	rest := joined(r.body, r.kept, r.p.Suffix.Bytes(w.Rand(1).Uint64))
	r.body, r.kept = nil, nil
	r.say(rest, w)
}

// recode says the body that was kept, changed.
func (r *rewriteStage) recode(w *Writer) {
	if r.coded.over {
		return
	}
	whole := r.coded.data
	out, why := recoded(whole, func(plain []byte) []byte {
		head := joined(r.body, r.edit(plain))
		return joined(head, r.kept, r.p.Suffix.Bytes(w.Rand(1).Uint64))
	})
	if r.body, r.kept = nil, nil; why != (Miss{}) {
		r.giveUp(why, w)
		return
	}
	w.FireNow()
	r.coded.take()
	r.say(out, w)
}

// Kept is what is kept of a coded body.
func (r *rewriteStage) Kept(wire.Direction) int {
	if r.coded == nil {
		return 0
	}
	return len(r.coded.data)
}

// LetGo gives the body up.
func (r *rewriteStage) LetGo(w *Writer) { r.giveUp(tooMuch, w) }

// giveUp lets a coded body go on as it came.
func (r *rewriteStage) giveUp(why Miss, w *Writer) {
	w.Unfire()
	w.Miss(why)
	r.body = nil
	r.say(r.coded.take(), w)
}

// say says data that is not the peer's where its own stood.
func (r *rewriteStage) say(b []byte, w *Writer) {
	r.size(len(b), w)
	w.Insert(b)
	r.close(len(b), w)
}

// size and close frame a piece, where it gets chunks of its own.
func (r *rewriteStage) size(n int, w *Writer) {
	if r.chunks && n > 0 {
		w.Insert([]byte(strconv.FormatInt(int64(n), 16) + "\r\n"))
	}
}

func (r *rewriteStage) close(n int, w *Writer) {
	if r.chunks && n > 0 {
		w.Insert([]byte("\r\n"))
	}
}

// End, before the message's: what was kept goes on.
func (r *rewriteStage) End(w *Writer) {
	r.Disarm(w)
	w.Shut()
}

// Disarm lets go what was kept of a body whose framing is as it was.
func (r *rewriteStage) Disarm(w *Writer) {
	if r.on && r.coded != nil && !r.coded.over {
		r.giveUp(Miss{missCoding, "it ended, or the rule went, before the body was whole"}, w)
	}
	r.say(r.kept, w)
	r.kept = nil
}

// Unfinished: a framing that was changed must come true.
func (r *rewriteStage) Unfinished() bool { return r.on && (r.chunks || r.length >= 0) }
