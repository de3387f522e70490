package middlebox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"crimp/faults"
)

// capture starts a capture that ends with the test.
func capture(t testing.TB, b *Box, o CaptureOptions) *Capture {
	t.Helper()
	c, err := b.Capture(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// A cut: what came is whole, what went out ends where the event says, and the fault
// stands between the last byte and the FIN.
func TestCaptureShowsACut(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, kilobytes), Rules: []faults.Rule{rule("truncate", nil)}})
	capt := capture(t, b, CaptureOptions{Route: "web"})
	c := dial(t, b, "web")
	say(t, c, request)
	got, _ := rest(t, c)
	var f film
	f.watch(t, capt, "closed")
	whole := string(kilobyte)
	for _, test := range []struct{ side, way, want string }{
		{"client", "in", request}, {"server", "out", request}, {"server", "in", whole}, {"client", "out", got},
	} {
		if told := f.bytes(t, test.side, test.way); told != test.want {
			t.Errorf("%s %s: %q, expected %q", test.side, test.way, told, test.want)
		}
	}
	cut := len(whole) - 512
	f.wantPlot(t, "opened client at 0 0", "opened server at 0 0", "bytes client in", "bytes server out", "bytes server in", "bytes client out",
		fmt.Sprintf("fired truncate downstream fin at %d after %d", cut, cut), fmt.Sprintf("fin client out at %d", cut),
		fmt.Sprintf("fin server out at %d", len(request)), "closed")
	event, err := b.Events(Filter{Type: "fault.fired"})
	if err != nil || len(event.Items) != 1 {
		t.Fatal(event, err)
	}
	fired := f[slices.IndexFunc(f, func(k Chunk) bool { return k.What == "fired" })]
	if d := event.Items[0].Data.(FiredData); fired.Seq != event.Items[0].Seq || fired.At != d.At || fired.Fault != d.Fault || fired.Session != "web/1" {
		t.Errorf("the capture has %+v, the event is %+v", fired, event.Items[0])
	}
	last := time.Time{}
	for _, k := range f {
		if k.Time.Before(last) {
			t.Errorf("%s came at %v, before %v", k.What, k.Time, last)
		}
		last = k.Time
	}
}

// The addresses are those that the peers have of their connections.
func TestCaptureKnowsTheAddresses(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "[::1]"} {
		servers := make(chan *net.TCPConn, 1)
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			continue // a machine without IPv6
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			if c, err := l.Accept(); err == nil {
				servers <- c.(*net.TCPConn)
			}
		}()
		b := start(t, Config{}, Route{Protocol: "tcp", Listen: host + ":0", Upstream: l.Addr().String()})
		c := dial(t, b, "web")
		server := <-servers
		defer server.Close()
		say(t, c, "a")
		expect(t, server, "a")
		capt := capture(t, b, CaptureOptions{Session: "web/1"}) // of what stands already
		say(t, c, "b")
		expect(t, server, "b")
		server.SetLinger(0)
		server.Close()
		var f film
		f.watch(t, capt, "closed")
		own := map[string][2]string{
			"client": {c.RemoteAddr().String(), c.LocalAddr().String()},
			"server": {server.RemoteAddr().String(), server.LocalAddr().String()},
		}
		for _, k := range f {
			if k.What == "opened" && [2]string{k.Own.String(), k.Peer.String()} != own[k.Side] {
				t.Errorf("%s: %v %v, expected %v", k.Side, k.Own, k.Peer, own[k.Side])
			}
		}
		if !strings.HasPrefix(f.plot(), "opened client at 1 0 stood\nbytes client in\nopened server at 0 1 stood\nbytes server out\n") {
			t.Error(f.plot())
		}
		if !strings.Contains(f.plot(), "rst server in at 0") || !strings.Contains(f.plot(), "rst client out at 0") {
			t.Errorf("the server's RST and ours after it are missing:\n%s", f.plot())
		}
	}
}

// What waits in the box came in before it went out; what is rewritten came in as it
// was and went out as it is.
func TestCaptureShowsWhatARuleDoes(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo), Rules: []faults.Rule{
		rule("latency", map[string]any{"delay": "30ms"}), rule("inject", map[string]any{"at": "byte:2", "bytes": "text:-----"})}})
	capt := capture(t, b, CaptureOptions{})
	c := dial(t, b, "web")
	say(t, c, "abcd")
	expect(t, c, "ab-----cd")
	say(t, c, "ef")
	expect(t, c, "ef")
	c.CloseWrite()
	rest(t, c)
	var f film
	f.watch(t, capt, "closed")
	if in, out := f.bytes(t, "server", "in"), f.bytes(t, "client", "out"); in != "abcdef" || out != "ab-----cdef" {
		t.Errorf("in %q, out %q", in, out)
	}
	var came time.Time
	for _, k := range f {
		switch {
		case k.What != "bytes":
		case k.Side == "server" && k.Way == "in" && k.Offset == 4:
			came = k.Time
		case k.Side == "client" && k.Way == "out" && k.Offset == 9:
			if late := k.Time.Sub(came); late < 30*time.Millisecond || late > 10*time.Second {
				t.Errorf("ef went out %v after it came, expected 30ms", late)
			}
		}
	}
}

// A capture that nobody reads holds up nobody and grows no further; who comes to
// read it gets its beginning, and how much is missing.
func TestCaptureThatNobodyReads(t *testing.T) {
	const size, sent = 64 << 10, 3 << 20
	b, client, server := pair(t, Config{})
	small := faults.Size(size)
	capt := capture(t, b, CaptureOptions{Route: "web", Side: "client", Buffer: &small})
	say(t, client, "x") // until it is told that the connection stands
	expect(t, server, "x")
	go func() { server.Write(make([]byte, sent)); server.CloseWrite() }()
	if n, err := io.Copy(io.Discard, client); n != sent || err != nil {
		t.Fatal(n, err)
	}
	client.CloseWrite()
	closedSession(t, b, "web/1")
	var f film
	f.watch(t, capt, "lost")
	told, first := 0, len(f)
	for i, k := range f {
		if k.What == "bytes" && k.Way == "out" {
			told += len(k.Data)
		}
		if k.What == "lost" {
			first = i
		}
	}
	if lost := f[first]; told+int(lost.Bytes) != sent || lost.Chunks < 2 || first != len(f)-1 || told == 0 {
		t.Errorf("%d bytes told and %+v, of %d", told, lost, sent)
	}
	if n := cap(capt.full) + cap(capt.spare); n != 2*size {
		t.Errorf("it has %d bytes of memory, expected %d", n, 2*size)
	}
	next := dial(t, b, "web") // the reader has come: it goes on
	say(t, next, "y")
	var g film
	g.watch(t, capt, "bytes")
	if got := g.bytes(t, "client", "in"); got != "y" {
		t.Errorf("after the gap it tells %q", got)
	}
}

// Captures are apart from each other, and from sessions that none of them wants; with
// the last one nothing is left of them.
func TestCapturesAtOnce(t *testing.T) {
	b := start(t, Config{Loops: 2}, Route{Protocol: "tcp", Upstream: origin(t, echo)}, Route{Name: "api", Protocol: "tcp", Upstream: origin(t, echo)})
	trip := func(c *net.TCPConn, text string) {
		say(t, c, text)
		expect(t, c, text)
	}
	first := dial(t, b, "web")
	trip(first, "before")
	two, none := 2, 0
	all := capture(t, b, CaptureOptions{})
	one := capture(t, b, CaptureOptions{Session: "web/1", Bytes: &two, Side: "server"})
	later := capture(t, b, CaptureOptions{Session: "web/2", Bytes: &none})
	if all.Live() != 1 || one.Live() != 1 || later.Live() != 0 {
		t.Errorf("live: %d %d %d", all.Live(), one.Live(), later.Live())
	}
	second, other := dial(t, b, "web"), dial(t, b, "api")
	trip(first, "one")
	trip(second, "three")
	trip(other, "api")
	all.Close()
	trip(first, "four")
	for _, c := range []*net.TCPConn{first, second, other} {
		c.CloseWrite()
		rest(t, c)
	}
	for _, test := range []struct {
		c    *Capture
		what string
		want map[string]string // by session: bytes from both sides
	}{
		{all, "opened", map[string]string{"web/1": "one3one3one3one3", "web/2": "three5three5three5three5", "api/1": "api3api3api3api3"}},
		{one, "closed", map[string]string{"web/1": "on3on3fo4fo4"}},
		{later, "closed", map[string]string{"web/2": "5555"}},
	} {
		var f film
		f.watch(t, test.c, test.what)
		got := map[string]string{}
		for _, k := range f {
			if k.What == "bytes" {
				got[k.Session] += fmt.Sprintf("%s%d", k.Data, k.Bytes)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(test.want) {
			t.Errorf("got %v, expected %v", got, test.want)
		}
	}
	one.Close()
	one.Close() // twice is once
	later.Close()
	b.everywhere(func(l *loop) int64 {
		if l.captures != nil {
			t.Error("a loop still has captures")
		}
		return 0
	})()
	if n, m := b.captures.Load(), b.captureBytes.Load(); n != 0 || m != 0 {
		t.Errorf("%d captures of %d bytes are counted", n, m)
	}
}

// A capture that starts while a session splices finds what is in the pipe, and has
// every byte from then on.
func TestCaptureOfBulk(t *testing.T) {
	b, client, server := pair(t, Config{})
	sent := make([]byte, 16<<20)
	for i := range sent {
		sent[i] = byte(i ^ i>>8 ^ i>>16)
	}
	go func() { server.Write(sent); server.CloseWrite() }()
	head := make([]byte, 4<<20) // by now it splices, and has much in its pipe
	if _, err := io.ReadFull(client, head); err != nil {
		t.Fatal(err)
	}
	size := faults.Size(16 << 20)
	capt := capture(t, b, CaptureOptions{Side: "server", Buffer: &size})
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(append(head, got...), sent) {
		t.Fatal("the client did not get what was sent", err)
	}
	client.CloseWrite()
	var f film
	f.watch(t, capt, "closed")
	from := f[0].Offset
	if f[0].What != "opened" || from == 0 || f.bytes(t, "server", "in") != string(sent[from:]) {
		t.Errorf("from %d on the capture has other bytes than were sent", from)
	}
	if slices.ContainsFunc(f, func(k Chunk) bool { return k.What == "lost" }) {
		t.Error("something was lost though there was room")
	}
}

func TestCaptureRefuses(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: origin(t, echo)})
	c := dial(t, b, "web")
	c.CloseWrite()
	rest(t, c)
	closedSession(t, b, "web/1")
	minus, tiny, huge := -1, faults.Size(1000), faults.Size(16<<20)
	for _, test := range []struct {
		o           CaptureOptions
		code        faults.Code
		field, says string
	}{
		{CaptureOptions{Route: "wep"}, faults.NotFound, "route", `did you mean "web"?`},
		{CaptureOptions{Session: "wep/1"}, faults.NotFound, "route", `no route "wep"`},
		{CaptureOptions{Session: "web"}, faults.Invalid, "session", "web/3"},
		{CaptureOptions{Session: "web/0"}, faults.Invalid, "session", "web/3"},
		{CaptureOptions{Session: "web/1"}, faults.NotFound, "session", "no live session"},
		{CaptureOptions{Session: "web/1", Route: "api"}, faults.Invalid, "session", "not a session of route"},
		{CaptureOptions{Side: "left"}, faults.Invalid, "side", "client, server or both"},
		{CaptureOptions{Bytes: &minus}, faults.Invalid, "bytes", "from 0"},
		{CaptureOptions{Buffer: &tiny}, faults.Invalid, "buffer", "64KiB to 16MiB"},
	} {
		_, err := b.Capture(test.o)
		var e *faults.Error
		if !errors.As(err, &e) || e.Code != test.code || e.Field != test.field || !strings.Contains(e.Message, test.says) {
			t.Errorf("%+v: %v", test.o, err)
		}
	}
	var held []*Capture
	for {
		c, err := b.Capture(CaptureOptions{Buffer: &huge})
		if err != nil {
			var e *faults.Error
			if !errors.As(err, &e) || e.Code != faults.Limit || len(held) != 4 {
				t.Errorf("after %d captures of 16 MiB: %v", len(held), err)
			}
			break
		}
		held = append(held, c)
	}
	for _, c := range held {
		c.Close()
	}
	for range maxCaptures {
		capture(t, b, CaptureOptions{})
	}
	if _, err := b.Capture(CaptureOptions{}); err == nil || !strings.Contains(err.Error(), "captures are in force") {
		t.Errorf("one capture too many: %v", err)
	}
}
