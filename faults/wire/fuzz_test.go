package wire

import (
	"bufio"
	"bytes"
	"slices"
	"testing"
)

// seeds are what the fuzzers start from, besides testdata/fuzz: the framing table.
func seeds(add func(to string, in []byte)) {
	for _, g := range framings {
		for _, r := range g.rows {
			add(r.to, []byte(r.in))
		}
	}
}

// pieces cuts b into runs whose lengths cuts gives, over and over, 0 meaning one
// piece of all that is left.
func pieces(b, cuts []byte) (out [][]byte) {
	for i := 0; len(b) > 0; i++ {
		n := len(b)
		if len(cuts) > 0 && cuts[i%len(cuts)] > 0 {
			n = min(n, int(cuts[i%len(cuts)]))
		}
		out = append(out, b[:n])
		b = b[n:]
	}
	return out
}

// FuzzPreserve: whatever comes in, cut however, goes out again, with the same
// labels as when it came whole; and what goes by unseen changes no framing.
func FuzzPreserve(f *testing.F) {
	seeds(func(to string, in []byte) {
		method := byte(MethodOf([]byte(to))) | 4<<2
		f.Add(to == "", method, in, []byte{1})
		f.Add(to == "", method, in, []byte{7, 0})
	})
	// The low bits of method are the one that responses answer, the next ones how
	// often it was asked.
	f.Fuzz(func(t *testing.T, request bool, method byte, in, cuts []byte) {
		p := play{dir: Downstream, eof: true}
		if request {
			p.dir = Upstream
		}
		for range method >> 2 & 7 {
			p.expect = append(p.expect, Method(method&3%3))
		}
		whole, reason, cut := p.run(t, in)
		es, r, c := p.run(t, pieces(in, cuts)...)
		if !slices.Equal(es, whole) || r != reason || c != cut {
			t.Fatalf("%q cut by %v:\n%v %q %v\nwhole:\n%v %q %v", in, cuts, es, r, c, whole, reason, cut)
		}
		ends, r, c := p.skipping(in, cuts)
		if want := endsOf(whole); !slices.Equal(ends, want) || r != reason || c != cut {
			t.Fatalf("%q skipped by %v:\nends %v %q %v\nwhole:\n%v %q %v", in, cuts, ends, r, c, want, reason, cut)
		}
	})
}

// skipping is run with what may go by unseen going by, in runs that cuts gives,
// and returns where messages end.
func (p play) skipping(in, cuts []byte) (ends []int64, reason string, cut bool) {
	pair := NewPair(func(s Segment) {
		if s.End {
			ends = append(ends, s.Off+int64(len(s.Data)))
		}
	})
	for _, m := range p.expect {
		pair.Expect(m)
	}
	for i, b := range pieces(in, cuts) {
		if n := min(pair.Remaining(p.dir), int64(len(b))); i%2 == 1 && n > 0 {
			pair.Skip(p.dir, n)
			b = b[n:]
		}
		pair.Feed(p.dir, b)
	}
	cut = p.eof && pair.EOF(p.dir)
	reason, _ = pair.Opaque(p.dir)
	return ends, reason, cut
}

func endsOf(es []element) (ends []int64) {
	for _, e := range es {
		if e.End {
			ends = append(ends, e.Off+int64(len(e.Text)))
		}
	}
	return ends
}

// FuzzFraming: where net/http accepts the first final message of a stream and so
// do we, its body has the same length.
func FuzzFraming(f *testing.F) {
	seeds(func(to string, in []byte) { f.Add(to, in) })
	f.Fuzz(func(t *testing.T, to string, in []byte) {
		switch to {
		case "", "GET", "HEAD":
		default:
			return // CONNECT is not for ReadResponse to judge; all others are as GET
		}
		p := play{dir: Upstream, eof: true}
		if to != "" {
			p = play{dir: Downstream, expect: []Method{MethodOf([]byte(to))}, eof: true}
		}
		es, _, _ := p.run(t, in)
		ours := int64(0)
		for i, e := range es {
			if e.Part == Body || e.Part == ChunkData {
				ours += int64(len(e.Text))
			}
			if e.End {
				break
			}
			if i == len(es)-1 {
				return // the first message is not whole
			}
		}
		if len(es) == 0 || !es[0].Start || framedOtherwise(in) {
			return
		}
		theirs, err := goMessage(to, bufio.NewReader(bytes.NewReader(in)))
		if err == nil && theirs != ours {
			t.Errorf("%s %q\nnet/http reads %d bytes of body, we %d:\n%s", to, in, theirs, ours, texts(es))
		}
	})
}

// framedOtherwise holds for what net/http frames in its own way: it does not
// read Transfer-Encoding in HTTP/1.0, where RFC 9112 section 6.1 calls it faulty,
// but section 6.3 makes no difference.
func framedOtherwise(in []byte) bool {
	line, _, _ := bytes.Cut(in, []byte("\n"))
	return bytes.Contains(line, []byte("HTTP/1.0")) && bytes.Contains(bytes.ToLower(in), []byte("transfer-encoding"))
}
