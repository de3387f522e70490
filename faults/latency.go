package faults

import (
	"math"
	"math/rand/v2"
	"time"

	"crimp/faults/wire"
)

// latency is a delay line: every byte, and FIN, leaves `delay` after it came, in
// order. It is not a sleep for each chunk, so throughput is kept as long as what
// is on the way fits the session's bound for held bytes. With `jitter` each message
// has a delay of its own and a long one has several; as nothing overtakes, what
// comes behind a late one is as late.
type latency struct {
	Delay        Duration `json:"delay" help:"how long each byte is under way" min:"0s" max:"1h"`
	Jitter       Duration `json:"jitter" help:"how much that varies: +- for uniform, the standard deviation for normal, one deviation up for lognormal, the mean of what is added for pareto" min:"0s" max:"1h"`
	Distribution string   `json:"distribution" help:"how the delays are spread" enum:"uniform,normal,lognormal,pareto"`
}

// jitterBlock is how many bytes share a draw at most. Those that come at one
// moment do: a small message has a delay of its own, and a long one has as many
// whether it is read in one piece or byte by byte. A draw is keyed by the offset of
// its first byte, so how a stream is cut cannot shift those to come.
const jitterBlock = 4096

var _ = Declare(Kind[latency]{
	Name:     "latency",
	Summary:  "every byte leaves `delay` after it arrived, in order, FIN too",
	Client:   "everything comes later, at the same rate",
	Group:    Bytes,
	Defaults: latency{Delay: Duration(100 * time.Millisecond), Distribution: "uniform"},
	Words:    []string{"delay", "lag", "fixedDelayMilliseconds"},
	Keeps:    func(latency) bool { return true },
	New:      func(p latency) Stage { return &latencyStage{p: p} },
	Examples: []Example{
		{Title: "both bytes and FIN come later", Params: `{"delay":"50ms"}`, Play: `
s> hello
+20ms
s> world
s> FIN
+30ms
>c hello
+20ms
>c world
>c FIN`},
		{Title: "only what matches; disarming lets go at once", Params: `{"delay":"1h"}`, Match: `{"path":"/slow"}`, Play: `
c> GET /fast HTTP/1.1\r\n\r\n
>s GET /fast HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 204 No Content\r\n\r\n
c> GET /slow HTTP/1.1\r\n\r\n
>s GET /slow HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
+59m
disarm
>c HTTP/1.1 204 No Content\r\n\r\n`},
	},
})

type latencyStage struct {
	p     latency
	delay time.Duration
	drawn time.Time // when the bytes that share the draw came; zero: none was made
	block int64     // and in which block they are
	next  int64     // the offset behind them
	blind bool      // the gate was asked, and nothing is to be delayed
}

func (l *latencyStage) Segment(s wire.Segment, w *Writer) {
	fires := w.Fire()
	if l.blind = !fires || l.p.Delay == 0 && l.p.Jitter == 0; l.blind {
		w.Send(s)
		return
	}
	for {
		n := l.share(s, w)
		w.Delay(l.delay)
		if n >= len(s.Data) {
			w.Send(s)
			return
		}
		w.Send(s.Slice(0, n))
		s = s.Slice(n, len(s.Data))
	}
}

// share sees to the delay of a segment's first bytes and says how many have it.
func (l *latencyStage) share(s wire.Segment, w *Writer) int {
	if l.p.Jitter == 0 {
		l.delay = time.Duration(l.p.Delay)
		return len(s.Data)
	}
	at := s.Off
	if at < 0 { // made up: it goes with the peer's bytes beside it
		at = l.next
	}
	block := at / jitterBlock
	if !l.drawn.Equal(w.Now()) || block != l.block {
		l.delay, l.drawn, l.block = l.p.draw(w.Rand(uint64(at)+1)), w.Now(), block
	}
	if s.Off < 0 {
		return len(s.Data)
	}
	n := min(int64(len(s.Data)), (block+1)*jitterBlock-at)
	l.next = at + n
	return int(n)
}

// Blind: no delay is none, however the bytes go.
func (l *latencyStage) Blind(int64) int64 { return allOrNothing(l.blind) }

// End delays FIN, and RST, as the bytes before it.
func (l *latencyStage) End(w *Writer) {
	if w.Fire() {
		w.Delay(max(l.delay, time.Duration(l.p.Delay)-time.Duration(l.p.Jitter)))
	}
	w.Shut()
}

// draw is one delay of the distribution, never below 0.
func (p latency) draw(r *rand.Rand) time.Duration {
	delay, jitter := float64(p.Delay), float64(p.Jitter)
	var d float64
	switch p.Distribution {
	case "normal":
		d = delay + jitter*r.NormFloat64()
	case "lognormal":
		d = delay * math.Exp(r.NormFloat64()*math.Log1p(jitter/max(delay, 1)))
	case "pareto": // Lomax of shape 3: its mean is half its scale; the far tail is cut
		d = delay + min(2*jitter*(math.Pow(1-r.Float64(), -1.0/3)-1), 100*jitter)
	default:
		d = delay + jitter*(2*r.Float64()-1)
	}
	return time.Duration(min(max(d, 0), float64(24*time.Hour)))
}
