package wire

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// script is a pair whose calls and segments are written down in one line each.
type script struct {
	*Pair
	log []string
}

func newScript() *script {
	s := &script{}
	s.Pair = NewPair(func(g Segment) {
		mark := ""
		if g.First {
			mark += "<"
		}
		mark += fmt.Sprintf("%q", g.Data)
		if g.Last {
			mark += ">"
		}
		if g.End {
			mark += "."
		}
		s.log = append(s.log, fmt.Sprintf("%v %v %s", g.Dir, g.Part, mark))
	})
	return s
}

func (s *script) want(t *testing.T, lines ...string) {
	t.Helper()
	if got, want := strings.Join(s.log, "\n"), strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.log = nil
}

func (s *script) up(text string)   { s.Feed(Upstream, []byte(text)) }
func (s *script) down(text string) { s.Feed(Downstream, []byte(text)) }

// Responses answer the requests that were forwarded, in their order.
func TestExpect(t *testing.T) {
	const withLength = reply + "Content-Length: 3\r\n\r\n"
	for _, c := range []struct {
		name   string
		expect []Method
		in     string
		want   string
	}{
		{"nothing expected", nil, withLength + "abc" + withLength + "abc", "3 3"},
		{"HEAD, then another", []Method{MethodHead, MethodOther}, withLength + withLength + "abc", "0 3"},
		{"other, then HEAD", []Method{MethodOther, MethodHead}, withLength + "abc" + withLength, "3 0"},
		{"interim responses answer nothing", []Method{MethodHead}, "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 103 b\r\n\r\n" + withLength, "0 0 0"},
		{"one more than expected", []Method{MethodHead}, withLength + withLength + "abc", "0 3"},
		{"CONNECT behind HEAD", []Method{MethodHead, MethodConnect}, withLength + reply + "\r\n", "0 0 tunnel"},
		{"2xx that answers nothing is no tunnel", []Method{MethodHead}, withLength + reply + "Content-Length: 0\r\n\r\n", "0 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			es, reason, cut := play{dir: Downstream, expect: c.expect}.everyCut(t, c.in)
			if got := verdict(es, reason, cut); got != c.want {
				t.Errorf("got %s, want %s\n%s", got, c.want, texts(es))
			}
		})
	}
}

// A response that began before the request was forwarded does not answer it.
func TestExpectComesTooLate(t *testing.T) {
	s := newScript()
	s.down("HTTP/1.1 408 Too late\r\nContent-Length: 1\r\n")
	s.Expect(MethodHead)
	s.down("\r\nx" + reply + "Content-Length: 5\r\n\r\n")
	s.log = nil
	s.down(reply)
	s.want(t, `downstream start_line <"HTTP/1.1 200 OK\r\n">`)
}

// A pipeline of any depth is answered in order, and its queue does not grow
// with the number of requests that were ever answered.
func TestMethodsQueue(t *testing.T) {
	var q methods
	var model []Method
	for i := range 10000 {
		m := Method(i % 3)
		q.push(m)
		model = append(model, m)
		if i%7 != 0 && len(model) > 5 || len(model) > 20 {
			if got := q.pop(); got != model[0] {
				t.Fatalf("at %d: %v, want %v", i, got, model[0])
			}
			model = model[1:]
		}
		if q.waiting() != (len(model) > 0) {
			t.Fatalf("at %d: waiting is %v", i, q.waiting())
		}
		if i > 5000 && i%50 == 0 { // let it run dry as well
			for ; len(model) > 0; model = model[1:] {
				if got := q.pop(); got != model[0] {
					t.Fatalf("at %d: %v, want %v", i, got, model[0])
				}
			}
		}
	}
	if cap(q.list) > 4096 {
		t.Errorf("the queue has room for %d", cap(q.list))
	}
}

// FIN: what is complete by it, what is cut by it.
func TestEOF(t *testing.T) {
	for _, c := range []struct {
		name, in string
		dir      Direction
		cut      bool
		last     string // what EOF emits
	}{
		{"nothing was said", "", Upstream, false, ""},
		{"after a message", get + "\r\n", Upstream, false, ""},
		{"after an empty line's CR", get + "\r\n\r", Upstream, false, ""},
		{"in a start line", "G", Upstream, true, ""},
		{"after a start line", get, Upstream, true, ""},
		{"after a field line, which is whole by it", get + "A: b\r\n", Upstream, true, `upstream field "">`},
		{"in a field line", get + "A: b", Upstream, true, ""},
		{"before the last LF", get + "\r", Upstream, true, ""},
		{"in a body", post + "Content-Length: 2\r\n\r\na", Upstream, true, ""},
		{"in a chunk", post + te + "\r\n2\r\na", Upstream, true, ""},
		{"after the last chunk", post + te + "\r\n0\r\n", Upstream, true, ""},
		{"after a trailer line", post + te + "\r\n0\r\nA: b\r\n", Upstream, true, `upstream trailer "">`},
		{"before the last LF of chunks", post + te + "\r\n0\r\n\r", Upstream, true, ""},
		{"until close", reply + "\r\nabc", Downstream, false, `downstream body "">.`},
		{"until close, empty", reply + "\r\n", Downstream, false, `downstream body <"">.`},
		{"opaque", "\x00", Upstream, false, ""},
		{"opaque in a message", get + "\r\x00", Upstream, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			s.Feed(c.dir, []byte(c.in))
			s.log = nil
			if cut := s.EOF(c.dir); cut != c.cut {
				t.Errorf("cut is %v", cut)
			}
			if got := strings.Join(s.log, "\n"); got != c.last {
				t.Errorf("got %s, want %s", got, c.last)
			}
			s.log = nil
			if cut := s.EOF(c.dir); cut != c.cut || len(s.log) > 0 {
				t.Errorf("a second time: cut %v, %q", cut, s.log)
			}
		})
	}
}

// Bytes that need not be seen may go by; framing stays exact.
func TestSkip(t *testing.T) {
	left := func(s *script, d Direction, want int64) {
		t.Helper()
		if got := s.Remaining(d); got != want {
			t.Errorf("%d may go by, want %d", got, want)
		}
	}
	t.Run("body by length", func(t *testing.T) {
		s := newScript()
		left(s, Upstream, 0)
		s.up(post + "Content-Length: 10\r\n")
		left(s, Upstream, 0)
		s.up("\r\nab")
		s.log = nil
		left(s, Upstream, 8)
		s.Skip(Upstream, 5)
		left(s, Upstream, 3)
		s.want(t)
		s.up("i")
		s.want(t, `upstream body "i"`)
		s.Skip(Upstream, 2)
		s.want(t, `upstream body "">.`)
		left(s, Upstream, 0)
		s.up(get)
		s.want(t, `upstream start_line <"GET / HTTP/1.1\r\n">`)
	})
	t.Run("a whole body", func(t *testing.T) {
		s := newScript()
		s.up(post + "Content-Length: 10\r\n\r\n")
		s.log = nil
		s.Skip(Upstream, 10)
		s.want(t, `upstream body "">.`)
	})
	t.Run("chunk data", func(t *testing.T) {
		s := newScript()
		s.up(post + te + "\r\n9\r\n")
		s.log = nil
		left(s, Upstream, 9)
		s.Skip(Upstream, 8)
		s.Skip(Upstream, 0)
		s.want(t)
		s.Skip(Upstream, 1)
		left(s, Upstream, 0)
		s.up("\r\n0\r\n\r\n")
		s.want(t, `upstream chunk_data "">`, `upstream chunk_end <"\r\n">`, `upstream chunk_size <"0\r\n">`, `upstream message_end <"\r\n">.`)
	})
	t.Run("until close", func(t *testing.T) {
		s := newScript()
		s.down(reply + "\r\n")
		s.log = nil
		left(s, Downstream, math.MaxInt64)
		s.Skip(Downstream, 1<<40)
		left(s, Downstream, math.MaxInt64)
		s.down("x")
		s.EOF(Downstream)
		s.want(t, `downstream body "x"`, `downstream body "">.`)
	})
	t.Run("opaque", func(t *testing.T) {
		s := newScript()
		s.up("\x00")
		left(s, Upstream, math.MaxInt64)
		s.Skip(Upstream, 9)
		s.up("x")
		s.want(t, `upstream opaque <"\x00"`, `upstream opaque "x"`)
	})
	t.Run("more than may", func(t *testing.T) {
		s := newScript()
		s.up(post + "Content-Length: 10\r\n\r\n")
		s.Skip(Upstream, 11)
		if reason, ok := s.Opaque(Upstream); !ok || reason != "11 bytes went by unseen where at most 10 might" {
			t.Errorf("opaque %v: %q", ok, reason)
		}
	})
}

// Offsets and places count what was skipped.
func TestSkipMovesOffsets(t *testing.T) {
	var last Segment
	p := NewPair(func(s Segment) { last = s })
	head := post + "Content-Length: 10\r\n\r\n"
	p.Feed(Upstream, []byte(get+"\r\n"+head))
	p.Skip(Upstream, 10)
	if off := int64(len(get) + 2 + len(head) + 10); last.Off != off || last.Pos != int64(len(head)+10) || last.Message != 2 || !last.End {
		t.Errorf("%+v, want offset %d", last, off)
	}
}

// A tunnel is opaque both ways, whatever the other direction was at.
func TestTunnel(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		to           Method
		tunnel       bool
	}{
		{"101", "HTTP/1.1 101 x\r\n\r\n", MethodOther, true},
		{"2xx to CONNECT", reply + "\r\n", MethodConnect, true},
		{"4xx to CONNECT", "HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n", MethodConnect, false},
		{"2xx to another", reply + "Content-Length: 0\r\n\r\n", MethodOther, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newScript()
			s.up("CONNECT a:1 HTTP/1.1\r\n\r\n")
			s.Expect(c.to)
			s.down(c.answer)
			for _, d := range []Direction{Upstream, Downstream} {
				if reason, ok := s.Opaque(d); ok != c.tunnel || ok && reason != TunnelReason {
					t.Errorf("%v opaque %v: %q", d, ok, reason)
				}
			}
		})
	}
	t.Run("in the middle of a message", func(t *testing.T) {
		s := newScript()
		s.up(post + "Content-Length: 10\r\n\r\nab")
		s.log = nil
		s.Tunnel()
		s.up("cd")
		s.up("ef")
		s.want(t, `upstream opaque <"cd"`, `upstream opaque "ef"`)
		if s.InMessage(Upstream) || s.Message(Upstream) != nil || s.EOF(Upstream) {
			t.Error("still in a message")
		}
	})
	t.Run("the first reason stays", func(t *testing.T) {
		s := newScript()
		s.up("\x16")
		s.Tunnel()
		if reason, _ := s.Opaque(Upstream); !strings.Contains(reason, "0x16") {
			t.Errorf("%q", reason)
		}
		if reason, ok := s.Opaque(Downstream); !ok || reason != TunnelReason {
			t.Errorf("%q", reason)
		}
	})
	t.Run("from within emit", func(t *testing.T) {
		var got []string
		var p *Pair
		p = NewPair(func(s Segment) {
			got = append(got, fmt.Sprintf("%v %q", s.Part, s.Data))
			if s.Part == HeadEnd {
				p.Tunnel()
			}
		})
		p.Feed(Upstream, []byte(get+"\r\n"+get+"\r\n"))
		want := fmt.Sprintf(`start_line %q head_end "\r\n" opaque %q`, get, get+"\r\n")
		if g := strings.Join(got, " "); g != want {
			t.Errorf("got %s\nwant %s", g, want)
		}
	})
}

// A new connection on one side starts that direction anew, and only that.
func TestRestart(t *testing.T) {
	s := newScript()
	s.up(post + "Content-Length: 9\r\n\r\na")
	s.Expect(MethodHead)
	s.down("nonsense")
	s.Restart(Downstream)
	if _, ok := s.Opaque(Downstream); ok {
		t.Error("still opaque")
	}
	if !s.InMessage(Upstream) {
		t.Error("the other direction was touched")
	}
	var first Segment
	s.emit = func(g Segment) {
		if g.Start {
			first = g
		}
	}
	s.down(reply + "Content-Length: 3\r\n\r\n")
	if first.Off != 0 || first.Message != 1 || first.Pos != 0 {
		t.Errorf("%+v", first)
	}
	if s.Remaining(Downstream) != 3 {
		t.Error("the old connection's HEAD still awaited its answer")
	}
}

func TestInMessage(t *testing.T) {
	s := newScript()
	for _, step := range []struct {
		text string
		in   bool
	}{{"\r\n", false}, {"\r", false}, {"\n", false}, {"P", true}, {post[1:], true}, {"Content-Length: 2\r\n", true}, {"\r", true}, {"\n", true}, {"a", true}, {"b", false}, {get + "\r\n", false}, {get, true}, {"\r\x00", false}} {
		s.up(step.text)
		if got := s.InMessage(Upstream); got != step.in || (s.Message(Upstream) != nil) != step.in {
			t.Errorf("after %q: %v", step.text, got)
		}
	}
	if s.InMessage(Downstream) || s.Message(Downstream) != nil {
		t.Error("downstream")
	}
}

func TestWords(t *testing.T) {
	if Upstream.String() != "upstream" || Downstream.String() != "downstream" || Upstream.Other() != Downstream || Downstream.Other() != Upstream {
		t.Error("directions")
	}
	for p := Opaque; p <= MessageEnd; p++ {
		if p.String() == "" {
			t.Errorf("part %d has no name", p)
		}
	}
}

// TestSpareIsBounded: what is kept of heads for others has a bound in number and in
// bytes, and what is taken out makes room.
func TestSpareIsBounded(t *testing.T) {
	for _, size := range []int{0, 1 << 10, 16 << 10, MaxHead} {
		var s Spare
		for range 2 * mostSpare {
			s.put(&Head{Raw: make([]byte, 0, size)})
		}
		want := mostSpare
		if size > 0 {
			want = min(want, mostSpareBytes/size)
		}
		if len(s.heads) != want || s.bytes != want*size {
			t.Errorf("heads of %d bytes: %d are kept, %d bytes; want %d", size, len(s.heads), s.bytes, want)
		}
		for range want {
			s.take()
		}
		if s.bytes != 0 {
			t.Errorf("heads of %d bytes: %d bytes when all are taken", size, s.bytes)
		}
	}
}
