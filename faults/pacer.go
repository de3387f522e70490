package faults

import (
	"math"
	"sync/atomic"
	"time"
)

// pacer is the schedule of a link of a certain rate: it gives each run of bytes
// the time at which it is due. It is the virtual clock of a leaky bucket: next is
// when the link is free again, so a timer that comes late costs nothing, what was
// due meanwhile goes at once. What a link did not use is lost but for the burst.
//
// What it could not use because its box was late is not lost: on a busy machine a
// turn may come later than the link had work for, which at 100 MB/s is some 20 ms.
// That is owed, and made up for as soon as there are bytes, unless the link rests.
//
// A pacer may be shared by sessions on several loops: what changes is atomic,
// a reservation is a compare-and-swap, and whoever reserved waits by the
// clock, so there is no queue, no lock and no goroutine that could leak. That next
// and owed are two does no harm: next alone bounds what the link carries.
type pacer struct {
	rate  float64 // bytes a second
	burst time.Duration
	ramp  time.Duration // 0: none; such a pacer is of one session
	began time.Duration // of the ramp, since base

	base atomic.Pointer[time.Time] // next counts from here: the first use
	next atomic.Int64              // nanoseconds
	owed atomic.Int64              // nanoseconds, more than burst, that may be made up for
}

// segmentSize is what one segment carries on an Ethernet: what a ramp begins with.
const segmentSize = 1460

// linkRests is the idle time after which nothing is owed any more, and a ramp
// begins anew, as slow start does after a retransmission time-out's length
// (RFC 5681 section 4.1); RFC 6298 section 2.4 makes that 1 s at least.
const linkRests = time.Second

// firstUse is the first use on the pacer's clock: long after 0, when the link was
// taken last.
const firstUse = 1000 * time.Hour

// lapse is t on the pacer's clock.
func (p *pacer) lapse(t time.Time) time.Duration {
	base := p.base.Load()
	if base == nil {
		first := t.Add(-firstUse)
		p.base.CompareAndSwap(nil, &first)
		base = p.base.Load()
	}
	return t.Sub(*base)
}

// reserve takes the link for n bytes that are ready at a time, and says when the
// last of them is through.
func (p *pacer) reserve(at time.Time, n int) time.Time {
	now := p.lapse(at)
	for {
		old, owed := p.next.Load(), p.owed.Load()
		free := now - time.Duration(old)
		if free > linkRests {
			owed = 0
		}
		start := max(time.Duration(old), now-p.burst-time.Duration(owed))
		if p.rests(now) {
			start, p.began = now, now
		}
		end := start + p.takes(start, float64(n))
		if p.next.CompareAndSwap(old, int64(end)) {
			if owed > 0 && now-end <= p.burst || free > linkRests { // caught up, or too late
				p.owed.Store(0)
			}
			return at.Add(end - now)
		}
	}
}

// late says that for so long nobody could give the link anything.
func (p *pacer) late(by time.Duration) {
	p.owed.Store(min(p.owed.Load()+int64(by), int64(linkRests)))
}

// rests says that the ramp begins anew with the next byte.
func (p *pacer) rests(now time.Duration) bool {
	return p.ramp > 0 && now-time.Duration(p.next.Load()) > linkRests
}

// takes is how long the link needs for n bytes from a time on.
func (p *pacer) takes(start time.Duration, n float64) (d time.Duration) {
	for p.ramp > 0 {
		rate, step := p.rateAt(start + d)
		if rate >= p.rate {
			break
		}
		left := step - (start + d)
		if room := rate * left.Seconds(); n > room {
			n -= room
			d += left
			continue
		}
		return d + time.Duration(n/rate*1e9)
	}
	return d + time.Duration(min(n/p.rate*1e9, math.MaxInt64/4))
}

// rateAt is the rate at a time on the pacer's clock, and until when it holds.
func (p *pacer) rateAt(at time.Duration) (rate float64, until time.Duration) {
	if p.ramp <= 0 {
		return p.rate, math.MaxInt64
	}
	steps := max(0, at-p.began) / p.ramp
	rate = segmentSize / p.ramp.Seconds() * math.Pow(2, float64(min(steps, 64)))
	return min(rate, p.rate), p.began + (steps+1)*p.ramp
}

// backlog is how long the link is taken already at a time.
func (p *pacer) backlog(at time.Time) time.Duration {
	if p.base.Load() == nil {
		return 0
	}
	return time.Duration(p.next.Load()) - p.lapse(at)
}

// fits is how many bytes the link carries in d, beginning at a time; at least 1.
func (p *pacer) fits(at time.Time, d time.Duration) int64 {
	now := p.lapse(at)
	rate, _ := p.rateAt(now)
	if p.rests(now) {
		rate, _ = p.rateAt(p.began)
	}
	return max(1, int64(min(rate*d.Seconds(), 1<<40)))
}

// free is how many bytes a link without a ramp lets through at once: none while
// it is taken.
func (p *pacer) free(at time.Time) int64 {
	if p.base.Load() == nil {
		return 0
	}
	unused := min(-p.backlog(at), p.burst)
	return int64(max(0, unused.Seconds()*p.rate))
}
