package faultstest

import (
	"strings"
	"testing"

	"crimp/faults"
)

// TestNotes: every fault that fired says where, every exchange says how it ended.
func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		name string
		rule faults.Rule
		play string
		want string
	}{
		{"a cut", faults.Rule{Name: "t", Fault: "truncate", Armed: true}, `
c> GET /a HTTP/1.1\r\n\r\n
>s GET /a HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc
>c FIN
>s CLOSE`, `
started 1 GET /a
fired t downstream byte 41, message 41, body, body 3, after 41 fin
finished 1 200, 3 of 6, request whole, cut fin []`},
		{"a stall, and what it held", faults.Rule{Name: "s", Fault: "stall-body", Armed: true}, `
c> GET /a HTTP/1.1\r\n\r\n
>s GET /a HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na
disarm
>c b`, `
started 1 GET /a
fired s downstream byte 39, message 39, body, body 1, after 39 stall
finished 1 200, 2 of 2, request whole, ok  []`},
		{"a made-up answer, and what it ends", faults.Rule{Name: "r", Fault: "reply", Armed: true, Match: faults.Match{Path: "/b"}, Params: map[string]any{"body": "text:busy", "then": "fin"}}, `
c> GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n
>s GET /a HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy
>c FIN
>s CLOSE`, `
started 1 GET /a
started 2 GET /b
fired r upstream byte 19, message 0, start_line, body 0, after 19
fired r downstream byte 40, message 40, body, body 2, after 118 fin
finished 1 200, 2 of 2, request whole, ok  []
finished 2 503, 4 of 4, request none, ok  [pipelined before persistence was known]`},
		{"one to HEAD, in place of the server's", faults.Rule{Name: "r", Fault: "reply", Armed: true, Params: map[string]any{"when": "after", "then": "rst", "body": "text:busy", "fields": "Content-Length: 9"}}, `
c> HEAD /a HTTP/1.1\r\n\r\n
>s HEAD /a HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n
>c HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\nConnection: close\r\n\r\n
>c RST
>s CLOSE`, `
fired r upstream byte 0, message 0, start_line, body 0, after 0
started 1 HEAD /a
fired r downstream byte 0, message 0, start_line, body 0, after 74 rst
finished 1 503, 0 of 9, request whole, ok  []`},
		{"a gate that is spent, a message without the place", faults.Rule{Name: "x", Fault: "surplus", Armed: true, Params: map[string]any{"at": "body:1"}, Gate: faults.Gate{Times: 1}}, `
s> HTTP/1.1 204 a\r\n\r\nHTTP/1.1 200 b\r\nContent-Length: 1\r\n\r\n.
>c HTTP/1.1 204 a\r\n\r\nHTTP/1.1 200 b\r\nContent-Length: 1\r\n\r\n.surplus!`, `
missed x position
spent x
fired x downstream byte 56, message 38, body, body 1, after 56`},
		{"a rule that says of nothing what it is to be", faults.Rule{Name: "x", Fault: "start_line", Armed: true}, `
s> HTTP/1.1 204 a\r\n\r\n
>c HTTP/1.1 204 a\r\n\r\n`, `
missed x none of set, version, status, reason, method and target is given`},
		{"a reset, with a request half said", faults.Rule{Name: "x", Fault: "surplus"}, `
c> POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na
>s POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\na
s> RST
>c RST`, `
started 1 POST /a
finished 1 0, 0 of -1, request part, rst rst []`},
		{"what a client does wrong", faults.Rule{Name: "x", Fault: "surplus", Match: faults.Match{Path: "/none"}}, `
c> GET /1 HTTP/1.1\r\nConnection: close\r\n\r\n
c> POST /2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n
>s GET /1 HTTP/1.1\r\nConnection: close\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 0\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 204 No Content\r\n\r\n
>c FIN`, `
started 1 GET /1
started 2 POST /2
finished 1 204, 0 of -1, request whole, ok  []
finished 2 0, 0 of -1, request whole, cut fin [non-idempotent request in a pipe pipelined before persistence was known request after Connection: close]`},
		{"a connection too many, as soon as it is kept", faults.Rule{Name: "x", Fault: "surplus", Match: faults.Match{Path: "/none"}}, `
sessions 2
c> GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n
>s GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n
s> HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n
c> GET /2 HTTP/1.0\r\n\r\n
>s GET /2 HTTP/1.0\r\n\r\n
s> HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n`, `
started 1 GET /1
finished 1 200, 0 of 0, request whole, ok  [more than two persistent connections]
started 2 GET /2
finished 2 200, 0 of 0, request whole, ok  []`},
		{"no last chunk names its ending", faults.Rule{Name: "x", Fault: "no-last-chunk", Armed: true}, `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n
>c FIN
>s FIN`, `
fired x downstream byte 53, message 53, chunk_size, body 1, after 53 fin`},
		{"of a body that had a length too, in one event", faults.Rule{Name: "x", Fault: "no-last-chunk", Armed: true}, `
s> HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n
>c FIN
>s FIN`, `
fired x downstream byte 39, message 39, body, body 1, after 53 fin`},
		{"an ending that did not come is not named", faults.Rule{Name: "x", Fault: "no-last-chunk", Armed: true}, `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\na
s> FIN
>c FIN`, `
fired x downstream byte 0, message 0, start_line, body 0, after 0`},
		{"keep-alive is promised, told once; broken, told with its ending", faults.Rule{Name: "k", Fault: "keep_alive", Armed: true, Params: map[string]any{"say": "nothing", "close_after": 2, "end": "rst"}}, `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 Two\r\n\r\n
>c HTTP/1.1 204 Two\r\n\r\n
>c RST
>s CLOSE`, `
fired k upstream byte 0, message 0, start_line, body 0, after 0
started 1 GET /1
finished 1 204, 0 of -1, request whole, ok  []
started 2 GET /2
fired k downstream byte 40, message 20, head_end, body 0, after 40 rst
finished 2 204, 0 of -1, request whole, ok  []`},
		{"a quiet connection closed early", faults.Rule{Name: "k", Fault: "keep_alive", Armed: true, Params: map[string]any{"say": "nothing", "close_idle": "1s", "end": "close"}}, `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
+1s
>c CLOSE
>s CLOSE`, `
fired k upstream byte 0, message 0, start_line, body 0, after 0
started 1 GET /1
finished 1 204, 0 of -1, request whole, ok  []
fired k downstream byte 20, message -1, opaque, body -1, after 20 close`},
		{"a proxy that keeps its word", faults.Rule{Name: "h", Fault: "hop_by_hop", Armed: true, Params: map[string]any{"mode": "correct"}, Match: faults.Match{Direction: "downstream"}}, `
s> HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\nhi
>c FIN
>s CLOSE`, `
fired h downstream byte 59, message 59, body, body 2, after 75 fin`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, cut := range map[string]Cut{"whole": Whole, "byte by byte": Bytewise, "at random": Random(9), "spliced": Spliced(9)} {
				told, err := Tell([]faults.Rule{tt.rule}, tt.play, cut)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got, want := strings.Join(told, "\n"), strings.TrimSpace(tt.want); got != want {
					t.Fatalf("%s: told\n%s\nwant\n%s", name, got, want)
				}
			}
		})
	}
}
