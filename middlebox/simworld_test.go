package middlebox

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"crimp/faults"
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

// build draws the world.
func (w *world) build() {
	opt := simnet.Options{Sockets: pick(w.r, 64, 64, 64, 4, 6, 8), RefuseOneIn: pick(w.r, -1, -1, -1, 3), HugeOneIn: pick(w.r, 4, 4, -1, 1)}
	if oneIn(w.r, 4) {
		opt.ConnectDelay = 3 * time.Millisecond
	}
	w.calm = pick(w.r, 1<<30, 1<<30, 8, 3)
	w.net = simnet.New(w.seed, opt)
	limits := Limits{HeldBytesPerSession: pick[faults.Size](w.r, 0, 0, 8, 200), HeldBytes: pick[faults.Size](w.r, 0, 0, 0, 100), Events: 4000, Exchanges: 1000}
	if oneIn(w.r, 10) {
		limits.Sessions = 2
	}
	var err error
	w.box, err = New(Config{
		Seed: w.seed | 1, Limits: limits, Loops: pick(w.r, 1, 1, 1, 2), Driven: true, Now: w.net.Now,
		Tuning: Tuning{Buffer: pick(w.r, 1, 7, 50, 300, 5000), TurnBytes: pick(w.r, 20, 1000, 1<<20), Rounds: pick(w.r, 1, 2, 16)},
		Kernel: func() (sys.Kernel, error) {
			k := &spy{Kernel: w.net.Kernel(), w: w}
			w.spies = append(w.spies, k)
			if w.plant != nil && w.plant.kernel != nil {
				return w.plant.kernel(w, k), nil
			}
			return k, nil
		},
	})
	if err != nil {
		w.failf("new box: %v", err)
	}
	w.watch = w.box.Watch(0)
	w.configure()
}

var loopback4 = netip.MustParseAddr("127.0.0.1")

// configure draws the routes and their first rules.
func (w *world) configure() {
	var routes []Route
	proxies := oneIn(w.q, 4)
	for i := range pick(w.r, 1, 1, 2, 3) {
		x := &simRoute{http: !oneIn(w.r, 3), server: w.net.Serve(netip.AddrPortFrom(loopback4, 0))}
		x.Route = Route{Name: fmt.Sprintf("r%d", i), Listen: fmt.Sprintf("127.0.0.1:%d", 100+i), Upstream: x.server.Addr().String(), OnDialError: pick(w.r, "rst", "fin")}
		x.addr = netip.MustParseAddrPort(x.Listen)
		x.Protocol = "tcp"
		if x.http {
			x.Protocol = pick(w.r, "http", "http", "auto")
			x.OnDialError = pick(w.r, "rst", "fin", "502")
		} else if oneIn(w.r, 3) {
			x.Protocol = pick(w.r, "http", "auto")
		}
		if oneIn(w.r, 40) {
			x.server.Close()
		}
		for range pick(w.r, 0, 0, 1, 2) {
			d := w.draw(x)
			x.conf = append(x.conf, d)
			x.Rules = append(x.Rules, w.given(d))
		}
		if proxies && x.http {
			w.beProxy(x)
		}
		w.routes, routes = append(w.routes, x), append(routes, x.Route)
	}
	if err := w.box.Configure(routes, "sim"); err != nil {
		w.failf("configure: %v", err)
	}
	for _, x := range w.routes {
		for _, d := range x.conf {
			w.put(x, d)
		}
		w.tracef("route %s %s: %v", x.Name, x.Protocol, x.Rules)
	}
}

// happen lets one thing happen.
func (w *world) happen() {
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

func (w *world) turn() {
	w.box.Turn(-1)
	w.after()
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
		next, ok := w.net.Next()
		if !ok || next.After(end) {
			break
		}
		w.advance(next)
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

// finish disarms everything and lets all peers come to their end.
func (w *world) finish() {
	w.step++
	w.onTime()
	w.disarmAll()
	w.finishing, w.since = true, w.net.Now()
	for _, a := range w.actors {
		a.deaf = false
	}
	for round := 0; !w.over(); round++ {
		w.step++
		moved := w.sweep()
		took := w.net.Now().Sub(w.since)
		switch {
		case round > 30_000, took > 100*time.Second:
			w.failf("not at an end after %d rounds and %v: %s", round, took, w.state())
		case moved || !w.net.Quiet():
		default:
			if next, ok := w.net.Next(); ok && (took < 45*time.Second || !w.giveUp()) {
				w.tracef("quiet until %v", next.Sub(w.net.Now()))
				w.advance(next)
			} else if !ok && !w.giveUp() {
				w.failf("stuck: %s", w.state())
			}
		}
	}
}

// giveUp has one of those leave whom a cut has kept waiting: nobody else ends that.
func (w *world) giveUp() bool {
	for _, s := range w.sessions {
		e, d := w.ending(s)
		// Or who waits for what a rule has lost: then the next server's turn does not come.
		if (e == nil || d.other != faults.OtherKeep) && !(s.turns != nil && s.route.muddled()) && !s.route.leaves {
			continue
		}
		for _, a := range []*actor{s.client, s.server} {
			if a != nil && !a.gone && !a.fin && !a.weary {
				a.weary = true
				return true
			}
		}
	}
	return false
}

// sweep gives everything and everybody a chance.
func (w *world) sweep() (moved bool) {
	for range 1 + w.r.IntN(20) {
		moved = w.net.Step() || moved
	}
	before := w.calls()
	w.turn()
	w.accept()
	for _, a := range w.actors {
		moved = a.move() || moved
	}
	return moved || w.calls() != before
}

func (w *world) calls() (n int) {
	for _, k := range w.spies {
		n += k.calls
	}
	return n
}

// over says that every peer has gone and the box has nothing left.
func (w *world) over() bool {
	for _, a := range w.actors {
		if !a.gone {
			return false
		}
	}
	for _, l := range w.box.loops {
		if len(l.sessions)+l.retirees+len(l.queue)-l.head > 0 || l.hasMail() {
			return false
		}
	}
	return true
}

// state tells what is left, for a world that does not end.
func (w *world) state() string {
	var b strings.Builder
	for _, a := range w.actors {
		if !a.gone {
			fmt.Fprintf(&b, "\n  %s: said %d of %d (may %d), FIN %v, heard %d, then %v, %d unread", a, a.sent, len(a.says.raw), a.may(), a.fin, len(a.p.Got()), a.p.End(), a.p.Buffered())
		}
	}
	for _, l := range w.box.loops {
		for _, s := range l.sessions {
			down, up := s.eng.HeldBytes()
			fmt.Fprintf(&b, "\n  session %s: held %d down %d up, pending %d and %d, demand %+v and %+v", s.id(), down, up,
				s.leg[0].pending(), s.leg[1].pending(), s.eng.Demand(0), s.eng.Demand(1))
			for d := range s.leg {
				g := &s.leg[d]
				fmt.Fprintf(&b, "\n    leg to %v: socket %d, flags %b, up %v, eof %v, broken %v, shut %v, gone %v, ending %+v",
					g.to, g.sock, g.flags, g.up, g.eof, g.broken, g.shut, g.gone, g.ending)
			}
		}
		fmt.Fprintf(&b, "\n  loop: %d retirees, %d queued", l.retirees, len(l.queue)-l.head)
	}
	return b.String()
}
