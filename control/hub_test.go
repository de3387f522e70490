package control

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"crimp/middlebox"
)

// note is a message as a raw WebSocket sees it.
type note struct {
	ID     any             `json:"id"`
	Method string          `json:"method"`
	Result json.RawMessage `json:"result"`
	Error  *wireError      `json:"error"`
	Params struct {
		Sub   int64           `json:"sub"`
		Seq   int64           `json:"seq"`
		Type  string          `json:"type"`
		State middlebox.State `json:"state"`
	} `json:"params"`
}

func next(t *testing.T, ws *websocket.Conn) note {
	t.Helper()
	_, b, err := ws.ReadMessage()
	if err != nil {
		t.Fatal(err)
	}
	var n note
	if err := json.Unmarshal(b, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func say(t *testing.T, ws *websocket.Conn, method, params string) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, []byte(call1(method, params))); err != nil {
		t.Fatal(err)
	}
}

func TestSubscriptionHasNoGapAndNoDouble(t *testing.T) {
	w := newWorld(t)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // events happen all the while
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				w.box.Emit(middlebox.Event{Type: "fault.fired", Route: "web"})
				time.Sleep(50 * time.Microsecond)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for range 10 {
		ws := w.raw(nil)
		say(t, ws, "subscribe", `{}`)
		answer := next(t, ws)
		var r SubscribeResult
		if err := json.Unmarshal(answer.Result, &r); err != nil || answer.ID != "a" {
			t.Fatalf("the first message is %+v, %v; want the answer", answer, err)
		}
		if r.State.Seq != r.Seq || len(r.State.Routes) != 2 {
			t.Fatalf("snapshot %+v", r)
		}
		for seq := r.Seq + 1; seq < r.Seq+100; seq++ {
			if n := next(t, ws); n.Method != "event" || n.Params.Seq != seq || n.Params.Sub != r.Sub {
				t.Fatalf("after %d came %+v", seq-1, n)
			}
		}
		ws.Close()
	}
}

func TestTopics(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	say(t, ws, "subscribe", `{"topics":["fault","rule.armed"]}`)
	next(t, ws)
	for _, typ := range []string{"session.opened", "rule.disarmed", "rule.armed", "route.added", "fault.fired"} {
		w.box.Emit(middlebox.Event{Type: typ})
	}
	for _, want := range []string{"rule.armed", "fault.fired"} {
		if n := next(t, ws); n.Params.Type != want {
			t.Errorf("got %+v, want %s", n, want)
		}
	}
	say(t, ws, "subscribe", `{"topics":["rules"]}`)
	if n := next(t, ws); n.Error == nil || n.Error.Data.Field != "topics[0]" || !strings.Contains(n.Error.Message, `"rule"`) {
		t.Errorf("a wrong topic: %+v", n.Error)
	}
}

// A subscriber with a rate is told of every change, and of traffic as much as it
// asked for: what is left out is no reason for a resync.
func TestRate(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	say(t, ws, "subscribe", `{"rate":20}`)
	next(t, ws)
	start := time.Now()
	const rounds = 200
	for range rounds {
		for _, typ := range []string{"session.opened", "exchange.finished", "rule.missed", "fault.fired"} {
			w.box.Emit(middlebox.Event{Type: typ})
		}
		w.box.Emit(middlebox.Event{Type: "rule.armed"})
	}
	told := map[string]int{}
	for told["rule.armed"] < rounds {
		n := next(t, ws)
		if n.Method != "event" {
			t.Fatalf("got %+v", n)
		}
		told[n.Params.Type]++
	}
	some := told["session.opened"] + told["exchange.finished"] + told["rule.missed"] + told["fault.fired"]
	if most := 20 + 20*time.Since(start).Seconds(); some < 20 || float64(some) > most {
		t.Errorf("%d events of traffic; want 20 at once and 20 a second, %.0f at most", some, most)
	}
	say(t, ws, "subscribe", `{"rate":0}`)
	for {
		n := next(t, ws)
		if n.Method == "event" {
			continue
		}
		if n.Error == nil || n.Error.Data.Field != "rate" {
			t.Errorf("a rate of 0: %+v", n)
		}
		return
	}
}

func TestAllowance(t *testing.T) {
	start := time.Unix(1000, 0)
	a := &allowance{rate: 4, left: 4, at: start}
	for _, step := range []struct {
		after time.Duration
		asked int
		want  int
	}{
		{0, 9, 4},                       // what a second has, at once
		{100 * time.Millisecond, 9, 0},  // not one yet
		{250 * time.Millisecond, 9, 1},  // a quarter of a second has one
		{time.Hour, 9, 4},               // it does not add up
		{time.Hour + time.Second, 3, 3}, // within it nothing is left out
	} {
		got := 0
		for range step.asked {
			if a.take(start.Add(step.after)) {
				got++
			}
		}
		if got != step.want {
			t.Errorf("after %v: %d of %d, want %d", step.after, got, step.asked, step.want)
		}
	}
}

func TestUnsubscribe(t *testing.T) {
	w := newWorld(t)
	ws := w.raw(nil)
	say(t, ws, "subscribe", `{"topics":["fault"]}`)
	next(t, ws)
	say(t, ws, "unsubscribe", `{"sub":1}`)
	if n := next(t, ws); n.Error != nil {
		t.Fatal(n.Error)
	}
	w.box.Emit(middlebox.Event{Type: "fault.fired"})
	say(t, ws, "unsubscribe", `{"sub":1}`)
	if n := next(t, ws); n.Error == nil || n.Error.Code != codeNotFound {
		t.Errorf("twice: %+v", n)
	}
	w.eventually("its cursor is closed", func() bool { w.box.mu.Lock(); defer w.box.mu.Unlock(); return len(w.box.watches) == 0 })
	for range maxSubs {
		say(t, ws, "subscribe", `{"topics":["fault"]}`)
		if n := next(t, ws); n.Error != nil {
			t.Fatal(n.Error)
		}
	}
	say(t, ws, "subscribe", `{"topics":["fault"]}`)
	if n := next(t, ws); n.Error == nil || n.Error.Code != codeLimit {
		t.Errorf("one too many: %+v", n)
	}
}

// slowSocket is a WebSocket with little room in the kernel for what it does not read.
func slowSocket(t *testing.T, w *world) *websocket.Conn {
	d := websocket.Dialer{NetDial: func(network, addr string) (net.Conn, error) {
		c, err := net.Dial(network, addr)
		if err == nil {
			c.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return c, err
	}}
	ws, _, err := d.Dial("ws"+strings.TrimPrefix(w.base, "http")+"/v1/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	ws.SetReadDeadline(time.Now().Add(20 * time.Second))
	return ws
}

func TestSlowWatcherIsResyncedAndDelaysNobody(t *testing.T) {
	w := newWorld(t)
	slow := slowSocket(t, w)
	say(t, slow, "subscribe", `{}`)
	next(t, slow)
	quick := w.dial(DialOptions{})
	sub, err := quick.Subscribe(t.Context(), "fault")
	if err != nil {
		t.Fatal(err)
	}
	// 8 MB of events: more than the kernel takes, and than the queue does.
	big := strings.Repeat("x", 4000)
	const events = 2000
	for seen := sub.Seq; seen < sub.Seq+events; seen++ {
		if (seen-sub.Seq)%50 == 0 {
			for range 50 {
				w.box.Emit(middlebox.Event{Type: "fault.fired", Data: big})
			}
		}
		if n := <-sub.C; n.Event == nil || n.Event.Seq != seen+1 {
			t.Fatalf("the quick one got %+v after %d", n, seen)
		}
	}
	say(t, slow, "ping", "") // its answers are not dropped
	var last int64
	resyncs, answered := 0, false
	for seen := int64(0); seen < events || !answered || resyncs == 0; {
		n := next(t, slow)
		switch {
		case n.ID == "a":
			answered = true
		case n.Method == "resync":
			resyncs++
			if n.Params.State.Seq != n.Params.Seq || n.Params.Seq < last {
				t.Fatalf("resync %+v after %d", n.Params, last)
			}
			seen = n.Params.Seq
		case n.Method == "event":
			if seen > 0 && n.Params.Seq != seen+1 {
				t.Fatalf("event %d follows %d", n.Params.Seq, seen)
			}
			seen = n.Params.Seq
		}
		last = seen
	}
	if resyncs != 1 {
		t.Errorf("%d resyncs for one silence", resyncs)
	}
}

func TestJournalThatLostEventsResyncs(t *testing.T) {
	w := newWorld(t)
	for range 100 {
		w.box.Emit(middlebox.Event{Type: "fault.fired"})
	}
	w.box.ring = 10
	c := &conn{srv: w.srv, stream: &stream{wake: make(chan struct{}, 1)}}
	p := &pumping{sub: &subscription{id: 1, conn: c, all: true}, events: make([]middlebox.Event, 64)}
	p.open()
	p.round()
	if !p.behind || len(c.stream.frames) != 0 {
		t.Fatalf("behind %v with %d frames queued", p.behind, len(c.stream.frames))
	}
	p.round()
	if len(c.stream.frames) != 1 || !strings.Contains(string(c.stream.frames[0].data), `"method":"resync","params":{"sub":1,"seq":100`) {
		t.Errorf("queued: %s", c.stream.frames[0].data)
	}
	p.at.Close()
}

func TestStatsAreTheLatestOnly(t *testing.T) {
	w := newWorld(t)
	c := &conn{srv: w.srv, stream: &stream{wake: make(chan struct{}, 1)}}
	p := &pumping{sub: &subscription{id: 1, conn: c, stats: true}}
	p.tellStats()
	if got := string(c.stream.frames[0].data); strings.Contains(got, "rates") || !strings.Contains(got, `"name":"web","sessions":2`) {
		t.Errorf("the first: %s", got)
	}
	w.box.mu.Lock()
	w.box.routes[0].Bytes.Downstream = 1 << 30
	w.box.mu.Unlock()
	time.Sleep(time.Millisecond)
	p.tellStats()
	if len(c.stream.frames) != 1 || c.stream.notes != 1 || c.stream.noteBytes != len(c.stream.frames[0].data) {
		t.Fatalf("%d frames, %d notes, %d bytes counted", len(c.stream.frames), c.stream.notes, c.stream.noteBytes)
	}
	var n struct{ Params StatsNote }
	if err := json.Unmarshal(c.stream.frames[0].data, &n); err != nil || n.Params.Routes[0].Rates.Bytes.Downstream == 0 {
		t.Errorf("the second: %s, %v", c.stream.frames[0].data, err)
	}
}

func TestStatsSubscription(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{})
	sub, err := c.Subscribe(t.Context(), "stats")
	if err != nil {
		t.Fatal(err)
	}
	w.box.Emit(middlebox.Event{Type: "fault.fired"})
	if n := <-sub.C; n.Stats == nil || len(n.Stats.Routes) != 2 || n.Stats.Routes[0].Name != "web" {
		t.Errorf("%+v", n)
	}
	if n := <-sub.C; n.Stats == nil || n.Stats.Routes[0].Rates == nil {
		t.Errorf("%+v", n)
	}
}

func TestQueueBounds(t *testing.T) {
	sub := &subscription{}
	s := &stream{wake: make(chan struct{}, 1)}
	for i := range maxNotes {
		if !s.offer(sub, []byte("x"), false) {
			t.Fatalf("no room for notification %d", i+1)
		}
	}
	if s.offer(sub, []byte("x"), false) {
		t.Error("room for one too many")
	}
	for i := range 2 * maxNotes {
		s.answer([]byte(fmt.Sprint(i))) // never refused
	}
	drained, answered := s.whenDrained(), s.whenAnswered()
	if isClosed(drained) || isClosed(answered) {
		t.Error("said to have room")
	}
	s.forget(sub)
	if !isClosed(drained) || s.notes != 0 || s.noteBytes != 0 || len(s.frames) != 2*maxNotes {
		t.Errorf("after forget: %d notes, %d bytes, %d frames", s.notes, s.noteBytes, len(s.frames))
	}
	for range 2*maxNotes - maxAnswers + 1 {
		f, _, _ := s.next()
		s.wrote(f)
	}
	if !isClosed(answered) {
		t.Error("no room for answers")
	}

	s = &stream{wake: make(chan struct{}, 1)}
	if !s.offer(sub, make([]byte, 2*maxNoteBytes), false) {
		t.Error("a lone notification must always fit: a snapshot may be large")
	}
	if s.offer(sub, []byte("x"), false) {
		t.Error("room past the bytes")
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestJoinedAndLeft(t *testing.T) {
	w := newWorld(t)
	c := w.dial(DialOptions{Name: "bench"})
	c.Close()
	w.eventually("control.left", func() bool {
		w.box.mu.Lock()
		defer w.box.mu.Unlock()
		if len(w.box.events) != 2 {
			return false
		}
		joined, left := w.box.events[0], w.box.events[1]
		return joined.Type == "control.joined" && left.Type == "control.left" && joined.Data.(clientData).Name == "bench" && joined.Data == left.Data
	})
}
