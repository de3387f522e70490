package faultstest

import (
	"testing"

	"crimp/faults"
)

// An explicit proxy: whom it dials, when, and what it says there.
func TestProxy(t *testing.T) {
	armed := func(fault string, params map[string]any) []faults.Rule {
		return []faults.Rule{{Name: "r", Fault: fault, Params: params, Armed: true}}
	}
	for _, c := range []struct {
		name  string
		rules []faults.Rule
		play  string
	}{
		{"nothing is dialled before the request line", nil, `
proxy
c> GET http://a/x HTTP/1.1\r\n
>s DIAL a:80
s> UP
>s GET /x HTTP/1.1\r\n
c> Host: a\r\nConnection: keep-alive\r\nProxy-Connection: keep-alive\r\n\r\n
>s Host: a\r\nConnection: keep-alive\r\nProxy-Connection: keep-alive\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
c> POST http://A:80/y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc
>s POST /y HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc`},
		{"a target without a path, and an address", nil, `
proxy
c> \r\n
c> GET http://u:p@[::1]:8080?q HTTP/1.0\r\n\r\n
>s DIAL [::1]:8080
s> UP
>s GET /?q HTTP/1.0\r\n\r\n
s> HTTP/1.0 204 No Content\r\n\r\n
>c HTTP/1.0 204 No Content\r\n\r\n
c> OPTIONS HTTP://[::1]:8080 HTTP/1.1\r\n\r\n
>s OPTIONS * HTTP/1.1\r\n\r\n`},
		{"before another proxy requests stay as they are", nil, `
proxy next
c> GET http://a/x HTTP/1.1\r\n\r\n
>s DIAL
s> UP
>s GET http://a/x HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> CONNECT b:443 HTTP/1.1\r\n\r\n
>s CONNECT b:443 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\n\r\nhi
>c HTTP/1.1 200 OK\r\n\r\nhi`},
		{"a tunnel", nil, `
proxy
c> CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n\x16early
>s DIAL a:443
s> UP
>c HTTP/1.1 200 Connection established\r\n\r\n
>s \x16early
s> GET http://b/ HTTP/1.1\r\n\r\n
>c GET http://b/ HTTP/1.1\r\n\r\n
c> FIN
>s FIN
s> rest
s> FIN
>c rest
>c FIN`},
		{"rules see the answer to a CONNECT", armed("cut", map[string]any{"at": "start_line"}), `
proxy
c> CONNECT a:443 HTTP/1.1\r\n\r\n
>s DIAL a:443
s> UP
>c HTTP/1.1 200 Conn
>c FIN
>s CLOSE`},
		{"a server that cannot be had", nil, `
proxy
c> GET http://a/ HTTP/1.1\r\n\r\n
>s DIAL a:80
s> DOWN
>c HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\n\r\ncrimp: the server cannot be connected.\n
>c FIN`},
		{"a server that does not answer, to HEAD and CONNECT", nil, `
proxy
c> CONNECT a:1 HTTP/1.1\r\n\r\n
>s DIAL a:1
s> LATE
>c HTTP/1.1 504 Gateway Timeout\r\nContent-Type: text/plain\r\nContent-Length: 42\r\nConnection: close\r\n\r\ncrimp: the server did not answer in time.\n
>c FIN`},
		{"to HEAD without a body", nil, `
proxy
c> HEAD http://a/ HTTP/1.1\r\n\r\n
>s DIAL a:80
s> DOWN
>c HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\n\r\n
>c FIN`},
		{"no proxy's request", nil, `
proxy
c> GET / HTTP/1.1\r\nHost: a\r\n\r\n
>c HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 70\r\nConnection: close\r\n\r\ncrimp: this is a proxy: http://host in the request line was expected.\n
>c FIN`},
		{"no HTTP", nil, `
proxy
c> \x16\x03\x01
>c HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 60\r\nConnection: close\r\n\r\ncrimp: a request line with http:// or CONNECT was expected.\n
>c FIN`},
		{"a client that leaves", nil, `
proxy
c> GET http
c> FIN
>c FIN`},
		{"a client that leaves while its request is on the way", nil, `
proxy
c> GET http://a/ HTTP/1.0\r\n\r\n
>s DIAL a:80
c> FIN
s> UP
>s GET / HTTP/1.0\r\n\r\n
>s FIN
s> HTTP/1.0 200 OK\r\n\r\nhi
s> FIN
>c HTTP/1.0 200 OK\r\n\r\nhi
>c FIN`},
		{"another server: after the answer to all before", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET http://a/2 HTTP/1.1\r\n\r\nPOST http://b/3 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET http://a/4 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab
>c HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab
s> c
>c c
>s DIAL b:80
s> UP
>s POST /3 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n
>s DIAL a:80
s> UP
>s GET /4 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\n\r\nend
s> FIN
>c HTTP/1.1 200 OK\r\n\r\nend
>c FIN`},
		{"another server cannot be had: what came before is safe", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nHEAD http://b/2 HTTP/1.1\r\n\r\nGET http://b/3 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
>s DIAL b:80
s> DOWN
>c HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\n\r\n
>c FIN`},
		{"a request that is none waits for its turn to be refused", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET https://b/2 HTTP/1.1\r\n\r\nGET http://a/3 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 70\r\nConnection: close\r\n\r\ncrimp: this is a proxy: http://host in the request line was expected.\n
>c FIN
>s CLOSE`},
		{"a tunnel behind a request", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nCONNECT b:443 HTTP/1.1\r\n\r\nhello
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
>s DIAL b:443
s> UP
>c HTTP/1.1 200 Connection established\r\n\r\n
>s hello`},
		{"no HTTP behind a request is for the same server", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET http://b/ HT\x00P
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\nGET http://b/ HT\x00P`},
		{"said before the answer that makes a tunnel, without an end to its line", nil, `
proxy
c> GET http://a/ws HTTP/1.1\r\nUpgrade: x\r\n\r\nearly
>s DIAL a:80
s> UP
>s GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\n
s> HTTP/1.1 101 Up\r\n\r\n
>c HTTP/1.1 101 Up\r\n\r\n
>s early`},
		{"the same and FIN: no byte is lost", nil, `
proxy
c> GET http://a/ws HTTP/1.1\r\nUpgrade: x\r\n\r\nearly
c> FIN
>s DIAL a:80
s> UP
>s GET /ws HTTP/1.1\r\nUpgrade: x\r\n\r\nearly
>s FIN`},
		{"what a rule has lost is not waited for", armed("swallow", map[string]any{"what": "request"}), `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\n
disarm
c> GET http://b/2 HTTP/1.1\r\n\r\n
>s DIAL b:80
s> UP
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{"a request cut off before its server is dialled, the client kept: its FIN ends both", []faults.Rule{{Name: "r", Fault: "cut", Params: map[string]any{"at": "start", "end": "close", "other": "keep"}, Match: faults.Match{Direction: "upstream"}, Armed: true}}, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\n
>s CLOSE
c> FIN
>c FIN`},
		{"the next server's turn comes when this one has been drained", armed("cut", map[string]any{"at": "body:1", "end": "rst", "other": "drain"}), `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET http://b/2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na
>c RST
s> c
>s DIAL b:80
s> UP
>s GET /2 HTTP/1.1\r\n\r\n
>s FIN`},
		{"who is not there any more to be answered waits for no answer", nil, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nHEAD http://b/2 HTTP/1.1\r\n\r\nGET http://a/3 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
act rst client
>c RST
>s DIAL b:80
s> UP
>s HEAD /2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /3 HTTP/1.1\r\n\r\n
>s CLOSE`},
		{"a delayed request is dialled for late", []faults.Rule{{Name: "r", Fault: "latency", Params: map[string]any{"delay": "1s"}, Match: faults.Match{Direction: "upstream"}, Armed: true}}, `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
+999ms
+1ms
>s GET /1 HTTP/1.1\r\n\r\n
c> GET http://b/1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+1s
>s DIAL b:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n`},
		{"a dumb proxy turns to nobody else", armed("dumb_proxy", nil), `
proxy
c> GET http://a/1 HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\nGET http://b/2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nProxy-Connection: keep-alive\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
+1h
s> FIN
>c FIN
>s CLOSE`},
		{"disarmed, it does", armed("dumb_proxy", nil), `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET http://b/2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
disarm
>s DIAL b:80
s> UP
>s GET /2 HTTP/1.1\r\n\r\n`},
		{"positions count the client's stream on, whatever server it comes from", armed("cut", map[string]any{"at": "byte:30"}), `
proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET http://b/2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
>s DIAL b:80
s> UP
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTT
>c FIN
>s CLOSE`},
		{"correct: what is of the hop ends here", armed("hop_by_hop", map[string]any{"mode": "correct"}), `
proxy
c> GET http://a/1 HTTP/1.0\r\nHost: a\r\nProxy-Connection: keep-alive\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nVia: 1.0 crimp\r\n\r\n`},
	} {
		t.Run(c.name, func(t *testing.T) { play(t, c.rules, c.play) })
	}
}
