package faults

// half_close says FIN to one side and lets the other direction go on (RFC 9293
// section 3.6). A client that half-closes after its request is legal, and still
// Node's server answers it with nothing and Go's cancels the handler's context
// (golang/go#18527); a relay that makes a full close of it loses the
// reply. What would still have gone to that side is dropped.
type halfClose struct {
	At   Position `json:"at" help:"where the FIN comes, in the direction of the match; without one, in that towards side"`
	Side string   `json:"side" help:"who gets the FIN" enum:"client,server"`
}

var _ = Declare(Kind[halfClose]{
	Name:     "half_close",
	Summary:  "FIN to one side, the other direction goes on",
	Client:   "FIN, while what it says still arrives; on the other side a request, then FIN, and a client that waits for its answer",
	Group:    Bytes,
	Defaults: halfClose{At: Position{Kind: Now}, Side: "client"},
	Words:    []string{"shutdown_write", "half_open"},
	Scope: func(p halfClose) Scope {
		if p.Side == "server" {
			return Scope{Direction: "upstream"}
		}
		return Scope{}
	},
	Here: func(p halfClose, w *Writer) {
		if p.Side == "server" {
			w.HalfClose(Server)
		} else {
			w.HalfClose(Client)
		}
	},
	Presets: []Preset{
		{Name: "half-closed-client", Summary: "the server sees its client half-close after the request", Client: "its answer, if the server gives one: Node's says nothing",
			Params: `{"at":"end","side":"server"}`,
			Examples: []Example{{Title: "FIN behind the request, then the answer", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
>s FIN
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n`}}},
	},
	Examples: []Example{
		{Title: "to the server after the request: the answer still comes", Params: `{"at":"end","side":"server"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
>s FIN
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
c> GET /2 HTTP/1.1\r\n\r\n
s> FIN
>c FIN`},
		{Title: "to the client in mid-upload: the rest of it arrives", Params: `{"at":"end"}`, Match: `{"method":"POST"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab
>s POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nab
s> HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n
>c FIN
c> cd
>s cd
s> FIN
c> FIN
>s FIN`},
		{Title: "to the server where the answer has come half-way", Params: `{"at":"body:1","side":"server"}`, Match: `{"direction":"downstream"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
>c HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc
>s FIN`},
	},
})
