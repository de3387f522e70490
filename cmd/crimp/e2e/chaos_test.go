package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Chaos: hundreds of sessions at a time with peers of all tempers, while rules of
// every fault there is come and go through the API, over real sockets. What must
// hold at the end: what no fault touched was exact to the byte, no call failed that
// had no reason to, and nothing is left behind. A few seconds of it always;
// CRIMP_CHAOS=10m and "make chaos" for longer, with more sessions.
//
// It is drawn from a seed, which fixes who does what, not when: real sockets keep
// their own time. CRIMP_CHAOS_SEED=N draws the same again.

// storm is one run.
type storm struct {
	t        *testing.T
	b        *box
	seed     uint64
	faults   []string
	over     atomic.Bool
	clients  atomic.Int64 // sessions that clients made
	exact    atomic.Int64 // exchanges and streams that came as they must
	visitors sync.Map     // the connections of clients

	mu       sync.Mutex
	odd      []oddity
	calls    times
	sessions map[string][]sessionEnd // by client address
	seen     int64                   // seq of the last event read
}

// oddity is what a well-behaved client saw that is not as it must be: a fault did
// it, or the box is to blame.
type oddity struct {
	client string
	what   string
}

// sessionEnd is what the box says of a session that is over.
type sessionEnd struct {
	ID, Client, Cause, Outcome string
	Rules                      []string
}

// harmless are the faults under which all bytes arrive, however late.
var harmless = []string{"latency", "slice", "bandwidth", "connect_delay", "satellite"}

// elsewhere are faults that chaos leaves out: those on packets are felt by TCP
// alone, and minutes later.
var elsewhere = []string{"packet_loss", "black_hole", "drop_fin", "lossy-wifi", "pulled-cable"}

// goHome is for how long a client waits for the next byte once everything is disarmed.
const goHome = 3 * time.Second

func TestChaos(t *testing.T) {
	span, clients, events := 3*time.Second, 150, 20_000
	if len(raceFlag) > 0 {
		clients = 80
	}
	if text := os.Getenv("CRIMP_CHAOS"); text != "" {
		var err error
		if span, err = time.ParseDuration(text); err != nil {
			t.Fatalf("CRIMP_CHAOS: %v", err)
		}
		clients, events = 800, 200_000
	}
	s := &storm{t: t, seed: rand.Uint64N(1 << 32), sessions: map[string][]sessionEnd{}}
	if text := os.Getenv("CRIMP_CHAOS_SEED"); text != "" {
		if _, err := fmt.Sscan(text, &s.seed); err != nil {
			t.Fatalf("CRIMP_CHAOS_SEED: %v", err)
		}
	}
	t.Logf("CRIMP_CHAOS_SEED=%d", s.seed)
	web, raw := chaosWeb(t), chaosRaw(t)
	s.b = serve(t, "--limit", fmt.Sprintf("events=%d", events), "--limit", "exchanges=500", "--limit", "linger=2s", "--log-level", "error",
		"--route", "web=127.0.0.1:0,"+web+",http", "--route", "auto=127.0.0.1:0,"+web, "--route", "raw=127.0.0.1:0,"+raw+",tcp")
	s.catalogue()

	s.run(500*time.Millisecond, clients, true) // until journal, pools and runtime are warm
	s.odd = nil
	s.b.settled(t, usage{goroutines: 1 << 30, descriptors: 1 << 30})
	before := s.b.usage(t)
	before.descriptors += 70      // as many pipes as a loop keeps
	before.memory += events << 10 // the journal is not full yet
	s.run(span, clients, false)
	s.b.settled(t, before)
	s.judge()
	t.Logf("%d sessions, %d exchanges and streams exact, %d otherwise", s.clients.Load(), s.exact.Load(), len(s.odd))
	t.Logf("%d calls: median %v, p99 %v, worst %v", len(s.calls), s.calls.median(), s.calls.at(0.99), s.calls.at(1))
	if s.exact.Load() < s.clients.Load()/4 {
		t.Errorf("of %d sessions only %d exchanges were exact: nothing is checked any more", s.clients.Load(), s.exact.Load())
	}
}

// catalogue asks which faults there are.
func (s *storm) catalogue() {
	var list struct {
		Faults []struct {
			Name string
		}
	}
	s.b.must("fault.list", nil, &list)
	for _, f := range list.Faults {
		if !slices.Contains(elsewhere, f.Name) {
			s.faults = append(s.faults, f.Name)
		}
	}
}

// run lets it storm for that long, and waits until all peers have gone home, or
// sends them there.
func (s *storm) run(span time.Duration, clients int, send bool) {
	s.over.Store(false)
	var visiting, operating, watching sync.WaitGroup
	for i := range clients {
		visiting.Go(func() { s.client(s.rand(uint64(i))) })
	}
	for i := range 3 {
		operating.Go(func() { s.operator(s.rand(1<<20 + uint64(i))) })
	}
	stop := make(chan bool)
	watching.Go(func() { s.watch(stop) })
	time.Sleep(span)
	s.over.Store(true)
	operating.Wait()
	s.b.must("panic", params{"why": "the storm is over"}, nil)
	begun := time.Now()
	// Who hears nothing any more has lost something: to a fault, or it is an oddity.
	s.visitors.Range(func(c, _ any) bool { _ = c.(net.Conn).SetDeadline(begun.Add(goHome)); return true })
	for send && !allHome(&visiting, 20*time.Millisecond) {
		s.b.must("session.act", params{"act": "rst", "outcome": "open"}, nil)
		s.b.must("session.act", params{"act": "rst", "outcome": "stalled"}, nil)
	}
	visiting.Wait()
	s.t.Logf("all peers were home %v after the end", time.Since(begun))
	s.b.must("release", nil, nil)
	s.b.must("revert", nil, nil)
	s.b.eventually("every session is over", func() error {
		if u := s.b.usage(s.t); u.sessions > 0 {
			return fmt.Errorf("%d are not", u.sessions)
		}
		return nil
	})
	close(stop)
	watching.Wait()
	s.read()
}

// allHome says whether a group is through within so long.
func allHome(group *sync.WaitGroup, most time.Duration) bool {
	done := make(chan bool)
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return true
	case <-time.After(most):
		return false
	}
}

func (s *storm) rand(n uint64) *rand.Rand { return rand.New(rand.NewPCG(s.seed, n)) }

// operator changes rules and acts on sessions.
func (s *storm) operator(r *rand.Rand) {
	for !s.over.Load() {
		route := []string{"web", "auto", "raw"}[r.IntN(3)]
		fault := s.faults[r.IntN(len(s.faults))]
		name := ruleName(fault, r.IntN(2))
		switch n := r.IntN(100); {
		case n < 45:
			s.call("rule.set", params{"route": route, "rule": rule(r, fault, name)})
		case n < 60:
			s.call("rule.disarm", params{"route": route, "name": name})
		case n < 70:
			s.call("rule.arm", params{"route": route, "name": name, "ttl": "200ms"})
		case n < 88:
			s.call("rule.delete", params{"route": route, "name": name})
		case n < 94:
			act := []string{"rst", "close", "fin", "stall", "resume"}[r.IntN(5)]
			s.call("session.act", params{"match": params{"session": fmt.Sprintf("%d0-%d3", n, n)}, "route": route, "act": act})
			s.call("session.act", params{"route": route, "act": "resume"})
		case n < 97:
			s.call([]string{"state.get", "session.list", "exchange.list", "rule.list"}[r.IntN(4)], nil)
		case n < 98:
			s.call("revert", nil)
		default:
			s.call("panic", params{"why": "chaos"})
			s.call("release", params{"rearm": r.IntN(2) == 0})
		}
		time.Sleep(time.Duration(r.IntN(5000)) * time.Microsecond)
	}
}

// ruleName says by its first letter what the rule may do to bytes.
func ruleName(fault string, n int) string {
	if slices.Contains(harmless, fault) {
		return fmt.Sprintf("harmless-%s-%d", fault, n)
	}
	return fmt.Sprintf("damage-%s-%d", fault, n)
}

// rule draws a rule that leaves most of the traffic alone. A fault that needs
// parameters gets them; one that waits waits a short time.
func rule(r *rand.Rand, fault, name string) params {
	values := map[string]params{
		"latency": {"delay": fmt.Sprintf("%dms", r.IntN(30)), "jitter": "5ms"}, "connect_delay": {"delay": fmt.Sprintf("%dms", r.IntN(30))},
		"slice": {"size": 1 + r.IntN(2000)}, "bandwidth": {"rate": fmt.Sprintf("%dKB/s", 200+r.IntN(5000))},
		"corrupt": {"rate": "1%"}, "drop": {"bytes": 1 + r.IntN(100)}, "duplicate": {"bytes": 1 + r.IntN(100)},
		"cut":    {"at": fmt.Sprintf("byte:%d", r.IntN(100_000)), "end": []string{"fin", "rst", "close"}[r.IntN(3)]},
		"inject": {"at": fmt.Sprintf("byte:%d", r.IntN(5000)), "bytes": "random:100"}, "limit_sessions": {"max": 100, "excess": "rst"},
	}
	out := params{"name": name, "fault": fault, "match": params{"session": "1-"}, "gate": params{"probability": 0.3}}
	if v, ok := values[fault]; ok {
		out["params"] = v
	}
	if r.IntN(3) == 0 {
		out["match"] = params{"direction": []string{"upstream", "both"}[r.IntN(2)]}
	}
	return out
}

// call is one whose refusal is no failure, as long as it is an answer.
func (s *storm) call(method string, p params) {
	begun := time.Now()
	err := s.b.call(method, p, nil)
	s.mu.Lock()
	s.calls = append(s.calls, time.Since(begun))
	s.mu.Unlock()
	if err != nil {
		if e, ok := asRPC(err); !ok || e.Data.Code == "" {
			s.t.Errorf("%s %v: %v", method, p, err)
		}
	}
}

// watch reads what the box says of sessions before its journal forgets it, and now
// and then its figures.
func (s *storm) watch(stop chan bool) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
			s.read()
			if n%25 == 0 {
				s.b.metrics(s.t)
			}
		}
	}
}

func (s *storm) read() {
	var list struct {
		Items []struct {
			Seq  int64
			Data sessionEnd
		}
		Complete bool
		Seq      int64
	}
	s.b.must("event.list", params{"type": "session.closed", "since": s.seen}, &list)
	if !list.Complete {
		s.t.Error("the journal has forgotten what was not read yet")
	}
	s.seen = list.Seq
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list.Items {
		s.sessions[e.Data.Client] = append(s.sessions[e.Data.Client], e.Data)
	}
}

// strange notes what a client of good manners saw.
func (s *storm) strange(client, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.odd = append(s.odd, oddity{client, fmt.Sprintf(format, args...)})
}

// judge wants a reason for every oddity: a rule that does damage fired on that
// session, or somebody acted on it.
func (s *storm) judge() {
	for _, o := range s.odd {
		if !slices.ContainsFunc(s.sessions[o.client], sessionEnd.damaged) {
			s.t.Errorf("%s: %s, and no fault explains it: %+v", o.client, o.what, s.sessions[o.client])
		}
	}
}

func (e sessionEnd) damaged() bool {
	return e.Cause == "command" || slices.ContainsFunc(e.Rules, func(rule string) bool { return strings.HasPrefix(rule, "damage-") })
}
