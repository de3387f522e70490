package faults

import (
	"time"

	"crimp/faults/wire"
)

// drip lets a message out a few bytes at a time: Slowloris turned round. Every
// client's time-out of silence is content with a byte now and then; only a
// deadline for the whole ends it (the cpython CVE-2021-3737 class), and no client
// measured has one by default. Each piece is a write of its own, the first at once. The
// body of a chunked message is dripped with its framing.
type drip struct {
	Part  string   `json:"part" help:"what is dripped; the rest passes as it comes" enum:"head,body,all"`
	Bytes Size     `json:"bytes" help:"how many at a time" min:"1" max:"16MiB"`
	Every Duration `json:"every" help:"from one time to the next" min:"1ms" max:"1h"`
}

var _ = Declare(Kind[drip]{
	Name:     "drip",
	Summary:  "that many bytes at a time",
	Client:   "never silence, and never the end: no time-out but a total one ends it",
	Group:    Message,
	HTTP:     true,
	Defaults: drip{Part: "head", Bytes: 1, Every: Duration(100 * time.Millisecond)},
	Words:    []string{"trickle", "slow_loris", "byte_at_a_time", "slow_read"},
	Keeps:    func(drip) bool { return true },
	New:      func(p drip) Stage { return &dripStage{p: p} },
	Examples: []Example{
		{Title: "the body, two bytes a second", Params: `{"part":"body","bytes":2,"every":"1s"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde
>c HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab
+999ms
+1ms
>c cd
+1s
>c e`},
		{Title: "the head; disarmed: the rest at once", Params: `{"bytes":12,"every":"1s"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200
+1s
>c  OK\r\nContent
disarm
>c -Length: 2\r\n\r\nhi`},
		{Title: "all of a request", Params: `{"part":"all","bytes":10,"every":"1s"}`, Match: `{"direction":"upstream"}`, Play: `
c> POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
>s POST / HTT
+1s
>s P/1.1\r\nCon
+1s
>s tent-Lengt
+1s
>s h: 2\r\n\r\nhi`},
	},
})

type dripStage struct {
	p    drip
	said int64     // bytes of the piece in progress
	due  time.Time // when that goes
}

func (d *dripStage) Segment(s wire.Segment, w *Writer) {
	if s.Start {
		d.due = w.Behind() // an answer before it in the pipe may still be dripping
	}
	if !d.means(s) || !w.Fire() {
		w.Send(s)
		return
	}
	for len(s.Data) > 0 {
		if d.said == int64(d.p.Bytes) {
			d.said = 0
			d.due = d.due.Add(time.Duration(d.p.Every))
		}
		if now := w.Now(); d.due.Before(now) || isNever(d.due) && !isNever(now) { // it came later, or a stall before it is over
			d.due = now
		}
		w.Delay(d.due.Sub(w.Now()))
		n := int(min(int64(d.p.Bytes)-d.said, int64(len(s.Data))))
		d.said += int64(n)
		if n == len(s.Data) {
			break
		}
		w.Send(s.Slice(0, n))
		s = s.Slice(n, len(s.Data))
	}
	w.Send(s)
}

func (d *dripStage) means(s wire.Segment) bool {
	switch s.Part {
	case wire.StartLine, wire.Field, wire.HeadEnd:
		return d.p.Part != "body"
	}
	return d.p.Part != "head"
}

// Take reads no more than some pieces ahead: each waits in an entry of its own.
func (d *dripStage) Take(behind time.Duration) int64 {
	const ahead = 64
	if behind > ahead*time.Duration(d.p.Every) {
		return 0
	}
	return min(ahead*int64(d.p.Bytes), 1<<20)
}
