package middlebox

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// headOf reads a request as the tokenizer does.
func headOf(text string) (h wire.Head) {
	p := wire.NewPair(func(s wire.Segment) {
		if s.Head != nil {
			h = *s.Head
		}
	})
	p.Feed(wire.Upstream, []byte(text))
	return h
}

// TestRecordsSayWhatWasPacked: what comes out of a record is what went in, and a
// filter can ask of it all it could ask of the exchange itself.
func TestRecordsSayWhatWasPacked(t *testing.T) {
	client := netip.MustParseAddrPort("[fe80::1%2]:1234")
	at := time.Unix(1700000000, 123456789)
	x := faults.Exchange{N: 7, Head: headOf("POST /a/b?c HTTP/1.1\r\nhost:  test \r\nX-Folded: a\r\n  b\r\nnonsense\r\n\r\n"),
		Asked: 5, Said: faults.All, Status: 204, Declared: -1, Sent: 9, Whole: true, Outcome: "ok", Odd: faults.UnsafePipe | faults.Crowding, Started: at, Finished: at.Add(time.Second)}
	var p packer
	packExchange(&p, "web", 3, client, &x)
	u := unpacker(p)
	it, h := unpackExchange(&u)
	if len(u) != 0 {
		t.Errorf("%d bytes were left", len(u))
	}
	finished := at.Add(time.Second)
	want := ExchangeItem{ID: "web/3/7", Route: "web", Session: "web/3", Client: client.String(), Request: Request{Method: "POST", Target: "/a/b?c", Host: "test", Bytes: 5, Delivered: "whole"},
		Response: Response{Status: 204, Sent: 9, End: "whole"}, Rules: []Fired{}, Started: at, Finished: &finished, Outcome: "ok", Odd: []string{"non-idempotent request in a pipe", "more than two persistent connections"}}
	if !reflect.DeepEqual(it, want) {
		t.Errorf("got  %+v\nwant %+v", it, want)
	}
	if got := h.facts.Request; !reflect.DeepEqual(got.Fields, x.Head.Fields) || string(got.Raw) != string(x.Head.Raw) || got.Word != x.Head.Word {
		t.Errorf("head %+v, want %+v", got, x.Head)
	}

	long := faults.Exchange{N: 1, Head: headOf("GET /long HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", keptHead) + "\r\n\r\n"), Declared: 4, Started: at}
	p = p[:0]
	packExchange(&p, "web", 3, client, &long)
	u = unpacker(p)
	if it, _ = unpackExchange(&u); it.Request.Target != "/long" || it.Request.Host != "h" || *it.Response.Declared != 4 || it.Finished != nil || len(p) > 200 {
		t.Errorf("a long head gives %+v from %d bytes", it, len(p))
	}

	fired := FiredData{Fault: "cut", Direction: "downstream", Offset: 1, Message: 2, Part: "body", At: "body:2", Bytes: 3, End: "rst", Acked: 4}
	for _, about := range []*faults.Exchange{&x, nil} {
		p = p[:0]
		packAbout(&p, "web", 3, client, about)
		p.str("rule")
		fired.pack(&p)
		e := faultFired.event(p)
		if e.Type != "fault.fired" || e.Route != "web" || e.Session != "web/3" || e.Rule != "rule" || e.Data != fired || e.heard.direction != "downstream" {
			t.Errorf("a firing gives %+v", e)
		}
		if f := e.heard.facts; f.Session != 3 || f.Client != client || f.HasRequest != (about != nil) || (e.Exchange == "web/3/7") != (about != nil) {
			t.Errorf("a firing gives %+v, %+v", e, f)
		}
	}

	in := sessionRecord{route: "web", num: 3, client: client, upstream: "h:1", protocol: faults.HTTP, opened: at, closed: finished, bytes: Flow{1, 2},
		held: Flow{3, 4}, exchanges: 5, outcome: "rst", ended: Ended{"rst", "fin"}, cause: "fault", rules: []string{"a", "b"}, odd: faults.AfterClose, idle: time.Second}
	p = p[:0]
	in.pack(&p)
	var out sessionRecord
	u = unpacker(p)
	if out.unpack(&u); !reflect.DeepEqual(in, out) || len(u) != 0 {
		t.Errorf("got  %+v\nwant %+v", out, in)
	}
}

// TestKeepingAllocatesNothing: a journal that is full keeps on in the memory it has.
func TestKeepingAllocatesNothing(t *testing.T) {
	j := newJournal(Limits{Events: 1000, Exchanges: 300}, time.Now)
	x := faults.Exchange{N: 1, Head: headOf("GET / HTTP/1.1\r\nHost: test\r\n\r\n"), Declared: -1, Started: time.Now()}
	var p packer
	keep := func() {
		p = p[:0]
		packExchange(&p, "web", 1, netip.AddrPort{}, &x)
		j.keep(exchangeStarted, p, time.Now())
		j.keep(exchangeFinished, p, time.Now())
	}
	for range 5000 {
		keep()
	}
	if n := testing.AllocsPerRun(5000, keep); n != 0 {
		t.Errorf("%v allocations for an exchange", n)
	}
	if most := 2 * 1000 * len(p); j.memory.used > most+2*blockSize {
		t.Errorf("1000 events of %d bytes take %d", len(p), j.memory.used)
	}
}

// TestExchangesOutliveTheirEvents: a flood of other events does not take the
// finished exchanges along.
func TestExchangesOutliveTheirEvents(t *testing.T) {
	j := newJournal(Limits{Events: 50, Exchanges: 20}, time.Now)
	var p packer
	for n := range 30 {
		x := faults.Exchange{N: uint64(n), Head: headOf(fmt.Sprintf("GET /%d HTTP/1.1\r\n\r\n", n)), Declared: -1}
		p = p[:0]
		packExchange(&p, "web", 1, netip.AddrPort{}, &x)
		j.keep(exchangeFinished, p, time.Now())
		for range 70 * (n % 2) {
			j.emit(Event{Type: "control.joined"})
		}
	}
	over, complete := j.finishedSince(-1)
	if len(over) != 20 || complete {
		t.Fatalf("%d exchanges, complete %v", len(over), complete)
	}
	for i, x := range over {
		if want := fmt.Sprintf("/%d", 10+i); x.item.Request.Target != want {
			t.Errorf("exchange %d is %s, want %s", i, x.item.Request.Target, want)
		}
	}
}

// BenchmarkTell is what it costs to tell of an exchange, that it started and that it
// finished, in a journal that is full.
func BenchmarkTell(b *testing.B) {
	j := newJournal(Limits{Events: 100_000, Exchanges: 10_000}, time.Now)
	client := netip.MustParseAddrPort("127.0.0.1:1234")
	now := time.Now()
	x := faults.Exchange{N: 7, Head: headOf("GET / HTTP/1.1\r\nHost: 127.0.0.1:7006\r\n\r\n"), Declared: -1, Outcome: "open", Started: now}
	y := x
	y.Status, y.Declared, y.Sent, y.Whole, y.Outcome, y.Finished = 200, 1024, 1024, true, "ok", now.Add(time.Millisecond)
	var p packer
	tell := func(kind recordKind, x *faults.Exchange) {
		p = p[:0]
		packExchange(&p, "web", 3, client, x)
		j.keep(kind, p, now)
	}
	both := func() {
		tell(exchangeStarted, &x)
		tell(exchangeFinished, &y)
	}
	for range 60_000 {
		both()
	}
	b.ReportAllocs()
	for b.Loop() {
		both()
	}
}
