package faultstest

import (
	"testing"

	"crimp/faults"
)

// A proxy whose two connections persist each for itself (hop_by_hop, correct): what
// the server's end means for the client's connection, and what it does not.
func TestApart(t *testing.T) {
	correct := faults.Rule{Name: "r", Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}, Armed: true}
	// asked is the first request on its way, kept its answer, and later a second request.
	const asked = `
c> GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n`
	const kept = asked + `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\nhi`
	const again = `
c> GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL a:80
s> UP
>s GET /2 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n`
	for _, c := range []struct {
		name  string
		rules []faults.Rule
		play  string
	}{
		{"an idle server leaves: the client does not notice, the next request dials anew", nil, "proxy" + kept + `
s> FIN
>s PART` + again},
		{"it resets", nil, "proxy" + kept + `
s> RST
>s PART` + again},
		{"it says close: it is left at once, its FIN is not waited for", nil, "proxy" + asked + `
s> HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n2\r\nhi\r\n0\r\n\r\n
>s PART` + again},
		{"it speaks HTTP/1.0, whose persistence is not trusted", nil, "proxy" + asked + `
s> HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\nVia: 1.0 crimp\r\n\r\n
>s PART` + again},
		{"again and again, to the next proxy too", nil, "proxy next" + `
c> GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL
s> UP
>s GET http://a/1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
>s PART
c> GET http://b/2 HTTP/1.1\r\nHost: b\r\n\r\n
>s DIAL
s> UP
>s GET http://b/2 HTTP/1.1\r\nHost: b\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
>s PART`},
		{"the client leaves afterwards: nobody is there to be told", nil, "proxy" + kept + `
s> FIN
>s PART
c> FIN
>c FIN`},
		{"the client leaves first: that ends both", nil, "proxy" + kept + `
c> FIN
>s FIN
s> FIN
>c FIN`},
		{"the client leaves before the answer that says close", nil, "proxy" + asked + `
c> FIN
>s FIN
s> HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\n
>c FIN
>s CLOSE`},
		{"the client says close: that ends both", nil, `proxy
c> GET http://a/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\n
>c FIN
>s CLOSE`},
		{"the server cannot be had again", nil, "proxy" + kept + `
s> FIN
>s PART
c> HEAD http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL a:80
s> DOWN
>c HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nContent-Length: 39\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\n
>c FIN`},
		{"an answer until the close ends with the close", nil, "proxy" + asked + `
s> HTTP/1.1 200 OK\r\n\r\nhi
s> FIN
>c HTTP/1.1 200 OK\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\nhi
>c FIN`},
		{"no answer, or half of one: the client is to know", nil, "proxy" + asked + `
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi
s> FIN
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\nhi
>c FIN`},
		{"more was asked of a server that says close: the client is to ask that again", nil, "proxy" + asked + `
c> GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s GET /2 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\n
>c FIN
>s CLOSE`},
		{"so is what a server was asked that closes without a word", nil, "proxy" + kept + `
c> GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s GET /2 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> FIN
>c FIN`},
		{"what waits for another server is not lost with this one", nil, "proxy" + asked + `
c> GET http://b/2 HTTP/1.1\r\nHost: b\r\n\r\n
s> HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
>s PART
>s DIAL b:80
s> UP
>s GET /2 HTTP/1.1\r\nHost: b\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n`},
		{"answered before it was asked whole: the rest must not go to another", nil, `proxy
c> POST http://a/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab
>s DIAL a:80
s> UP
>s POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\nab
s> HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n
s> FIN
>c HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
>c FIN
c> cd
>s cd`},
		{"so must the rest of a line whose beginning came slowly and was let go", nil, `proxy next
c> GET http://a/1 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL
s> UP
>s GET http://a/1 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
c> GE
+1s
>s GE
s> FIN
>c FIN
c> T
>s T`},
		{"and what names no server: it is for the one that is there", nil, "proxy" + kept + `
c> \x01\r\n
>s \x01\r\n
s> FIN
>c FIN`},
		{"disarmed: one connection is glued to the other again", nil, "proxy" + kept + `
disarm
s> FIN
>c FIN`},
		{"an answer that no rule was for is a blind relay's", []faults.Rule{{Name: "r", Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}, Match: faults.Match{Path: "/1"}, Armed: true}}, "proxy" + kept + `
c> GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s GET /2 HTTP/1.1\r\nHost: a\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 204 No Content\r\n\r\n
>c FIN`},
		{"a tunnel is glued", nil, "proxy" + kept + `
c> CONNECT b:1 HTTP/1.1\r\n\r\n
>s DIAL b:1
s> UP
>c HTTP/1.1 200 Connection established\r\n\r\n
s> FIN
>c FIN`},
		{"so is what a dumb proxy relays, whatever else is armed", []faults.Rule{correct, {Name: "d", Fault: "dumb_proxy", Armed: true}}, "proxy" + kept + `
s> FIN
>c FIN
>s CLOSE`},
		{"with a delay line the answer comes late, and the server is gone", []faults.Rule{{Name: "l", Fault: "latency", Params: map[string]any{"delay": "1s"}, Armed: true}, correct}, "proxy" + asked + `
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>s PART
+1s
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n` + `
c> GET http://a/2 HTTP/1.1\r\nHost: a\r\n\r\n
>s DIAL a:80
s> UP
>s GET /2 HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n`},
		{"Host is whom the target names (RFC 9112 section 3.2.2)", nil, `proxy
c> GET http://u:p@a:80/1 HTTP/1.1\r\nX: y\r\nhost:  b \r\nHost: a\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nX: y\r\nhost:  a:80 \r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n`},
		{"as it stands if it is the same, and added where it is missing", nil, `proxy
c> GET http://a/1 HTTP/1.1\r\nhOST: A\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\nhOST: A\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
c> GET http://a/2 HTTP/1.0\r\n\r\n
>s GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nVia: 1.0 crimp\r\n\r\n`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.rules == nil {
				c.rules = []faults.Rule{correct}
			}
			play(t, c.rules, c.play)
		})
	}
}

// A refusal comes in its turn though the server says more than it was asked, and
// half of it is held for a rule.
func TestRefusalBehindStray(t *testing.T) {
	_, err := Tell([]faults.Rule{{Name: "r", Fault: "hop_by_hop", Params: map[string]any{"proxy_connection": "strip"}, Armed: true}}, `proxy
c> GET http://a/1 HTTP/1.1\r\n\r\nGET https://b/2 HTTP/1.1\r\n\r\n
>s DIAL a:80
s> UP
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nA:
>c HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nA:HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 70\r\nConnection: close\r\n\r\ncrimp: this is a proxy: http://host in the request line was expected.\n
>c FIN
>s CLOSE`, Whole)
	if err != nil {
		t.Error(err)
	}
}
