package control

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/middlebox"

	"github.com/gorilla/websocket"
)

// A capture over the protocol: the bytes as they were, with the fault that cut them
// between the last byte and the FIN, under the number of its event.
func TestCapture(t *testing.T) {
	base, url, box := realWorld(t)
	ctx := t.Context()
	c, err := Dial(ctx, base, DialOptions{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sub, err := c.Subscribe(ctx, "fault")
	if err != nil {
		t.Fatal(err)
	}
	shown, err := c.Capture(ctx, middlebox.CaptureOptions{Route: "web"})
	if err != nil {
		t.Fatal(err)
	}
	if shown.Sessions != 0 || shown.Seq < sub.Seq || shown.Sub == sub.ID {
		t.Errorf("it answers %+v", shown.CaptureResult)
	}
	if _, err := c.SetRule(ctx, RuleSetParams{Route: "web", Rule: faults.Rule{Name: "truncate", Fault: "truncate", Armed: true}}); err != nil {
		t.Fatal(err)
	}
	fetch(url)
	bytes, order := map[string]string{}, ""
	var fired middlebox.Chunk
	for order == "" || !strings.HasSuffix(order, "closed ") {
		k, ok := <-shown.C
		if !ok {
			t.Fatalf("it ended after %s", order)
		}
		switch k.What {
		case "bytes":
			bytes[k.Side+" "+k.Way] += string(k.Data)
			continue
		case "fired":
			fired = k
		case "fin": // those of the server and towards it come when they come
			if k.Side == "server" {
				continue
			}
		}
		order += k.What + " "
	}
	if order != "opened opened fired fin closed " {
		t.Error(order)
	}
	if in, out := bytes["server in"], bytes["client out"]; !strings.HasSuffix(in, strings.Repeat("x", 1024)) || out != in[:len(in)-512] {
		t.Errorf("in %q, out %q", in, out)
	}
	if bytes["client in"] != bytes["server out"] || !strings.HasPrefix(bytes["client in"], "GET / HTTP/1.1\r\n") {
		t.Errorf("the request came as %q and went as %q", bytes["client in"], bytes["server out"])
	}
	if n := <-sub.C; n.Event == nil || n.Event.Seq != fired.Seq || fired.Rule != "truncate" || fired.Session != "web/1" {
		t.Errorf("the event is %+v, the capture has %+v", n.Event, fired)
	}
	// What was captured by its end is not lost.
	fetch(url)
	if err := shown.End(ctx); err != nil {
		t.Error(err)
	}
	fetch(url)
	order = ""
	for k := range shown.C {
		if k.Session == "web/3" {
			t.Errorf("it goes on after its end: %s", k.What)
		}
		order += k.What + " "
	}
	if !strings.HasPrefix(order, "opened ") || !strings.HasSuffix(order, " closed ended ") {
		t.Error(order)
	}
	again, err := c.Capture(ctx, middlebox.CaptureOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(ctx); err != nil {
		t.Error(err)
	}
	if _, open := <-again.C; open {
		t.Error("it goes on after it was closed")
	}
	freeOfCaptures(t, box)
}

// freeOfCaptures waits until as many captures may be started as ever.
func freeOfCaptures(t *testing.T, box *middlebox.Box) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var err error
		for range 16 {
			var c *middlebox.Capture
			if c, err = box.Capture(middlebox.CaptureOptions{}); err != nil {
				break
			}
			defer c.Close()
		}
		if err == nil {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("a capture is left: %v", err)
		}
	}
}

// bulkWorld is a server on a box whose route sends what it gets through to a sink.
func bulkWorld(t *testing.T) (base, listen string, box *middlebox.Box) {
	base, _, box = realWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { io.Copy(io.Discard, c); c.Close() }()
		}
	}()
	r, _, err := box.SetRoute(middlebox.Route{Name: "bulk", Listen: "127.0.0.1:0", Upstream: l.Addr().String(), Protocol: "tcp"}, middlebox.Change{})
	if err != nil {
		t.Fatal(err)
	}
	return base, r.Listen, box
}

// A client that reads nothing of its capture holds up nobody. What it reads later is
// the beginning, then how much is missing, then what comes. When it goes away its
// capture ends.
func TestCaptureNobodyReads(t *testing.T) {
	base, listen, box := bulkWorld(t)
	ws := slowSocket(t, &world{base: base})
	say(t, ws, "capture", `{"route":"bulk","side":"client","buffer":"64KiB"}`)
	next(t, ws) // it is in force
	c, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const sent = 16 << 20 // more than the kernel, the queue and the buffer take
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if n, err := c.Write(make([]byte, sent)); n != sent || err != nil {
		t.Fatal(n, err)
	}
	c.(*net.TCPConn).CloseWrite()
	io.Copy(io.Discard, c) // the sink has read it all

	var told, lost int64
	for told+lost < sent {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("%v after %d told and %d lost", err, told, lost)
		}
		if len(raw) >= maxMessage {
			t.Errorf("a notification of %d bytes", len(raw))
		}
		var note struct {
			Method string
			Params struct{ Chunks []middlebox.Chunk }
		}
		if err := json.Unmarshal(raw, &note); err != nil {
			t.Fatal(err)
		}
		for _, k := range note.Params.Chunks {
			switch {
			case k.What == "lost":
				lost += k.Bytes
			case k.What == "bytes" && k.Offset != told+lost:
				t.Fatalf("byte %d follows %d told and %d lost", k.Offset, told, lost)
			case k.What == "bytes":
				told += k.Bytes
			}
		}
	}
	if told < 64<<10 || lost == 0 {
		t.Errorf("%d bytes told, %d lost", told, lost)
	}
	ws.Close()
	freeOfCaptures(t, box)
}

// Who asks for a rate is brought so many a second, and loses nothing that found room
// meanwhile. When it has ended the capture, the rest comes at once.
func TestCaptureAtARate(t *testing.T) {
	base, listen, _ := bulkWorld(t)
	ws := slowSocket(t, &world{base: base})
	say(t, ws, "capture", `{"route":"bulk","rate":0}`)
	if _, raw, err := ws.ReadMessage(); err != nil || !strings.Contains(string(raw), `"field":"rate"`) {
		t.Fatalf("%s, %v", raw, err)
	}
	const rate, sessions = 10, 40
	start := time.Now()
	say(t, ws, "capture", `{"route":"bulk","rate":10}`)
	next(t, ws) // it is in force
	for range sessions {
		c, err := net.Dial("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "a")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c) // the sink has read it
	}
	told, bytes, ended := 0, int64(0), false
	for stopped := time.Duration(0); !ended; {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		var note struct{ Params CaptureNote }
		if err := json.Unmarshal(raw, &note); err != nil {
			t.Fatal(err)
		}
		for _, k := range note.Params.Chunks {
			if told++; k.What == "lost" {
				t.Errorf("%d chunks are lost", k.Chunks)
			}
			if k.What == "bytes" && k.Side == "client" {
				bytes += k.Bytes
			}
			ended = ended || k.What == "ended"
		}
		took := time.Since(start)
		if soonest := time.Duration(told-rate) * time.Second / rate; stopped == 0 && took < soonest {
			t.Errorf("%d chunks came in %v", told, took)
		}
		if stopped == 0 && told >= rate+3 {
			stopped = took
			say(t, ws, "unsubscribe", `{"sub":1}`)
		}
		if ended && took-stopped > 5*time.Second {
			t.Errorf("the rest of %d chunks took %v", told, took-stopped)
		}
	}
	if bytes != sessions || told < 3*sessions {
		t.Errorf("%d chunks with %d bytes came, want those of %d sessions", told, bytes, sessions)
	}
}

// On the wire data are base64, and what is not there is left out.
func TestCaptureOnTheWire(t *testing.T) {
	base, listen, _ := bulkWorld(t)
	ws := slowSocket(t, &world{base: base})
	say(t, ws, "capture", `{"session":"bulk/1","bytes":2}`)
	_, raw, err := ws.ReadMessage()
	if want := `"result":{"sub":1,"seq":`; err != nil || !strings.Contains(string(raw), want) {
		t.Fatalf("%s, %v", raw, err)
	}
	c, err := net.Dial("tcp", listen)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c, "abc")
	want := `"what":"bytes","session":"bulk/1","side":"client","way":"in","direction":"upstream","bytes":3,"data":"` + base64.StdEncoding.EncodeToString([]byte("ab")) + `"}`
	for all := ""; !strings.Contains(all, want); {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("%v\n%s\nhas no %s", err, all, want)
		}
		all += string(raw)
	}
	c.Close()
	for all := ""; !strings.Contains(all, `"what":"closed"`); {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		all += string(raw)
	}
	ws.WriteMessage(websocket.TextMessage, []byte(call1("unsubscribe", `{"sub":1}`)))
	for all := ""; !strings.Contains(all, `"result":{}`) || !strings.Contains(all, `"what":"ended"`); {
		_, raw, err := ws.ReadMessage()
		if err != nil {
			t.Fatal(err, all)
		}
		all += string(raw)
	}
}

// A reader in its own process that is too slow is told what it lost, in its place.
func TestCapturingThatLags(t *testing.T) {
	s := &Capturing{}
	piece := middlebox.Chunk{What: "bytes", Bytes: 32 << 10, Data: make([]byte, 32<<10)}
	const most = maxWaiting / (32 << 10)
	for range most + 5 {
		s.push(piece)
	}
	s.push(middlebox.Chunk{What: "lost", Chunks: 2, Bytes: 7})
	if got := s.queue[len(s.queue)-1]; len(s.queue) != most+1 || got.What != "lost" || got.Chunks != 7 || got.Bytes != 5*piece.Bytes+7 {
		t.Fatalf("%d chunks, the last %s of %d chunks and %d bytes", len(s.queue), got.What, got.Chunks, got.Bytes)
	}
	for range most {
		if k, ok := s.next(); !ok || k.What != "bytes" {
			t.Fatalf("%+v, %v", k, ok)
		}
	}
	s.push(middlebox.Chunk{What: "closed"})
	for _, want := range []string{"lost", "closed", ""} {
		if k, _ := s.next(); k.What != want {
			t.Errorf("%q, expected %q", k.What, want)
		}
	}
	if s.size != 0 {
		t.Errorf("%d bytes are counted in an empty queue", s.size)
	}
}
