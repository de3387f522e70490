package control

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"crimp/middlebox"
)

// hasty makes the server wait for less than usual.
func (w *world) hasty(t timing) *world {
	w.srv.timing = t
	return w
}

func (w *world) connected() int {
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	return len(w.srv.conns)
}

func TestPingsKeepAnIdleClient(t *testing.T) {
	const read = 500 * time.Millisecond
	w := newWorld(t).hasty(timing{ping: 20 * time.Millisecond, read: read, write: time.Second, close: time.Second})
	c := w.dial(DialOptions{})
	time.Sleep(2 * read) // it says nothing, but its pongs do
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestASilentPeerIsGone(t *testing.T) {
	w := newWorld(t).hasty(timing{ping: 20 * time.Millisecond, read: 100 * time.Millisecond, write: time.Second, close: 50 * time.Millisecond})
	w.raw(nil) // reads nothing, so answers no ping
	w.eventually("it came in", func() bool { return w.srv.lastConn.Load() == 1 })
	w.eventually("it was let go", func() bool { return w.connected() == 0 })
}

func TestAPeerThatDoesNotReadIsGone(t *testing.T) {
	w := newWorld(t).hasty(timing{ping: time.Minute, read: time.Minute, write: 100 * time.Millisecond, close: 50 * time.Millisecond})
	w.box.Emit(middlebox.Event{Type: "fault.fired", Data: strings.Repeat("x", 1<<20)})
	ws := slowSocket(t, w)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range 16 { // 1 MiB of answer each: more than all buffers take, and little work on a busy machine
			if ws.WriteMessage(websocket.TextMessage, []byte(call1("event.list", ""))) != nil {
				return
			}
		}
	}()
	w.eventually("it came in", func() bool { return w.srv.lastConn.Load() == 1 })
	w.eventually("it was let go", func() bool { return w.connected() == 0 })
	<-stopped
}

// TestAStuckReaderStopsItsOwnCallsOnly: with 32 answers unread the next call is
// not looked at, and the queue does not grow.
func TestAStuckReaderStopsItsOwnCallsOnly(t *testing.T) {
	w := newWorld(t)
	w.box.Emit(middlebox.Event{Type: "fault.fired", Data: strings.Repeat("x", 256<<10)})
	ws := slowSocket(t, w)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for range 200 { // 256 KiB of answer each: more than all buffers take
			if ws.WriteMessage(websocket.TextMessage, []byte(call1("event.list", ""))) != nil {
				return
			}
		}
	}()
	var c *conn
	w.eventually("answers queue", func() bool {
		w.srv.mu.Lock()
		defer w.srv.mu.Unlock()
		for c = range w.srv.conns {
			c.stream.mu.Lock()
			defer c.stream.mu.Unlock()
			return c.stream.answers == maxAnswers
		}
		return false
	})
	other := w.dial(DialOptions{})
	for range 20 {
		if err := other.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.stream.mu.Lock()
	if c.stream.answers > maxAnswers {
		t.Errorf("%d answers are queued", c.stream.answers)
	}
	c.stream.mu.Unlock()
	ws.NetConn().(*net.TCPConn).SetLinger(0)
	ws.Close()
	<-stopped
}
