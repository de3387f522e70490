package control

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// timing is how long a WebSocket waits for what.
type timing struct {
	ping  time.Duration // between the server's pings; their pongs keep the connection
	read  time.Duration // nothing at all for so long: the peer is gone
	write time.Duration // a message that takes longer to write: the peer does not read any more
	close time.Duration // from our close frame to the peer's
}

// usual is the timing but in tests.
var usual = timing{ping: 15 * time.Second, read: 40 * time.Second, write: 40 * time.Second, close: 2 * time.Second}

const (
	maxMessage   = 1 << 20          // read limit, bytes
	maxNotes     = 1024             // queued notifications
	maxNoteBytes = 1 << 20          // their bytes
	maxAnswers   = 32               // queued answers; with as many the next call is not read
	lastWords    = 10 * time.Second // to write what is queued when a stream closes
)

// stream is one WebSocket with a queue before its writer. One goroutine reads
// (read), one writes (write); everybody else queues and never waits.
type stream struct {
	ws *websocket.Conn
	timing

	mu        sync.Mutex
	frames    []frame
	notes     int // notifications among them
	noteBytes int
	answers   int // answers among them, and the one being written
	closing   *websocket.CloseError
	drained   chan struct{} // somebody waits for the notifications to be out
	answered  chan struct{} // somebody waits for room for answers

	wake    chan struct{} // to the writer: look again
	written chan struct{} // closed when the writer has ended
}

// frame is one message to write. An answer belongs to no subscription.
type frame struct {
	data   []byte
	sub    *subscription
	latest bool // a newer one takes its place in the queue
}

func newStream(ws *websocket.Conn, t timing) *stream {
	s := &stream{ws: ws, timing: t, wake: make(chan struct{}, 1), written: make(chan struct{})}
	ws.SetReadLimit(-1) // read has its own limit, and says why it closes
	s.alive()
	ws.SetPongHandler(func(string) error { s.alive(); return nil })
	pong := ws.PingHandler()
	ws.SetPingHandler(func(text string) error { s.alive(); return pong(text) })
	ws.SetCloseHandler(func(int, string) error { return nil }) // finish answers: when the leases are over
	return s
}

// answer queues an answer: it is never dropped.
func (s *stream) answer(data []byte) {
	s.mu.Lock()
	if s.closing == nil {
		s.frames = append(s.frames, frame{data: data})
		s.answers++
	}
	s.mu.Unlock()
	s.kick()
}

// offer queues a notification, or says that there is no room for it.
func (s *stream) offer(sub *subscription, data []byte, latest bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		return true // nobody will read it, nor a resync
	}
	if latest {
		for i := range s.frames {
			if f := &s.frames[i]; f.sub == sub && f.latest {
				s.noteBytes += len(data) - len(f.data)
				f.data = data
				return true
			}
		}
	}
	if s.notes > 0 && (s.notes >= maxNotes || s.noteBytes+len(data) > maxNoteBytes) {
		return false
	}
	s.frames = append(s.frames, frame{data, sub, latest})
	s.notes++
	s.noteBytes += len(data)
	s.kick()
	return true
}

// forget drops the queued notifications of a subscription.
func (s *stream) forget(sub *subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.frames[:0]
	for _, f := range s.frames {
		if f.sub == sub {
			s.notes--
			s.noteBytes -= len(f.data)
			continue
		}
		kept = append(kept, f)
	}
	clear(s.frames[len(kept):])
	s.frames = kept
	s.tell()
}

// whenDrained is closed once no notification is queued.
func (s *stream) whenDrained() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notes == 0 {
		return always
	}
	if s.drained == nil {
		s.drained = make(chan struct{})
	}
	return s.drained
}

// whenAnswered is closed once there is room for another answer.
func (s *stream) whenAnswered() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers < maxAnswers {
		return always
	}
	if s.answered == nil {
		s.answered = make(chan struct{})
	}
	return s.answered
}

// tell wakes those who wait for room. s.mu is held.
func (s *stream) tell() {
	if s.drained != nil && s.notes == 0 {
		close(s.drained)
		s.drained = nil
	}
	if s.answered != nil && s.answers < maxAnswers {
		close(s.answered)
		s.answered = nil
	}
}

func (s *stream) kick() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// close ends the stream with a reason: what is queued goes out first, unless
// the peer is gone and flush is false. The first reason counts.
func (s *stream) close(code int, reason string, flush bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		return
	}
	s.closing = &websocket.CloseError{Code: code, Text: reason}
	within := min(s.timing.write, lastWords)
	if !flush {
		s.frames, s.notes, s.noteBytes = nil, 0, 0
		within = s.timing.close
	}
	s.tell()
	// A write under way gets no more time than this; the reader then waits for
	// the peer's own close frame.
	s.ws.NetConn().SetWriteDeadline(time.Now().Add(within))
	s.ws.SetReadDeadline(time.Now().Add(within + s.timing.close))
	s.kick()
}

// next takes a frame off the queue.
func (s *stream) next() (f frame, ok bool, closing *websocket.CloseError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.frames) == 0 {
		s.frames = nil // not a window on a long past array
		return frame{}, false, s.closing
	}
	f = s.frames[0]
	s.frames[0] = frame{}
	s.frames = s.frames[1:]
	if f.sub != nil {
		s.notes--
		s.noteBytes -= len(f.data)
	}
	return f, true, s.closing
}

// wrote counts a frame that is out.
func (s *stream) wrote(f frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.sub == nil {
		s.answers--
	}
	s.tell()
}

// write is the writer: the queue, and a ping now and then. It ends when the
// stream closes or the peer takes nothing for timing.write.
func (s *stream) write() {
	defer close(s.written)
	pings := time.NewTicker(s.timing.ping)
	defer pings.Stop()
	for {
		select {
		case <-pings.C:
			s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(s.timing.write))
		default:
		}
		f, ok, closing := s.next()
		switch {
		case ok:
			s.ws.SetWriteDeadline(time.Now().Add(s.timing.write))
			err := s.ws.WriteMessage(websocket.TextMessage, f.data)
			s.wrote(f)
			if err != nil {
				s.ws.NetConn().Close() // the reader sees it
				return
			}
		case closing != nil:
			s.sayClose(closing)
			return
		default:
			select {
			case <-s.wake:
			case <-pings.C:
				s.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(s.timing.write))
			}
		}
	}
}

// sayClose sends the close frame and FIN after it.
func (s *stream) sayClose(e *websocket.CloseError) {
	s.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(e.Code, e.Text), time.Now().Add(s.timing.close))
	if c, ok := s.ws.NetConn().(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	s.ws.SetReadDeadline(time.Now().Add(s.timing.close))
}

// errUnwelcome is a message that ends the connection.
type errUnwelcome struct {
	code   int
	reason string
}

func (e *errUnwelcome) Error() string { return e.reason }

// read returns the next message. Its error is final. Once the stream is closing
// messages are read away: nothing is carried out any more.
func (s *stream) read() ([]byte, error) {
	for {
		kind, r, err := s.ws.NextReader()
		if err != nil {
			return nil, err
		}
		if kind != websocket.TextMessage {
			return nil, &errUnwelcome{websocket.CloseUnsupportedData, "expected text frames with one JSON object each"}
		}
		data, err := io.ReadAll(io.LimitReader(r, maxMessage+1))
		if err != nil {
			return nil, err
		}
		if len(data) > maxMessage {
			return nil, &errUnwelcome{websocket.CloseMessageTooBig, fmt.Sprintf("a message may have at most %d bytes", maxMessage)}
		}
		if s.alive() {
			return data, nil
		}
	}
}

// alive gives the peer its time until the next sign of life, or says that the
// stream is closing.
func (s *stream) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing != nil {
		return false
	}
	s.ws.SetReadDeadline(time.Now().Add(s.timing.read))
	return true
}

// finish closes the connection after read failed with err, and returns when the
// writer has ended. Input that is still coming is read away for a while:
// closing with it unread would be a reset, and lose the reason.
func (s *stream) finish(err error) {
	var unwelcome *errUnwelcome
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &unwelcome):
		s.close(unwelcome.code, unwelcome.reason, true)
	case errors.As(err, &closed):
		s.close(closed.Code, "", false)
	default:
		s.close(websocket.CloseGoingAway, "", false)
	}
	<-s.written
	var gone net.Error
	if closed == nil && !errors.As(err, &gone) {
		io.Copy(io.Discard, io.LimitReader(s.ws.NetConn(), 16*maxMessage))
	}
	s.ws.Close()
}
