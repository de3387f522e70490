package control

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

func waitFor(d time.Duration, f middlebox.Filter, count int) WaitParams {
	timeout := faults.Duration(d)
	return WaitParams{Filter: f, Count: &count, Timeout: &timeout}
}

// armed is a rule that was armed at the event after which the test goes on.
func (w *world) armed(name string) {
	w.t.Helper()
	_, err := w.box.SetRule("web", faults.Rule{Name: name, Fault: "truncate", Armed: true}, middlebox.Change{})
	if err != nil {
		w.t.Fatal(err)
	}
}

// What was misspelt would be waited for in vain: it is refused at once, unless it is
// the coming of just that route or rule that is waited for.
func TestWaitForWhatIsNotThere(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	w.armed("cut")
	tests := []struct {
		f     middlebox.Filter
		field string // of the refusal; empty: it waits
		text  string // the error's end
	}{
		{middlebox.Filter{Type: "fault.fired", Route: "wbe"}, "route", `did you mean "web"?`},
		{middlebox.Filter{Type: "session", Route: "wbe", Since: "0"}, "route", `did you mean "web"?`},
		{middlebox.Filter{Type: "fault.fired", Rule: "cuts"}, "rule", `did you mean "cut"?`},
		{middlebox.Filter{Type: "fault.fired", Rule: "cuts", Since: "0"}, "rule", `did you mean "cut"?`},
		{middlebox.Filter{Type: "rule.spent", Rule: "cuts"}, "rule", `did you mean "cut"?`},
		{middlebox.Filter{Type: "route.added", Route: "wbe"}, "", `there is no route "wbe"; did you mean "web"?`},
		{middlebox.Filter{Type: "route", Route: "wbe"}, "", `there is no route "wbe"; did you mean "web"?`},
		{middlebox.Filter{Type: "rule.armed", Rule: "cuts"}, "", "in what has happened so far"},
		{middlebox.Filter{Route: "wbe"}, "route", `did you mean "web"?`},
	}
	for _, test := range tests {
		patience := time.Duration(0)
		if test.field != "" {
			patience = time.Hour
		}
		_, err := c.Wait(t.Context(), waitFor(patience, test.f, 1))
		var fault *faults.Error
		if !errors.As(err, &fault) || !strings.HasSuffix(err.Error(), test.text) {
			t.Errorf("%+v: %v, want %q", test.f, err, test.text)
			continue
		}
		if want := map[bool]faults.Code{true: faults.Timeout, false: faults.NotFound}[test.field == ""]; fault.Code != want || fault.Field != test.field {
			t.Errorf("%+v: %v of field %q, want %v of %q", test.f, fault.Code, fault.Field, want, test.field)
		}
	}
}

func TestWaitSeesWhatFiredBefore(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web", Rule: "cut"}) // of an earlier arming
	w.armed("cut")
	fired := w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web", Rule: "cut"})
	r, err := c.Wait(t.Context(), waitFor(time.Minute, middlebox.Filter{Type: "fault.fired", Rule: "cut"}, 1))
	if err != nil || len(r.Events) != 1 || r.Events[0].Seq != fired || r.Seq != fired {
		t.Fatalf("%+v, %v; want the event %d", r, err, fired)
	}
	// Without a rule, now is where it starts; since says otherwise.
	f := middlebox.Filter{Type: "fault.fired"}
	if r, err := c.Wait(t.Context(), waitFor(0, f, 1)); err == nil {
		t.Errorf("an old event was waited for: %+v", r)
	}
	f.Since = "0"
	if r, err := c.Wait(t.Context(), waitFor(0, f, 2)); err != nil || len(r.Events) != 2 {
		t.Errorf("since 0: %+v, %v", r, err)
	}
}

func TestWaitRaces(t *testing.T) {
	// The event comes before, while and after the wait is placed; it is always found.
	w := newWorld(t)
	c := w.dial(DialOptions{})
	for i := range 100 {
		w.armed("cut")
		go func() {
			time.Sleep(time.Duration(i%10) * 50 * time.Microsecond)
			w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web", Rule: "cut"})
		}()
		if _, err := c.Wait(t.Context(), waitFor(10*time.Second, middlebox.Filter{Type: "fault.fired", Rule: "cut"}, 1)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWaitGoesOnWhereItEnded(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	w.armed("cut")
	for range 5 {
		w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web", Rule: "cut"})
	}
	f := middlebox.Filter{Type: "fault.fired", Rule: "cut"}
	first, err := c.Wait(t.Context(), waitFor(0, f, 2))
	if err != nil {
		t.Fatal(err)
	}
	f.Since = itoa(first.Seq)
	second, err := c.Wait(t.Context(), waitFor(0, f, 3))
	if err != nil || second.Events[0].Seq != first.Seq+1 {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestWaitTellsHowFarItGot(t *testing.T) {
	request := func(target string) middlebox.ExchangeItem {
		return middlebox.ExchangeItem{Request: middlebox.Request{Method: "GET", Target: target}}
	}
	tests := []struct {
		name   string
		wait   WaitParams
		before func(w *world)
		want   string
	}{
		{
			name: "of several", wait: waitFor(5*time.Millisecond, middlebox.Filter{Type: "fault.fired", Rule: "truncate"}, 3),
			before: func(w *world) {
				w.armed("truncate")
				w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web", Rule: "truncate"})
				w.box.routes[0].Rules[0].NearMiss = "GET /apis/x (path): path /apis/x is not /api/*"
			},
			want: "1 of 3 fault.fired for truncate in 5ms; near miss: GET /apis/x (path): path /apis/x is not /api/*",
		},
		{
			name: "near misses of events", wait: waitFor(0, middlebox.Filter{Type: "exchange.finished", Route: "web", Match: faults.Match{Path: "/api"}, Since: "0"}, 1),
			before: func(w *world) {
				for _, target := range []string{"/a", "/b", "/b", "/c", "/d"} {
					w.box.Emit(middlebox.Event{Type: "exchange.finished", Route: "web", Data: request(target)})
				}
			},
			want: "0 of 1 exchange.finished on web in what has happened so far; near miss: GET /b (path): no; GET /c (path): no; GET /d (path): no",
		},
		{
			name: "disarmed", wait: waitFor(0, middlebox.Filter{Type: "fault.fired", Rule: "truncate"}, 1),
			before: func(w *world) {
				w.armed("truncate")
				w.box.Arm("web", "truncate", false, middlebox.Change{})
			},
			want: "0 of 1 fault.fired for truncate in what has happened so far; web/truncate is disarmed",
		},
		{
			name: "spent", wait: waitFor(0, middlebox.Filter{Type: "fault.fired", Rule: "truncate"}, 2),
			before: func(w *world) {
				w.armed("truncate")
				w.box.routes[0].Rules[0].Spent = true
			},
			want: "0 of 2 fault.fired for truncate in what has happened so far; web/truncate is spent",
		},
		{
			name: "counters", wait: waitFor(0, middlebox.Filter{Type: "fault", Rule: "truncate"}, 1),
			before: func(w *world) {
				w.armed("truncate")
				w.box.routes[0].Rules[0].Misses = map[string]int64{"status": 1, "path": 3}
			},
			want: "0 of 1 fault events for truncate in what has happened so far; web/truncate missed by path 3, status 1",
		},
		{
			name: "events lost", wait: waitFor(0, middlebox.Filter{Since: "0"}, 10),
			before: func(w *world) {
				for range 8 {
					w.box.Emit(middlebox.Event{Type: "fault.fired"})
				}
				w.box.ring = 5
			},
			want: "5 of 10 events in what has happened so far; 3 older events were no longer in the journal",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			test.before(w)
			_, err := wait(&call{ctx: t.Context(), srv: w.srv}, test.wait)
			var e *faults.Error
			if !errors.As(err, &e) || e.Code != faults.Timeout || e.Message != test.want {
				t.Errorf("got %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestWaitForARuleThatWasNeverArmed(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	w.box.SetRule("web", faults.Rule{Name: "truncate", Fault: "truncate"}, middlebox.Change{})
	found := make(chan error, 1)
	go func() {
		_, err := c.Wait(context.Background(), waitFor(10*time.Second, middlebox.Filter{Type: "rule.armed", Rule: "truncate"}, 1))
		found <- err
	}()
	w.eventually("it waits", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 1 })
	w.armed("truncate")
	if err := <-found; err != nil {
		t.Error(err)
	}
	_, err := c.Wait(t.Context(), waitFor(0, middlebox.Filter{Type: "fault.fired", Rule: "trunkate"}, 1))
	if err == nil || !strings.Contains(err.Error(), `no rule "trunkate"; did you mean "truncate"?`) {
		t.Errorf("a misspelt rule: %v", err)
	}
}

func TestWaitOverPOST(t *testing.T) {
	w := newWorld(t)
	body := make(chan string, 1)
	go func() {
		_, b := w.post(call1("wait", `{"type":"fault.fired","timeout":"20s"}`))
		body <- b
	}()
	w.eventually("it waits", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 1 })
	w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web"})
	if b := <-body; !strings.Contains(b, `"events":[{"seq":1`) {
		t.Error(b)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		w.eventually("it waits", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 1 })
		cancel()
	}()
	w.postWith(ctx, call1("wait", `{"type":"fault.fired","timeout":"1h"}`))
	w.eventually("the wait ends with its request", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 0 })
}

func TestWaitsDoNotHoldUpCalls(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	errs := make(chan error, maxWaits+1)
	for range maxWaits + 1 {
		go func() {
			_, err := c.Wait(context.Background(), waitFor(20*time.Second, middlebox.Filter{Type: "fault.fired"}, 1))
			errs <- err
		}()
	}
	var e *faults.Error
	if err := <-errs; !errors.As(err, &e) || e.Code != faults.Limit {
		t.Errorf("one wait too many: %v", err)
	}
	w.eventually("the others wait", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == maxWaits })
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	w.box.Emit(middlebox.Event{Type: "fault.fired"})
	for range maxWaits {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
