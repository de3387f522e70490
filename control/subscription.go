package control

import (
	"context"
	"encoding/json"

	"crimp/middlebox"
)

// maxPending bounds the notices that wait for a subscriber in its own process.
const maxPending = 4096

// Notice is one notification: exactly one of its fields is set.
type Notice struct {
	Event  *middlebox.Event
	Stats  *StatsNote
	Resync *ResyncNote // what was not delivered is lost: start again from this
}

// Subscription delivers, after the snapshot State, every later change on C.
type Subscription struct {
	ID    int64
	Seq   int64
	State middlebox.State
	// C is closed when the subscription or its connection ends.
	C <-chan Notice

	feed
	queue  []Notice
	lagged bool // the queue overflowed: a snapshot is due
}

// Subscribe asks for notifications of the topics: event types, their first
// words, or "stats"; none: all events. Who does not receive from C in time
// gets a Resync in place of what was missed, and delays nobody. If ctx ends
// before the answer, the box may notify in vain until the client closes.
func (c *Client) Subscribe(ctx context.Context, topics ...string) (*Subscription, error) {
	out := make(chan Notice)
	s := &Subscription{C: out, feed: newFeed(c)}
	var r SubscribeResult
	err := c.begin(ctx, "subscribe", SubscribeParams{Topics: topics}, &r, s, func() {
		s.ID, s.Seq, s.State = r.Sub, r.Seq, r.State
		c.adopt(s.ID, s, func() { s.deliver(out) })
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Close ends the subscription.
func (s *Subscription) Close(ctx context.Context) error { return s.client.unsubscribe(ctx, s.ID, s) }

func (s *Subscription) notice(method string, params json.RawMessage) {
	var n Notice
	var err error
	switch method {
	case "event":
		n.Event = &middlebox.Event{}
		err = json.Unmarshal(params, n.Event)
	case "stats":
		n.Stats = &StatsNote{}
		err = json.Unmarshal(params, n.Stats)
	case "resync":
		n.Resync = &ResyncNote{}
		err = json.Unmarshal(params, n.Resync)
	default:
		return
	}
	if err == nil {
		s.push(n)
	}
}

// push queues a notice, or marks the subscriber as lagging: it never waits,
// since answers come the same way.
func (s *Subscription) push(n Notice) {
	s.mu.Lock()
	switch {
	case n.Resync != nil:
		s.queue, s.lagged = append(s.queue[:0], n), false
	case s.lagged: // covered by the snapshot that is due
	case len(s.queue) >= maxPending:
		s.queue, s.lagged = nil, true
	default:
		s.queue = append(s.queue, n)
	}
	s.mu.Unlock()
	s.poke()
}

// deliver brings queued notices to C.
func (s *Subscription) deliver(out chan<- Notice) {
	defer close(out)
	seen := s.Seq
	for n := range arrivals(&s.feed, s.next) {
		if n.Resync != nil {
			seen = n.Resync.Seq
		}
		if n.Event != nil && n.Event.Seq <= seen {
			continue // in the snapshot already
		}
		select {
		case out <- n:
		case <-s.done:
			return
		}
	}
}

// next takes a notice, or the snapshot that is due.
func (s *Subscription) next() (Notice, bool) {
	s.mu.Lock()
	if s.lagged {
		s.lagged = false // what comes from now on queues again behind it
		s.mu.Unlock()
		ctx, cancel := s.context()
		defer cancel()
		state, err := s.client.State(ctx)
		if err != nil {
			return Notice{}, false
		}
		return Notice{Resync: &ResyncNote{Sub: s.ID, Seq: state.Seq, State: state}}, true
	}
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return Notice{}, false
	}
	n := s.queue[0]
	s.queue = s.queue[1:]
	return n, true
}

// context ends with the subscription.
func (s *Subscription) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-s.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
