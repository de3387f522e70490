package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// element is one part element of a stream, its pieces joined.
type element struct {
	Part             Part
	Text             string
	Off, Pos         int64
	Message, Index   int
	Size             int64
	LastChunk        bool
	Start, Last, End bool
}

// String is how tables write an element: the part, its text, a number where the
// part is counted, and a dot where it ends its message.
func (e element) String() string {
	s := fmt.Sprintf("%v %q", e.Part, e.Text)
	if e.Index > 0 {
		s = fmt.Sprintf("%v:%d %q", e.Part, e.Index, e.Text)
	}
	if !e.Last && e.Part != Opaque {
		s += "..."
	}
	if e.End {
		s += "."
	}
	return s
}

// stream collects what one direction emits and checks, segment by segment, what
// must hold of every stream.
type stream struct {
	t        testing.TB
	out      []byte
	elements []element
	heads    []Head // the complete ones
	open     bool   // the last element has not had its Last
	pos      int64
	message  int
	inside   bool
}

func (c *stream) take(s Segment) {
	c.t.Helper()
	fail := func(what string) {
		c.t.Helper()
		c.t.Fatalf("%s: %v %q off %d pos %d first %v last %v, after %v", what, s.Part, s.Data, s.Off, s.Pos, s.First, s.Last, c.elements)
	}
	if s.Off != int64(len(c.out)) {
		fail("offset is not what was said before")
	}
	c.out = append(c.out, s.Data...)
	if len(s.Data) == 0 && !s.Last {
		fail("an empty segment without Last")
	}
	if s.Part == Opaque {
		if s.Message != 0 || s.Head != nil || s.Pos != 0 || s.Start || s.End {
			fail("opaque bytes of a message")
		}
		c.inside = false
	} else {
		c.inMessage(s, fail)
	}
	if s.First {
		c.elements = append(c.elements, element{Part: s.Part, Off: s.Off, Pos: s.Pos, Message: s.Message, Index: s.Index, Start: s.Start})
	} else if !c.open {
		fail("no First")
	}
	e := &c.elements[len(c.elements)-1]
	if e.Part != s.Part || e.Message != s.Message || e.Index != s.Index {
		fail("not a piece of the element in progress")
	}
	e.Text += string(s.Data)
	e.Last, e.End, e.LastChunk, e.Size = s.Last, s.End, s.LastChunk, s.Size
	c.open = !s.Last
}

func (c *stream) inMessage(s Segment, fail func(string)) {
	c.t.Helper()
	if s.Start != !c.inside {
		fail("Start does not tell the start of a message")
	}
	if s.Start {
		c.message++
		c.pos = 0
	}
	if s.Message != c.message || s.Pos != c.pos {
		fail("wrong message or place in it")
	}
	if s.Head == nil {
		fail("no head")
	}
	if n := c.pos + int64(len(s.Data)); s.Part <= HeadEnd && int64(len(s.Head.Raw)) != n {
		fail(fmt.Sprintf("the head has %d bytes", len(s.Head.Raw)))
	}
	if s.Head.Complete != (s.Part > HeadEnd || s.Part == HeadEnd && s.Last) {
		fail("Complete is wrong")
	}
	if s.Part == Field && s.Last && len(s.Head.Fields) != s.Index {
		fail("the field is not in the head")
	}
	if s.Part == HeadEnd && s.Last {
		h := *s.Head
		h.Raw, h.Fields = slices.Clone(h.Raw), slices.Clone(h.Fields)
		c.heads = append(c.heads, h)
	}
	c.pos += int64(len(s.Data))
	c.inside = !s.End
}

// play is one direction fed in pieces.
type play struct {
	dir    Direction
	expect []Method // of the requests forwarded before, when dir is Downstream
	eof    bool     // FIN after the last byte
}

// run feeds the pieces and returns the elements, the reason if the direction
// turned opaque, and whether FIN cut a message. Taken whole, heads must be the same.
func (p play) run(t testing.TB, pieces ...[]byte) (got []element, reason string, cut bool) {
	t.Helper()
	parts, reason, cut := p.feed(t, false, pieces)
	whole, r, c := p.feed(t, true, pieces)
	if want := headsJoined(parts.elements); !slices.Equal(headsJoined(whole.elements), want) || r != reason || c != cut {
		t.Fatalf("%q with heads whole:\n%v %q cut %v\nin parts:\n%v %q cut %v", pieces, whole.elements, r, c, want, reason, cut)
	}
	if !reflect.DeepEqual(whole.heads, parts.heads) {
		t.Fatalf("%q with heads whole:\n%+v\nin parts:\n%+v", pieces, whole.heads, parts.heads)
	}
	return parts.elements, reason, cut
}

// feed is run with or without Whole.
func (p play) feed(t testing.TB, whole bool, pieces [][]byte) (c *stream, reason string, cut bool) {
	t.Helper()
	c = &stream{t: t}
	pair := NewPair(c.take)
	pair.Whole(p.dir, whole)
	for _, m := range p.expect {
		pair.Expect(m)
	}
	for _, b := range pieces {
		pair.Feed(p.dir, b)
	}
	if p.eof {
		cut = pair.EOF(p.dir)
	}
	if in := bytes.Join(pieces, nil); !bytes.Equal(c.out, in) {
		t.Fatalf("in  %q\nout %q", in, c.out)
	}
	reason, _ = pair.Opaque(p.dir)
	return c, reason, cut
}

// headsJoined has in place of the elements of each complete head one.
func headsJoined(es []element) (out []element) {
	head := 0 // of out: where the head in progress starts
	for _, e := range es {
		if e.Start {
			head = len(out)
		}
		if out = append(out, e); e.Part != HeadEnd || !e.Last {
			continue
		}
		h := out[head]
		h.Part, h.Index, h.Last, h.End = HeadEnd, 0, true, e.End
		for _, x := range out[head+1:] {
			h.Text += x.Text
		}
		out = append(out[:head], h)
		head = len(out)
	}
	return out
}

// everyCut runs the input whole, cut in two at every place, and byte by byte, and
// wants the same elements from all.
func (p play) everyCut(t testing.TB, in string) (got []element, reason string, cut bool) {
	t.Helper()
	b := []byte(in)
	got, reason, cut = p.run(t, b)
	again := func(how string, pieces ...[]byte) {
		t.Helper()
		e, r, c := p.run(t, pieces...)
		if !slices.Equal(e, got) || r != reason || c != cut {
			t.Fatalf("%q %s:\n%v %q cut %v\nwhole:\n%v %q cut %v", in, how, e, r, c, got, reason, cut)
		}
	}
	for i := 1; i < len(b); i++ {
		again(fmt.Sprint("cut at ", i), b[:i], b[i:])
	}
	single := make([][]byte, len(b))
	for i := range b {
		single[i] = b[i : i+1]
	}
	again("byte by byte", single...)
	return got, reason, cut
}

func texts(es []element) string {
	var s []string
	for _, e := range es {
		s = append(s, e.String())
	}
	return strings.Join(s, "\n")
}
