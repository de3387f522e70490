package e2e

import (
	"net"
	"strings"
	"testing"
)

// Promise 5: every fault that fired is told, and every rule can say why it did not.

type exchangeItem struct {
	ID      string `json:"id"`
	Session string `json:"session"`
	Request struct {
		Method    string `json:"method"`
		Target    string `json:"target"`
		Delivered string `json:"delivered"`
		Bytes     int64  `json:"bytes"`
	} `json:"request"`
	Response struct {
		Status   int    `json:"status"`
		Declared *int64 `json:"declared"`
		Sent     int64  `json:"sent"`
		End      string `json:"end"`
	} `json:"response"`
	Rules []struct {
		Rule string `json:"rule"`
		At   string `json:"at"`
	} `json:"rules"`
	Outcome string   `json:"outcome"`
	Odd     []string `json:"odd"`
}

func (b *box) exchanges(filter params) []exchangeItem {
	b.t.Helper()
	var list struct{ Items []exchangeItem }
	b.must("exchange.list", filter, &list)
	return list.Items
}

func TestExchangesTellWhatBecameOfThem(t *testing.T) {
	b := newBench(t, pattern(1024))
	r := b.warm(t)
	r.send("POST /up HTTP/1.1\r\nHost: lab\r\nContent-Length: 5\r\n\r\nhello").expect(b.full)
	b.arm("web", params{"fault": "truncate"})
	r.send(ask("/cut")).restIs(b.full[:len(b.full)-512], fin)
	b.disarm("web", "truncate")
	b.must("wait", params{"type": "exchange.finished", "count": 3, "since": "0"}, nil)

	all := b.exchanges(nil)
	if len(all) != 3 {
		t.Fatalf("%d exchanges, expected 3: %+v", len(all), all)
	}
	for i, want := range []struct {
		id, method, outcome, end string
		up, sent                 int64
	}{{"web/1/1", "GET", "ok", "whole", 0, 1024}, {"web/1/2", "POST", "ok", "whole", 5, 1024}, {"web/1/3", "GET", "cut", "fin", 0, 512}} {
		x := all[i]
		if x.ID != want.id || x.Session != "web/1" || x.Request.Method != want.method || x.Request.Bytes != want.up || x.Request.Delivered != "whole" ||
			x.Response.Status != 200 || x.Response.Declared == nil || *x.Response.Declared != 1024 || x.Response.Sent != want.sent || x.Response.End != want.end || x.Outcome != want.outcome {
			t.Errorf("exchange %d: %+v, expected %+v", i, x, want)
		}
	}
	if fired := all[2].Rules; len(fired) != 1 || fired[0].Rule != "truncate" || fired[0].At != "body:512" {
		t.Errorf("what fired: %+v", fired)
	}
	for filter, n := range map[string]int{"cut": 1, "ok": 2, "rst": 0} {
		if got := b.exchanges(params{"outcome": filter}); len(got) != n {
			t.Errorf("outcome %s: %d exchanges, expected %d", filter, len(got), n)
		}
	}
	if got := b.exchanges(params{"match": params{"path": "/u*"}}); len(got) != 1 || got[0].Request.Target != "/up" {
		t.Errorf("by path: %+v", got)
	}
	if got := b.exchanges(params{"limit": 1}); len(got) != 1 || got[0].ID != "web/1/3" {
		t.Errorf("the newest: %+v", got)
	}
}

func TestRulesTellWhyTheyDidNotFire(t *testing.T) {
	b := newBench(t, pattern(64))
	r := b.warm(t)
	b.arm("web", params{"name": "path", "fault": "truncate", "match": params{"path": "/api/*"}})
	b.arm("web", params{"name": "method", "fault": "truncate", "match": params{"method": "POST"}})
	b.arm("web", params{"name": "place", "fault": "cut", "params": params{"at": "chunk:1"}})
	b.arm("web", params{"name": "gate", "fault": "truncate", "gate": params{"skip": 5}})
	r.send(ask("/apis/x")).expect(b.full)
	var w waited
	b.must("wait", params{"type": "rule.missed", "rule": "place"}, &w)
	for rule, key := range map[string]string{"path": "path", "method": "method", "place": "position", "gate": "skip"} {
		s, _ := b.rule("web", rule)
		if s.Misses[key] != 1 || s.Hits != 0 {
			t.Errorf("%s: hits %d, misses %v, expected one miss by %s", rule, s.Hits, s.Misses, key)
		}
	}
	if s, _ := b.rule("web", "path"); s.NearMiss != "GET /apis/x (path): path /apis/x is not /api/*" {
		t.Errorf("near miss %q", s.NearMiss)
	}
}

// What cannot be read as HTTP flows on, and the journal says so: also where a route takes
// its sessions for what they begin with.
func TestOpaqueIsTold(t *testing.T) {
	b := newBench(t, "hello")
	for route, addr := range map[string]string{"web": b.addr, "any": b.addRoute("any", b.o.addr, "auto")} {
		r := dial(t, addr).send("\x00\x01 not http\r\n\r\n")
		var w waited
		b.must("wait", params{"type": "session.opaque", "route": route, "since": "0"}, &w)
		if len(w.Events) != 1 || w.Events[0].Session != route+"/1" || w.Events[0].Data["direction"] != "upstream" || w.Events[0].Data["reason"] == "" {
			t.Errorf("told: %+v", w.Events)
		}
		r.CloseWrite()
		r.rest()
		b.must("wait", params{"type": "session.closed", "route": route, "since": "0"}, &w)
		if len(w.Events) != 1 || w.Events[0].Data["cause"] != "peers" {
			t.Errorf("closed: %+v", w.Events)
		}
	}
}

// A name's addresses are tried in order; IPv6 works on either side.
func TestUpstreamByName(t *testing.T) {
	o := always(t, answer("hello")) // on 127.0.0.1 alone
	_, port, _ := net.SplitHostPort(o.addr)
	b := serve(t)
	via := b.addRoute("named", "localhost:"+port, "http")
	dial(t, via).send(ask("/")).expect(answer("hello"))
	dial(t, b.addRoute("nowhere", "no-such-host.invalid:80", "http")).restIs("", rst)
	var w waited
	b.must("wait", params{"type": "session.failed", "route": "nowhere", "since": "0"}, &w)
	if said, _ := w.Events[0].Data["error"].(string); !strings.Contains(said, "no-such-host.invalid") {
		t.Errorf("session.failed says %q", said)
	}

	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("no IPv6 here: %v", err)
		return
	}
	l.Close()
	b.must("route.set", params{"route": params{"name": "six", "listen": "[::1]:0", "upstream": via, "protocol": "http"}}, nil)
	b.must("route.set", params{"route": params{"name": "four", "listen": "127.0.0.1:0", "upstream": b.listen("six"), "protocol": "http"}}, nil)
	dial(t, b.listen("four")).send(ask("/")).expect(answer("hello"))
}
