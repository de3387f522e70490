package faultstest

import (
	"strings"
	"testing"

	"crimp/faults"
	"crimp/faults/wire"
)

// Numbers near the end of what an int64 can say, as peers and rules may give them.
func TestEnormousNumbers(t *testing.T) {
	const most = `s> HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nab`
	for _, c := range []struct {
		name  string
		fault string
		param map[string]any
		play  string
	}{
		{"all of an endless body has not come", "cut", map[string]any{"at": "body:100%"}, most + `
>c HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\nab`},
		{"nor of an endless chunk", "cut", map[string]any{"at": "body:100%"}, `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\nab`},
		{"a length and some more", "content_length", nil, most + `
>c HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775817\r\n\r\nab`},
		{"as a second one", "content_length", map[string]any{"mode": "duplicate", "value": "+1"}, most + `
>c HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\nContent-Length: 9223372036854775808\r\n\r\nab`},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, []faults.Rule{{Name: "r", Fault: c.fault, Params: c.param}}, c.play)
		})
	}
}

// What a rule makes of a little is bounded: it waits in memory where the receiver
// does not take it.
func TestLittleDoesNotBecomeGigabytes(t *testing.T) {
	const head, n = "HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n", 30_000
	long, replaced := strings.Repeat("x", 100_000), [2]int{}
	grows := faults.Rule{Fault: "rewrite", Params: map[string]any{"find": "text:a", "with": "text:" + long, "length": "keep"}, Armed: true}
	for i, cut := range []Cut{Whole, Random(1)} {
		tr := NewTraffic(compile(t, nil, grows), 1, cut, 1, 0)
		tr.in[wire.Upstream].bytes = []byte("GET / HTTP/1.1\r\n\r\n")
		tr.in[wire.Downstream].bytes = []byte(head + strings.Repeat("a", n))
		tr.read()
		tr.collect()
		body := string(tr.Got[wire.Downstream][len(head):])
		replaced[i] = strings.Count(body, long)
		if left := strings.Count(body, "a"); len(body) > 4<<20 || replaced[i] < 20 || left != n-replaced[i] {
			t.Errorf("%d bytes became %d: %d were replaced, %d stayed", n, len(body), replaced[i], left)
		}
	}
	if replaced[0] != replaced[1] {
		t.Errorf("whole %d were replaced, cut up %d", replaced[0], replaced[1])
	}
	for _, params := range []map[string]any{{"bytes": "random:1MiB", "count": 17}, {"bytes": "text:abc", "count": 100000, "every": "1s"}, {"bytes": "random:16MiB", "count": 2}} {
		_, err := faults.Compile(nil, 1, "web", faults.TCP, []faults.Rule{{Name: "r", Fault: "inject", Params: params}})
		if fits := params["bytes"] == "text:abc"; fits != (err == nil) || !fits && err.Field != "rules[0].params.count" {
			t.Errorf("%v: %v", params, err)
		}
	}
}
