package faultstest

import (
	"bytes"
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
