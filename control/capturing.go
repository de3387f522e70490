package control

import (
	"context"
	"encoding/json"

	"crimp/middlebox"
)

// maxWaiting bounds the data of chunks that wait for their reader in its own process.
const maxWaiting = 16 << 20

// Capturing delivers what a capture shows on C, in its order.
type Capturing struct {
	CaptureResult
	// C is closed when the capture or its connection ends.
	C <-chan middlebox.Chunk

	feed
	queue []middlebox.Chunk
	size  int // of the queue's data
}

// Capture starts a capture. When it has returned, every byte that the box reads or
// writes later is in it. Who does not receive from C in time is told how much is
// missing, and delays nobody.
func (c *Client) Capture(ctx context.Context, o middlebox.CaptureOptions) (*Capturing, error) {
	out := make(chan middlebox.Chunk)
	s := &Capturing{C: out, feed: newFeed(c)}
	err := c.begin(ctx, "capture", o, &s.CaptureResult, s, func() { c.adopt(s.Sub, s, func() { s.deliver(out) }) })
	if err != nil {
		return nil, err
	}
	return s, nil
}

// End ends the capture: what it had by then still comes on C, last a chunk "ended".
func (s *Capturing) End(ctx context.Context) error {
	return s.client.Call(ctx, "unsubscribe", UnsubscribeParams{Sub: s.Sub}, nil)
}

// Close ends the capture and drops what it has.
func (s *Capturing) Close(ctx context.Context) error { return s.client.unsubscribe(ctx, s.Sub, s) }

// notice queues what a notification brings. It never waits, since answers come the
// same way: what finds no room is counted.
func (s *Capturing) notice(method string, params json.RawMessage) {
	var note CaptureNote
	if method != "capture" || json.Unmarshal(params, &note) != nil {
		return
	}
	s.mu.Lock()
	for _, k := range note.Chunks {
		s.push(k)
	}
	s.mu.Unlock()
	s.poke()
}

func (s *Capturing) push(k middlebox.Chunk) {
	room := s.size+len(k.Data) <= maxWaiting && len(s.queue) < maxWaiting/256
	if last := len(s.queue) - 1; last >= 0 && s.queue[last].What == "lost" {
		room = room && s.size < maxWaiting/2 // one gap is better than many
		if !room || k.What == "lost" {
			s.queue[last].Chunks, s.queue[last].Bytes = s.queue[last].Chunks+missing(k).Chunks, s.queue[last].Bytes+missing(k).Bytes
			return
		}
	}
	if !room {
		k = missing(k)
	}
	s.queue, s.size = append(s.queue, k), s.size+len(k.Data)
}

// missing is the chunk that says that k is not there.
func missing(k middlebox.Chunk) middlebox.Chunk {
	if k.What == "lost" {
		return k
	}
	lost := middlebox.Chunk{What: "lost", Time: k.Time, Chunks: 1}
	if k.What == "bytes" {
		lost.Bytes = k.Bytes
	}
	return lost
}

// deliver brings queued chunks to C.
func (s *Capturing) deliver(out chan<- middlebox.Chunk) {
	defer close(out)
	for k := range arrivals(&s.feed, s.next) {
		select {
		case out <- k:
		case <-s.done:
			return
		}
		if k.What == "ended" {
			s.client.drop(s.Sub)
			return
		}
	}
}

func (s *Capturing) next() (k middlebox.Chunk, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return k, false
	}
	k, s.queue = s.queue[0], s.queue[1:]
	s.size -= len(k.Data)
	return k, true
}
