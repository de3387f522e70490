package faults

import (
	"math"

	"crimp/faults/wire"
)

// dropFin loses a peer's goodbye: its segments with FIN, and what data is on them,
// never arrive. The peer retransmits the FIN and gives up in FIN-WAIT-1 or LAST-ACK
// (tcp_orphan_retries), the other side keeps a connection that is half dead: what
// is found as ESTABLISHED on one host and gone on the other.
type dropFin struct {
	Side string `json:"side" help:"whose FIN" enum:"server,client"`
}

var _ = Declare(Kind[dropFin]{
	Name:     "drop_fin",
	Summary:  "segments with FIN from `side`, data on them included, never arrive (Linux)",
	Client:   "a connection that is never closed; if it closes, its close is never acknowledged",
	Group:    Packet,
	Nearest:  "hold_fin",
	Defaults: dropFin{Side: "server"},
	Words:    []string{"lost_fin", "half_open"},
	New:      func(p dropFin) Stage { return &finStage{p: p} },
	Examples: []Example{
		{Title: "bytes pass: what is lost is lost beneath", Params: `{"side":"client"}`, Play: `
s> hello
>c hello`},
	},
})

type finStage struct{ p dropFin }

func (f *finStage) Open(w *Writer) {
	if w.Fire() {
		w.Filter(f.p.Side, Filter{Fin: true})
	}
}

func (f *finStage) Segment(s wire.Segment, w *Writer) { w.Send(s) }
func (f *finStage) Blind(int64) int64                 { return math.MaxInt64 }
