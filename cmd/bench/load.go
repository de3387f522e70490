package main

import (
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// load is something to do for a relay.
type load struct {
	name   string // in flags
	title  string // in the report
	note   string // below the title
	unit   string // what the processor time is divided by
	relays []string
	base   string        // whose figures are 1
	fresh  bool          // on a relay of its own
	user   bool          // on one that an ordinary user runs, if this process may choose
	nginx  bool          // the origin is nginx, not this process
	held   int           // idle sessions held meanwhile
	delay  time.Duration // that a rule adds to each trip
	n      int           // streams or connections
	size   int64
	run    func(l load, r *relay, p *plan) (sample, error)
}

// sample is one measurement. What a load does not measure is 0.
type sample struct {
	cpu  float64 // seconds of the relay's processor for each unit
	rate float64 // units a second
	mean float64 // seconds
	p50  float64
	p99  float64
	low  float64 // the shortest
	rss  float64 // bytes for each session
}

func (s sample) String() string {
	if s.rss > 0 {
		return fmt.Sprintf("%.2f KiB a session", s.rss/1024)
	}
	return fmt.Sprintf("cpu %.3g  rate %.4g/s  p50 %.3g ms  p99 %.3g ms", s.cpu, s.rate, s.p50*1e3, s.p99*1e3)
}

var (
	tcpRelays  = []string{haproxyTCP, crimpTCP, crimpHTTP, crimpZero, crimpFast, crimpCut, nginxTCP, plainCopy, toxiproxy}
	tripRelays = []string{haproxyTCP, haproxyOne, crimpTCP, crimpTwo, crimpZero, crimpCut, nginxTCP, plainCopy, toxiproxy}
	httpRelays = []string{haproxyHTTP, crimpHTTP, crimpRule, nginxHTTP}
	wrkRelays  = []string{haproxyTCP, haproxyOne, crimpTCP, crimpTwo, nginxTCP, plainCopy}
	wrkFew     = []string{haproxyTCP, haproxyOne, crimpTCP, nginxTCP}
	wrkHTTP    = []string{haproxyHTTP, haproxyWeb1, crimpHTTP, crimpRule, nginxHTTP}
	idleRelays = []string{haproxyTCP, crimpTCP, crimpHTTP, nginxTCP, plainCopy, toxiproxy}
)

const segmentsNote = "io.Copy between two bare TCP connections splices, and touches no byte; between any others, as those that are counted, limited or of TLS, it\n" +
	"goes by its buffer. Of all these only crimp sees to it that each segment has its 1 KiB: the others' writes may be joined on the way."

var loads = []load{
	{name: "bulk1", title: "Bulk, one stream", unit: "GiB", relays: tcpRelays, base: haproxyTCP, n: 1, run: bulk},
	{name: "bulk4", title: "Bulk, four streams", unit: "GiB", relays: tcpRelays, base: haproxyTCP, n: 4, run: bulk},
	{name: "user", title: "Bulk, one stream, relays run by an ordinary user with 200 idle sessions held", unit: "GiB", relays: []string{haproxyTCP, crimpTCP, nginxTCP}, base: haproxyTCP, user: true, held: 200, n: 1, run: bulk},
	{name: "slice", title: "Bulk, one stream, in segments of 1 KiB", note: segmentsNote, unit: "GiB", relays: []string{plainCopy, plainBuffer, plainPieces, crimpSlice, toxiproxySlicer}, base: plainCopy, n: 1, run: bulk},
	{name: "trip64", title: "Round trips of 64 B, 64 connections", unit: "trip", relays: tripRelays, base: haproxyTCP, n: 64, size: 64, run: trips},
	{name: "trip1k", title: "Round trips of 1 KiB, 64 connections", unit: "trip", relays: tripRelays, base: haproxyTCP, n: 64, size: 1 << 10, run: trips},
	{name: "late", title: "Round trips of 64 B, 64 connections, answers 20 ms late", unit: "trip", relays: []string{crimpLate}, base: crimpLate, delay: 20 * time.Millisecond, n: 64, size: 64, run: trips},
	{name: "conn", title: "New connections, one 64 B trip each", unit: "connection", relays: tripRelays, base: haproxyTCP, n: 16, size: 64, run: churn},
	{name: "http1k", title: "HTTP requests, answers of 1 KiB, 64 connections", unit: "request", relays: httpRelays, base: haproxyHTTP, n: 64, size: 1 << 10, run: requests},
	{name: "http1m", title: "HTTP requests, answers of 1 MiB, 8 connections", unit: "request", relays: httpRelays, base: haproxyHTTP, n: 8, size: 1 << 20, run: requests},
	{name: "wrk64", title: "wrk: answers of 64 B through TCP mode, 64 connections", unit: "request", relays: wrkRelays, base: haproxyTCP, nginx: true, n: 64, size: 64, run: runWrk},
	{name: "wrk1k", title: "wrk: answers of 1 KiB through TCP mode, 64 connections", unit: "request", relays: wrkRelays, base: haproxyTCP, nginx: true, n: 64, size: 1 << 10, run: runWrk},
	{name: "wrkhttp", title: "wrk: answers of 1 KiB through HTTP mode, 64 connections", unit: "request", relays: wrkHTTP, base: haproxyHTTP, nginx: true, n: 64, size: 1 << 10, run: runWrk},
	{name: "wrkfew", title: "wrk: answers of 64 B through TCP mode, 8 connections", unit: "request", relays: wrkFew, base: haproxyTCP, nginx: true, n: 8, size: 64, run: runWrk},
	{name: "idle", title: "Memory of an idle session that has carried traffic", unit: "session", relays: idleRelays, base: haproxyTCP, fresh: true, run: idle},
}

// meter counts what is done while it is open: not the warming up, not the end.
type meter struct {
	open  atomic.Bool
	stop  atomic.Bool
	units atomic.Int64
}

// during lets work run for the window and gives what it did and cost.
func during(r *relay, p *plan, n int, work func(i int, m *meter, seen *[]time.Duration) error) (sample, error) {
	var m meter
	var group sync.WaitGroup
	errs := make(chan error, n)
	seen := make([][]time.Duration, n)
	for i := range n {
		group.Go(func() {
			if err := work(i, &m, &seen[i]); err != nil && !m.stop.Load() {
				errs <- err
			}
		})
	}
	time.Sleep(p.window / 5)
	used, err := cpuOf(r.cmd.Process.Pid)
	m.open.Store(true)
	start := time.Now()
	if err == nil {
		select {
		case err = <-errs:
		case <-time.After(p.window):
		}
	}
	m.open.Store(false)
	took := time.Since(start)
	after, late := cpuOf(r.cmd.Process.Pid)
	units := float64(m.units.Load())
	m.stop.Store(true)
	group.Wait()
	switch {
	case err != nil:
		return sample{}, err
	case late != nil:
		return sample{}, late
	case units == 0:
		return sample{}, fmt.Errorf("nothing came through in %s", p.window)
	}
	s := sample{cpu: (after - used).Seconds() / units, rate: units / took.Seconds()}
	all := slices.Concat(seen...)
	if slices.Sort(all); len(all) > 0 {
		var sum time.Duration
		for _, d := range all {
			sum += d
		}
		s.mean = sum.Seconds() / float64(len(all))
		s.low, s.p50, s.p99 = all[0].Seconds(), all[len(all)/2].Seconds(), all[len(all)*99/100].Seconds()
	}
	return s, nil
}

// until closes c once the measurement is over, so that nobody waits for it.
func until(m *meter, c net.Conn) (done func()) {
	end := make(chan struct{})
	go func() {
		for !m.stop.Load() {
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}()
	return func() { close(end); c.Close() }
}

// bulk reads answers without end, as HTTP, so that every relay understands it.
func bulk(l load, r *relay, p *plan) (sample, error) {
	conns, err := hold(r, l.held)
	defer drop(conns)
	if err != nil {
		return sample{}, err
	}
	s, err := during(r, p, l.n, func(_ int, m *meter, _ *[]time.Duration) error {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer until(m, c)()
		if _, err = newAsker(c).ask(1 << 40); err != nil {
			return err
		}
		buf := make([]byte, 256<<10)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return err
			}
			if m.open.Load() {
				m.units.Add(int64(n))
			}
		}
	})
	s.cpu, s.rate = s.cpu*(1<<30), s.rate/(1<<30)
	return s, err
}

// timed repeats do and notes how long it took each time.
func timed(m *meter, seen *[]time.Duration, do func() error) error {
	for !m.stop.Load() {
		start := time.Now()
		if err := do(); err != nil {
			return err
		}
		if m.open.Load() {
			m.units.Add(1)
			*seen = append(*seen, time.Since(start))
		}
	}
	return nil
}

func trips(l load, r *relay, p *plan) (sample, error) {
	return during(r, p, l.n, func(_ int, m *meter, seen *[]time.Duration) error {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		b := make([]byte, l.size)
		return timed(m, seen, func() error { return trip(c, b) })
	})
}

func trip(c net.Conn, b []byte) error {
	if _, err := c.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(c, b)
	return err
}

func churn(l load, r *relay, p *plan) (sample, error) {
	return during(r, p, l.n, func(_ int, m *meter, seen *[]time.Duration) error {
		b := make([]byte, l.size)
		return timed(m, seen, func() error {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				return err
			}
			defer c.Close()
			return trip(c, b)
		})
	})
}

func requests(l load, r *relay, p *plan) (sample, error) {
	return during(r, p, l.n, func(_ int, m *meter, seen *[]time.Duration) error {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			return err
		}
		defer c.Close()
		a := newAsker(c)
		if l.size > 64<<10 {
			a.buf = make([]byte, 256<<10)
		}
		return timed(m, seen, func() error { return a.get(l.size) })
	})
}

// idle holds sessions that have carried a request each, and asks what a relay's
// resident memory has grown by. The first few make ready what is there for all.
func idle(_ load, r *relay, p *plan) (sample, error) {
	for range 200 {
		if err := ping(r.addr); err != nil {
			return sample{}, err
		}
	}
	time.Sleep(500 * time.Millisecond)
	before, err := rssOf(r.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	sessions := p.sessions
	if r.kind == plainCopy { // it keeps a pipe for each direction: six descriptors a session
		sessions /= 4
	}
	conns, err := hold(r, sessions)
	defer drop(conns)
	if err != nil {
		return sample{}, err
	}
	time.Sleep(time.Second)
	after, err := rssOf(r.cmd.Process.Pid)
	return sample{rss: float64(after-before) / float64(sessions)}, err
}

// hold opens n sessions that have carried a request each; drop ends them.
func hold(r *relay, n int) (conns []net.Conn, err error) {
	for range n {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			return conns, err
		}
		conns = append(conns, c)
		if err := (&asker{c: c, buf: scratch, n: -1}).get(100); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

func drop(conns []net.Conn) {
	for _, c := range conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}

var scratch = make([]byte, 16<<10)

// room is how many idle sessions the descriptor limit allows: this process has
// both ends, a relay has two descriptors a session.
func room(want int) (int, error) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return 0, err
	}
	most := max(int(lim.Cur)-1000, 0) / 2
	if want > most {
		return 0, fmt.Errorf("%d idle sessions need %d descriptors, the limit is %d", want, 2*want+1000, lim.Cur)
	}
	if want == 0 {
		want = min(9000, most)
	}
	return want, nil
}
