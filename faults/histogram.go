package faults

import (
	"sync/atomic"
	"time"
)

// HistogramBounds are the upper bounds of a Histogram's buckets; what is longer
// than the last is in one bucket more.
var HistogramBounds = [...]time.Duration{
	10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// Histogram counts durations by their length. Adding allocates nothing and waits
// for nobody: it is two atomic additions, a few nanoseconds while one goroutine
// adds. Any goroutine may read. The zero value is ready.
type Histogram struct {
	buckets [len(HistogramBounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

// Add counts one duration; one below 0, which only a stepping clock can give, as 0.
func (h *Histogram) Add(d time.Duration) {
	i := 0
	for i < len(HistogramBounds) && d > HistogramBounds[i] {
		i++
	}
	h.buckets[i].Add(1)
	h.sum.Add(int64(max(d, 0)))
}

// Counts is a Histogram as it was read: how many durations each bucket has, and
// what all of them add up to. Read while somebody adds, Sum may be one behind.
type Counts struct {
	Buckets [len(HistogramBounds) + 1]uint64 // of HistogramBounds, each without those below; the last is for longer ones
	Sum     time.Duration
}

// Counts reads the histogram.
func (h *Histogram) Counts() (c Counts) {
	for i := range h.buckets {
		c.Buckets[i] = h.buckets[i].Load()
	}
	c.Sum = time.Duration(h.sum.Load())
	return c
}

// Plus is both counted together.
func (c Counts) Plus(other Counts) Counts {
	for i := range c.Buckets {
		c.Buckets[i] += other.Buckets[i]
	}
	c.Sum += other.Sum
	return c
}

// Total is how many durations were counted.
func (c Counts) Total() (n uint64) {
	for _, b := range c.Buckets {
		n += b
	}
	return n
}
