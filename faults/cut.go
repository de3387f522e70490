package faults

// cut stops a direction at an exact byte and ends both legs. It is what most
// damaged transfers come down to: a crashed origin, a restarted proxy, a NAT
// entry that ran out (RFC 9112 section 8 says what a client must make of it).
type cut struct {
	At    Position `json:"at" help:"where the bytes stop"`
	End   Ending   `json:"end" help:"what the receiver gets there"`
	Other Other    `json:"other" help:"what the sender gets"`
}

var _ = Declare(Kind[cut]{
	Name:     "cut",
	Summary:  "exactly the bytes before `at`, then the ending",
	Client:   "a message that stops short, then FIN, RST or silence",
	Group:    Bytes,
	Defaults: cut{At: Position{Kind: Now}, End: Fin},
	Words:    []string{"limit_data", "reset_peer", "slow_close", "EMPTY_RESPONSE", "CONNECTION_RESET_BY_PEER", "truncate"},
	Here:     func(p cut, w *Writer) { w.End(p.End, p.Other) },
	Presets: []Preset{
		{Name: "cut-head", Summary: "close in the middle of the header", Client: "status line and one and a half fields, then FIN: curl, wget, Python and Chromium take it for a whole answer", Headline: true,
			Params: `{"at":"field:2","end":"fin"}`},
		{Name: "truncate", Summary: "short body against its Content-Length", Client: "half of the body, then FIN", Headline: true,
			Params: `{"at":"body:50%","end":"fin"}`},
		{Name: "reset", Summary: "RST in the middle of a response", Client: "half of the body, then ECONNRESET", Headline: true,
			Params: `{"at":"body:50%","end":"rst"}`, TCP: `{"at":"next:0"}`},
		{Name: "cut-status-line", Summary: "close in the middle of the status line", Client: "`HTTP/1.1 20`, then FIN",
			Params: `{"at":"message:11","end":"fin"}`},
		{Name: "empty-reply", Summary: "the request is read, the answer never starts", Client: "FIN instead of an answer",
			Params: `{"at":"start","end":"fin"}`},
		{Name: "reset-reply", Summary: "the request is read, the answer is a RST", Client: "ECONNRESET instead of an answer",
			Params: `{"at":"start","end":"rst"}`},
		{Name: "stale-reuse", Summary: "a pooled connection is dead when it is used again", Client: "the first exchange is answered, the next one gets FIN",
			Params: `{"at":"start","end":"fin"}`, Match: `{"reused":true}`},
		{Name: "cut-last-chunk", Summary: "close between the last chunk and the final CRLF", Client: "`0 CRLF`, then FIN: Python and fasthttp accept it",
			Params: `{"at":"last_chunk","end":"fin"}`},
	},
	Examples: []Example{
		{Title: "truncate: exactly half of the body, then FIN", Params: `{"at":"body:50%"}`, Play: `
c> GET / HTTP/1.1\r\nHost: a\r\n\r\n
>s GET / HTTP/1.1\r\nHost: a\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc
>c FIN
>s CLOSE`},
		{Title: "reset mid-body", Params: `{"at":"body:3","end":"rst"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc
>c RST
>s CLOSE`},
		{Title: "cut-head: to the middle of the second field's value", Params: `{"at":"field:2"}`, Play: `
s> HTTP/1.1 200 OK\r\nServer: a\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx
>c HTTP/1.1 200 OK\r\nServer: a\r\nContent-Type: text
>c FIN
>s CLOSE`},
		{Title: "a field by name, whatever its case", Params: `{"at":"field:content-length","end":"close"}`, Play: `
s> HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 1234\r\n\r\n
>c HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 12
>c CLOSE
>s CLOSE`},
		{Title: "in mid status line", Params: `{"at":"message:11"}`, Play: `
s> HTTP/1.1 200 OK\r\n\r\n
>c HTTP/1.1 20
>c FIN
>s CLOSE`},
		{Title: "after a byte of the stream, as soon as it is out", Params: `{"at":"byte:3"}`, Play: `
s> ab
>c ab
s> cd
>c c
>c FIN
>s CLOSE`},
		{Title: "before the final CRLF of a chunked body", Params: `{"at":"last_chunk"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n
>c FIN
>s CLOSE`},
		{Title: "two bytes before an end that nobody knows yet", Params: `{"at":"body:-2"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nd
>c FIN
>s CLOSE`},
		{Title: "a request, the answer to the one before comes out whole", Params: `{"at":"body:2","end":"rst","other":"rst"}`, Match: `{"direction":"upstream","method":"POST"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> POST /2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd
>s POST /2 HTTP/1.1\r\nContent-Length: 4\r\n\r\nab
>s RST
>c RST`},
		{Title: "stalled where it stops, FIN when disarmed", Params: `{"at":"body:1","end":"stall","other":"keep"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na
+1h
disarm
>c FIN`},
		{Title: "the sender finishes its message and sees success", Params: `{"at":"head","other":"drain"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n
>c FIN
s> bc
>s FIN`},
		{Title: "after a time, with nothing on the way", Params: `{"at":"after:2s","end":"rst"}`, Play: `
c> hello
>s hello
+1999ms
+1ms
>c RST
>s CLOSE`},
		{Title: "only a quiet connection", Params: `{"at":"idle:1s"}`, Play: `
c> hello
>s hello
+900ms
s> hi
>c hi
+900ms
+100ms
>c FIN
>s CLOSE`},
	},
})
