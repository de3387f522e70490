package wire

import (
	"fmt"
	"strings"
	"testing"
)

// Which heads are one segment and which are left in parts: all that is said is what
// it was (play.run compares them for every table of this package), but in how many
// segments is what Whole is for.
func TestWhole(t *testing.T) {
	const two = "GET / HTTP/1.1\r\nA: b\r\nC: d\r\n\r\n"
	for _, c := range []struct {
		name   string
		dir    Direction
		pieces []string
		want   string
	}{
		{"a request", Upstream, []string{two}, "head_end"},
		{"two of them", Upstream, []string{two + two}, "head_end head_end"},
		{"an answer and its body", Downstream, []string{reply + "Content-Length: 3\r\n\r\nabc"}, "head_end body"},
		{"chunks", Downstream, []string{reply + te + "\r\n1\r\na\r\n0\r\nA: b\r\n\r\n"}, "head_end chunk_size chunk_data chunk_end chunk_size trailer message_end"},
		{"bare line feeds", Upstream, []string{"GET / HTTP/1.1\nA: b\n\n"}, "head_end"},
		{"no field", Upstream, []string{"GET / HTTP/1.1\r\n\r\n"}, "head_end"},
		{"behind an empty line", Upstream, []string{"\r\n" + two}, "opaque head_end"},
		{"no colon", Upstream, []string{"GET / HTTP/1.1\r\nA\r\n\r\n"}, "head_end"},
		{"in two pieces", Upstream, []string{two[:20], two[20:] + two}, "start_line field field field head_end head_end"},
		{"without its last byte", Upstream, []string{two[:len(two)-1], "\n" + two}, "start_line field field head_end head_end head_end"},
		{"folded", Upstream, []string{"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"}, "start_line field head_end"},
		{"a fold before the first field", Upstream, []string{"GET / HTTP/1.1\r\n A: b\r\n\r\n"}, "start_line opaque"},
		{"a CR at a line's start", Upstream, []string{"GET / HTTP/1.1\r\nA: b\r\n\rC: d\r\n\r\n"}, "start_line field head_end opaque"},
		{"no HTTP", Upstream, []string{"GET / SSH/2.0\r\n\r\n"}, "start_line opaque"},
	} {
		var got []string
		p := NewPair(func(s Segment) { got = append(got, s.Part.String()) })
		p.Whole(c.dir, true)
		for _, b := range c.pieces {
			p.Feed(c.dir, []byte(b))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Whole may change between messages and within one: it is asked when one starts.
func TestWholeChanges(t *testing.T) {
	const one = "GET / HTTP/1.1\r\nA: b\r\n\r\n"
	s := newScript()
	s.Whole(Upstream, true)
	s.up(one[:10])
	s.Whole(Upstream, false)
	s.up(one[10:16])
	s.Whole(Upstream, true)
	s.up(one[16:] + one)
	s.Whole(Upstream, false)
	s.up(one)
	all := fmt.Sprintf("upstream head_end <%q>.", one)
	s.want(t, `upstream start_line <"GET / HTTP"`, `upstream start_line "/1.1\r\n">`, `upstream field <"A: b\r\n">`, `upstream head_end <"\r\n">.`,
		all, `upstream start_line <"GET / HTTP/1.1\r\n">`, `upstream field <"A: b\r\n">`, `upstream head_end <"\r\n">.`)
}
