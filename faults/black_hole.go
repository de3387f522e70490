package faults

import "crimp/faults/wire"

// blackHole is a pulled cable, a crashed host, a NAT entry or firewall state that
// is gone: from there on nothing of that side is acknowledged, and nothing is said
// to it. No FIN and no RST: a peer that only waits will wait for ever unless it
// has keepalives or a time-out (RFC 9293 section 3.8.4; RFC 1122 section 4.2.3.6);
// one that sends retransmits until its own limit. What the kernel holds already it
// may go on retransmitting. What that side had said beyond `at` may have come in the
// same segment: it is kept back, as if it had not. Disarmed, the cable is in again: TCP goes on where it
// was, if nobody has given up.
type blackHole struct {
	At   Position `json:"at" help:"where it begins"`
	Side string   `json:"side" help:"whose cable" enum:"server,client"`
}

var _ = Declare(Kind[blackHole]{
	Name:     "black_hole",
	Summary:  "nothing from `side` is acknowledged any more, nothing is said to it (Linux)",
	Client:   "silence, without FIN or RST, and if it is its own cable its data is never acknowledged",
	Group:    Packet,
	Nearest:  "stall",
	Defaults: blackHole{At: Position{Kind: Now}, Side: "server"},
	Words:    []string{"blackhole", "partition", "unplug", "network_partition"},
	Here: func(p blackHole, w *Writer) {
		w.Filter(p.Side, Filter{All: true})
		if (p.Side == "server") == (w.Dir() == wire.Downstream) {
			w.Stall(0)
		}
	},
	Examples: []Example{
		{Title: "the client's cable pulled after its answer's head", Params: `{"at":"head","side":"client"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n
+1h
disarm
>c hi`},
		{Title: "the server's in mid-answer: no more of it, and it is asked nothing", Params: `{"at":"body:2"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab
c> GET /2 HTTP/1.1\r\n\r\n
+1h
disarm
>s GET /2 HTTP/1.1\r\n\r\n
>c cd`},
		{Title: "the server's: requests go nowhere", Params: `{}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
+1h
disarm
>s GET / HTTP/1.1\r\n\r\n`},
	},
})
