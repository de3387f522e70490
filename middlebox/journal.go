package middlebox

import (
	"sort"
	"sync"
	"time"
)

// journal is what happened, in one order over the whole box: a bounded ring of
// events and one of finished exchanges, each as it was when it was told. What
// happens often is kept packed (record.go), the rest as it is.
//
// Whoever writes holds the mutex for as long as it takes to store one event; it
// waits for no reader. Readers copy a block at a time, and unpack and filter
// outside the lock, and a watcher is only a cursor: one that is too slow is told
// how many events it lost, when it comes.
type journal struct {
	now func() time.Time

	mu        sync.Mutex
	seq       int64 // of the newest event
	last      int64 // when that was
	events    ring[entry]
	loose     ring[*Event] // those of the events that are not packed
	exchanges ring[finished]
	memory    arena // of the records
	outlived  arena // of finished exchanges whose events are no longer there
	heads     int   // bytes of the request heads that events which are not packed keep
	watches   []*Watch
}

// journalBytes bounds the packed records and the heads that other events keep, and
// once more the exchanges that outlive theirs, whatever their number: long heads
// shorten the journal. A record with a head of curl's takes 180 bytes, one of a
// browser's 670: of those the default 100,000 events fit, of these half as many.
const journalBytes = 32 << 20

// entry is one event: a record, or one of those that are not packed. It has no
// pointer, and there may be 100,000 of them.
type entry struct {
	at     int64 // nanoseconds
	loose  int64 // noRecord: how many loose ones there ever were before
	record piece
	kind   recordKind
}

// finished is an exchange in its ring: the record of exchange.finished.
type finished struct {
	seq      int64
	record   piece
	outlived bool // the record is in that arena
}

func newJournal(limits Limits, now func() time.Time) *journal {
	return &journal{now: now, events: ring[entry]{n: limits.Events}, loose: ring[*Event]{n: limits.Events}, exchanges: ring[finished]{n: limits.Exchanges}}
}

// emit gives an event its number and time and keeps it.
func (j *journal) emit(e Event) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.add(entry{at: j.now().UnixNano()}, &e)
}

// emitWith is emit for an event whose data say their own number.
func (j *journal) emitWith(e Event, data func(seq int64) any) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.Data = data(j.seq + 1)
	return j.add(entry{at: j.now().UnixNano()}, &e)
}

// keep is emit for what is packed; it copies the record. Its time is that of the
// loop's turn: to ask for another would be a quarter of what keeping costs. A
// finished exchange enters the ring of exchanges, too.
func (j *journal) keep(kind recordKind, record []byte, at time.Time) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	e := entry{kind: kind, record: j.memory.put(record), at: at.UnixNano()}
	seq := j.add(e, nil)
	if kind == exchangeFinished {
		for j.exchanges.full() || j.outlived.used > journalBytes && j.exchanges.count > 0 {
			if old := j.exchanges.drop(); old.outlived {
				j.outlived.release(old.record)
			}
		}
		j.exchanges.add(finished{seq: seq, record: e.record})
	}
	return seq
}

// headBytes is how many bytes of a request's head an event keeps that is not packed.
func headBytes(e *Event) int {
	if e.heard == nil || e.heard.facts.Request == nil {
		return 0
	}
	return len(e.heard.facts.Request.Raw)
}

// add keeps an event: a record, or a loose one.
func (j *journal) add(e entry, loose *Event) int64 {
	for j.events.full() || j.memory.used+j.heads > journalBytes && j.events.count > 0 {
		j.forget()
	}
	j.seq++
	j.last = max(j.last, e.at) // events are in the order of their times, too
	e.at = j.last
	if loose != nil {
		loose.Seq, loose.Time = j.seq, time.Unix(0, e.at)
		j.heads += headBytes(loose)
		e.loose = j.loose.added
		j.loose.add(loose)
	}
	j.events.add(e)
	for _, w := range j.watches {
		w.ring()
	}
	return j.seq
}

// forget drops the oldest event. The ring of exchanges may still have it: then
// its record moves, lest one exchange keep a block of other events.
func (j *journal) forget() {
	seq := j.events.lost() + 1
	e := j.events.drop()
	if e.kind == noRecord {
		j.heads -= headBytes(j.loose.drop())
		return
	}
	if e.kind == exchangeFinished {
		n := j.exchanges.count
		if n == 0 || j.exchanges.at(0).seq > seq { // it is out of there, too: as usual
			n = 0
		}
		i := sort.Search(n, func(i int) bool { return j.exchanges.at(i).seq >= seq })
		if i < n && j.exchanges.at(i).seq == seq {
			x := j.exchanges.at(i)
			x.record, x.outlived = j.outlived.put(j.memory.bytes(e.record)), true
		}
	}
	j.memory.release(e.record)
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

// copied is an event on its way out of the journal: what of it must be unpacked
// is, outside the lock.
type copied struct {
	entry
	event    *Event // noRecord
	from, to int    // of the record, among the bytes copied
}

// block copies into buf the events after seq and says how many between had been
// dropped already.
func (j *journal) block(seq int64, buf []Event) (n int, lost int64) {
	var entries [64]copied
	var bytes []byte
	buf = buf[:min(len(buf), len(entries))]
	j.mu.Lock()
	if seq < j.events.lost() {
		lost = j.events.lost() - seq
		seq = j.events.lost()
	}
	first := int(seq - j.events.lost())
	for n < len(buf) && first+n < j.events.count {
		c := copied{entry: *j.events.at(first + n), from: len(bytes)}
		if c.kind == noRecord {
			c.event = *j.loose.at(int(c.loose - j.loose.lost()))
		} else {
			bytes = append(bytes, j.memory.bytes(c.record)...)
		}
		c.to = len(bytes)
		entries[n] = c
		n++
	}
	j.mu.Unlock()
	for i, c := range entries[:n] {
		if c.kind == noRecord {
			buf[i] = *c.event
			continue
		}
		buf[i] = c.kind.event(bytes[c.from:c.to:c.to])
		buf[i].Seq, buf[i].Time = seq+int64(i)+1, time.Unix(0, c.at)
	}
	return n, lost
}

// walk calls f with every event after since, oldest first, until it says stop.
// It says whether the ring still reached back to since.
func (j *journal) walk(since int64, f func(Event) (stop bool)) (complete bool) {
	var buf [64]Event
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
	i := sort.Search(j.events.count, func(i int) bool { return j.events.at(i).at >= t.UnixNano() })
	return j.events.lost() + int64(i)
}

// finishedSince gives the exchanges that finished after since, oldest first.
func (j *journal) finishedSince(since int64) (out []over, complete bool) {
	var bytes []byte
	var ends []int
	j.mu.Lock()
	n := j.exchanges.count
	first := sort.Search(n, func(i int) bool { return j.exchanges.at(i).seq > since })
	for i := first; i < n; i++ {
		bytes = append(bytes, j.recordOf(j.exchanges.at(i))...)
		ends = append(ends, len(bytes))
	}
	complete = first > 0 || j.exchanges.lost() == 0
	j.mu.Unlock()
	from := 0
	for _, end := range ends {
		u := unpacker(bytes[from:end:end])
		item, h := unpackExchange(&u)
		out, from = append(out, over{item, h}), end
	}
	return out, complete
}

// recordOf is where a finished exchange is packed.
func (j *journal) recordOf(x *finished) []byte {
	if x.outlived {
		return j.outlived.bytes(x.record)
	}
	return j.memory.bytes(x.record)
}

// over is an exchange that is over.
type over struct {
	item  ExchangeItem
	heard *heard
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
