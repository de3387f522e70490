package wire

import (
	"bytes"
	"testing"
)

// exchanges are what sessions mostly carry, as fed in one piece.
var exchanges = []struct {
	name      string
	req, resp []byte
}{
	{"length1k", []byte("GET /index.html?a=b HTTP/1.1\r\nHost: example.test\r\nUser-Agent: bench/1.0\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n"),
		append([]byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nConnection: keep-alive\r\nETag: \"abc\"\r\n\r\n"), bytes.Repeat([]byte("x"), 1024)...)},
	{"chunks", []byte("POST /up HTTP/1.1\r\nHost: example.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
		append(append([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n400;ext=1\r\n"), bytes.Repeat([]byte("x"), 1024)...), "\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n"...)},
	{"head", []byte("HEAD / HTTP/1.1\r\nHost: example.test\r\nX-Folded: a\r\n b\r\n\r\n"),
		[]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n")},
}

// feedAll feeds an exchange in pieces of n bytes.
func feedAll(p *Pair, req, resp []byte, n int) {
	for i := 0; i < len(req); i += n {
		p.Feed(Upstream, req[i:min(i+n, len(req))])
	}
	p.Expect(MethodOf(p.toks[Upstream].head.Method()))
	for i := 0; i < len(resp); i += n {
		p.Feed(Downstream, resp[i:min(i+n, len(resp))])
	}
}

// Once its buffers have grown, a pair allocates nothing, however traffic is cut.
func TestNoAllocations(t *testing.T) {
	for _, e := range exchanges {
		for _, n := range []int{1, 7, 1 << 20} {
			segments := 0
			p := NewPair(func(Segment) { segments++ })
			once := func() { feedAll(p, e.req, e.resp, n) }
			for range 10 {
				once()
			}
			if got := testing.AllocsPerRun(100, once); got != 0 {
				t.Errorf("%s in pieces of %d: %v allocations an exchange", e.name, n, got)
			}
			if p.InMessage(Downstream) || p.InMessage(Upstream) || segments == 0 {
				t.Errorf("%s: not whole exchanges", e.name)
			}
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, e := range exchanges {
		b.Run(e.name, func(b *testing.B) {
			p := NewPair(func(Segment) {})
			b.SetBytes(int64(len(e.req) + len(e.resp)))
			b.ReportAllocs()
			for b.Loop() {
				feedAll(p, e.req, e.resp, 1<<20)
			}
		})
	}
}

// BenchmarkBody is a long body in the loop's read buffers.
func BenchmarkBody(b *testing.B) {
	p := NewPair(func(Segment) {})
	p.Feed(Downstream, []byte(reply+"\r\n"))
	buf := make([]byte, 32<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		p.Feed(Downstream, buf)
	}
}
