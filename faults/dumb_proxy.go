package faults

import "crimp/faults/wire"

// dumbProxy is the single-tasking blind relay of "HTTP: The Definitive Guide",
// section 4.5.5: it forwards `Connection: Keep-Alive` without understanding it,
// so client and server both keep the connection, while it waits for the server
// to close and hears no second request (RFC 9112 appendix C.2.2).
type dumbProxy struct {
	Next string `json:"next" help:"what becomes of what the client sends after its request: left unread, or read away" enum:"ignore,discard"`
}

var _ = Declare(Kind[dumbProxy]{
	Name:     "dumb_proxy",
	Summary:  "the next request goes through unaltered, nothing after it is relayed, and the server's answer flows until it closes",
	Client:   "its first answer, with the keep-alive it hoped for, then silence on the second request until the origin closes",
	Group:    Message,
	HTTP:     true,
	Both:     true,
	Defaults: dumbProxy{Next: "ignore"},
	Words:    []string{"blind_relay", "keepalive_hang"},
	Keeps:    func(p dumbProxy) bool { return p.Next == "ignore" },
	New:      func(p dumbProxy) Stage { return &dumbProxyStage{discard: p.Next == "discard"} },
	Presets: []Preset{
		{Name: "dumb-proxy", Summary: "the keep-alive hang of a blind relay", Headline: true,
			Client: "its first answer, with the keep-alive it hoped for, then silence on the second request until the origin closes",
			Params: `{"next":"ignore"}`},
	},
	Examples: []Example{
		{Title: "the second request hangs until the origin closes", Params: `{}`, Play: `
c> GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\n\r\n
>s GET /1 HTTP/1.0\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\n\r\n
s> HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nhi
c> GET /2 HTTP/1.0\r\n\r\n
+1h
s> FIN
>c FIN
>s CLOSE`},
		{Title: "disarmed: what waited is relayed", Params: `{}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
disarm
>s GET /2 HTTP/1.1\r\n\r\n`},
		{Title: "read away: lost for good", Params: `{"next":"discard"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
disarm
c> GET /3 HTTP/1.1\r\n\r\n
>s GET /3 HTTP/1.1\r\n\r\n`},
		{Title: "a client that has its answer and leaves ends both", Params: `{"next":"discard"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> FIN
>s FIN
>c CLOSE`},
		{Title: "not once the connection is a tunnel", Params: `{}`, Play: `
c> GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n
>s GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n
s> HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n
>c HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n
c> frame
>s frame`},
	},
})

type dumbProxyStage struct {
	discard  bool
	deaf     bool // the request is through: nothing after it is relayed
	tunnel   bool // the answer was 101, or 2xx to CONNECT: it relays again
	answered bool
	hung     bool // the client is gone, its last bytes unread
}

func (d *dumbProxyStage) Segment(s wire.Segment, w *Writer) {
	if w.Dir() == wire.Downstream {
		w.Send(s)
		d.answer(s, w)
		return
	}
	if d.deaf && d.discard && !d.tunnel {
		return
	}
	w.Send(s)
	if s.End && !d.deaf {
		d.deaf = true
		if !d.discard && !d.tunnel {
			w.Until(Never)
		}
	}
}

// answer watches what the origin says: only a tunnel makes the relay hear again.
func (d *dumbProxyStage) answer(s wire.Segment, w *Writer) {
	if s.Part == wire.HeadEnd && s.Last && s.Head != nil && s.Head.Framing == wire.Tunnel {
		d.tunnel = true
		w.Free()
	}
	if s.End && s.Head != nil && s.Head.Status >= 200 {
		d.answered = true
		if d.hung {
			d.over(w)
		}
	}
}

// End: the origin's end is what the relay waited for; the client's ends both,
// once it has its answer.
func (d *dumbProxyStage) End(w *Writer) {
	switch {
	case d.tunnel, !d.deaf, w.Resetting():
		w.Shut()
	case w.Dir() == wire.Downstream, d.answered:
		d.over(w)
	default:
		w.Shut()
	}
}

// Glues: the one connection lasts as long as the other.
func (d *dumbProxyStage) Glues() bool { return d.deaf && !d.tunnel }

// Hangup: the client has left, what it said last is still unread in the kernel.
func (d *dumbProxyStage) Hangup(w *Writer) {
	if d.hung = true; d.answered && w.Dir() == wire.Upstream {
		d.over(w)
	}
}

// over ends both legs; what was never relayed never will be.
func (d *dumbProxyStage) over(w *Writer) {
	w.Discard()
	w.End(Fin, OtherClose)
}
