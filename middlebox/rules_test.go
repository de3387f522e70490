package middlebox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

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
		{"armed once more", func() (Changed, error) { return b.Arm("web", "latency", true, Change{}) }, "rule.armed"},
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
			if n, err := b.Act(Filter{Session: "web/2"}, test.act, test.side, Change{}); n != 0 || err == nil {
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

// Since leaves sessions that were opened after it, limit the newest of what is left.
func TestActOnSome(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	var clients []*net.TCPConn
	var seq int64 // once the second is open
	for i := range 4 {
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
		if clients = append(clients, c); i == 1 {
			seq = b.State().Seq
		}
	}
	act := func(f Filter, want int) {
		t.Helper()
		if n, err := b.Act(f, faults.ActRst, faults.BothSides, Change{}); n != want || err != nil {
			t.Fatalf("%+v reached %d, %v; want %d", f, n, err, want)
		}
	}
	after := strconv.FormatInt(seq, 10)
	act(Filter{Since: after, Limit: 1}, 1)
	wantEnd(t, clients[3], "", "rst")
	act(Filter{Since: after}, 1)
	wantEnd(t, clients[2], "", "rst")
	act(Filter{Since: after}, 0)
	act(Filter{Limit: 1, Outcome: "open"}, 1)
	wantEnd(t, clients[1], "", "rst")
	say(t, clients[0], "still")
	expect(t, clients[0], "still")
}

// Where the right to filter packets is missing, a rule of several kinds is armed
// without those that need it, and says which and why; what stands in is in its summary.
func TestArmedWithoutPackets(t *testing.T) {
	for _, test := range []struct {
		right         error
		does, without string
	}{
		{nil, "latency delay 200ms jitter 20ms + bandwidth rate 50kB/s + packet_loss rate 1%", ""},
		{errors.New("needs CAP_NET_ADMIN: run as root"), "latency delay 200ms jitter 20ms + bandwidth rate 50kB/s + latency delay 0s jitter 20ms distribution pareto",
			"packet_loss, which needs CAP_NET_ADMIN: run as root"},
	} {
		b := start(t, Config{}, Route{Upstream: origin(t, answer)})
		b.packets = test.right // before any session is there to read it
		done, err := b.SetRule("web", faults.Rule{Fault: "slow-3g", Armed: true}, Change{})
		if err != nil {
			t.Fatal(err)
		}
		if done.Rule.Summary != test.does || done.Rule.Without != test.without {
			t.Errorf("armed %q without %q, want %q without %q", done.Rule.Summary, done.Rule.Without, test.does, test.without)
		}
		if done, err = b.SetRule("web", faults.Rule{Fault: "truncate", Armed: true}, Change{}); err != nil || done.Rule.Without != "" {
			t.Errorf("truncate without %q, %v", done.Rule.Without, err)
		}
	}
}
