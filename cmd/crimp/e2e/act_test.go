package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// session.act: an operator ends, stalls and resumes live sessions by hand.
func TestSessionAct(t *testing.T) {
	hello := answer("hello")
	ends := make(chan end, 8)
	o := newOrigin(t, func(p *peer) {
		for {
			line, err := p.in.ReadString('\n')
			if err != nil {
				ends <- endOf(err)
				return
			}
			if line == "\r\n" {
				p.say(hello)
			}
		}
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	act := func(id, act, side string) {
		t.Helper()
		var reached struct{ Sessions int }
		b.must("session.act", params{"id": id, "act": act, "side": side}, &reached)
		if reached.Sessions != 1 {
			t.Errorf("%s reached %d sessions, expected 1", act, reached.Sessions)
		}
	}
	n := 0
	open := func() (*raw, string) {
		n++
		return dial(t, b.routes["web"]).send(ask("/")).expect(hello), fmt.Sprint("web/", n)
	}
	for _, c := range []struct {
		act            string
		client, server end
	}{{"rst", rst, rst}, {"close", fin, fin}, {"fin", fin, fin}} {
		r, id := open()
		act(id, c.act, "both")
		if got, how := r.rest(); got != "" || how != c.client {
			t.Errorf("%s: the client got %q and %s, expected %s", c.act, got, how, c.client)
		}
		r.Close()
		if how := <-ends; how != c.server {
			t.Errorf("%s: the server got %s, expected %s", c.act, how, c.server)
		}
	}
	r, id := open()
	act(id, "stall", "both")
	r.send(ask("/"))
	r.silent(50 * time.Millisecond)
	act(id, "resume", "both")
	r.expect(hello)

	// From the shell, by filter.
	if got := crimp(t, b, "session", "web/99", "rst"); got.code != 2 || !strings.Contains(got.stderr, "web/99") {
		t.Errorf("an unknown session: exit %d, %q", got.code, got.stderr)
	}
	wantOK(t, crimp(t, b, "session", "--match", "client=127.0.0.1", "rst"))
	r.restIs("", rst)
}
