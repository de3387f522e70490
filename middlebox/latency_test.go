package middlebox

import (
	"io"
	"net"
	"testing"
	"time"

	"crimp/faults"
)

// TestLatencyKeepsItsThroughput: a delay line carries what its bound for held bytes
// allows, bound by delay. It cannot be more; on a machine that gives the box its
// time it is no less, which of three runs one must see.
func TestLatencyKeepsItsThroughput(t *testing.T) {
	const held, delay, during = 1 << 20, 200 * time.Millisecond, time.Second
	for run := 1; ; run++ {
		b := start(t, Config{Limits: Limits{HeldBytesPerSession: 2 * held}}, Route{Protocol: "tcp", Upstream: origin(t, flood),
			Rules: []faults.Rule{rule("latency", map[string]any{"delay": delay.String()})}})
		begun := time.Now() // the flood begins with the connection
		c := dial(t, b, "web")
		buf, n, last := make([]byte, 256<<10), 0, begun
		for last.Before(begun.Add(during + delay)) {
			k, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if n, last = n+k, time.Now(); n == k && last.Sub(begun) < delay {
				t.Fatalf("the first byte came after %v", last.Sub(begun))
			}
		}
		b.Kill()
		part := float64(n) / held * delay.Seconds() / (last.Sub(begun) - delay).Seconds()
		t.Logf("%.3f of bound by delay", part)
		if most := 1.1 + delay.Seconds()/during.Seconds(); part > most { // a line full may be counted at either end
			t.Fatalf("%.3f of what is allowed", part)
		}
		if part >= 0.9 {
			return
		}
		if run == 3 {
			t.Fatalf("%.3f of what is allowed", part)
		}
	}
}

// TestLatencyIsNeverEarly: the delay counts from when bytes came, not from when the
// turn in which they are read began, however long that turn has lasted.
func TestLatencyIsNeverEarly(t *testing.T) {
	const delay, long = 100 * time.Millisecond, 40 * time.Millisecond
	server := make(chan *net.TCPConn, 1)
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) { server <- c }),
		Rules: []faults.Rule{rule("latency", map[string]any{"delay": delay.String()})}})
	c := dial(t, b, "web")
	s := <-server
	defer s.Close()
	busy := func() (begun chan bool) { // with something that others have to wait for
		begun = make(chan bool)
		b.loops[0].post(func(*loop) {
			close(begun)
			time.Sleep(long)
		})
		return begun
	}
	<-busy()
	s.Write([]byte("a"))
	<-busy() // in the turn after: that a is there is noted already
	time.Sleep(long / 2)
	said := time.Now()
	s.Write([]byte("b"))
	if _, err := io.ReadFull(c, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(said); d < delay {
		t.Errorf("a byte came after %v, under a latency of %v", d, delay)
	}
}

// TestLatencyGoes: what is under way when the rule is removed comes at once, in
// order, FIN behind it; with the rule, FIN too is late.
func TestLatencyGoes(t *testing.T) {
	sent := make([]byte, 1_000_000)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		c.Write(sent)
		c.Close()
	}), Rules: []faults.Rule{rule("latency", map[string]any{"delay": "1h"})}})
	c := dial(t, b, "web")
	until(t, "all of it is under way", func() bool { return b.Stats().Held >= int64(len(sent)) })
	hearsNothing(t, c)
	if _, err := b.DeleteRule("web", "latency", Change{}); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, c, string(sent), "fin")

	set(t, b, rule("latency", map[string]any{"delay": "100ms"}))
	begun := time.Now()
	wantEnd(t, dial(t, b, "web"), string(sent), "fin")
	if d := time.Since(begun); d < 100*time.Millisecond {
		t.Errorf("FIN came after %v", d)
	}
}
