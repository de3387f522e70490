package middlebox

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"time"

	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"
)

// A world is a box on a simulated kernel with routes, clients and servers, all of
// it drawn from one seed. The driver lets one thing happen at a time: the network
// carries something, a loop takes a turn, a peer moves, somebody changes a rule,
// time passes. At the end everything is disarmed, the peers finish what they
// have to say, and the world is judged.
type world struct {
	seed   uint64
	r      *rand.Rand
	q      *rand.Rand // of what concerns proxies alone: the worlds of regressions are without
	net    *simnet.Net
	c      *rand.Rand // of captures; nil: a world without
	shots  []*filming
	box    *Box
	plant  *plant // a bug, to see whether it is found
	spies  []*spy
	taps   map[netip.AddrPort]*tap // of accepted connections, by client
	adrift map[sys.Socket]*tap     // released by a loop and not yet adopted
	watch  *Watch

	routes    []*simRoute
	sessions  []*simSession
	actors    []*actor
	calm      int  // one peer in so many has a temper
	leaves    bool // servers of a route do after each answer
	step      int
	finishing bool
	since     time.Time // when the finish began
	panicked  []*armed  // what a panic disarmed
	stats     map[string]int
	trace     []string
	tracing   bool
}

// simRoute is a route as the model has it.
type simRoute struct {
	Route
	http     bool // its talk is
	leaves   bool // its servers do after each answer
	server   *simnet.Server
	addr     netip.AddrPort // where the box listens
	gone     bool
	rules    []*armed    // in the route's order
	history  []*armed    // every rule in each of the times in which it was armed
	ever     []drawnRule // every rule there was
	conf     []drawnRule // as configured, for revert
	nextRule int
}

// armed is a rule on a route, and the steps between which it was armed.
type armed struct {
	drawnRule
	from, to int // to 0: still; from 0: not
}

// simSession is a client, the session the box makes of it, and the server.
type simSession struct {
	n              int
	route          *simRoute
	talk           *talk
	client, server *actor // no server: the box never got through to it
	in, out        *tap   // the box's two sockets: the client's, the server's
	turns          []turn // of a proxy's client that names its servers
	dials          int    // connections to servers, one after the other
	id             string
	opened, closed int
	failed         string
	item           SessionItem
	commanded      bool
	stalled        bool // by command
	fired          []Event
	exchanges      int // started less finished
	said           [2]int
}

func (s *simSession) name() string { return fmt.Sprintf("%d(%s)", s.n, s.id) }

// failure is how the model says that a world is not as it must be.
type failure struct{ text string }

func (w *world) failf(format string, args ...any) {
	panic(failure{fmt.Sprintf(format, args...)})
}

func (w *world) tracef(format string, args ...any) {
	if w.tracing {
		w.trace = append(w.trace, fmt.Sprintf("%4d %v ", w.step, w.net.Now().Format("05.0000"))+fmt.Sprintf(format, args...))
	}
}

func (w *world) seen(what string) { w.stats[what]++ }

// some draws how much of most is done at once.
func (w *world) some(most int) int {
	switch w.r.IntN(3) {
	case 0:
		return most
	case 1:
		return 1 + w.r.IntN(min(most, 3))
	}
	return 1 + w.r.IntN(most)
}

// simulate runs the world of a seed and says what was wrong in it.
func simulate(seed uint64, p *plant, tracing bool) (w *world, err error) {
	w = &world{seed: seed, r: rand.New(rand.NewPCG(seed, 0x73696d)), q: rand.New(rand.NewPCG(seed, 0x9fe)), plant: p, tracing: tracing,
		taps: map[netip.AddrPort]*tap{}, adrift: map[sys.Socket]*tap{}, stats: map[string]int{}}
	defer func() {
		switch e := recover().(type) {
		case nil:
		case failure:
			err = fmt.Errorf("step %d: %s", w.step, e.text)
		default:
			err = fmt.Errorf("step %d: panic: %v\n%s", w.step, e, debug.Stack())
		}
	}()
	w.films()
	w.build()
	steps := pick(w.r, 40, 150, 150, 400)
	if w.leaves { // only while their rule is armed
		steps = 1000
	}
	for range steps {
		w.step++
		w.happen()
	}
	w.finish()
	w.judge()
	return w, nil
}

// happen lets one thing happen.
func (w *world) happen() {
	if w.carries() && oneIn(w.q, 10) { // a pipe seldom carries anything, and what then befalls it matters
		w.operate()
		return
	}
	switch n := w.r.IntN(100); {
	case n < 36:
		w.net.Step()
	case n < 62:
		w.turn()
	case n < 92:
		w.someoneMoves()
	case n < 95:
		w.dial()
	case n < 97:
		w.operate()
	default:
		w.timePasses()
	}
}

// carries says whether bytes are in a pipe between two turns.
func (w *world) carries() bool {
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			if s.leg[0].piped+s.leg[1].piped > 0 {
				return true
			}
		}
	}
	return false
}

func (w *world) turn() {
	w.box.Turn(-1)
	w.after()
	w.shoot()
	if w.plant != nil && w.plant.after != nil {
		w.plant.after(w)
	}
}

// someoneMoves gives a peer its move, and now and then makes it deaf or hearing.
func (w *world) someoneMoves() {
	w.accept()
	if len(w.actors) == 0 {
		w.dial()
		return
	}
	a := w.actors[w.r.IntN(len(w.actors))]
	if oneIn(w.r, 25) {
		a.deaf = !a.deaf
	}
	a.move()
}

// accept takes the connections that wait at the servers.
func (w *world) accept() {
	for _, x := range w.routes {
		for p := x.server.Accept(); p != nil; p = x.server.Accept() {
			s := w.sessionOf(p.Remote())
			if s == nil { // given up by the box as soon as begun
				w.newActor(nil, p, 0, text{})
				continue
			}
			s.server = w.newActor(s, p, 0, s.talk.says[0])
			if s.turns != nil {
				w.turnsTo(s, x, s.server)
			}
			if len(s.out.out) > 0 { // while it waited it did not read
				s.server.waited(w.net.Now().Sub(s.out.out[0].at).Seconds())
			}
			w.tracef("%s: accepts", s.server)
		}
	}
}

func (w *world) sessionOf(own netip.AddrPort) *simSession {
	for _, s := range w.sessions {
		if s.out != nil && s.out.own == own {
			return s
		}
		for i := range s.turns {
			if t := s.turns[i].out; t != nil && t.own == own {
				return s
			}
		}
	}
	return nil
}

// dial makes a client, up to four of them.
func (w *world) dial() {
	if len(w.sessions) >= 4 {
		return
	}
	x := w.routes[w.r.IntN(len(w.routes))]
	s := &simSession{n: len(w.sessions), route: x, talk: newTalk(w.r, x.http, w.namer(x))}
	w.splitTalk(s)
	s.client = w.newActor(s, w.net.Dial(x.addr), 1, s.talk.says[1])
	w.sessions = append(w.sessions, s)
	w.tracef("%s: dials %s from %v", s.client, x.Name, s.client.p.Addr())
}

// timePasses lets a little time pass, or as much as the loops would sleep, or seconds.
func (w *world) timePasses() {
	d := time.Duration(w.r.IntN(3000)) * time.Microsecond
	switch w.r.IntN(12) {
	case 0, 1, 2, 3:
		if next, ok := w.net.Next(); ok {
			d = min(next.Sub(w.net.Now()), 50*time.Millisecond)
		}
	case 4:
		d = pick(w.r, 50*time.Millisecond, 1200*time.Millisecond, 6*time.Second)
	}
	w.pass(d)
}

// pass lets time pass. If it is long the network catches up first, and loops
// take their turns when they want to.
func (w *world) pass(d time.Duration) {
	end := w.net.Now().Add(d)
	if d > 3*time.Millisecond {
		w.net.Flow()
	}
	for n := 0; d > 3*time.Millisecond && n < 300; n++ {
		w.turn()
		w.net.Flow()
		switch next, ok := w.net.Next(); {
		case ok && !next.After(end):
			w.advance(next)
		case w.net.Quiet():
			n = 300
		} // else an event that was withheld comes yet: no system keeps one for seconds
	}
	w.advance(end)
}

func (w *world) advance(to time.Time) {
	d := to.Sub(w.net.Now()).Seconds()
	if d <= 0 {
		return
	}
	w.net.AdvanceTo(to)
	for _, a := range w.actors {
		if !a.gone && a.p.Buffered() > 0 {
			a.waited(d)
		}
	}
}
