package faults

import (
	"math"
	"time"

	"crimp/faults/wire"
)

// bandwidth lets bytes go at a rate, each direction by itself, as a slow link
// does. It keeps a schedule: each piece, some 5 ms of the rate, is through at the
// start plus the bytes so far by the rate, so late timers do not add up ("write, sleep, write" is 5 to 98 %
// slow). A link that was idle catches up by `burst` at most; what a busy machine
// kept it from carrying it catches up with whole, within 1 s.
//
// With `share: route` all the sessions of the route are on one link. Each takes
// pieces of the same size in turn, so that what they get is equal. Bytes that
// a rule's match leaves out are not slowed and not counted.
//
// It reads no more than some 50 ms of the rate: the sender feels the link by its
// own socket buffer, and little is held here. FIN follows the last byte.
type bandwidth struct {
	Rate  Rate     `json:"rate" help:"bytes a second, each way" min:"1B/s" required:"true"`
	Burst Size     `json:"burst" help:"how much of what was not used may be made up for at once; 0: 10 ms of the rate"`
	Ramp  Duration `json:"ramp" help:"one segment of 1460 bytes in this time at first, doubling each time, as TCP's slow start does in each round trip; again after 1 s without a byte; 0s: the whole rate at once" min:"0s" max:"1h"`
	Share string   `json:"share" help:"whether each session has the rate, or all sessions of the route together" enum:"session,route"`
}

const (
	paceQuantum = 5 * time.Millisecond  // how much goes at a time, in time
	paceMost    = 16 << 10              // and in bytes
	paceAhead   = 50 * time.Millisecond // how much is read ahead, in time
)

var _ = Declare(Kind[bandwidth]{
	Name:     "bandwidth",
	Summary:  "paced to `rate` by a schedule, within 2 % over 2 s",
	Client:   "everything comes slowly, at an even rate; what it sends fills its own buffers",
	Group:    Bytes,
	Defaults: bandwidth{Share: "session"},
	Words:    []string{"throttle", "rate_limit", "slow", "limit_rate", "shape"},
	Check: func(p bandwidth) *Error {
		if p.Ramp > 0 && p.Share == "route" {
			return Errorf(Invalid, "ramp", "not with share route: slow start is each connection's own")
		}
		return nil
	},
	Memory: func(p bandwidth) any {
		m := &[2]pacer{}
		for d := range m {
			m[d].rate, m[d].ramp = float64(p.Rate), time.Duration(p.Ramp)
			m[d].burst = 10 * time.Millisecond
			if p.Burst > 0 {
				m[d].burst = time.Duration(min(float64(p.Burst)/float64(p.Rate)*1e9, math.MaxInt64/4))
			}
		}
		return m
	},
	New: func(p bandwidth) Stage { return &bandwidthStage{shared: p.Share == "route"} },
	Examples: []Example{
		{Title: "1000 bytes a second: ten at once, the rest as they are due", Params: `{"rate":"1kB/s"}`, Play: `
s> 0123456789abcdefghij
>c 0123456789
+4ms
+1ms
>c abcde
+5ms
>c fghij`},
		{Title: "what was not used is lost, but for the burst", Params: `{"rate":"1kB/s","burst":"5"}`, Play: `
+1h
s> 0123456789
>c 01234
+5ms
>c 56789`},
		{Title: "disarmed: everything at once, FIN behind it", Params: `{"rate":"1B/s","burst":"1"}`, Match: `{"path":"/slow"}`, Play: `
c> GET /slow HTTP/1.1\r\n\r\n
>s GET /slow HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c H
+1s
>c T
+2s
>c TP
disarm
>c /1.1 204 No Content\r\n\r\n
>c FIN`},
		{Title: "a ramp: 1460 bytes a second, then twice that", Params: `{"rate":"1MB/s","ramp":"1s","burst":"1"}`, Match: `{"direction":"upstream"}`, Play: `
c> 0123456789abcdefghijk
+4ms
+1ms
>s 0123456
+5ms
>s 789abcd
+5ms
>s efghijk`},
	},
})

type bandwidthStage struct {
	shared bool
	pacer  *pacer
	asked  bool // the gate
	idle   bool // it said no
	ahead  time.Duration
	took   time.Time // when the last piece was taken
	mine   time.Time // when it is due
	left   int       // bytes of it that have not come yet
	turn   int64     // on a shared link: bytes that may be taken before the others'
}

// Open finds the link, so that not even the first read is too much for it.
func (b *bandwidthStage) Open(w *Writer) {
	all := w.Session
	if b.shared {
		all = w.Route
	}
	b.pacer = &all().(*[2]pacer)[w.Dir()]
}

func (b *bandwidthStage) Segment(s wire.Segment, w *Writer) {
	b.asked = true
	if !w.Fire() {
		b.idle = true
		w.Send(s)
		return
	}
	b.ahead = w.Ahead()
	for {
		if b.left == 0 && len(s.Data) > 0 {
			b.took = w.Now()
			b.left = b.piece(b.took)
			b.mine = b.pacer.reserve(b.took, b.left)
			w.Until(b.mine)
			if b.turn <= 0 {
				b.turn = b.pacer.fits(b.took, paceQuantum)
			}
			b.turn -= int64(b.left)
		}
		n := min(len(s.Data), b.left)
		b.left -= n
		w.Send(s.Slice(0, n))
		if n == len(s.Data) {
			return
		}
		s = s.Slice(n, len(s.Data))
	}
}

// Late: what the link could have carried meanwhile it may carry yet.
func (b *bandwidthStage) Late(by time.Duration) { b.pacer.late(by) }

// piece is how many bytes go at a time.
func (b *bandwidthStage) piece(at time.Time) int {
	return int(min(b.pacer.fits(at, paceQuantum), paceMost))
}

// Ration keeps what is taken in within paceAhead. On a link that is shared a
// session takes some pieces, and more only when those are through: in the meantime
// it is the others' turn, even where all catch up at one moment.
func (b *bandwidthStage) Ration(now time.Time) (int64, time.Time) {
	at := now.Add(b.ahead)
	switch {
	case b.idle:
		return math.MaxInt64, time.Time{}
	case !b.shared:
		room := paceAhead - b.pacer.backlog(at)
		if room <= 0 {
			return 0, now.Add(max(-room, time.Microsecond))
		}
		return max(int64(b.piece(at)), b.pacer.fits(at, room)), time.Time{}
	case b.turn > 0:
		return b.turn, time.Time{}
	case b.mine.Before(at) && b.took.Before(at):
		return b.pacer.fits(at, paceQuantum), time.Time{}
	}
	return 0, now.Add(max(b.mine.Sub(at), time.Microsecond))
}

// Free is what the link would let through at once, so that a link faster than its
// load costs no more than none. On one that is shared, others may take it
// meanwhile; a ramp is never far from its rate.
func (b *bandwidthStage) Free(now time.Time) int64 {
	switch {
	case b.idle:
		return math.MaxInt64
	case !b.asked || b.shared || b.ahead > 0 || b.pacer.ramp > 0 || b.mine.After(now):
		return 0
	}
	return b.pacer.free(now) + int64(b.left)
}

// Counted takes the link for bytes that went by.
func (b *bandwidthStage) Counted(now time.Time, n int64) {
	if b.idle {
		return
	}
	paid := min(n, int64(b.left))
	b.left -= int(paid)
	if n > paid {
		b.mine = b.pacer.reserve(now, int(n-paid))
	}
}
