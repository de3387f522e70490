package middlebox

import (
	"sort"
	"sync"
	"time"
)

// journal is what happened, in one order over the whole box: a bounded ring of
// events and one of finished exchanges, each as it was when it was told.
//
// Whoever writes holds the mutex for as long as it takes to store one event; it
// waits for no reader. Readers copy a block at a time and filter outside the
// lock, and a watcher is only a cursor: one that is too slow is told how many
// events it lost, when it comes.
type journal struct {
	now func() time.Time

	mu        sync.Mutex
	seq       int64 // of the newest event
	last      time.Time
	events    ring[Event]
	exchanges ring[finished]
	watches   []*Watch
}

// finished is an exchange in the ring: what exchange.finished told.
type finished struct {
	seq   int64
	data  any // an ExchangeItem, as in the event
	heard *heard
}

// ring keeps the newest n of what is added, growing up to n.
type ring[T any] struct {
	n     int
	items []T
	next  int   // where the next one goes, once full
	added int64 // ever
}

func (r *ring[T]) add(x T) {
	r.added++
	if len(r.items) < r.n {
		r.items = append(r.items, x)
		return
	}
	r.items[r.next] = x
	r.next = (r.next + 1) % r.n
}

// at is the i-th oldest that is still there.
func (r *ring[T]) at(i int) T { return r.items[(r.next+i)%len(r.items)] }

// lost is how many are no longer there.
func (r *ring[T]) lost() int64 { return r.added - int64(len(r.items)) }

func newJournal(limits Limits, now func() time.Time) *journal {
	return &journal{now: now, events: ring[Event]{n: limits.Events}, exchanges: ring[finished]{n: limits.Exchanges}}
}

// emit gives an event its number and time and keeps it.
func (j *journal) emit(e Event) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.add(e)
}

// emitWith is emit for an event whose data say their own number.
func (j *journal) emitWith(e Event, data func(seq int64) any) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Data = data(j.seq + 1)
	return j.add(e)
}

// finish is emit for an exchange.finished, which also enters the ring of exchanges.
func (j *journal) finish(e Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.exchanges.add(finished{seq: j.add(e), data: e.Data, heard: e.heard})
}

func (j *journal) add(e Event) int64 {
	j.seq++
	e.Seq = j.seq
	if e.Time = j.now(); e.Time.Before(j.last) { // events are in the order of their times, too
		e.Time = j.last
	}
	j.last = e.Time
	j.events.add(e)
	for _, w := range j.watches {
		w.ring()
	}
	return j.seq
}

// newest is the newest event's number.
func (j *journal) newest() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.seq
}

// dropped is how many events the ring no longer has.
func (j *journal) dropped() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.events.lost()
}

// block copies into buf the events after seq and says how many between had been
// dropped already.
func (j *journal) block(seq int64, buf []Event) (n int, lost int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if seq < j.events.lost() {
		lost = j.events.lost() - seq
		seq = j.events.lost()
	}
	first := int(seq - j.events.lost())
	for n < len(buf) && first+n < len(j.events.items) {
		buf[n] = j.events.at(first + n)
		n++
	}
	return n, lost
}

// walk calls f with every event after since, oldest first, until it says stop.
// It says whether the ring still reached back to since.
func (j *journal) walk(since int64, f func(Event) (stop bool)) (complete bool) {
	var buf [256]Event
	complete = true
	for seq := max(since, 0); ; {
		n, lost := j.block(seq, buf[:])
		if lost > 0 {
			complete = false
		}
		if n == 0 {
			return complete
		}
		for i := range buf[:n] {
			if f(buf[i]) {
				return complete
			}
		}
		seq = buf[n-1].Seq
	}
}

// sinceTime is the number of the last event before t.
func (j *journal) sinceTime(t time.Time) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	i := sort.Search(len(j.events.items), func(i int) bool { return !j.events.at(i).Time.Before(t) })
	return j.events.lost() + int64(i)
}

// finishedSince copies the exchanges that finished after since, oldest first.
func (j *journal) finishedSince(since int64) (out []finished, complete bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := len(j.exchanges.items)
	first := sort.Search(n, func(i int) bool { return j.exchanges.at(i).seq > since })
	for i := first; i < n; i++ {
		out = append(out, j.exchanges.at(i))
	}
	return out, first > 0 || j.exchanges.lost() == 0
}

// Watch is a reader's place in the journal.
type Watch struct {
	j     *journal
	at    int64 // the newest event that was read
	ready chan struct{}
}

// watch makes a cursor behind the event since; below 0: behind the newest.
func (j *journal) watch(since int64) *Watch {
	j.mu.Lock()
	defer j.mu.Unlock()
	if since < 0 || since > j.seq {
		since = j.seq
	}
	w := &Watch{j: j, at: since, ready: make(chan struct{}, 1)}
	if since < j.seq {
		w.ring()
	}
	j.watches = append(j.watches, w)
	return w
}

// ring says, without waiting, that there is something to read.
func (w *Watch) ring() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// Next copies the next events into buf, at once, and says how many it lost
// because it came too late for them. A Watch is for one goroutine.
func (w *Watch) Next(buf []Event) (n int, lost int64) {
	n, lost = w.j.block(w.at, buf)
	if n > 0 {
		w.at = buf[n-1].Seq
	} else {
		w.at += lost
	}
	return n, lost
}

// Ready is sent to when there may be events to read: once for any number, so
// read with Next until it gives none.
func (w *Watch) Ready() <-chan struct{} { return w.ready }

// Close ends the watch. The channel of Ready is not closed.
func (w *Watch) Close() {
	w.j.mu.Lock()
	defer w.j.mu.Unlock()
	for i, x := range w.j.watches {
		if x == w {
			w.j.watches = append(w.j.watches[:i], w.j.watches[i+1:]...)
			return
		}
	}
}
