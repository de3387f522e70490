package middlebox

import (
	"runtime"
	"sync"
	"time"

	"crimp/faults"
	"crimp/middlebox/sys"
)

// A loop owns sockets and sessions outright: no other goroutine touches them,
// so a session, an engine and a leg need no lock, a stalled peer can hold up
// nobody, and the whole can be driven by a simulated kernel.
//
// # Theory of operation
//
// A loop does nothing but turns, and a turn has five steps:
//
//  1. Wait until a socket is ready, an alarm is due or mail has come. This is the
//     only place where a loop ever blocks; every other call of the kernel
//     returns at once.
//  2. Take the mail: functions posted by other goroutines (a new plan, a socket
//     accepted by another loop, a resolved name, a question about sessions).
//     Mail comes before traffic, so whoever waits for a change to be in force
//     waits for one turn at most.
//  3. Note readiness. Events are edges: they say that something changed, once.
//     A leg remembers its flags until a call proves them stale (Again, or a
//     short read or write), so nobody has to act on an event at once.
//  4. Queue whoever's alarm is due.
//  5. Run the queue, first come, first served, until it is empty or the turn has
//     moved as many bytes as a turn may. What is left runs in the next turn,
//     which then does not wait.
//
// A session that runs relays a buffer each way, alternately, for a bounded
// number of rounds, and queues itself again if there is more. So a turn is
// bounded in bytes and in rounds, and with it the time any mail waits.
//
// # What edges demand
//
// A short read means that the socket is empty at that instant, and new data
// bring a new edge; but when a FIN or an error was flagged, the next read must
// still be made, it is what tells. Out comes only after Again or a short
// write. A listener that could not accept for lack of descriptors gets no new
// edge: it needs an alarm.
//
// Nothing in a loop iterates a map: the same events lead to the same calls in
// the same order, which is what makes a simulated run repeatable.
type loop struct {
	box  *Box
	n    int
	k    sys.Kernel
	now  time.Time // as it was looked at last, at least once a turn; it never goes back
	from time.Time // when this turn began
	tune Tuning

	owners    []owner // by socket number: who gets its events
	events    []sys.Event
	buf       []byte // the one read buffer; what is read is written from it at once
	scratch   faults.Scratch
	record    []byte   // what was last packed for the journal
	pieces    [][]byte // what was last written apart
	spare     []*backlog
	batch     batch // what leaves at the end of the turn
	sessions  []*session
	listeners []*listener // the first loop's
	starved   []*session  // unread because the box holds too much
	captures  *captures   // in force; nil: none
	queue     []*task     // who has something to do
	head      int         // the queue before it has been run
	alarms    alarms
	spent     int // bytes moved in this turn
	retirees  int // sockets that only have to end well
	draining  bool
	stopped   bool

	turns faults.Histogram // how long turns took
	late  faults.Histogram // how late alarms were served

	mail struct {
		sync.Mutex
		letters []func(*loop)
		spare   []func(*loop)
		closed  bool
	}
}

// owner gets a socket's readiness.
type owner interface{ ready(l *loop, r sys.Ready) }

// worker does what it has to do when its task comes up.
type worker interface{ run(l *loop) }

// task is a worker's place in the queue and its one alarm.
type task struct {
	do     worker
	queued bool
	place  int32     // in the heap of alarms, from 1; 0: none
	at     time.Time // when it is to be queued; zero: no alarm
}

func newLoop(b *Box, n int, k sys.Kernel) *loop {
	now := k.Now()
	return &loop{box: b, n: n, k: k, now: now, from: now, tune: b.tune,
		events: make([]sys.Event, 256), buf: make([]byte, b.tune.Buffer), batch: newBatch(b.tune.Batch)}
}

// serve takes turns until the loop is told to stop. The goroutine keeps its
// thread: the kernel's wait is then always woken on the same one.
func (l *loop) serve() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for !l.stopped {
		l.turn(-1)
	}
	l.end()
}

// turn waits for at most limit (below 0: as long as it takes) and then does
// what is to be done. It is exported to simulations as [Box.Turn].
func (l *loop) turn(limit time.Duration) {
	n := l.wait(limit)
	l.look()
	l.from = l.now
	l.spent = 0
	l.takeMail()
	for _, ev := range l.events[:n] {
		if o := l.owner(ev.Sock); o != nil {
			o.ready(l, ev.Ready)
		}
	}
	for t, late := l.alarms.due(l.now); t != nil; t, late = l.alarms.due(l.now) {
		l.late.Add(late)
		l.enqueue(t)
	}
	l.feedStarved()
	l.runQueue()
	l.dispatch()
}

// look looks at the clock.
func (l *loop) look() {
	if now := l.k.Now(); now.After(l.now) {
		l.now = now
	}
}

// wait lets the kernel wait until something happens, or an alarm is due, or
// limit is over; not at all if there is work.
func (l *loop) wait(limit time.Duration) int {
	now := l.k.Now()
	l.turns.Add(now.Sub(l.from)) // the last turn is over
	if l.head < len(l.queue) || l.hasMail() {
		limit = 0
	}
	if at := l.alarms.next(); !at.IsZero() {
		limit = shorter(limit, max(at.Sub(now), 0))
	}
	if len(l.starved) > 0 {
		limit = shorter(limit, starvedLook)
	}
	return l.k.Wait(limit, l.events)
}

// shorter is the shorter of two waits, below 0 being for ever.
func shorter(a, b time.Duration) time.Duration {
	if a < 0 || b < a {
		return b
	}
	return a
}

func (l *loop) runQueue() {
	for end := len(l.queue); l.head < end && l.spent < l.tune.TurnBytes; {
		t := l.queue[l.head]
		l.queue[l.head] = nil
		l.head++
		t.queued = false
		t.do.run(l)
	}
	if l.head == len(l.queue) {
		l.queue, l.head = l.queue[:0], 0
	} else if l.head > 1024 {
		l.queue = l.queue[:copy(l.queue, l.queue[l.head:])]
		l.head = 0
	}
}

// enqueue gives a task its turn, once.
func (l *loop) enqueue(t *task) {
	if !t.queued {
		t.queued = true
		l.queue = append(l.queue, t)
	}
}

// post hands f to the loop, to be called on its goroutine in a coming turn. It
// says false if the loop has ended.
func (l *loop) post(f func(*loop)) bool {
	m := &l.mail
	m.Lock()
	defer m.Unlock()
	if m.closed {
		return false
	}
	m.letters = append(m.letters, f)
	if len(m.letters) == 1 {
		l.k.Wake() // within the lock: the kernel is freed only after closed is set
	}
	return true
}

func (l *loop) hasMail() bool {
	l.mail.Lock()
	defer l.mail.Unlock()
	return len(l.mail.letters) > 0
}

func (l *loop) takeMail() {
	m := &l.mail
	m.Lock()
	letters := m.letters
	m.letters, m.spare = m.spare[:0], nil
	m.Unlock()
	for i, f := range letters {
		f(l)
		letters[i] = nil
	}
	m.Lock()
	m.spare = letters[:0]
	m.Unlock()
}

// own makes o the one who gets the events of s; nil: nobody.
func (l *loop) own(s sys.Socket, o owner) {
	for int(s) >= len(l.owners) {
		l.owners = append(l.owners, nil)
	}
	l.owners[s] = o
}

func (l *loop) owner(s sys.Socket) owner {
	if s < 0 || int(s) >= len(l.owners) {
		return nil
	}
	return l.owners[s]
}

// starvedLook is how often sessions that are unread because the box holds too
// much look whether it still does.
const starvedLook = 5 * time.Millisecond

func (l *loop) feedStarved() {
	if len(l.starved) == 0 || l.box.full() {
		return
	}
	for i, s := range l.starved {
		s.starved = false
		l.enqueue(&s.task)
		l.starved[i] = nil
	}
	l.starved = l.starved[:0]
}

// end gives back everything the loop has. Letters that are still there are
// answered, so that nobody waits for ever.
func (l *loop) end() {
	for len(l.sessions) > 0 {
		l.sessions[len(l.sessions)-1].kill("drain")
	}
	l.mail.Lock()
	l.mail.closed = true
	letters := l.mail.letters
	l.mail.letters = nil
	l.mail.Unlock()
	for _, f := range letters {
		f(l)
	}
	for s, o := range l.owners {
		switch o := o.(type) {
		case nil:
		case *leg:
			o.s.kill("drain")
		default:
			l.own(sys.Socket(s), nil)
			l.k.Close(sys.Socket(s))
		}
	}
	l.k.Free()
}
