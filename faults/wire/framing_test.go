package wire

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// framingRow is one stream of one direction, ended by FIN, and what a reader of
// RFC 9112 makes of it.
type framingRow struct {
	name string
	// to is the method the responses answer; empty: in is requests.
	to string
	in string
	// want is the body length of each message, in data bytes, and then, if it
	// does not end there, what became of the stream: "cut" (FIN in the middle of
	// a message), "opaque", or "tunnel".
	want string
	// why is a part of the reason if it turned opaque.
	why string
	// golang and node are how Go's net/http and Node's parser differ: empty if they
	// find the same, "error" if they refuse the stream at some point, or else what
	// they find. "-": they cannot be asked.
	golang, node string
}

const (
	get   = "GET / HTTP/1.1\r\n"
	post  = "POST / HTTP/1.1\r\n"
	reply = "HTTP/1.1 200 OK\r\n"
	te    = "Transfer-Encoding: chunked\r\n"
	abc   = "3\r\nabc\r\n0\r\n\r\n" // three bytes, chunked
)

// framings are the rules of RFC 9112, mostly section 6.3, by section.
var framings = []struct {
	section string
	rows    []framingRow
}{
	{"6.3 rule 1: no body whatever the fields say", []framingRow{
		{name: "answer to HEAD", to: "HEAD", in: reply + "Content-Length: 5\r\n\r\n", want: "0"},
		{name: "chunked answer to HEAD", to: "HEAD", in: reply + te + "\r\n", want: "0"},
		{name: "the answer to HEAD is the final one", to: "HEAD", in: "HTTP/1.1 100 Continue\r\n\r\n" + reply + "Content-Length: 5\r\n\r\n", want: "0 0"},
		{name: "204", to: "GET", in: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", want: "0"},
		{name: "304", to: "GET", in: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", want: "0"},
		{name: "chunked 304", to: "GET", in: "HTTP/1.1 304 Not Modified\r\n" + te + "\r\n", want: "0"},
		{name: "100 before 200", to: "GET", in: "HTTP/1.1 100 Continue\r\n\r\n" + reply + "Content-Length: 2\r\n\r\nhi", want: "0 2"},
		{name: "103 twice before 200", to: "GET", in: "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + reply + "Content-Length: 2\r\n\r\nhi", want: "0 0 2"},
		{name: "101 ends HTTP", to: "GET", in: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\nHTTP/1.1 not", want: "0 tunnel", golang: "-"},
	}},
	{"6.3 rule 2: 2xx to CONNECT is a tunnel", []framingRow{
		{name: "200", to: "CONNECT", in: reply + "\r\n\x16\x03\x01", want: "0 tunnel", golang: "-"},
		{name: "200 with fields that do not count", to: "CONNECT", in: reply + "Content-Length: 5\r\n" + te + "\r\nabc", want: "0 tunnel", golang: "-", node: "error"},
		{name: "204", to: "CONNECT", in: "HTTP/1.1 204 No Content\r\n\r\nabc", want: "0 tunnel", golang: "-"},
		{name: "403 is an answer like others", to: "CONNECT", in: "HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nabcde", want: "5", node: "0 tunnel"},
	}},
	{"6.3 rule 3: Transfer-Encoding overrides Content-Length", []framingRow{
		{name: "request", in: post + "Content-Length: 40\r\n" + te + "\r\n" + abc, want: "3", node: "error"},
		{name: "request, other order", in: post + te + "Content-Length: 40\r\n\r\n" + abc, want: "3", node: "error"},
		{name: "unusable Content-Length", in: post + te + "Content-Length: x\r\n\r\n" + abc, want: "3", golang: "error", node: "error"},
		{name: "response", to: "GET", in: reply + "Content-Length: 40\r\n" + te + "\r\n" + abc, want: "3", node: "error"},
		{name: "HTTP/1.0, where it is suspect (6.1)", in: "POST / HTTP/1.0\r\n" + te + "Content-Length: 13\r\n\r\n" + abc, want: "3", golang: "13", node: "error"},
	}},
	{"6.3 rule 4: chunked if that is the last coding", []framingRow{
		{name: "request", in: post + te + "\r\n" + abc, want: "3"},
		{name: "response", to: "GET", in: reply + te + "\r\n" + abc, want: "3"},
		{name: "any case", in: post + "tRANSFER-eNCODING: cHUNKED\r\n\r\n" + abc, want: "3"},
		{name: "after another", in: post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + abc, want: "3", golang: "error"},
		{name: "in a second field", in: post + "Transfer-Encoding: gzip\r\n" + te + "\r\n" + abc, want: "3", golang: "error"},
		{name: "empty elements do not count", in: post + "Transfer-Encoding: , chunked, ,\r\n\r\n" + abc, want: "3", golang: "error", node: "error"},
		{name: "chunked twice", in: post + "Transfer-Encoding: chunked, chunked\r\n\r\n" + abc, want: "3", golang: "error", node: "error"},
		{name: "request, not last", in: post + "Transfer-Encoding: chunked, gzip\r\n\r\n" + abc, want: "opaque", why: "does not end in chunked", golang: "error", node: "error"},
		{name: "request, not at all", in: post + "Transfer-Encoding: identity\r\n\r\nabc", want: "opaque", why: "does not end in chunked", golang: "error", node: "error"},
		{name: "request, empty", in: post + "Transfer-Encoding:\r\nContent-Length: 3\r\n\r\nabc", want: "opaque", why: "does not end in chunked", golang: "error", node: "3"},
		{name: "request, with a parameter chunked does not have (7.1)", in: post + "Transfer-Encoding: chunked;q=1\r\n\r\n" + abc, want: "opaque", why: "does not end in chunked", golang: "error", node: "error"},
		{name: "response, not last", to: "GET", in: reply + "Transfer-Encoding: chunked, gzip\r\n\r\nabc", want: "3", golang: "error"},
		{name: "response, not at all", to: "GET", in: reply + "Transfer-Encoding: gzip\r\n\r\nabc", want: "3", golang: "error"},
		{name: "response, not at all, with length", to: "GET", in: reply + "Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nabc", want: "3", golang: "error", node: "error"},
	}},
	{"6.3 rule 5: Content-Length that says no one number", []framingRow{
		{name: "repeated in a list", in: post + "Content-Length: 3, 3\r\n\r\nabc", want: "3", golang: "error", node: "error"},
		{name: "repeated in fields", in: post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", want: "3", node: "error"},
		{name: "repeated, written otherwise", in: post + "Content-Length: 3\r\nContent-Length: 03\r\n\r\nabc", want: "3", golang: "error", node: "error"},
		{name: "two numbers in a list", in: post + "Content-Length: 3, 4\r\n\r\nabc", want: "opaque", why: "both 3 and 4", golang: "error", node: "error"},
		{name: "two numbers in fields", in: post + "Content-Length: 4\r\nContent-Length: 3\r\n\r\nabc", want: "opaque", why: "both 4 and 3", golang: "error", node: "error"},
		{name: "response with two numbers", to: "GET", in: reply + "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", want: "opaque", why: "both 3 and 4", golang: "error", node: "error"},
		{name: "nothing or something", in: post + "Content-Length: 0, 3\r\n\r\nabc", want: "opaque", why: "both 0 and 3", golang: "error", node: "error"},
		{name: "no number", in: post + "Content-Length: abc\r\n\r\nabc", want: "opaque", why: `is "abc"`, golang: "error", node: "error"},
		{name: "negative", in: post + "Content-Length: -3\r\n\r\nabc", want: "opaque", why: `is "-3"`, golang: "error", node: "error"},
		{name: "signed", in: post + "Content-Length: +3\r\n\r\nabc", want: "opaque", why: `is "+3"`, golang: "error", node: "error"},
		{name: "hexadecimal", in: post + "Content-Length: 0x3\r\n\r\nabc", want: "opaque", why: `is "0x3"`, golang: "error", node: "error"},
		{name: "empty", in: post + "Content-Length:\r\n\r\n", want: "opaque", why: `is ""`, golang: "error", node: "error"},
		{name: "empty list element", in: post + "Content-Length: 3,\r\n\r\nabc", want: "opaque", why: `is ""`, golang: "error", node: "error"},
		{name: "63 bits", in: post + "Content-Length: 9223372036854775807\r\n\r\nabc", want: "cut"},
		{name: "more than 63 bits", in: post + "Content-Length: 9223372036854775808\r\n\r\nabc", want: "opaque", why: "not a number of bytes", golang: "error", node: "cut"},
		{name: "unusable where none is needed", to: "HEAD", in: reply + "Content-Length: 3, 4\r\n\r\n", want: "0", golang: "error", node: "error"},
	}},
	{"6.3 rule 6: by length", []framingRow{
		{name: "request", in: post + "Content-Length: 3\r\n\r\nabc", want: "3"},
		{name: "any method", in: get + "Content-Length: 3\r\n\r\nabc", want: "3"},
		{name: "response", to: "GET", in: reply + "content-length:\t3 \r\n\r\nabc", want: "3"},
		{name: "nothing", in: post + "Content-Length: 0\r\n\r\n", want: "0"},
		{name: "leading zeros", in: post + "Content-Length: 003\r\n\r\nabc", want: "3"},
		{name: "less than declared", in: post + "Content-Length: 4\r\n\r\nabc", want: "cut"},
		{name: "less than declared, response", to: "GET", in: reply + "Content-Length: 4\r\n\r\nabc", want: "cut"},
	}},
	{"6.3 rules 7 and 8: neither", []framingRow{
		{name: "request", in: get + "\r\n", want: "0"},
		{name: "request of a method that has content", in: post + "\r\n", want: "0"},
		{name: "response", to: "GET", in: reply + "\r\nabc", want: "3"},
		{name: "response that closes at once", to: "GET", in: reply + "\r\n", want: "0"},
		{name: "HTTP/1.0", to: "GET", in: "HTTP/1.0 200 OK\r\n\r\nabc", want: "3"},
		{name: "response of another method", to: "DELETE", in: "HTTP/1.1 404 Not Found\r\n\r\nabc", want: "3"},
	}},
	{"7.1 chunks", []framingRow{
		{name: "several", in: post + te + "\r\n1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n", want: "13"},
		{name: "none", in: post + te + "\r\n0\r\n\r\n", want: "0"},
		{name: "any case, leading zeros", in: post + te + "\r\n00a\r\n0123456789\r\n0B\r\n0123456789A\r\n000\r\n\r\n", want: "21"},
		{name: "extensions", in: post + te + "\r\n3;a;b=c;d=\"e\"\r\nabc\r\n0;f\r\n\r\n", want: "3"},
		{name: "white space before an extension", in: post + te + "\r\n3 ;a\r\nabc\r\n0\t;b\r\n\r\n", want: "3", golang: "error", node: "error"},
		{name: "white space behind the size", in: post + te + "\r\n3  \r\nabc\r\n0\r\n\r\n", want: "3", node: "error"},
		{name: "trailers", in: post + te + "\r\n3\r\nabc\r\n0\r\nA: b\r\nC: d\r\n\r\n", want: "3"},
		{name: "trailers frame nothing", in: post + te + "\r\n3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n", want: "3", node: "error"},
		{name: "bare LF", in: post + te + "\r\n3\nabc\n0\n\n", want: "3", golang: "error", node: "error"},
		{name: "no size", in: post + te + "\r\n\r\nabc", want: "opaque", why: "where a chunk size is due", golang: "error", node: "error"},
		{name: "not hexadecimal", in: post + te + "\r\nZZ\r\nabc", want: "opaque", why: "'Z' where a chunk size is due", golang: "error", node: "error"},
		{name: "0x", in: post + te + "\r\n0x3\r\nabc\r\n0\r\n\r\n", want: "opaque", why: "'x' in a chunk size", golang: "error", node: "error"},
		{name: "negative", in: post + te + "\r\n-3\r\nabc", want: "opaque", why: "'-' where", golang: "error", node: "error"},
		{name: "more behind white space", in: post + te + "\r\n3 3\r\nabc", want: "opaque", why: "'3' in a chunk size", golang: "error", node: "error"},
		{name: "63 bits", in: post + te + "\r\n7fffffffffffffff\r\nabc", want: "cut"},
		{name: "more than 63 bits", in: post + te + "\r\n8000000000000000\r\nabc", want: "opaque", why: "above 63 bits", golang: "cut", node: "cut"},
		{name: "bare CR in an extension", in: post + te + "\r\n3;a\rb\r\nabc", want: "opaque", why: "'b' behind a CR", golang: "error", node: "error"},
		{name: "data longer than its size", in: post + te + "\r\n2\r\nabc\r\n0\r\n\r\n", want: "opaque", why: "'c' where the line end behind a chunk is due", golang: "error", node: "error"},
		{name: "cut in the data", in: post + te + "\r\n4\r\nabc", want: "cut"},
		{name: "no last chunk", in: post + te + "\r\n3\r\nabc\r\n", want: "cut"},
		{name: "cut after 0 CRLF", in: post + te + "\r\n3\r\nabc\r\n0\r\n", want: "cut", golang: "error"},
		{name: "cut after 0 CRLF, response", to: "GET", in: reply + te + "\r\n3\r\nabc\r\n0\r\n", want: "cut", golang: "error"},
	}},
	{"2.2 line ends and empty lines", []framingRow{
		{name: "bare LF", in: "POST / HTTP/1.1\nContent-Length: 3\n\nabc", want: "3", node: "error"},
		{name: "bare LF, response", to: "GET", in: "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", want: "3", node: "error"},
		{name: "empty lines before a request", in: "\r\n\n\r\n" + get + "\r\n", want: "0", golang: "error"},
		{name: "an empty line after a body", in: post + "Content-Length: 3\r\n\r\nabc\r\n" + get + "\r\n", want: "3 0", golang: "error"},
		{name: "nothing but an empty line", in: get + "\r\n\r\n", want: "0", golang: "error"},
		{name: "CR alone before a request", in: "\r" + get + "\r\n", want: "opaque", why: "'G' behind a CR", golang: "error", node: "0"},
		{name: "CR alone after the head", in: get + "\r" + get, want: "opaque", why: "'G' behind a CR", golang: "error", node: "error"},
		{name: "CR in a field does not end it", in: post + "A: b\rContent-Length: 3\r\n\r\n", want: "0", golang: "error", node: "error"},
		{name: "white space before the first field", in: get + " Content-Length: 3\r\n\r\n", want: "opaque", why: "white space before the first field", golang: "error", node: "error"},
	}},
	{"3 and 4 start lines", []framingRow{
		{name: "any token is a method", in: "M-SEARCH * HTTP/1.1\r\n\r\n", want: "0"},
		{name: "a method nobody knows", in: "x!#$ / HTTP/1.1\r\n\r\n", want: "0", node: "error"},
		{name: "absolute form", in: "GET http://a/b?c HTTP/1.0\r\n\r\n", want: "0"},
		{name: "HTTP/1.x", in: "GET / HTTP/1.7\r\n\r\n", want: "0", node: "error"},
		{name: "HTTP/0.9", in: "GET /\r\n", want: "opaque", why: "in a request target", golang: "error", node: "cut"},
		{name: "HTTP/2 preface", in: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", want: "opaque", why: "'2' where HTTP/1.x is due", golang: "-", node: "error"},
		{name: "lower case", in: "GET / http/1.1\r\n\r\n", want: "opaque", why: "'h' where HTTP/1.x is due", golang: "error", node: "error"},
		{name: "two spaces", in: "GET  / HTTP/1.1\r\n\r\n", want: "opaque", why: "' ' in a request target", golang: "error", node: "0"},
		{name: "space in the target", in: "GET /a b HTTP/1.1\r\n\r\n", want: "opaque", why: "'b' where HTTP/1.x is due", golang: "error", node: "error"},
		{name: "space behind the version", in: "GET / HTTP/1.1 \r\n\r\n", want: "opaque", why: "' ' behind the version", golang: "error", node: "error"},
		{name: "control byte", in: "GET /\x01 HTTP/1.1\r\n\r\n", want: "opaque", why: "byte 0x1 in a request target", golang: "error", node: "error"},
		{name: "TLS", in: "\x16\x03\x01\x02\x00\x01", want: "opaque", why: "byte 0x16 where a request is due", golang: "error", node: "error"},
		{name: "a banner", to: "GET", in: "SSH-2.0-x\r\n", want: "opaque", why: "'S' where a response is due", golang: "error", node: "error"},
		{name: "no reason", to: "GET", in: "HTTP/1.1 200 \r\nContent-Length: 3\r\n\r\nabc", want: "3"},
		{name: "no reason and no space before it", to: "GET", in: "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", want: "3"},
		{name: "reason of any text", to: "GET", in: "HTTP/1.1 200 \xe4h  so\t!\r\nContent-Length: 3\r\n\r\nabc", want: "3"},
		{name: "control byte in the reason", to: "GET", in: "HTTP/1.1 200 \x00\r\n\r\n", want: "opaque", why: "byte 0x0 in a reason phrase", golang: "0", node: "0"},
		{name: "status of two digits", to: "GET", in: "HTTP/1.1 20 OK\r\n\r\n", want: "opaque", why: "' ' in a status code", golang: "error", node: "error"},
		{name: "status of four digits", to: "GET", in: "HTTP/1.1 2000 OK\r\n\r\n", want: "opaque", why: "'0' behind a status code", golang: "error", node: "error"},
		{name: "status nobody knows", to: "GET", in: "HTTP/1.1 999 \r\nContent-Length: 3\r\n\r\nabc", want: "3"},
	}},
	{"5 fields", []framingRow{
		{name: "folded (5.2)", in: post + "A: b\r\n c\r\nContent-Length:\r\n 3\r\n\r\nabc", want: "3", node: "error"},
		{name: "folded Transfer-Encoding", in: post + "Transfer-Encoding: gzip,\r\n\tchunked\r\n\r\n" + abc, want: "3", golang: "error", node: "error"},
		{name: "a fold is not a field", in: post + "A: b\r\n Content-Length: 3\r\n\r\n", want: "0", node: "error"},
		{name: "space before the colon of a field that frames (5.1)", in: post + "Content-Length : 3\r\n\r\nabc", want: "opaque", why: "white space before the colon of Content-Length", golang: "error", node: "error"},
		{name: "space before the colon of another", in: post + "A : 3\r\n\r\n", want: "0", node: "error"},
		{name: "no colon", in: post + "A\r\nContent-Length: 3\r\n\r\nabc", want: "3", golang: "error", node: "error"},
		{name: "no name", in: post + ": 3\r\n\r\n", want: "0", golang: "error", node: "error"},
	}},
	{"9.3.2 pipelining", []framingRow{
		{name: "requests", in: get + "\r\n" + post + "Content-Length: 3\r\n\r\nabc" + post + te + "\r\n" + abc + get + "\r\n", want: "0 3 3 0"},
		{name: "the last is cut", in: get + "\r\nGET /x HT", want: "0 cut", golang: "error"},
		{name: "the second is no HTTP", in: get + "\r\n\x00", want: "0 opaque", why: "byte 0x0 where a request is due", golang: "error", node: "error"},
		{name: "responses", to: "GET", in: reply + "Content-Length: 3\r\n\r\nabcHTTP/1.1 204 No Content\r\n\r\n" + reply + te + "\r\n" + abc + reply + "\r\nabcd", want: "3 0 3 4", node: "-"},
		{name: "nothing comes after a body until close", to: "GET", in: reply + "\r\n" + reply + "\r\n", want: "19"},
	}},
}

// eachFraming runs f as a subtest for every row.
func eachFraming(t *testing.T, f func(t *testing.T, r framingRow)) {
	for _, g := range framings {
		t.Run(g.section, func(t *testing.T) {
			for _, r := range g.rows {
				t.Run(r.name, func(t *testing.T) { f(t, r) })
			}
		})
	}
}

// play is the row with as many requests asked as it could have responses.
func (r framingRow) play() play {
	if r.to == "" {
		return play{dir: Upstream, eof: true}
	}
	m := MethodOf([]byte(r.to))
	return play{dir: Downstream, expect: []Method{m, m, m, m}, eof: true}
}

// verdict writes elements the way framingRow.want does.
func verdict(es []element, reason string, cut bool) string {
	var out []string
	var body int64
	for _, e := range es {
		if e.Start {
			body = 0
		}
		if e.Part == Body || e.Part == ChunkData {
			body += int64(len(e.Text))
		}
		if e.End {
			out = append(out, strconv.FormatInt(body, 10))
		}
	}
	switch {
	case reason == TunnelReason:
		out = append(out, "tunnel")
	case reason != "":
		out = append(out, "opaque")
	case cut:
		out = append(out, "cut")
	}
	return strings.Join(out, " ")
}

func TestFraming(t *testing.T) {
	eachFraming(t, func(t *testing.T, r framingRow) {
		es, reason, cut := r.play().everyCut(t, r.in)
		if got := verdict(es, reason, cut); got != r.want {
			t.Errorf("%q\ngot  %s\nwant %s\n%s", r.in, got, r.want, texts(es))
		}
		if !strings.Contains(reason, r.why) {
			t.Errorf("%q\nreason %q\nwant   %q", r.in, reason, r.why)
		}
	})
}

// TestFramingAsGo asks net/http about the same streams.
func TestFramingAsGo(t *testing.T) {
	eachFraming(t, func(t *testing.T, r framingRow) {
		if r.golang == "-" {
			return // net/http hands the connection over (101, CONNECT, the HTTP/2 preface)
		}
		want := r.golang
		if want == "" {
			want = r.want
		}
		if got := goVerdict(r.to, r.in); got != want {
			t.Errorf("%q\nnet/http %s\nwant     %s", r.in, got, want)
		}
	})
}

// goVerdict is what net/http makes of a stream, written as framingRow.want.
func goVerdict(to, in string) string {
	src := bufio.NewReader(strings.NewReader(in))
	var out []string
	for {
		if _, err := src.Peek(1); err != nil {
			return strings.Join(out, " ")
		}
		n, err := goMessage(to, src)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return strings.Join(append(out, "cut"), " ")
		case err != nil:
			return "error"
		}
		out = append(out, strconv.FormatInt(n, 10))
	}
}

// goMessage reads one message with net/http and returns its body's length.
func goMessage(to string, src *bufio.Reader) (int64, error) {
	var body io.ReadCloser
	if to == "" {
		q, err := http.ReadRequest(src)
		if err != nil {
			return 0, err
		}
		body = q.Body
	} else {
		a, err := http.ReadResponse(src, &http.Request{Method: to})
		if err != nil {
			return 0, err
		}
		body = a.Body
	}
	defer body.Close()
	return io.Copy(io.Discard, body)
}

// Framing is not declaration: where the head alone ends the message, or chunks
// do, Declared still says what Content-Length said.
func TestDeclared(t *testing.T) {
	for _, c := range []struct {
		to, in           string
		framing          Framing
		length, declared int64
	}{
		{"HEAD", reply + "Content-Length: 100\r\n\r\n", NoBody, 0, 100},
		{"HEAD", reply + "Content-Length: 1, 2\r\n\r\n", NoBody, 0, -1},
		{"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n", NoBody, 0, 100},
		{"GET", reply + "Content-Length: 100\r\n\r\n", ByLength, 100, 100},
		{"GET", reply + "Content-Length: 0\r\n\r\n", ByLength, 0, 0},
		{"GET", reply + "Content-Length: 100\r\n" + te + "\r\n", ByChunks, -1, 100},
		{"GET", reply + "\r\n", UntilClose, -1, -1},
		{"GET", reply + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", Undecided, -1, -1},
		{"GET", "HTTP/1.1 101 x\r\nContent-Length: 7\r\n\r\n", Tunnel, -1, 7},
		{"CONNECT", reply + "Content-Length: 7\r\n\r\n", Tunnel, -1, 7},
		{"", get + "\r\n", NoBody, 0, -1},
		{"", post + "Transfer-Encoding: x\r\nContent-Length: 7\r\n\r\n", Undecided, -1, 7},
	} {
		var h Head
		p := NewPair(func(s Segment) {
			if s.Part == HeadEnd && s.Last {
				h = *s.Head
			}
		})
		dir := Upstream
		if c.to != "" {
			dir = Downstream
			p.Expect(MethodOf([]byte(c.to)))
		}
		p.Feed(dir, []byte(c.in))
		if !h.Complete || h.Framing != c.framing || h.Length != c.length || h.Declared != c.declared {
			t.Errorf("%s %q\ngot framing %d length %d declared %d\nwant        %d        %d          %d",
				c.to, c.in, h.Framing, h.Length, h.Declared, c.framing, c.length, c.declared)
		}
	}
}

// A reason never shows more of a peer's bytes than a line can take.
func TestReasonIsShort(t *testing.T) {
	_, reason, _ := play{dir: Upstream}.run(t, bytes.Join([][]byte{[]byte(post + "Content-Length: "), bytes.Repeat([]byte{'\xff'}, 5000), []byte("\r\n\r\n")}, nil))
	if len(reason) > 250 || !strings.Contains(reason, "Content-Length") {
		t.Errorf("reason %q", reason)
	}
}
