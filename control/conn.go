package control

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"crimp/faults"
	"crimp/middlebox"
)

// maxWaits bounds the waits of a connection that run at once.
const maxWaits = 32

// conn is one control client on a WebSocket. Its fields but waits and work
// belong to the goroutine that reads.
type conn struct {
	srv    *Server
	stream *stream
	id     string // c1, c2: also the name of its lease
	name   string // from hello
	remote string

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	work   sync.WaitGroup // waits and subscriptions
	waits  atomic.Int32

	subs    map[int64]*subscription
	lastSub int64
	leases  map[ruleKey]lease
	joined  bool
}

// who names the client in the journal.
func (c *conn) who() string {
	if c.name != "" {
		return c.name
	}
	return c.id + " from " + c.remote
}

// serve is a connection from its first byte to its last: it returns when
// everything it started has ended and its leases are over.
func (s *Server) serve(ws *websocket.Conn) {
	c := &conn{srv: s, stream: newStream(ws, s.timing), id: "c" + strconv.FormatInt(s.lastConn.Add(1), 10), remote: ws.RemoteAddr().String(),
		subs: map[int64]*subscription{}, leases: map[ruleKey]lease{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	defer c.cancel()
	if full := s.enter(c); full != "" {
		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseTryAgainLater, full), time.Now().Add(s.timing.close))
		ws.Close()
		return
	}
	defer s.leave(c)
	go c.stream.write()

	err := c.read()

	c.cancel()
	s.endLeases(c) // before all courtesies: the client is gone
	c.stream.finish(err)
	c.work.Wait()
	if c.joined {
		s.box.Emit(middlebox.Event{Type: "control.left", Data: clientData{c.id, c.name, c.remote}})
	}
}

// read carries out calls in their order until the connection ends.
func (c *conn) read() error {
	for {
		raw, err := c.stream.read()
		if err != nil {
			return err
		}
		select {
		case <-c.stream.whenAnswered():
		case <-c.stream.written:
		}
		c.handle(raw)
	}
}

// handle carries out one message. A wait goes its own way; everything else is
// done, and its answer queued, before the next message is looked at.
func (c *conn) handle(raw []byte) {
	q, failed := decodeRequest(raw)
	if failed != nil {
		c.stream.answer(encodeReply(q.id, nil, failed))
		return
	}
	asked := &call{ctx: c.ctx, srv: c.srv, conn: c, who: c.who()}
	if q.method == waits {
		c.wait(asked, q)
		return
	}
	answer := c.srv.dispatch(asked, q)
	c.join()
	if q.id != nil {
		c.stream.answer(answer)
	}
	if asked.then != nil {
		asked.then()
	}
}

// wait carries out a wait beside the read loop.
func (c *conn) wait(asked *call, q request) {
	c.join()
	if c.waits.Add(1) > maxWaits {
		c.waits.Add(-1)
		c.stream.answer(encodeReply(q.id, nil, onWire(faults.Errorf(faults.Limit, "", "%d waits are running on this connection; wait for one of them", maxWaits))))
		return
	}
	c.work.Go(func() {
		defer c.waits.Add(-1)
		answer := c.srv.dispatch(asked, q)
		if q.id != nil {
			c.stream.answer(answer)
		}
	})
}

// clientData is the data of control.joined and control.left.
type clientData struct {
	Client string `json:"client"`
	Name   string `json:"name,omitempty"`
	Remote string `json:"remote"`
}

// join tells the journal of the client, after its first message: hello says its
// name.
func (c *conn) join() {
	if c.joined {
		return
	}
	c.joined = true
	c.srv.box.Emit(middlebox.Event{Type: "control.joined", Data: clientData{c.id, c.name, c.remote}})
}
