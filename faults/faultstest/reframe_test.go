package faultstest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestReframed: where chunks are made as bytes arrive, their borders turn on how
// they arrive; what they carry does not.
func TestReframed(t *testing.T) {
	page := strings.Repeat("a cat and another ", 50)
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nT: v\r\n\r\n", page[:5], len(page)-5, page[5:])
	length := fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(page), page)
	for _, tt := range []struct {
		name, fault string
		params      map[string]any
		answer      string
		want        string
	}{
		{"longer, of a length: chunked", "rewrite", map[string]any{"find": "text:cat", "with": "text:tiger"}, length, strings.ReplaceAll(page, "cat", "tiger")},
		{"gone, of chunks", "rewrite", map[string]any{"find": "text:cat "}, chunked, strings.ReplaceAll(page, "cat ", "")},
		{"around, of chunks", "rewrite", map[string]any{"prefix": "text:<", "suffix": "text:>"}, chunked, "<" + page + ">"},
		{"longer, until the close", "rewrite", map[string]any{"find": "text:a", "with": "text:aa"}, "\r\n" + page, strings.ReplaceAll(page, "a", "aa")},
		{"chunked, until the close", "chunk", map[string]any{"mode": "rechunk", "value": "7"}, "\r\n" + page, page},
		{"cut smaller", "chunk", map[string]any{"mode": "rechunk", "value": "7"}, chunked, page},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule := faults.Rule{Fault: tt.fault, Params: tt.params, Armed: true}
			for seed := range uint64(40) {
				tr := NewTraffic(compile(t, nil, rule), 1, Random(seed), seed, 0)
				tr.in[wire.Upstream].bytes = []byte("GET / HTTP/1.1\r\n\r\n")
				tr.in[wire.Downstream].bytes = []byte("HTTP/1.1 200 OK\r\n" + tt.answer)
				tr.read()
				tr.in[wire.Downstream].fin = true
				tr.read()
				tr.Pass(time.Second)
				if got := carried(tr.Got[wire.Downstream]); got != tt.want {
					t.Fatalf("seed %d:\n got %q\nwant %q\nfrom %q", seed, got, tt.want, tr.Got[wire.Downstream])
				}
			}
		})
	}
}

// carried is the data of the one response in got, framed as it says.
func carried(got []byte) string {
	var data bytes.Buffer
	pair := wire.NewPair(func(s wire.Segment) {
		if s.Part == wire.Body || s.Part == wire.ChunkData {
			data.Write(s.Data)
		}
	})
	pair.Feed(wire.Downstream, got)
	if reason, opaque := pair.Opaque(wire.Downstream); opaque {
		return "opaque: " + reason
	}
	if pair.EOF(wire.Downstream) {
		return "cut off"
	}
	return data.String()
}

// TestReframedTwice: of two rules that change one message's framing the second sees
// what the first has made, or misses with a reason that names it. What comes out is
// one framing, and the data in it is right.
func TestReframedTwice(t *testing.T) {
	const body = "a cat and another"
	length := fmt.Sprintf("A: b\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	chunked := fmt.Sprintf("A: b\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x;x=y\r\n%s\r\n0\r\nT: v\r\n\r\n", body[:5], len(body)-5, body[5:])
	rules := []faults.Rule{
		{Fault: "content_length", Params: map[string]any{"mode": "set", "value": 3}},
		{Fault: "transfer_encoding", Params: map[string]any{"mode": "duplicate"}},
		{Fault: "chunk", Params: map[string]any{"mode": "rechunk", "value": 7}},
		{Fault: "chunk", Params: map[string]any{"mode": "extension"}},
		{Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}, Match: faults.Match{Direction: "downstream"}},
		{Fault: "rewrite", Params: map[string]any{"find": "text:cat", "with": "text:tiger"}},
		{Fault: "rewrite", Params: map[string]any{"prefix": "text:<", "length": "keep"}},
	}
	through := func(answer string, seed uint64, rules ...faults.Rule) (got, told string) {
		for i := range rules {
			rules[i].Armed = true
		}
		tr := NewTraffic(compile(t, nil, rules...), 1, Random(seed), seed, 0)
		tr.in[wire.Upstream].bytes = []byte("GET / HTTP/1.1\r\n\r\n")
		tr.in[wire.Downstream].bytes = []byte("HTTP/1.1 200 OK\r\n" + answer)
		tr.read()
		tr.Pass(time.Second)
		return string(tr.Got[wire.Downstream]), strings.Join(tr.told, "\n")
	}
	for _, answer := range []string{length, chunked} {
		for i, a := range rules {
			for j, b := range rules {
				seed := uint64(i*len(rules) + j)
				what := fmt.Sprintf("%s %v, then %s %v, seed %d", a.Fault, a.Params, b.Fault, b.Params, seed)
				got, told := through(answer, seed, a, b)
				if strings.Count(got, "\r\n\r\n") > strings.Count(answer, "\r\n\r\n")+1 || strings.Count(got, "Transfer-Encoding:") > 2 {
					t.Errorf("%s: framed twice: %q", what, got)
				}
				if strings.Contains(told, "missed "+b.Fault+"-1 its framing is "+a.Fault+"-0's, which stands before") {
					if alone, _ := through(answer, seed, a); got != alone {
						t.Errorf("%s: missed, and yet\n got %q\nwant %q", what, got, alone)
					}
					continue
				}
				if a.Fault == "content_length" || b.Fault == "content_length" || b.Params["length"] == "keep" || a.Params["length"] == "keep" {
					continue // its framing is meant to be wrong
				}
				want := body
				if a.Fault == "rewrite" || b.Fault == "rewrite" {
					want = strings.ReplaceAll(body, "cat", "tiger")
				}
				if data := carried([]byte(got)); data != want {
					t.Errorf("%s: carries %q, want %q: %q", what, data, want, got)
				}
			}
		}
	}
}

// TestReframedHeadless: a rule that reads a message away goes in the midst of it. What
// is left of the message passes those behind it as it is: they have not seen its head.
func TestReframedHeadless(t *testing.T) {
	discard := faults.Rule{Fault: "dumb_proxy", Params: map[string]any{"next": "discard"}, Armed: true}
	for _, behind := range []faults.Rule{
		{Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}},
		{Fault: "chunk", Params: map[string]any{"mode": "rechunk", "value": 2}},
		{Fault: "transfer_encoding", Params: map[string]any{"mode": "duplicate"}},
		{Fault: "rewrite", Params: map[string]any{"find": "text:c", "with": "text:tiger"}},
		{Fault: "content_length", Params: map[string]any{"mode": "set", "value": 3}},
	} {
		behind.Match, behind.Armed = faults.Match{Path: "/2", Direction: "upstream"}, true
		plan := compile(t, nil, discard, behind)
		tr := NewTraffic(plan, 1, Whole, 1, 0)
		tr.in[wire.Upstream].bytes = []byte("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")
		tr.read()
		gone := plan.Rules()[0].Rule
		gone.Armed = false
		after, err := faults.Compile(plan, 42, "web", faults.HTTP, []faults.Rule{gone, plan.Rules()[1].Rule})
		if err != nil {
			t.Fatal(err)
		}
		tr.Swap(after)
		tr.in[wire.Upstream].bytes = []byte("cde\r\n0\r\n\r\n")
		tr.read()
		tr.Pass(time.Second)
		if got, want := string(tr.Got[wire.Upstream]), "GET /1 HTTP/1.1\r\n\r\ncde\r\n0\r\n\r\n"; got != want {
			t.Errorf("%s: got %q, want %q", behind.Fault, got, want)
		}
		if told := strings.Join(tr.told, "\n"); strings.Contains(told, "fired "+behind.Fault) || !strings.Contains(told, "missed "+behind.Fault) {
			t.Errorf("%s: %s", behind.Fault, told)
		}
	}
}

// TestReframedPairs: what two such rules make of a message.
func TestReframedPairs(t *testing.T) {
	const (
		chunked = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\ncat\r\n2\r\nde\r\n0\r\n\r\n`
		length  = `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncat`
		own     = `Connection: keep-alive\r\nVia: 1.1 crimp\r\n`
	)
	hop := `{"fault":"hop_by_hop","params":{"mode":"correct"},"match":{"direction":"downstream"}}`
	for _, tt := range []struct{ name, first, second, in, out string }{
		{"a correct proxy, and behind it a broken chunk", hop, `{"fault":"bad-chunk-size"}`, chunked,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n` + own + `\r\nZZ\r\ncat\r\n2\r\nde\r\n0\r\n\r\n`},
		{"a broken chunk, which a correct proxy does not mend", `{"fault":"bad-chunk-size"}`, hop, chunked,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n` + own + `\r\nZZ;x\r\ncat\r\n2\r\nde\r\n0\r\n\r\n`},
		{"chunks cut smaller, one of them broken", `{"fault":"chunk","params":{"mode":"rechunk","value":"2"}}`, `{"fault":"chunk","params":{"mode":"bad_size","n":2}}`, chunked,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nca\r\nZZ\r\nt\r\n2\r\nde\r\n0\r\n\r\n`},
		{"two broken chunks", `{"fault":"chunk","params":{"mode":"bad_size","n":2}}`, `{"fault":"chunk","params":{"mode":"size_add","value":"1"}}`, chunked,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\ncat\r\nZZ\r\nde\r\n0\r\n\r\n`},
		{"a broken chunk of a coding nobody has", `{"fault":"bad-chunk-size"}`, `{"fault":"transfer_encoding","params":{"mode":"unknown"}}`, chunked,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: x-crimp\r\n\r\nZZ;x\r\ncat\r\n2\r\nde\r\n0\r\n\r\n`},
		{"chunked from a length: no longer a length to add to", `{"fault":"chunk","params":{"mode":"extension"}}`, `{"fault":"length-mismatch"}`, length,
			`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;crimp=1\r\ncat\r\n0\r\n\r\n`},
		{"a wrong length is not chunked", `{"fault":"length-mismatch"}`, `{"fault":"bad-chunk-size"}`, length,
			`HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\ncat`},
		{"a line that a rule before has rewritten is not the peer's", `{"fault":"field","params":{"name":"Content-Length","mode":"set","value":"x"}}`, `{"fault":"length-mismatch"}`, length,
			`HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\ncat`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rules []faults.Rule
			for i, raw := range []string{tt.first, tt.second} {
				rule, err := faults.DecodeRule(json.RawMessage(raw), "")
				if err != nil {
					t.Fatal(err)
				}
				rule.Name = fmt.Sprint("r", i)
				rules = append(rules, rule)
			}
			play(t, rules, "s> "+tt.in+"\n>c "+tt.out)
		})
	}
}

// TestChunksAroundAHole: a body that a rule before has dropped bytes of gets chunks of
// what is left, and a last chunk, whatever the hole is.
func TestChunksAroundAHole(t *testing.T) {
	for _, c := range []struct {
		at, bytes string
		want      string
	}{
		{"body:0", "1", `2\r\nbc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n`},
		{"body:1", "3", `2\r\nae\r\n1\r\nf\r\n0\r\n\r\n`},
		{"body:2", "2", `2\r\nab\r\n2\r\nef\r\n0\r\n\r\n`},
		{"body:4", "2", `2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n`},
		{"body:0", "6", `0\r\n\r\n`},
		{"body:5", "1", `2\r\nab\r\n2\r\ncd\r\n2\r\ne0\r\n\r\n`}, // its size is out when its end is not to come
	} {
		drop := faults.Rule{Name: "a", Fault: "drop", Params: map[string]any{"at": c.at, "bytes": c.bytes}}
		rechunk := faults.Rule{Name: "b", Fault: "chunk", Params: map[string]any{"mode": "rechunk", "value": "2"}}
		play(t, []faults.Rule{drop, rechunk}, `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`+c.want)
	}
}
