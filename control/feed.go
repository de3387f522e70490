package control

import (
	"context"
	"encoding/json"
	"iter"
	"sync"
)

// What the client's receivers of notifications have in common: a queue that the one
// reader of the connection fills and never waits for, and a goroutine that empties it.

// feed is the part of a receiver beside its queue.
type feed struct {
	client *Client
	mu     sync.Mutex // of the queue
	wake   chan struct{}
	done   chan struct{}
	once   sync.Once
}

func newFeed(c *Client) feed {
	return feed{client: c, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// stop ends what arrives.
func (f *feed) stop() { f.once.Do(func() { close(f.done) }) }

// poke says that something was queued.
func (f *feed) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// arrivals are what next takes from the queue, as it comes, until the feed is stopped.
func arrivals[T any](f *feed, next func() (T, bool)) iter.Seq[T] {
	return func(yield func(T) bool) {
		for {
			if x, ok := next(); ok {
				if !yield(x) {
					return
				}
				continue
			}
			select {
			case <-f.wake:
			case <-f.done:
				return
			}
		}
	}
}

// receiver gets notifications; it never waits.
type receiver interface {
	notice(method string, params json.RawMessage)
	stop()
}

// begin calls a method that notifications to a receiver follow; then is called with its
// result, before the first of them is read.
func (c *Client) begin(ctx context.Context, method string, params, result any, to receiver, then func()) error {
	var failed error
	_, err := c.call(ctx, method, params, func(raw json.RawMessage) {
		if failed = json.Unmarshal(raw, result); failed == nil {
			then()
		}
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		to.stop()
	}
	return err
}

// adopt registers a receiver before the first notification to it is read.
func (c *Client) adopt(id int64, to receiver, deliver func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		to.stop() // it ended in this very moment
	}
	c.subs[id] = to
	c.work.Go(deliver)
}

// drop hands a receiver nothing more.
func (c *Client) drop(id int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.subs, id)
}

func (c *Client) unsubscribe(ctx context.Context, id int64, to receiver) error {
	c.drop(id)
	to.stop()
	return c.Call(ctx, "unsubscribe", UnsubscribeParams{Sub: id}, nil)
}

// notice hands a notification to whom it is for.
func (c *Client) notice(method string, params json.RawMessage) {
	var to struct {
		Sub int64 `json:"sub"`
	}
	if json.Unmarshal(params, &to) != nil {
		return
	}
	c.mu.Lock()
	s := c.subs[to.Sub]
	c.mu.Unlock()
	if s != nil {
		s.notice(method, params)
	}
}
