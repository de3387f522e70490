package wire

import (
	"bytes"
	"strings"
	"testing"
)

// Where every byte stands, by section of RFC 9112. Elements are written as
// part:number "text", with "..." if cut off and "." if they end their message.
func TestElements(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  Direction
		in   string
		want []string
	}{
		{"2.1 a message", Upstream, "GET /a HTTP/1.1\r\nHost: b\r\nX:\r\n\r\n", []string{
			`start_line "GET /a HTTP/1.1\r\n"`,
			`field:1 "Host: b\r\n"`,
			`field:2 "X:\r\n"`,
			`head_end "\r\n".`,
		}},
		{"2.1 a message with a body", Downstream, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", []string{
			`start_line "HTTP/1.1 200 OK\r\n"`,
			`field:1 "Content-Length: 3\r\n"`,
			`head_end "\r\n"`,
			`body "abc".`,
		}},
		{"2.2 bare LF", Upstream, "POST / HTTP/1.1\nContent-Length: 1\n\na", []string{
			`start_line "POST / HTTP/1.1\n"`,
			`field:1 "Content-Length: 1\n"`,
			`head_end "\n"`,
			`body "a".`,
		}},
		{"2.2 empty lines belong to no message", Upstream, "\r\n\nGET / HTTP/1.1\r\n\r\n\r\n", []string{
			`opaque "\r\n"`,
			`opaque "\n"`,
			`start_line "GET / HTTP/1.1\r\n"`,
			`head_end "\r\n".`,
			`opaque "\r\n"`,
		}},
		{"2.2 CR in a line is not its end", Upstream, "GET / HTTP/1.1\r\nA: b\rc\r\r\n\r\n", []string{
			`start_line "GET / HTTP/1.1\r\n"`,
			`field:1 "A: b\rc\r\r\n"`,
			`head_end "\r\n".`,
		}},
		{"5.2 folded lines are one field", Upstream, "GET / HTTP/1.1\r\nA: b\r\n c\r\n\t\r\nD: e\r\n\r\n", []string{
			`start_line "GET / HTTP/1.1\r\n"`,
			`field:1 "A: b\r\n c\r\n\t\r\n"`,
			`field:2 "D: e\r\n"`,
			`head_end "\r\n".`,
		}},
		{"5.2 whether the last line is folded is open until the next byte", Upstream, "GET / HTTP/1.1\r\nA: b\r\n", []string{
			`start_line "GET / HTTP/1.1\r\n"`,
			`field:1 "A: b\r\n"...`,
		}},
		{"6.3 until close", Downstream, "HTTP/1.1 200 OK\r\n\r\nabc", []string{
			`start_line "HTTP/1.1 200 OK\r\n"`,
			`head_end "\r\n"`,
			`body "abc"...`,
		}},
		{"7.1 chunks, their extensions and trailers", Downstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0a;x=\"y\"\r\n0123456789\r\n0\r\nA: b\r\n c\r\nD: e\r\n\r\n", []string{
			`start_line "HTTP/1.1 200 OK\r\n"`,
			`field:1 "Transfer-Encoding: chunked\r\n"`,
			`head_end "\r\n"`,
			`chunk_size:1 "3\r\n"`,
			`chunk_data:1 "abc"`,
			`chunk_end:1 "\r\n"`,
			`chunk_size:2 "0a;x=\"y\"\r\n"`,
			`chunk_data:2 "0123456789"`,
			`chunk_end:2 "\r\n"`,
			`chunk_size:3 "0\r\n"`,
			`trailer:1 "A: b\r\n c\r\n"`,
			`trailer:2 "D: e\r\n"`,
			`message_end "\r\n".`,
		}},
		{"9.3.2 a pipeline", Upstream, "GET /a HTTP/1.1\r\n\r\nPUT /b HTTP/1.1\r\nContent-Length: 1\r\n\r\n1GET /c HT", []string{
			`start_line "GET /a HTTP/1.1\r\n"`,
			`head_end "\r\n".`,
			`start_line "PUT /b HTTP/1.1\r\n"`,
			`field:1 "Content-Length: 1\r\n"`,
			`head_end "\r\n"`,
			`body "1".`,
			`start_line "GET /c HT"...`,
		}},
		{"15.2.2 after 101 nothing is HTTP", Downstream, "HTTP/1.1 101 x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", []string{
			`start_line "HTTP/1.1 101 x\r\n"`,
			`head_end "\r\n".`,
			`opaque "HTTP/1.1 200 OK\r\n\r\n"`,
		}},
		{"opaque from the byte that has no place", Upstream, "GET /\x00 HTTP/1.1\r\n\r\n", []string{
			`start_line "GET /"...`,
			`opaque "\x00 HTTP/1.1\r\n\r\n"`,
		}},
		{"opaque from the second byte of a line end", Upstream, "GET / HTTP/1.1\r\nA: b\r\n\rGET", []string{
			`start_line "GET / HTTP/1.1\r\n"`,
			`field:1 "A: b\r\n"`,
			`head_end "\r"...`,
			`opaque "GET"`,
		}},
		{"opaque in the trailers", Downstream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n A: b\r\n\r\n", []string{
			`start_line "HTTP/1.1 200 OK\r\n"`,
			`field:1 "Transfer-Encoding: chunked\r\n"`,
			`head_end "\r\n"`,
			`chunk_size:1 "0\r\n"`,
			`opaque " A: b\r\n\r\n"`,
		}},
		{"opaque behind a head that cannot be framed", Upstream, "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\nabc", []string{
			`start_line "POST / HTTP/1.1\r\n"`,
			`field:1 "Content-Length: x\r\n"`,
			`head_end "\r\n"`,
			`opaque "abc"`,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			es, _, _ := play{dir: c.dir}.everyCut(t, c.in)
			if got, want := texts(es), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Chunks carry their size, and the last one says that it is.
func TestChunkSizes(t *testing.T) {
	es, _, _ := play{dir: Upstream}.everyCut(t, post+te+"\r\n00A;x\r\n0123456789\r\n3\r\nabc\r\n00\r\nA: b\r\n\r\n")
	type chunk struct {
		part Part
		size int64
		last bool
	}
	var got []chunk
	for _, e := range es[3:] {
		got = append(got, chunk{e.Part, e.Size, e.LastChunk})
	}
	want := []chunk{
		{ChunkSize, 10, false}, {ChunkData, 10, false}, {ChunkEnd, 10, false},
		{ChunkSize, 3, false}, {ChunkData, 3, false}, {ChunkEnd, 3, false},
		{ChunkSize, 0, true}, {Trailer, 0, false}, {MessageEnd, 0, false},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v\nwant %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("element %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// A piece is emitted as soon as its bytes are there, labelled as what it is.
func TestNothingIsKeptBack(t *testing.T) {
	in := post + te + "A: b\r\n c\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n\r\n"
	want := strings.Repeat("s", len(post)) + strings.Repeat("f", len(te)+10) + "hh" +
		"zzzzz" + "ddd" + "ee" + "zzz" + "tttttt" + "mm" + "oo"
	letters := map[Part]byte{StartLine: 's', Field: 'f', HeadEnd: 'h', ChunkSize: 'z', ChunkData: 'd', ChunkEnd: 'e', Trailer: 't', MessageEnd: 'm', Opaque: 'o'}
	var got []byte
	p := NewPair(func(s Segment) {
		for range s.Data {
			got = append(got, letters[s.Part])
		}
	})
	for i := range in {
		p.Feed(Upstream, []byte{in[i]})
		if len(got) != i+1 {
			t.Fatalf("after %q: %s", in[:i+1], got)
		}
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Traffic that is not HTTP is known as such from the first byte that shows it,
// so that nobody waits for a line end that never comes.
func TestOpaqueAtOnce(t *testing.T) {
	for _, c := range []struct {
		dir Direction
		in  string
	}{
		{Upstream, "\x16"},                // TLS
		{Upstream, "\x00"},                //
		{Upstream, "(x)"[:1]},             // not a token
		{Upstream, "AUTH\x00"},            //
		{Upstream, "PING\r"},              // Redis, inline
		{Upstream, "GET /\x7f"},           //
		{Upstream, "PRI * HTTP/2"},        //
		{Upstream, "SSH-2.0-OpenSSH_9\r"}, //
		{Upstream, "\rG"},                 //
		{Downstream, "220 m"[:1]},         // SMTP
		{Downstream, "S"},                 // SSH
		{Downstream, "HTTP/2"},            //
		{Downstream, "HTTP/1.1 2x"},       //
		{Downstream, "HTTP/1.1 200 \x01"}, //
		{Downstream, "\x4a"},              // MySQL
	} {
		p := NewPair(func(Segment) {})
		last := len(c.in) - 1
		p.Feed(c.dir, []byte(c.in[:last]))
		if reason, ok := p.Opaque(c.dir); ok {
			t.Errorf("%q: opaque before its last byte: %s", c.in, reason)
		}
		p.Feed(c.dir, []byte(c.in[last:]))
		if reason, ok := p.Opaque(c.dir); !ok || reason == "" {
			t.Errorf("%q: not opaque", c.in)
		}
	}
}

// A head of exactly MaxHead bytes is a head; one byte more is too long.
func TestMaxHead(t *testing.T) {
	frame := len(get + "A: \r\n\r\n")
	for _, c := range []struct {
		size int
		why  string
	}{{MaxHead, ""}, {MaxHead + 1, "head longer than 262144 bytes"}} {
		in := []byte(get + "A: " + strings.Repeat("x", c.size-frame) + "\r\n\r\n")
		for _, cut := range []int{0, 1, len(get), MaxHead - 5, MaxHead - 3, MaxHead - 2, MaxHead - 1} {
			es, reason, _ := play{dir: Upstream}.run(t, in[:cut], in[cut:])
			if reason != c.why {
				t.Errorf("%d bytes, cut at %d: reason %q, want %q", c.size, cut, reason, c.why)
			}
			if last := es[len(es)-1]; (c.why != "") != (last.Part == Opaque && last.Off == MaxHead) {
				t.Errorf("%d bytes, cut at %d: ends with %v at %d", c.size, cut, last.Part, last.Off)
			}
		}
	}
	endless := bytes.Repeat([]byte("x"), MaxHead+10)
	if es, _, _ := (play{dir: Upstream}).run(t, endless); len(es) != 2 || es[1].Off != MaxHead {
		t.Errorf("an endless method: %d elements", len(es))
	}
	if es, _, _ := (play{dir: Upstream}).run(t, []byte("GET /"+string(endless)+" HTTP/1.1\r\n\r\n")); len(es) != 2 || es[1].Off != MaxHead {
		t.Errorf("an endless target: %d elements", len(es))
	}
}

// An enormous head does not cost a quiet session its memory for good.
func TestBuffersShrink(t *testing.T) {
	var h *Head
	p := NewPair(func(s Segment) { h = s.Head })
	p.Feed(Upstream, []byte(get+strings.Repeat("A: b\r\n", 20000)+"\r\n"))
	if len(h.Fields) != 20000 {
		t.Fatalf("%d fields", len(h.Fields))
	}
	p.Feed(Upstream, []byte(get+"\r\n"))
	if cap(h.Raw) > keptRaw || cap(h.Fields) > keptFields {
		t.Errorf("kept %d bytes and %d fields", cap(h.Raw), cap(h.Fields))
	}
}

// Data are subslices of what was fed: an untouched run can go out in one write.
func TestDataIsWhatWasFed(t *testing.T) {
	in := []byte(post + te + "A: b\r\n\r\n" + abc + get + "\r\n\x00rest")
	next := 0
	p := NewPair(func(s Segment) {
		if len(s.Data) == 0 {
			return
		}
		if &s.Data[0] != &in[next] || cap(s.Data) != cap(in)-next {
			t.Errorf("%v %q is not the bytes fed at %d", s.Part, s.Data, next)
		}
		next += len(s.Data)
	})
	p.Feed(Upstream, in)
	if next != len(in) {
		t.Errorf("%d of %d bytes", next, len(in))
	}
}

func TestSlice(t *testing.T) {
	var whole Segment
	p := NewPair(func(s Segment) {
		if s.Part == ChunkSize || s.Part == StartLine {
			whole = s
		}
	})
	p.Feed(Upstream, []byte(post))
	if a, b := whole.Slice(0, 4), whole.Slice(4, len(post)); !a.Start || !a.First || a.Last || b.Start || b.First || !b.Last || b.Off != 4 || b.Pos != 4 {
		t.Errorf("start line: %+v, %+v", a, b)
	}
	p.Feed(Upstream, []byte(te+"\r\n000;x\r\n"))
	at := int64(len(post + te + "\r\n"))
	a, b := whole.Slice(0, 3), whole.Slice(3, 7)
	if string(a.Data) != "000" || string(b.Data) != ";x\r\n" || cap(a.Data) != 3 {
		t.Errorf("%q, %q", a.Data, b.Data)
	}
	if a.Off != at || b.Off != at+3 || a.Pos != at || b.Pos != at+3 || !a.LastChunk || !b.LastChunk || a.Index != 1 || b.Index != 1 {
		t.Errorf("chunk size: %+v, %+v", a, b)
	}
	outside := Segment{Part: Opaque, Data: []byte("abc"), Off: 7, First: true, Last: true}
	if s := outside.Slice(1, 3); s.Off != 8 || s.Pos != 0 || s.First || !s.Last {
		t.Errorf("outside any message: %+v", s)
	}
}
