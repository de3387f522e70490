package faults

import (
	"math"

	"crimp/faults/wire"
)

// packetLoss is a lossy path in one direction, on this session alone: that share
// of the segments from a side vanishes before TCP sees them, acknowledgements
// included. What follows is TCP's own doing: retransmission, back-off (RFC 6298),
// a rate that falls with the square root of the loss. Which segments are lost is
// the kernel's draw, not the seed's. With an HTTP match it lasts as long as the
// message.
type packetLoss struct {
	Rate Percent `json:"rate" help:"share of the segments that vanish" required:"true"`
	Side string  `json:"side" help:"whose segments" enum:"server,client"`
}

var _ = Declare(Kind[packetLoss]{
	Name:     "packet_loss",
	Summary:  "that share of the segments from `side` vanish before TCP sees them (Linux)",
	Client:   "stutters: stalls of 200 ms and more, a lower rate, no error",
	Group:    Packet,
	Nearest:  "latency with jitter",
	Defaults: packetLoss{Side: "server"},
	Words:    []string{"loss", "drop_packets", "lossy"},
	New:      func(p packetLoss) Stage { return &lossStage{p: p} },
	Examples: []Example{
		{Title: "the bytes are TCP's to bring, none is lost", Params: `{"rate":"10%"}`, Play: `
s> hello
>c hello`},
	},
})

type lossStage struct{ p packetLoss }

func (l *lossStage) Open(w *Writer) {
	if w.Fire() {
		w.Filter(l.p.Side, Filter{Loss: float32(l.p.Rate)})
	}
}

func (l *lossStage) Segment(s wire.Segment, w *Writer) {
	w.Send(s)
	if s.End && w.Exchange() != nil {
		w.Filter(l.p.Side, Filter{})
	}
}

func (l *lossStage) Blind(int64) int64 { return math.MaxInt64 }
