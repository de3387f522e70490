package middlebox

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"crimp/faults"
	"crimp/middlebox/simnet"
	"crimp/middlebox/sys"

	"github.com/rs/zerolog"
)

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
		Log:  zerolog.New(alarmed{w}).Level(zerolog.ErrorLevel),
		Seed: w.seed | 1, Limits: limits, Loops: pick(w.r, 1, 1, 1, 2), Driven: true, Now: w.net.Now,
		Tuning: Tuning{Buffer: pick(w.r, 1, 7, 50, 300, 5000), TurnBytes: pick(w.r, 20, 1000, 1<<20), Rounds: pick(w.r, 1, 2, 16),
			Batch: w.batch(), Alone: w.batch() > 0},
		Kernel: func() (sys.Kernel, error) {
			k := &spy{Kernel: w.net.Kernel(), w: w}
			w.spies = append(w.spies, k)
			if w.plant != nil && w.plant.kernel != nil {
				return inTurn{w.plant.kernel(w, k)}, nil
			}
			return inTurn{k}, nil
		},
	})
	if err != nil {
		w.failf("new box: %v", err)
	}
	w.watch = w.box.Watch(0)
	w.configure()
}

// batch is how much leaves together where even a lone write is to; 0: as it comes.
// It is not drawn, so that seeds of old mean what they meant.
func (w *world) batch() int { return [4]int{0, 10, 100, 10000}[w.seed>>2%4] }

// inTurn shows its kernel each of many writes.
type inTurn struct{ sys.Kernel }

func (k inTurn) WriteMany(ws []sys.Writing) { sys.WriteInTurn(k.Kernel, ws) }

// alarmed reads the log of a box: it lives on when a session's step panics, the
// world does not. What the session ends with would hide where it began.
type alarmed struct{ w *world }

func (a alarmed) Write(line []byte) (int, error) {
	var said struct{ Session, Panic, Stack, Message string }
	if err := json.Unmarshal(line, &said); err != nil {
		a.w.failf("the log says %q: %v", line, err)
	}
	a.w.failf("%s: %s: %s\n%s", said.Session, said.Message, said.Panic, said.Stack)
	return len(line), nil
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
