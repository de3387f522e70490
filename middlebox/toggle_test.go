package middlebox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"crimp/faults"
)

// Rules on live sessions: a call that changes them answers when the change is in
// force, whatever any peer does.

func TestCutOnALiveSession(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	c := dial(t, b, "web")
	say(t, c, request)
	expect(t, c, response)
	got, err := b.SetRule("web", rule("truncate", nil), Change{Who: "ann", Why: "to see"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Sessions != 1 || got.Rule.ArmedAt != got.Seq || !got.Rule.Armed || got.Rule.Summary == "" {
		t.Errorf("armed as %+v", got)
	}
	say(t, c, request)
	wantEnd(t, c, response[:len(response)-5], "fin")
	c.Close()

	fired, err := b.Events(Filter{Type: "fault.fired", Rule: "truncate", Since: "armed", Match: faults.Match{Path: "/page"}})
	if err != nil || len(fired.Items) != 1 {
		t.Fatalf("fired: %+v, %v", fired, err)
	}
	e := fired.Items[0]
	data := e.Data.(FiredData)
	said := int64(2*len(response) - 5)
	if e.Session != "web/1" || e.Exchange != "web/1/2" || data.Offset != said || data.Bytes != said || data.End != "fin" || data.At != "body:5" {
		t.Errorf("told as %+v", e)
	}
	list, _ := b.Exchanges(Filter{Outcome: "cut", Rule: "truncate"})
	if len(list.Items) != 1 {
		t.Fatalf("exchanges: %+v", list)
	}
	x := list.Items[0]
	if x.ID != "web/1/2" || x.Request.Target != "/page" || x.Response.Status != 200 || x.Response.Sent != 5 || *x.Response.Declared != 10 || x.Response.End != "fin" || len(x.Rules) != 1 {
		t.Errorf("exchange told as %+v", x)
	}
	it := closedSession(t, b, "web/1")
	if it.Outcome != "cut" || it.Cause != "fault" || it.Exchanges != 2 || !slices.Equal(it.Rules, []string{"truncate"}) {
		t.Errorf("session told as %+v", it)
	}
	rules, _ := b.Rules(Filter{})
	if len(rules.Items) != 1 || rules.Items[0].Hits != 1 {
		t.Errorf("rules: %+v", rules)
	}
}

func TestResetIsExact(t *testing.T) {
	const size = 1 << 20
	body := bytes.Repeat([]byte("x"), size)
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
		c.Write(body)
		io.Copy(io.Discard, c)
		c.Close()
	})})
	if _, err := b.SetRule("web", rule("cut", map[string]any{"at": "byte:1048000", "end": "rst"}), Change{}); err != nil {
		t.Fatal(err)
	}
	for range times {
		c := dial(t, b, "web")
		c.SetReadBuffer(64 << 10)
		buf := make([]byte, 20_000)
		n := 0
		for {
			m, err := c.Read(buf)
			n += m
			if err != nil {
				if !errors.Is(err, syscall.ECONNRESET) {
					t.Fatalf("%v after %d bytes", err, n)
				}
				break
			}
			if n%7 == 0 {
				time.Sleep(100 * time.Microsecond)
			}
		}
		if n != 1048000 {
			t.Fatalf("got %d bytes before the reset", n)
		}
		c.Close()
	}
	list, _ := b.Events(Filter{Type: "fault.fired"})
	for _, e := range list.Items {
		if d := e.Data.(FiredData); d.Acked != 1048000 {
			t.Errorf("told as %+v", d)
		}
	}
}

// stuffed makes a session whose client never reads and whose server writes on.
func stuffed(t *testing.T, b *Box, route string) {
	t.Helper()
	dial(t, b, route)
	until(t, "the stalled session is full", func() bool { return b.Stats().Held > 0 })
}

func TestThousandTogglesBesideAStalledPeer(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)},
		Route{Name: "stuffed", Protocol: "tcp", Upstream: origin(t, func(c *net.TCPConn) {
			for {
				if _, err := c.Write(make([]byte, 1<<16)); err != nil {
					c.Close()
					return
				}
			}
		})})
	stuffed(t, b, "stuffed")
	const live = 500
	var c net.Conn
	for range live {
		c = dial(t, b, "web")
	}
	until(t, "all sessions are open", func() bool { return b.Stats().Routes[0].Sessions == live })
	r := rule("content_length", map[string]any{"mode": "set", "value": "99"})
	r.Armed = false
	if _, err := b.SetRule("web", r, Change{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.SetRule("stuffed", rule("latency", map[string]any{"delay": "1ms"}), Change{}); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	for i := range 1000 {
		armed := i%2 == 0
		begun := time.Now()
		got, err := b.Arm("web", r.Name, armed, Change{})
		took = append(took, time.Since(begun))
		if err != nil || got.Sessions != live || got.Rule.Armed != armed {
			t.Fatalf("%+v, %v", got, err)
		}
		if i%100 == 0 {
			if _, err := b.Arm("stuffed", "latency", i%200 == 0, Change{}); err != nil {
				t.Fatal(err)
			}
		}
		say(t, c, request)
		want := response
		if armed {
			want = strings.Replace(response, "Length: 10", "Length: 99", 1)
		}
		expect(t, c, want)
	}
	slices.Sort(took)
	if took[500] > 50*time.Millisecond {
		t.Errorf("a toggle took %v (median)", took[500])
	}
}

// A continuous checksummed transfer, both ways, while rules come and go: those
// that do not touch it, and one that delays it.
func TestTransferOverToggles(t *testing.T) {
	b, client, server := pair(t, Config{})
	for _, r := range []faults.Rule{
		rule("latency", map[string]any{"delay": "2ms"}),
		{Name: "cut", Fault: "cut", Params: map[string]any{"at": "byte:1000000000000"}},
		{Name: "elsewhere", Fault: "cut", Params: map[string]any{"at": "now"}, Match: faults.Match{Session: "77"}},
	} {
		r.Armed = false
		if _, err := b.SetRule("web", r, Change{}); err != nil {
			t.Fatal(err)
		}
	}
	type sum struct {
		n int64
		h hash.Hash
	}
	send := func(c *net.TCPConn, stop chan bool, done chan sum) {
		s := sum{h: sha256.New()}
		for i := 0; ; i++ {
			chunk := fmt.Appendf(nil, "%d.%s;", i, strings.Repeat("y", i%5000))
			s.h.Write(chunk)
			s.n += int64(len(chunk))
			if _, err := c.Write(chunk); err != nil {
				t.Error(err)
			}
			if i%32 == 0 { // the processors are the box's too
				time.Sleep(200 * time.Microsecond)
			}
			select {
			case <-stop:
				c.CloseWrite()
				done <- s
				return
			default:
			}
		}
	}
	receive := func(c *net.TCPConn, done chan sum) {
		s := sum{h: sha256.New()}
		n, err := io.Copy(s.h, c)
		if err != nil {
			t.Error(err)
		}
		s.n = n
		done <- s
	}
	stop := make(chan bool)
	var sent, got [2]chan sum
	for i, c := range []*net.TCPConn{client, server} {
		sent[i], got[i] = make(chan sum, 1), make(chan sum, 1)
		go send(c, stop, sent[i])
		go receive(c, got[i])
	}
	for i := range 1000 {
		name := []string{"cut", "elsewhere", "cut", "elsewhere", "latency"}[i%5]
		if _, err := b.Arm("web", name, i/5%2 == 0, Change{}); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	for i := range 2 {
		s, g := <-sent[i], <-got[1-i]
		if s.n != g.n || !bytes.Equal(s.h.Sum(nil), g.h.Sum(nil)) {
			t.Errorf("%d bytes sent, %d received, not the same", s.n, g.n)
		}
	}
}
