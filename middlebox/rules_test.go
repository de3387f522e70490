package middlebox

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"crimp/faults"
)

// Rules on live sessions: a call that changes them answers when the change is in
// force, whatever any peer does.

// answer is an origin that answers each request with a body of 10 bytes.
func answer(c *net.TCPConn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		io.Copy(io.Discard, r.Body)
		if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"); err != nil {
			return
		}
	}
}

const (
	request  = "GET /page HTTP/1.1\r\nHost: test\r\n\r\n"
	response = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"
)

func code(err error) faults.Code {
	var e *faults.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

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

func TestSetRule(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:1"})
	set := func(r faults.Rule, c Change) Changed {
		t.Helper()
		got, err := b.SetRule("web", r, c)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	names := func() (names []string) {
		list, _ := b.Rules(Filter{})
		for _, r := range list.Items {
			names = append(names, r.Name)
		}
		return names
	}
	first := set(rule("latency", nil), Change{Who: "ann"})
	if again := set(rule("latency", nil), Change{Who: "ben"}); again.Rev != first.Rev {
		t.Errorf("an identical rule went from revision %d to %d", first.Rev, again.Rev)
	}
	set(rule("stall", nil), Change{})
	set(rule("cut", map[string]any{"at": "byte:7"}), Change{Before: "stall"})
	if got := names(); !slices.Equal(got, []string{"latency", "cut", "stall"}) {
		t.Errorf("rules stand as %v", got)
	}
	changed := set(rule("latency", map[string]any{"delay": "5ms"}), Change{IfRev: &first.Rev})
	if changed.Rev == first.Rev {
		t.Error("a changed rule kept its revision")
	}
	expires := time.Now().Add(time.Hour)
	leased := set(rule("latency", map[string]any{"delay": "5ms"}), Change{Lease: "L1", Expiry: &expires})
	if leased.Rule.Lease != "L1" || leased.Rule.Expires == nil || leased.Rule.ArmedAt != changed.Rule.ArmedAt {
		t.Errorf("leased as %+v", leased.Rule)
	}
	if _, err := b.DeleteRule("web", "cut", Change{}); err != nil || !slices.Equal(names(), []string{"latency", "stall"}) {
		t.Errorf("%v: rules stand as %v", err, names())
	}

	before := b.State()
	for _, bad := range []struct {
		want faults.Code
		call func() (Changed, error)
	}{
		{faults.Conflict, func() (Changed, error) { return b.SetRule("web", rule("latency", nil), Change{IfRev: &first.Rev}) }},
		{faults.Invalid, func() (Changed, error) {
			return b.SetRule("web", rule("cut", map[string]any{"at": "byte:x"}), Change{})
		}},
		{faults.NotFound, func() (Changed, error) { return b.SetRule("web", rule("cutt", nil), Change{}) }},
		{faults.NotFound, func() (Changed, error) { return b.SetRule("wep", rule("cut", nil), Change{}) }},
		{faults.NotFound, func() (Changed, error) { return b.SetRule("web", rule("cut", nil), Change{Before: "nothing"}) }},
		{faults.NotFound, func() (Changed, error) { return b.DeleteRule("web", "cut", Change{}) }},
	} {
		if _, err := bad.call(); code(err) != bad.want {
			t.Errorf("got %v, want %s", err, bad.want)
		}
	}
	if _, err := b.Arm("web", "stal", true, Change{}); !strings.Contains(err.Error(), `did you mean "stall"?`) {
		t.Error(err)
	}
	if after := b.State(); after.Seq != before.Seq {
		t.Error("a failed call changed something")
	}
}

func TestRuleEvents(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:1"})
	off := rule("latency", nil)
	off.Armed = false
	other := rule("latency", map[string]any{"delay": "1s"})
	steps := []struct {
		what string
		call func() (Changed, error)
		want string
	}{
		{"a new armed rule", func() (Changed, error) { return b.SetRule("web", rule("latency", nil), Change{}) }, "rule.armed"},
		{"the same", func() (Changed, error) { return b.SetRule("web", rule("latency", nil), Change{}) }, ""},
		{"another value", func() (Changed, error) { return b.SetRule("web", other, Change{}) }, "rule.armed"},
		{"disarmed", func() (Changed, error) { return b.Arm("web", "latency", false, Change{}) }, "rule.disarmed"},
		{"again", func() (Changed, error) { return b.Arm("web", "latency", false, Change{}) }, ""},
		{"edited while disarmed", func() (Changed, error) { return b.SetRule("web", off, Change{}) }, "rule.changed"},
		{"armed", func() (Changed, error) { return b.Arm("web", "latency", true, Change{}) }, "rule.armed"},
		{"removed", func() (Changed, error) { return b.DeleteRule("web", "latency", Change{}) }, "rule.disarmed"},
	}
	for _, s := range steps {
		before := b.State().Seq
		got, err := s.call()
		if err != nil {
			t.Fatalf("%s: %v", s.what, err)
		}
		list, _ := b.Events(Filter{Type: "rule", Since: fmt.Sprint(before)})
		var types []string
		for _, e := range list.Items {
			types = append(types, e.Type)
		}
		if strings.Join(types, " ") != s.want {
			t.Errorf("%s: told as %v, want %q", s.what, types, s.want)
		}
		if s.want == "rule.armed" && got.Rule.ArmedAt != got.Seq {
			t.Errorf("%s: armed at %d, told at %d", s.what, got.Rule.ArmedAt, got.Seq)
		}
		if s.what == "removed" && !list.Items[0].Data.(RuleData).Removed {
			t.Error("the removal is not told as one")
		}
	}
}

func TestPanicReleaseRevert(t *testing.T) {
	configured := Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "http", Upstream: origin(t, answer), Rules: []faults.Rule{rule("truncate", nil)}}
	b := start(t, Config{}, configured)
	if _, err := b.SetRule("web", rule("latency", map[string]any{"delay": "1h"}), Change{}); err != nil {
		t.Fatal(err)
	}
	c := dial(t, b, "web")
	say(t, c, request)
	until(t, "the answer is held", func() bool { return b.Stats().Held > 0 })

	names, _, err := b.Panic(Change{Who: "ann", Why: "lab on fire"})
	if err != nil || !slices.Equal(names, []string{"web/truncate", "web/latency"}) {
		t.Fatalf("disarmed %v, %v", names, err)
	}
	expect(t, c, response[:len(response)-5]) // the cut was said before it; what was held is let go
	for what, call := range map[string]func() error{
		"arm":   func() error { _, err := b.Arm("web", "latency", true, Change{}); return err },
		"set":   func() error { _, err := b.SetRule("web", rule("stall", nil), Change{}); return err },
		"route": func() error { _, _, err := b.SetRoute(configured, Change{}); return err },
	} {
		err := call()
		if code(err) != faults.Forbidden || !strings.Contains(err.Error(), "ann") || !strings.Contains(err.Error(), "lab on fire") {
			t.Errorf("%s during a panic: %v", what, err)
		}
	}
	off := rule("stall", nil)
	off.Armed = false
	if _, err := b.SetRule("web", off, Change{}); err != nil {
		t.Errorf("a disarmed rule during a panic: %v", err)
	}
	if s := b.State(); s.Panic == nil || s.Panic.Who != "ann" {
		t.Errorf("state: %+v", s.Panic)
	}
	if _, err := b.DeleteRule("web", "latency", Change{}); err != nil {
		t.Fatal(err)
	}
	names, _, err = b.Release(true, Change{Who: "ben"})
	if err != nil || !slices.Equal(names, []string{"web/truncate"}) {
		t.Errorf("rearmed %v, %v", names, err)
	}
	if _, _, err := b.Release(true, Change{}); code(err) != faults.Conflict {
		t.Errorf("released twice: %v", err)
	}
	if _, _, err := b.Panic(Change{Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Revert(Change{Who: "ann"}); err != nil {
		t.Fatal(err)
	}
	s := b.State()
	if s.Panic != nil || len(s.Routes) != 1 || len(s.Routes[0].Rules) != 1 || !s.Routes[0].Rules[0].Armed {
		t.Errorf("reverted to %+v", s)
	}
	list, _ := b.Events(Filter{Type: "box"})
	var types []string
	for _, e := range list.Items {
		types = append(types, e.Type)
	}
	if want := []string{"box.panicked", "box.released", "box.panicked", "box.reverted"}; !slices.Equal(types, want) {
		t.Errorf("told as %v", types)
	}
}

// A ttl outlasts a panic: what is armed again ends when it would have ended.
func TestReleaseKeepsTheTTL(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	soon, later := time.Now().Add(50*time.Millisecond), time.Now().Add(time.Hour)
	set := func(name string, expires *time.Time) {
		t.Helper()
		r := rule("truncate", nil)
		r.Name = name
		if _, err := b.SetRule("web", r, Change{Expiry: expires}); err != nil {
			t.Fatal(err)
		}
	}
	set("soon", &soon)
	set("later", &later)
	set("ever", nil)
	set("off", nil)
	if _, _, err := b.Panic(Change{}); err != nil {
		t.Fatal(err)
	}
	for _, r := range b.State().Routes[0].Rules {
		if r.Armed || r.Expires != nil {
			t.Errorf("during the panic %s is armed %v until %v", r.Name, r.Armed, r.Expires)
		}
	}
	if _, err := b.Arm("web", "off", false, Change{}); err != nil { // said once more, and meant
		t.Fatal(err)
	}
	time.Sleep(time.Until(soon))
	names, _, err := b.Release(true, Change{})
	if err != nil || !slices.Equal(names, []string{"web/later", "web/ever"}) {
		t.Errorf("armed again: %v, %v", names, err)
	}
	for _, r := range b.State().Routes[0].Rules {
		if want := map[string]*time.Time{"later": &later}[r.Name]; !sameTime(r.Expires, want) {
			t.Errorf("%s is armed until %v, want %v", r.Name, r.Expires, want)
		}
	}
}

func TestAct(t *testing.T) {
	for _, test := range []struct {
		act          faults.Act
		side         faults.Side
		client, serv string
	}{
		{faults.ActRst, faults.BothSides, "rst", "rst"},
		{faults.ActRst, faults.Client, "rst", "fin"},
		{faults.ActClose, faults.Server, "fin", "fin"},
	} {
		t.Run(fmt.Sprint(test.act, test.side), func(t *testing.T) {
			b, client, server := pair(t, Config{})
			say(t, client, "hello")
			expect(t, server, "hello")
			if n, err := b.Act(Filter{Session: "web/2"}, test.act, test.side, Change{}); n != 0 || err != nil {
				t.Fatalf("reached %d, %v", n, err)
			}
			if n, err := b.Act(Filter{Route: "web"}, test.act, test.side, Change{}); n != 1 || err != nil {
				t.Fatalf("reached %d, %v", n, err)
			}
			wantEnd(t, client, "", test.client)
			wantEnd(t, server, "", test.serv)
			if it := closedSession(t, b, "web/1"); it.Cause != "command" {
				t.Errorf("told as %+v", it)
			}
		})
	}
	t.Run("stall and resume", func(t *testing.T) {
		b, client, server := pair(t, Config{})
		if _, err := b.Act(Filter{}, faults.ActStall, faults.Server, Change{}); err != nil {
			t.Fatal(err)
		}
		say(t, client, "hello")
		server.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if n, err := server.Read(make([]byte, 10)); err == nil {
			t.Fatalf("%d bytes came through", n)
		}
		server.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := b.Act(Filter{}, faults.ActResume, faults.Server, Change{}); err != nil {
			t.Fatal(err)
		}
		expect(t, server, "hello")
	})
}
