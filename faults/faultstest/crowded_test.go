package faultstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// asker is an engine whose client asks on and on.
type asker struct {
	*faults.Engine
	now  time.Time
	told []string
	said int // bytes for the server
}

func newAsker(t *testing.T, o faults.Options) *asker {
	a := &asker{now: time.Unix(0, 0)}
	o.Route, o.Session, o.Protocol, o.Plan = "web", 1, faults.HTTP, compile(t, nil)
	a.Engine = faults.NewEngine(a.now, o)
	a.step(faults.Input{Kind: faults.InOpen})
	return a
}

func (a *asker) step(in faults.Input) {
	for _, x := range a.Step(a.now, in) {
		switch {
		case x.Op == faults.OpDial:
			defer a.step(faults.Input{Kind: faults.InDialed})
		case x.Op == faults.OpSend && x.Dir == wire.Upstream:
			a.said += len(x.Data)
		case x.Op == faults.OpNote && x.Note.Kind == faults.NoteOpaque:
			a.told = append(a.told, fmt.Sprint(x.Note.Dir, ": ", x.Note.Text))
		}
	}
}

func (a *asker) open() (n int) {
	a.Exchanges(func(*faults.Exchange) { n++ })
	return n
}

// A client that asks on and on where nobody answers does not fill the memory. A
// relay passes on what it asks and follows it no more; a proxy, which must know for
// whom each request is, leaves it unread until it has answered.
func TestEndlessRequests(t *testing.T) {
	for name, long := range map[string]string{"short": "", "long": strings.Repeat("x", 20_000)} {
		t.Run(name, func(t *testing.T) {
			a := newAsker(t, faults.Options{})
			a.step(faults.Input{Kind: faults.InDialed})
			request, sent := "GET /"+long+" HTTP/1.1\r\n\r\n", 0
			for range 10_000 {
				a.step(faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: []byte(request)})
				sent += len(request)
			}
			if a.said != sent || strings.Join(a.told, "; ") != "upstream: more requests than are kept wait for their answers" {
				t.Errorf("%d of %d bytes are through; told %q", a.said, sent, a.told)
			}
			open := a.open()
			if open < 40 || open > 5000 {
				t.Errorf("%d exchanges are open", open)
			}
			for range open {
				a.step(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: []byte("HTTP/1.1 204 No Content\r\n\r\n")})
			}
			if a.open() != 0 {
				t.Errorf("all were answered, %d of %d are open", a.open(), open)
			}
		})
	}
	t.Run("of a proxy", func(t *testing.T) {
		a := newAsker(t, faults.Options{Proxying: faults.ToOrigin})
		for range 10_000 {
			if a.Demand(wire.Upstream).Mode == faults.Hold {
				break
			}
			a.step(faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: []byte("GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n")})
		}
		if len(a.told) > 0 || a.open() > 5000 || a.Demand(wire.Upstream).Mode != faults.Hold {
			t.Errorf("%d exchanges are open, told %q", a.open(), a.told)
		}
		for range 2500 {
			a.step(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: []byte("HTTP/1.1 204 No Content\r\n\r\n")})
		}
		if a.Demand(wire.Upstream).Mode == faults.Hold {
			t.Errorf("it was answered, and is not read on: %d exchanges are open", a.open())
		}
	})
}
