package faults

import (
	"time"

	"crimp/faults/wire"
)

// hold_fin keeps a peer's FIN from the other side, which goes on believing in the
// connection: a firewall that lost its state, a keep-alive pool that is never
// told, servers whose connections pile up until the table is full. A RST is
// passed on. With an HTTP match it holds a FIN that comes within such a message.
type holdFin struct {
	For Duration `json:"for" help:"for how long; 0s: until disarmed" min:"0s"`
}

var _ = Declare(Kind[holdFin]{
	Name:     "hold_fin",
	Summary:  "the peer's close is not passed on",
	Client:   "a connection that the server closed and that still looks open; what it sends on it is never answered",
	Group:    Bytes,
	Defaults: holdFin{},
	Words:    []string{"close_wait", "leak", "slow_close"},
	Keeps:    func(holdFin) bool { return true },
	New:      func(p holdFin) Stage { return holdFinStage(p) },
	Presets: []Preset{
		{Name: "pile-up", Summary: "connections pile up: nobody hears that the other side has closed", Client: "connections that never close, up to its limit or the server's",
			Match: `{"direction":"both"}`,
			Examples: []Example{{Title: "both have closed, and neither hears of it", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> FIN
s> FIN
+1h
disarm
>c FIN
>s FIN`}}},
	},
	Examples: []Example{
		{Title: "until disarmed", Params: `{}`, Play: `
s> bye
s> FIN
>c bye
+1h
c> are you there?
>s are you there?
disarm
>c FIN`},
		{Title: "the client's, for a while", Params: `{"for":"30s"}`, Match: `{"direction":"upstream"}`, Play: `
c> GET / HTTP/1.0\r\n\r\n
>s GET / HTTP/1.0\r\n\r\n
c> FIN
+29s
+1s
>s FIN`},
	},
})

type holdFinStage holdFin

func (h holdFinStage) Segment(s wire.Segment, w *Writer) { w.Send(s) }

func (h holdFinStage) Blind(int64) int64 { return allOrNothing(true) }

// End holds FIN; a RST is no close that could be waited for.
func (h holdFinStage) End(w *Writer) {
	switch {
	case w.Resetting() || !w.Fire():
	case h.For > 0:
		w.Delay(time.Duration(h.For))
	default:
		w.Stall(0)
	}
	w.Shut()
}
