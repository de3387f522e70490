package faultstest

import (
	"encoding/json"
	"testing"

	"crimp/faults"
)

// TestPlays tells what the engine itself promises, whatever the kind.
func TestPlays(t *testing.T) {
	for _, tt := range []struct{ name, rules, play string }{
		{"nothing armed: bytes, half-close and both FINs pass as they came", `[]`, `
c> GET / HTTP/1.0\r\n\r\n
>s GET / HTTP/1.0\r\n\r\n
c> FIN
>s FIN
s> HTTP/1.0 200 OK\r\n\r\nuntil close
>c HTTP/1.0 200 OK\r\n\r\nuntil close
s> FIN
>c FIN`},
		{"nothing armed: a RST passes as a RST", `[]`, `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc
s> RST
>c RST`},
		{"garbage is carried, not judged", `[{"fault":"truncate"}]`, `
c> \x16\x03\x01 not HTTP
>s \x16\x03\x01 not HTTP
s> \x15\x03
>c \x15\x03`},
		{"delays of several rules add up", `[{"name":"a","fault":"latency","params":{"delay":"50ms"}},{"name":"b","fault":"latency","params":{"delay":"30ms"}}]`, `
s> hello
+79ms
+1ms
>c hello`},
		{"a rule armed in mid-message waits for the next message", `[{"fault":"truncate"}]`, `
disarm
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na
arm
s> bcd
>c bcd
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab
>c FIN
>s CLOSE`},
		{"a message whose head is still held is a new one to a new plan", `[{"fault":"stall","params":{"at":"head_end"},"match":{"status":"5xx"}}]`, `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 50
disarm
>c HTTP/1.1 50
s> 3 No\r\n\r\n
>c 3 No\r\n\r\n`},
		{"an undecided head is held for a second at most", `[{"fault":"stall","params":{"at":"start"},"match":{"status":"5xx"}}]`, `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 50
+999ms
+1ms
>c HTTP/1.1 50
s> 3 No\r\nContent-Length: 0\r\n\r\n
>c 3 No\r\nContent-Length: 0\r\n\r\n`},
		{"a response rule means the final response", `[{"fault":"empty-reply"}]`, `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n
>c FIN
>s CLOSE`},
		{"unless the match asks for a 1xx", `[{"fault":"cut","params":{"at":"start"},"match":{"status":"1xx"}}]`, `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c FIN
>s CLOSE`},
		{"status, path and header together", `[{"fault":"empty-reply","match":{"status":"5xx","path":"/api/*","header":{"X-Test":"42"}}}]`, `
c> GET /api/a HTTP/1.1\r\nX-Test: 42\r\n\r\n
>s GET /api/a HTTP/1.1\r\nX-Test: 42\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
c> GET /api/b HTTP/1.1\r\nX-Test: 43\r\n\r\n
>s GET /api/b HTTP/1.1\r\nX-Test: 43\r\n\r\n
s> HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n
c> GET /api/c HTTP/1.1\r\nX-Test: 42\r\n\r\n
>s GET /api/c HTTP/1.1\r\nX-Test: 42\r\n\r\n
s> HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n
>c FIN
>s CLOSE`},
		{"the gate: skip one, then twice", `[{"fault":"surplus","gate":{"skip":1,"times":2}}]`, `
s> HTTP/1.1 204 a\r\n\r\nHTTP/1.1 204 b\r\n\r\nHTTP/1.1 204 c\r\n\r\nHTTP/1.1 204 d\r\n\r\n
>c HTTP/1.1 204 a\r\n\r\nHTTP/1.1 204 b\r\n\r\nsurplus!HTTP/1.1 204 c\r\n\r\nsurplus!HTTP/1.1 204 d\r\n\r\n`},
		{"a preset's match is laid under: stale-reuse leaves the first exchange alone", `[{"fault":"stale-reuse"}]`, `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c FIN
>s CLOSE`},
		{"a server's reset goes the way of its bytes", `[{"fault":"latency","params":{"delay":"50ms"}}]`, `
s> hello
s> RST
+50ms
>c hello
>c RST`},
		{"the client's reset discards what was meant for it, and passes", `[{"fault":"stall"}]`, `
s> hello
c> RST
>s RST`},
		{"rules act in their order: what an earlier one inserts, a later one's position does not count", `[{"name":"a","fault":"inject","params":{"at":"body:1","bytes":"text:XX"}},{"name":"b","fault":"cut","params":{"at":"body:2"}}]`, `
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\naXXb
>c FIN
>s CLOSE`},
		{"a cut response lets earlier pipelined answers out whole", `[{"fault":"truncate","match":{"path":"/2"}}]`, `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nn
>c FIN
>s CLOSE`},
		{"a kind for a whole session knows where it began, long after that exchange is over", `[{"fault":"say-close-stay-open"}]`, `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 a\r\n\r\n
>c HTTP/1.1 204 a\r\nConnection: close\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 b\r\n\r\n
>c HTTP/1.1 204 b\r\nConnection: close\r\n\r\n
c> GET /4 HTTP/1.1\r\n\r\n
>s GET /4 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 c\r\n\r\n
>c HTTP/1.1 204 c\r\nConnection: close\r\n\r\n`},
		{"what is injected again and again goes through the rules behind: delayed, parted, not counted", `[{"name":"a","fault":"inject","params":{"at":"byte:1","bytes":"text:XYZ","count":2,"every":"1s"}},{"name":"b","fault":"latency","params":{"delay":"100ms"}},{"name":"c","fault":"slice","params":{"size":2,"gap":"10ms"}},{"name":"d","fault":"cut","params":{"at":"byte:2"}}]`, `
s> abcd
+100ms
>c aX
+10ms
>c YZ
+990ms
>c XY
+10ms
>c Zb
>c FIN
>s CLOSE`},
		{"interim answers at once go through the rules behind", `[{"name":"a","fault":"interim","params":{"status":102}},{"name":"b","fault":"latency","params":{"delay":"100ms"}}]`, `
s> HTTP/1.1 204 a\r\n\r\n
+99ms
+1ms
>c HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 a\r\n\r\n`},
		{"so do those that come one after the other: delayed, parted, not counted", `[{"name":"a","fault":"interim","params":{"status":102,"count":2,"every":"1s"}},{"name":"b","fault":"latency","params":{"delay":"100ms"}},{"name":"c","fault":"slice","params":{"size":9,"gap":"10ms"}},{"name":"d","fault":"cut","params":{"at":"message:12"}}]`, `
s> HTTP/1.1 204 a\r\n\r\n
+99ms
+1ms
>c HTTP/1.1\x20
+10ms
>c 102 Proce
+10ms
>c ssing\r\n\r\n
+979ms
+1ms
>c HTTP/1.1\x20
+10ms
>c 102 Proce
+10ms
>c ssing\r\n\r\n
+979ms
+1ms
>c HTTP/1.1\x20
+10ms
>c 204
>c FIN
>s CLOSE`},
		{"whatever they wait for, disarmed they are said in order", `[{"name":"a","fault":"interim","params":{"status":102,"count":3,"every":"1s"}}]`, `
s> HTTP/1.1 204 a\r\n\r\n
>c HTTP/1.1 102 Processing\r\n\r\n
+10ms
disarm
>c HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 a\r\n\r\n`},
		{"endless ones pass by the rules behind", `[{"name":"a","fault":"endless-interim","params":{"every":"1s"}},{"name":"b","fault":"latency","params":{"delay":"100ms"}}]`, `
s> HTTP/1.1 204 a\r\n\r\n
>c HTTP/1.1 102 Processing\r\n\r\n
+1s
>c HTTP/1.1 102 Processing\r\n\r\n`},
		{"a message rule has no place in an answer to HEAD", `[{"fault":"truncate"}]`, `
c> HEAD / HTTP/1.1\r\n\r\n
>s HEAD / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n
>c HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n`},
		{"but its declared length can be changed", `[{"fault":"length-mismatch"}]`, `
c> HEAD / HTTP/1.1\r\n\r\n
>s HEAD / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n
>c HTTP/1.1 200 OK\r\nContent-Length: 110\r\n\r\n`},
		{"what a rule rewrites in the head holds nothing of the body", `[{"fault":"length-mismatch"}]`, `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab
>c HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nab
+10s
s> cd
>c cd
+10s
s> ef
>c ef`},
		{"lines are whole to a rule however long the message lasts", `[{"fault":"bad-chunk-size","params":{"n":2}}]`, `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab
+10s
s> c\r\n
>c c\r\n
+10s
s> 3;
s> x\r\ndef\r\n0\r\n\r\n
>c ZZ;x\r\ndef\r\n0\r\n\r\n`},
		{"a rule on both messages of an exchange asks its gate once", `[{"fault":"field","params":{"name":"A","mode":"remove"},"match":{"direction":"both"},"gate":{"skip":1,"times":1}}]`, `
c> GET /1 HTTP/1.1\r\nA: 1\r\n\r\n
>s GET /1 HTTP/1.1\r\nA: 1\r\n\r\n
s> HTTP/1.1 204 No\r\nA: 1\r\n\r\n
>c HTTP/1.1 204 No\r\nA: 1\r\n\r\n
c> GET /2 HTTP/1.1\r\nA: 2\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No\r\nA: 2\r\n\r\n
>c HTTP/1.1 204 No\r\n\r\n
c> GET /3 HTTP/1.1\r\nA: 3\r\n\r\n
>s GET /3 HTTP/1.1\r\nA: 3\r\n\r\n`},
		{"positions count what another rule has dropped", `[{"name":"a","fault":"drop","params":{"at":"body:1","bytes":3}},{"name":"b","fault":"inject","params":{"at":"body:5","bytes":"text:!"}}]`, `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nae!f`},
		{"a place inside of what was dropped is where the bytes go on", `[{"name":"a","fault":"drop","params":{"at":"body:1","bytes":3}},{"name":"b","fault":"cut","params":{"at":"message:42"}}]`, `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\na
>c FIN
>s CLOSE`},
		{"two rules that rewrite one line: the first does", `[{"name":"a","fault":"start_line","params":{"status":"500"}},{"name":"b","fault":"start_line","params":{"status":"404"}}]`, `
s> HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 500 OK\r\nContent-Length: 0\r\n\r\n`},
		{"dripping answers in a pipe drip one after the other", `[{"fault":"drip","params":{"part":"all","bytes":20,"every":"1s"}}]`, `
s> HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Cont
+1s
>c ent\r\n\r\nHTTP/1.1 204 No Cont
+1s
>c ent\r\n\r\n`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var raws []json.RawMessage
			if err := json.Unmarshal([]byte(tt.rules), &raws); err != nil {
				t.Fatal(err)
			}
			var rules []faults.Rule
			for _, raw := range raws {
				rule, err := faults.DecodeRule(raw, "")
				if err != nil {
					t.Fatal(err)
				}
				rules = append(rules, rule)
			}
			play(t, rules, tt.play)
		})
	}
}

// TestCommands: what an operator does to one session, rules or not.
func TestCommands(t *testing.T) {
	for _, tt := range []struct{ name, play string }{
		{"rst on one side: the other is closed, for it cannot go on alone", `
s> hello
>c hello
act rst client
>c RST
>s CLOSE`},
		{"rst on both", `
act rst both
>c RST
>s RST`},
		{"fin towards the server: a half-close", `
act fin server
>s FIN
s> still here
>c still here`},
		{"stall, and resume in order", `
act stall client
s> one
act stall client
s> two
act resume both
>c onetwo`},
	} {
		t.Run(tt.name, func(t *testing.T) { play(t, nil, tt.play) })
	}
}
