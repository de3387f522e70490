// Package middlebox is the relay: it accepts connections on routes, dials their
// upstreams, and moves bytes between the two as the engine of package faults
// says. What the engine decides is pure; what is done about it is done here,
// without a lock in any session and without waiting for any peer.
//
// Reading order: api.go (what people and programs see), box.go (the face that
// control sees), loop.go (theory of operation); a session drives an engine:
// session.go, relay.go (what it reads), settle.go (what it carries out behind that,
// and its own end), dial.go; each side has a leg: leg.go, batch.go (what leaves together
// with what others say), backlog.go (what the peer has not taken), pipe.go (what nobody
// need see), ending.go, linger.go; how sessions come, and how many may: listener.go,
// crowd.go; then how things change: check.go, change.go, rules.go, configure.go, own.go,
// panic.go, close.go; and what is told: notes.go, journal.go, record.go, ring.go,
// filter.go, lists.go, unknown.go, in figures, stats.go, and in bytes, capture.go,
// captured.go, chunk.go.
//
// # Its bounds
//
// Limits says how many sessions there may be and how many bytes they may keep back;
// with fewer file descriptors than two a session there is room for fewer. Who comes
// beyond that is turned away, as limits.excess says, and counted. Where the box
// keeps back as much as it may, sessions that hold bytes are left unread.
//
// # What can go wrong in a session
//
// A panic in a session's step ends that session alone, by RST to both sides, with the
// stack in the log (session.guard); a simulated world fails on it. A dial that fails
// and one that nobody wants any more end in dial.go and session.settle; a peer that
// does not take its ending, by the bounds in ending.go and linger.go.
package middlebox

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"crimp/faults"
	"crimp/middlebox/sys"

	"github.com/rs/zerolog"
)

// Config is what a box is made with. The zero value will do.
type Config struct {
	Seed        uint64 // of every draw; 0: one is picked, Info tells which
	Limits      Limits
	Loops       int            // 0: one on up to two cores, else half the cores
	Log         zerolog.Logger // the zero value says nothing
	DialTimeout time.Duration  // for each address of an upstream; 0: 10 s
	Forbidden   []string       // addresses no route may have as upstream; see Box.Forbid
	Tuning      Tuning

	// Kernel makes the face of the operating system, one for each loop; nil: the
	// real one. Lookup resolves names; nil: as the system does. Now is the clock
	// of the journal; nil: the system's.
	Kernel func() (sys.Kernel, error)
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Now    func() time.Time
	// Driven starts no goroutine: the box does something only in Turn, and calls
	// that ask the loops are answered at once. For simulations, from one goroutine.
	Driven bool
}

// Tuning is the thresholds of a loop; simulations make them small, so that what
// happens rarely happens often. Zero means the default named.
type Tuning struct {
	Buffer    int  // bytes read at once: 32 KiB
	TurnBytes int  // bytes moved in a turn before the rest waits for the next: 1 MiB
	Rounds    int  // buffers each way a session relays before others come: 8
	Batch     int  // bytes of small writes that leave together: 128 KiB
	Alone     bool // a turn's only write, too, leaves by way of the batch
}

// Info is what a box is.
type Info struct {
	Epoch   string    `json:"epoch"` // another one with each start
	Seed    uint64    `json:"seed"`
	Limits  Limits    `json:"limits"`
	Started time.Time `json:"started"`
	Rights  []string  `json:"rights"` // packet faults that are allowed here
}

// Box is a running relay. Its methods may be called from any goroutine.
type Box struct {
	seed        uint64
	epoch       string
	started     time.Time
	limits      Limits
	room        int64 // sessions at a time: limits.sessions, or what there are descriptors for
	linger      time.Duration
	dialTimeout time.Duration
	tune        Tuning
	log         zerolog.Logger
	now         func() time.Time
	lookup      func(context.Context, string) ([]netip.Addr, error)
	driven      bool
	packets     error // why packet faults cannot be armed; nil: they can

	journal *journal
	loops   []*loop
	served  sync.WaitGroup // the loops' goroutines
	helpers sync.WaitGroup // those that resolve names
	ctx     context.Context
	stop    context.CancelFunc

	live atomic.Int64 // sessions
	held atomic.Int64 // bytes kept back, as of each session's last round
	captureCount
	next   int // which loop gets the next session; the first loop's
	noDial atomic.Pointer[[]netip.AddrPort]
	listed atomic.Pointer[[]*route] // routes, for readers without the mutex

	// mu orders changes. It is held while something is checked, compiled and
	// posted, never while a peer or a loop's answer to a swap is waited for; no
	// loop ever takes it.
	mu         sync.Mutex
	routes     []*route
	configured []Route
	numbers    map[string]*atomic.Uint64
	revs       int64
	panic      *panicked
	closed     bool
}

// New makes a box without routes and starts its loops.
func New(c Config) (*Box, error) {
	if err := c.Limits.Check("limits"); err != nil {
		return nil, err
	}
	b := &Box{
		seed: c.Seed, limits: c.Limits.WithDefaults(), dialTimeout: c.DialTimeout, tune: c.Tuning, log: c.Log,
		now: c.Now, lookup: c.Lookup, driven: c.Driven, numbers: map[string]*atomic.Uint64{},
	}
	b.defaults()
	b.journal = newJournal(b.limits, b.now)
	b.Forbid(c.Forbidden...)
	b.room = int64(b.limits.Sessions)
	kernel := c.Kernel
	if kernel == nil {
		kernel = sys.New
		b.roomFor(sys.Files())
	}
	for range loopsOr(c.Loops) {
		k, err := kernel()
		if err != nil {
			for _, l := range b.loops {
				l.k.Free()
			}
			return nil, fmt.Errorf("starting a loop: %w", err)
		}
		b.loops = append(b.loops, newLoop(b, len(b.loops), k))
	}
	b.packets = b.loops[0].k.Filter(sys.None, sys.Filter{})
	if !b.driven {
		for _, l := range b.loops {
			b.served.Go(l.serve)
		}
	}
	return b, nil
}

// roomFor leaves some of the descriptors to the control port: a session has two.
func (b *Box) roomFor(files int) {
	const reserve = 64
	most := max(1, (int64(files)-min(reserve, int64(files)/4))/2)
	if most < b.room {
		b.room = most
		b.log.Info().Int("files", files).Int64("sessions", most).Msg("fewer sessions than limits.sessions: each has two file descriptors")
	}
}

func (b *Box) defaults() {
	or(&b.dialTimeout, 10*time.Second)
	or(&b.tune.Buffer, 32<<10)
	or(&b.tune.TurnBytes, 1<<20)
	or(&b.tune.Rounds, 8)
	or(&b.tune.Batch, 128<<10)
	b.linger = time.Duration(b.limits.Linger)
	if b.now == nil {
		b.now = time.Now
	}
	if b.lookup == nil {
		b.lookup = lookupHost
	}
	var random [16]byte
	rand.Read(random[:]) // never fails
	if b.seed == 0 {
		b.seed = binary.LittleEndian.Uint64(random[:]) >> 12 // exact in JSON, where numbers have 53 bits
	}
	b.epoch = hex.EncodeToString(random[8:])
	b.started = b.now()
	b.ctx, b.stop = context.WithCancel(context.Background())
}

func or[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

// Check says what is wrong with limits; field is what they are called.
func (l Limits) Check(field string) (errs *faults.Error) {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"sessions", int64(l.Sessions)}, {"held_bytes", int64(l.HeldBytes)}, {"held_bytes_per_session", int64(l.HeldBytesPerSession)},
		{"linger", int64(l.Linger)}, {"events", int64(l.Events)}, {"exchanges", int64(l.Exchanges)},
	} {
		if n.value < 0 {
			errs = errs.And(faults.Errorf(faults.Invalid, field+"."+n.name, "expected more than 0, or 0 for the default, got %d", n.value))
		}
	}
	if l.Excess != "" && l.Excess != "rst" && l.Excess != "fin" {
		errs = errs.And(faults.Errorf(faults.Invalid, field+".excess", "expected rst or fin, got %q", l.Excess))
	}
	return errs
}

// WithDefaults is l with the default in place of what is 0 or empty.
func (l Limits) WithDefaults() Limits {
	or(&l.Sessions, 20000)
	or(&l.Excess, "rst")
	or(&l.HeldBytes, 1<<30)
	or(&l.HeldBytesPerSession, 4<<20)
	or(&l.Linger, faults.Duration(30*time.Second))
	or(&l.Events, 100000)
	or(&l.Exchanges, 10000)
	return l
}

// loopsOr is how many loops a box has. The cores are the peers' too, and a second
// loop on two cores costs more than it gains: in one run beside HAProxy (its
// figure = 1) one loop took 0.89 of its processor time for a 64-byte round trip
// and 0.75 for a connection, two took 1.14 and 1.21; HTTP requests cost half as
// much again. Hence half the cores.
//
// The first loop accepts for all and hands sessions round, one each: every loop
// has as many, give or take one. SO_REUSEPORT would save that hand-over, but a
// second crimp could then listen where the first one does and take half of its
// clients, and nobody would be told.
func loopsOr(n int) int {
	if n > 0 {
		return n
	}
	return max(1, runtime.GOMAXPROCS(0)/2)
}

// Info says what the box is.
func (b *Box) Info() Info {
	rights := []string{}
	if b.packets == nil {
		rights = append(faults.PacketKinds(), "refuse drop")
	}
	return Info{Epoch: b.epoch, Seed: b.seed, Limits: b.limits, Started: b.started, Rights: rights}
}

// Emit journals an event and gives its number.
func (b *Box) Emit(e Event) int64 { return b.journal.emit(e) }

// Watch makes a cursor on the journal behind the event since, or behind the
// newest if since is below 0.
func (b *Box) Watch(since int64) *Watch { return b.journal.watch(since) }

// Turn gives each loop of a driven box one turn, in which it waits for at most
// limit.
func (b *Box) Turn(limit time.Duration) {
	for _, l := range b.loops {
		if !l.stopped {
			l.turn(limit)
		}
	}
}

// Next is when the first alarm of a driven box is due; zero: there is none.
func (b *Box) Next() time.Time {
	var at time.Time
	for _, l := range b.loops {
		at = sooner(at, l.alarms.next())
	}
	return at
}

// full says that the box holds back as many bytes as it may: sessions that hold
// any read no more. The number is that of each session's last turn.
func (b *Box) full() bool { return b.held.Load() >= int64(b.limits.HeldBytes) }

// route finds a route. Under the mutex.
func (b *Box) route(name string) (*route, error) {
	var names []string
	for _, r := range b.routes {
		if r.name == name {
			return r, nil
		}
		names = append(names, r.name)
	}
	return nil, faults.Errorf(faults.NotFound, "route", "no route %q%s", name, faults.Among(name, names))
}

func (b *Box) setRoutes(routes []*route) {
	b.routes = routes
	list := slices.Clone(routes)
	b.listed.Store(&list)
	for _, r := range routes {
		if r.ln != nil {
			at := r.ln.addr
			r.bound.Store(&at)
		}
	}
}

// routesNow are the routes, for those who do not hold the mutex.
func (b *Box) routesNow() []*route {
	if p := b.listed.Load(); p != nil {
		return *p
	}
	return nil
}
