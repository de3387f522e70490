package middlebox

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/faultstest"
	"crimp/faults/wire"
)

// ownTests are the faults that a conversation of two peers cannot show, and the
// tests that show them over real sockets.
var ownTests = map[string]string{
	"refuse": "TestRefuse", "down": "TestRefuseClosed", "connect_delay": "TestConnectDelay", "limit_sessions": "TestLimitSessions", "overloaded": "TestLimitLeaksNobody",
	"packet_loss": "TestPacketLoss", "black_hole": "TestBlackHole", "drop_fin": "TestDropFin", "pulled-cable": "TestPulledCable", "slice": "TestSliceIsSegments",
}

// conversations are what peers say, a line each, when they have heard what the
// lines before were answered with.
var conversations = [][]string{
	{ // lengths both ways, on a connection that stays
		`c> GET /a HTTP/1.1\r\nHost: lab\r\nAccept: text/plain\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 10\r\n\r\n0123456789`,
		`c> POST /b HTTP/1.1\r\nHost: lab\r\nContent-Length: 8\r\n\r\nabcdefgh`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 4\r\n\r\nabcd`,
		`c> GET /c HTTP/1.1\r\nHost: lab\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 4\r\n\r\nefgh`,
	},
	{ // chunks both ways
		`c> PUT /a HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n3\r\n456\r\n0\r\n\r\n`,
		`c> GET /b HTTP/1.1\r\nHost: lab\r\n\r\n`,
		`s> HTTP/1.1 204 No Content\r\nServer: lab\r\n\r\n`,
	},
	{ // an expectation
		`c> PUT /a HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`,
		`s> HTTP/1.1 100 Continue\r\n\r\n`,
		`c> hello`,
		`s> HTTP/1.1 201 Created\r\nServer: lab\r\nContent-Length: 2\r\n\r\nok`,
	},
	{ // the server closes
		`c> GET /a HTTP/1.1\r\nHost: lab\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\n\r\n0123456789`,
		`s> FIN`,
		`c> FIN`,
	},
	{ // the client does, and gets its answer
		`c> POST /a HTTP/1.1\r\nHost: lab\r\nContent-Length: 2\r\n\r\nhi`,
		`c> FIN`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 2\r\n\r\nok`,
		`s> FIN`,
	},
	{ // what a client says to a proxy
		`c> GET /a HTTP/1.0\r\nHost: lab\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok`,
		`c> GET /b HTTP/1.0\r\nHost: lab\r\nConnection: Keep-Alive\r\nProxy-Connection: Keep-Alive\r\n\r\n`,
	},
	{ // the server speaks unasked
		`c> GET /a HTTP/1.1\r\nHost: lab\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 1\r\n\r\na`,
		`s> HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
	},
	{ // two requests at once
		`c> GET /a HTTP/1.1\r\nHost: lab\r\n\r\nGET /b HTTP/1.1\r\nHost: lab\r\n\r\n`,
		`s> HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 1\r\n\r\nb`,
	},
}

const longestTalk = 2500 * time.Millisecond

// shortest is the pause between two lines that makes a difference, as to a
// connection that is closed when it is idle for 100 ms. A machine that is busy with
// something else makes such pauses by itself, and what comes of them says nothing.
const shortest = 50 * time.Millisecond

// heardSo is what both peers have got, each all of it from the beginning.
type heardSo struct {
	bytes, ends [2]string
	hits        int64         // how often the rule has fired
	at          time.Duration // since the session opened
	endless     bool          // it goes on and on
}

// TestEveryFaultOverSockets: whatever fault the catalogue has, real peers of a real
// box get what the engine says in fake time, in each direction the fault can be for:
// bytes, FIN, RST, silence, and not sooner; and after disarming what was held. Each
// has a conversation in which it fires and makes a difference, or a test of its own.
func TestEveryFaultOverSockets(t *testing.T) {
	have, packets := testsHere(t), mayFilter(t, start(t, Config{}))
	slots := make(chan bool, 12)
	var all sync.WaitGroup
	for _, f := range faults.Catalogue() {
		if own := ownTests[f.Name]; own != "" {
			if !have[own] {
				t.Errorf("%s has its own test %s, and there is none", f.Name, own)
			}
			continue
		}
		for _, direction := range []string{"", "upstream"} {
			rule, lines, want, ok := conversationFor(t, packets, f, direction)
			if !ok {
				continue
			}
			all.Go(func() {
				slots <- true
				defer func() { <-slots }()
				for try := 1; ; try++ {
					accepted := make(chan *net.TCPConn, 1)
					b := start(t, Config{Seed: 42, Loops: 1}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) { accepted <- c }), Rules: []faults.Rule{rule}})
					pause, err := converse(b, listenOf(t, b, "web"), accepted, lines, want)
					b.Kill()
					switch {
					case err == nil:
						return
					case pause < shortest || try == 5:
						t.Errorf("%s %s %v: %v (in try %d, with a pause of %v)", f.Name, direction, rule.Params, err, try, pause)
						return
					}
				}
			})
		}
	}
	all.Wait()
}

// testsHere are the names of this package's tests.
func testsHere(t *testing.T) map[string]bool {
	t.Helper()
	files, _ := filepath.Glob("*_test.go")
	have := map[string]bool{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				have[f.Name.Name] = true
			}
		}
	}
	return have
}

// conversationFor finds the conversation that shows the fault soonest, with the
// parameters of its defaults or of an example, and what the peers have heard after
// each line; the last is what they hear once the rule is gone.
func conversationFor(t *testing.T, packets bool, f faults.Fault, direction string) (rule faults.Rule, lines []string, want []heardSo, ok bool) {
	t.Helper()
	possible := false
	for _, params := range append([]faults.FaultExample{{}}, f.Examples...) {
		r, bad := faults.DecodeRule(json.RawMessage(fmt.Sprintf(`{"fault":%q,"params":%s}`, f.Name, orObject(params.Params))), "")
		if bad != nil {
			continue // what it needs is missing
		}
		r.Name, r.Armed, r.Match.Direction = f.Name, true, direction
		if r.Check("") != nil {
			continue // not for requests
		}
		possible = true
		for _, talk := range conversations {
			heard, shows := rehearse(t, packets, r, talk)
			if shows && (want == nil || heard[len(heard)-1].at < want[len(want)-1].at) {
				rule, lines, want = r, talk, heard
			}
		}
	}
	if possible && want == nil {
		t.Errorf("%s %s: no conversation shows it; add one, or a test of its own", f.Name, direction)
	}
	return rule, lines, want, want != nil
}

// rehearse is a conversation in fake time. It shows the rule if that fires and the
// peers hear something else than without it, or later. What turns on a clock that
// goes on between the lines real peers could not repeat.
func rehearse(t *testing.T, packets bool, rule faults.Rule, lines []string) (heard []heardSo, shows bool) {
	t.Helper()
	talk, err := faultstest.NewTalk(packets, rule)
	if err != nil {
		t.Fatalf("%s: %v", rule.Fault, err)
	}
	plain, err := faultstest.NewTalk(packets)
	if err != nil {
		t.Fatal(err)
	}
	listen := func(k *faultstest.Talk, last heardSo) (h heardSo, next time.Duration) {
		took, next := k.Rest(longestTalk)
		h.at = last.at + took
		for d := range h.bytes {
			h.bytes[d], h.ends[d] = k.Got(wire.Direction(d))
		}
		return h, next
	}
	var h, without heardSo
	for i := 0; i <= len(lines) && (h.ends[0] == "" || h.ends[1] == ""); i++ {
		if i < len(lines) {
			err = errors.Join(talk.Say(lines[i]), plain.Say(lines[i]))
		} else {
			err = talk.Disarm()
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", rule.Fault, lines[i], err)
		}
		var next time.Duration
		h, next = listen(talk, h)
		if i < len(lines) {
			without, _ = listen(plain, without)
			shows = shows || h.bytes != without.bytes || h.ends != without.ends || h.at != without.at
			h.hits = talk.Hits()
		}
		h.endless = h.at > longestTalk-time.Second && next > 0 && next < time.Second
		heard = append(heard, h)
		if h.endless {
			break
		}
		if next > 0 && next < time.Minute {
			return nil, false
		}
	}
	return heard, shows && h.at <= longestTalk && slices.ContainsFunc(heard, func(h heardSo) bool { return h.hits > 0 })
}

// converse has real peers say the lines and compares what they hear. pause is the
// longest between two lines that was not the fault's.
func converse(b *Box, addr string, accepted chan *net.TCPConn, lines []string, want []heardSo) (pause time.Duration, err error) {
	begun := time.Now()
	conn, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	var ears [2]ear
	ears[wire.Downstream].c = conn.(*net.TCPConn)
	select {
	case ears[wire.Upstream].c = <-accepted:
		defer ears[wire.Upstream].c.Close()
	case <-time.After(10 * time.Second):
		return 0, errors.New("the upstream was not dialled")
	}
	said, took := begun, time.Duration(0) // when the last line was said, and for how long its fault may go on
	for i, w := range want {
		if i < len(lines) {
			pause = max(pause, time.Since(said)-took)
		}
		said = time.Now()
		took = w.at
		if i > 0 {
			took -= want[i-1].at
		}
		if err := exchange(b, &ears, lines, i, w, begun); err != nil {
			if over := time.Since(said) - took; over < 10*time.Second { // beyond, it was waited for in vain
				pause = max(pause, over)
			}
			return pause, err
		}
	}
	return pause, nil
}

// exchange has the i-th line said, or the rule disarmed, and both ears hear.
func exchange(b *Box, ears *[2]ear, lines []string, i int, w heardSo, begun time.Time) error {
	what := "disarmed"
	if i < len(lines) {
		what = lines[i]
		who := ears[wire.Downstream].c
		if what[0] == 's' {
			who = ears[wire.Upstream].c
		}
		_ = utter(who, what[3:]) // a connection that was ended may not take it
	} else if _, err := b.Arm("web", b.State().Routes[0].Rules[0].Name, false, Change{}); err != nil {
		return err
	}
	for d := range ears {
		if err := ears[d].hear(w.bytes[d], w.ends[d], w.endless); err != nil {
			return fmt.Errorf("%s: %v: %w", what, wire.Direction(d), err)
		}
	}
	if i < len(lines) {
		if err := fires(b, w.hits); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	if early := w.at - time.Since(begun); early > 0 {
		return fmt.Errorf("%s: %v too early", what, early)
	}
	for d := range ears {
		if w.endless {
			break
		}
		if err := ears[d].silent(10 * time.Millisecond); err != nil {
			return fmt.Errorf("%s: %v: %w", what, wire.Direction(d), err)
		}
	}
	return nil
}

// fires waits until the rule has fired so often. What it fired on the peers need
// not have seen.
func fires(b *Box, times int64) error {
	for limit := time.Now().Add(15 * time.Second); ; time.Sleep(time.Millisecond) {
		list, err := b.Rules(Filter{})
		if err != nil || list.Items[0].Hits == times {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("fired %d times, expected %d", list.Items[0].Hits, times)
		}
	}
}

// ear is what a peer's socket has got.
type ear struct {
	c     *net.TCPConn
	bytes []byte
	end   string
}

// hear reads until the peer has got all this, that ending, and no more.
func (e *ear) hear(bytes, end string, more bool) error {
	_ = e.c.SetReadDeadline(time.Now().Add(15 * time.Second))
	buf := make([]byte, 4096)
	for (len(e.bytes) < len(bytes) || e.end != end) && e.end == "" {
		n, err := e.c.Read(buf)
		e.took(buf[:n], err)
	}
	if more && strings.HasPrefix(string(e.bytes), bytes) {
		return nil
	}
	if string(e.bytes) != bytes || e.end != end {
		return fmt.Errorf("got %q %s, expected %q %s", e.bytes, e.end, bytes, end)
	}
	return nil
}

// silent sees that nothing more comes.
func (e *ear) silent(d time.Duration) error {
	if e.end != "" {
		return nil
	}
	had, buf := len(e.bytes), make([]byte, 4096)
	_ = e.c.SetReadDeadline(time.Now().Add(d))
	n, err := e.c.Read(buf)
	e.took(buf[:n], err)
	if e.end == "silence" {
		e.end = ""
	}
	if len(e.bytes) > had || e.end != "" {
		return fmt.Errorf("got %q %s more", e.bytes[had:], e.end)
	}
	return nil
}

// took notes what a read gave.
func (e *ear) took(b []byte, err error) {
	e.bytes = append(e.bytes, b...)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		e.end = "FIN"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.end = "RST"
	case isTimeout(err):
		e.end = "silence"
	default:
		e.end = err.Error()
	}
}
