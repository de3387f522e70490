package middlebox

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"crimp/faults"
)

func TestJournalForgetsTheOldest(t *testing.T) {
	b := start(t, Config{Limits: Limits{Events: 10}}, Route{Protocol: "tcp", Upstream: "127.0.0.1:9"})
	late := b.Watch(0)
	defer late.Close()
	for i := range 25 {
		b.Emit(Event{Type: "control.joined", Data: i})
	}
	list, err := b.Events(Filter{})
	if err != nil || list.Total != 10 || list.Complete || list.Items[9].Data != 24 {
		t.Fatalf("%+v, %v", list, err)
	}
	for i := range list.Items[1:] {
		if list.Items[i+1].Seq != list.Items[i].Seq+1 {
			t.Errorf("event %d follows %d", list.Items[i+1].Seq, list.Items[i].Seq)
		}
	}
	list, _ = b.Events(Filter{Since: fmt.Sprint(list.Items[4].Seq), Limit: 2})
	if list.Total != 5 || len(list.Items) != 2 || !list.Complete || list.Items[1].Data != 24 {
		t.Errorf("since and limit give %+v", list)
	}
	var buf [4]Event
	n, lost := late.Next(buf[:])
	if n != 4 || lost+10 != list.Seq || buf[0].Data != 15 {
		t.Errorf("a late watcher read %d, lost %d, first %v", n, lost, buf[0].Data)
	}
	if dropped := b.Stats().Dropped; dropped != lost {
		t.Errorf("dropped %d, the watcher lost %d", dropped, lost)
	}
}

// TestLongHeadsShortenTheJournal: requests with heads as long as a peer likes cost no
// more memory than others, packed, outliving their events, or kept by an event as it is.
func TestLongHeadsShortenTheJournal(t *testing.T) {
	j := newJournal(Limits{Events: 100_000, Exchanges: 10_000}, time.Now)
	record, at := make([]byte, 60<<10), time.Now()
	for range 2000 {
		j.keep(exchangeFinished, record, at)
	}
	if used := j.memory.used + j.outlived.used; used > 5*journalBytes/2 || j.exchanges.count < 500 {
		t.Errorf("%d bytes for %d exchanges and %d events", used, j.exchanges.count, j.events.count)
	}
	head := &heard{facts: faults.Facts{Request: faults.RequestHead("GET", "/"+string(record), "a")}}
	for range 2000 {
		j.emit(Event{Type: "rule.missed", heard: head})
	}
	kept := 0
	j.walk(0, func(e Event) bool {
		if e.heard == head {
			kept += len(record)
		}
		return false
	})
	if kept > 2*journalBytes || kept < journalBytes/2 {
		t.Errorf("events keep %d bytes of heads", kept)
	}
	for range 100_000 {
		j.emit(Event{Type: "rule.missed"})
	}
	if j.heads != 0 || j.events.count != 100_000 {
		t.Errorf("heads of %d bytes are counted, and none is there; %d events", j.heads, j.events.count)
	}
}

// TestListEndsAtItsSeq: who lists and then goes on from the list's seq gets no event twice.
func TestListEndsAtItsSeq(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:9"})
	stop := make(chan bool)
	var writer sync.WaitGroup
	writer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				b.Emit(Event{Type: "control.joined"})
				time.Sleep(10 * time.Microsecond)
			}
		}
	})
	for range 300 {
		list, err := b.Events(Filter{Since: "5ms"})
		if n := len(list.Items); err != nil || n > 0 && list.Items[n-1].Seq > list.Seq {
			t.Errorf("a list that says %d ends at event %d, %v", list.Seq, list.Items[n-1].Seq, err)
			break
		}
	}
	close(stop)
	writer.Wait()
}

func TestWatchersSeeAllInOneOrder(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:9"})
	const writers, each = 4, 500
	var all sync.WaitGroup
	for range 3 {
		w := b.Watch(-1)
		all.Go(func() {
			defer w.Close()
			var buf [16]Event
			seen, last := 0, int64(0)
			for {
				ready := w.Ready() // before Next: nothing comes in unnoticed between them
				for n, lost := w.Next(buf[:]); n > 0; n, lost = w.Next(buf[:]) {
					for _, e := range buf[:n] {
						if lost > 0 || last > 0 && e.Seq != last+1 {
							t.Errorf("%d follows %d, lost %d", e.Seq, last, lost)
						}
						last = e.Seq
						seen++
					}
				}
				if seen >= writers*each {
					return
				}
				select {
				case <-ready:
				case <-time.After(10 * time.Second):
					t.Errorf("saw %d events and no more", seen)
					return
				}
			}
		})
	}
	b.Watch(-1) // one that never reads: nobody waits for it
	for range writers {
		all.Go(func() {
			for range each {
				b.Emit(Event{Type: "control.left"})
			}
		})
	}
	all.Wait()
}

func TestSince(t *testing.T) {
	now := time.Unix(1000, 0)
	b := start(t, Config{Now: func() time.Time { now = now.Add(time.Second); return now }, Kernel: nil}, Route{Protocol: "tcp", Upstream: "127.0.0.1:9"})
	var seqs []int64
	for range 10 {
		seqs = append(seqs, b.Emit(Event{Type: "control.joined"}))
	}
	armed, err := b.SetRule("web", rule("latency", nil), Change{})
	if err != nil {
		t.Fatal(err)
	}
	b.Emit(Event{Type: "control.left"})
	for _, test := range []struct {
		f    Filter
		want int64
	}{
		{Filter{}, -1},
		{Filter{Since: "7"}, 7},
		{Filter{Since: "0"}, 0},
		{Filter{Since: "armed", Rule: "latency"}, armed.Seq},
		{Filter{Since: "armed", Rule: "latency", Route: "web"}, armed.Seq},
		{Filter{Since: "1h"}, 0},
	} {
		if got, err := b.Since(test.f); err != nil || got != test.want {
			t.Errorf("%+v: %d, %v; want %d", test.f, got, err, test.want)
		}
	}
	if got, err := b.Since(Filter{Since: "6s"}); err != nil || got <= seqs[0] || got >= armed.Seq {
		t.Errorf("6s ago is %d, %v", got, err)
	}
	if _, err := b.DeleteRule("web", "latency", Change{}); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Since(Filter{Since: "armed", Rule: "latency"}); err != nil || got != armed.Seq {
		t.Errorf("a rule that is gone was armed at %d, %v", got, err)
	}
	newest := b.journal.newest()
	if got, err := b.Since(Filter{Since: fmt.Sprint(newest)}); err != nil || got != newest {
		t.Errorf("since the newest, %d: %d, %v", newest, got, err)
	}
	for _, bad := range []Filter{
		{Since: fmt.Sprint(newest + 1)}, {Since: "yesterday"}, {Since: "-3"}, {Since: "armed"}, {Outcome: "fine"}, {Limit: -1},
		{Match: faults.Match{Direction: "sideways"}}, {Match: faults.Match{Status: "abc"}},
	} {
		if _, err := b.Events(bad); code(err) != faults.Invalid {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

func TestMatchAndNearMiss(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "http", Upstream: origin(t, answer)})
	c := dial(t, b, "web")
	say(t, c, request)
	expect(t, c, response)
	var e Event
	until(t, "the exchange is told", func() bool {
		list, _ := b.Events(Filter{Type: "exchange.finished"})
		if len(list.Items) == 1 {
			e = list.Items[0]
		}
		return len(list.Items) == 1
	})
	reused := false
	for _, test := range []struct {
		f    Filter
		ok   bool
		near string
	}{
		{Filter{}, true, ""},
		{Filter{Type: "exchange"}, true, ""},
		{Filter{Type: "exch"}, false, ""},
		{Filter{Type: "exchange.finished", Route: "web", Session: "web/1", Outcome: "ok"}, true, ""},
		{Filter{Route: "wep"}, false, ""},
		{Filter{Match: faults.Match{Path: "/p*", Method: "get", Host: "test", Status: "2xx", Exchange: "1", Session: "1", Client: "127.0.0.1", Reused: &reused}}, true, ""},
		{Filter{Match: faults.Match{Header: map[string]string{"host": "t*"}}}, true, ""},
		{Filter{Match: faults.Match{Path: "/other", Method: "GET"}}, false, "(path): method matched, path /page is not /other"},
		{Filter{Match: faults.Match{Path: "/page", Status: "5xx"}}, false, "(status): path matched, status 200 is not 5xx"},
		{Filter{Match: faults.Match{Path: "/other", Method: "POST"}}, false, ""},
		{Filter{Match: faults.Match{Direction: "upstream", Path: "/page"}}, false, "(direction): path matched, direction none is not upstream"},
	} {
		match, err := b.Match(test.f)
		if err != nil {
			t.Fatalf("%+v: %v", test.f, err)
		}
		if ok, near := match(e); ok != test.ok || near != test.near {
			t.Errorf("%+v: %v, %q", test.f, ok, near)
		}
	}
	list, err := b.Sessions(Filter{Match: faults.Match{Path: "/page"}})
	if err != nil || list.Total != 1 || list.Items[0].Outcome != "open" || list.Items[0].Exchanges != 1 || list.Items[0].Protocol != "http" {
		t.Errorf("sessions: %+v, %v", list, err)
	}
	say(t, c, "POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nab")
	until(t, "the open exchange is listed", func() bool {
		open, err := b.Exchanges(Filter{Outcome: "open"})
		return err == nil && open.Total == 1 && open.Items[0].Request.Target == "/upload" && open.Items[0].Request.Bytes == 2
	})
}
