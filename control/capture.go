package control

import (
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file shows captures. As with events there is no central distributor: each
// capture has a goroutine, which moves what waits in the capture's memory into its
// connection's queue, as far as there is room. A client that does not read fills
// both, and then chunks are left out: the box counts them, nobody waits.

// capture puts a capture in force and then answers; what it shows follows.
func capture(c *call, p CaptureParams) (CaptureResult, error) {
	sub, err := c.enroll("capture", "")
	if err != nil {
		return CaptureResult{}, err
	}
	if sub.film, err = c.srv.box.Capture(p.CaptureOptions); err != nil {
		delete(c.conn.subs, sub.id)
		return CaptureResult{}, err
	}
	if p.Rate != nil {
		sub.rate = newAllowance(*p.Rate)
	}
	c.then = func() { c.conn.work.Go(sub.show) }
	return CaptureResult{Sub: sub.id, Seq: c.srv.box.State().Seq, Sessions: sub.film.Live()}, nil
}

// pageChunks is how many chunks a notification has at most.
const pageChunks = 64

// show brings a client the chunks of a capture, no faster than it asked for. Stopped,
// it still brings those that were captured by then, at once, and says that they were
// the last. They count as the capture's, so who stops captures and reads none of them
// can start no more.
func (sub *subscription) show() {
	c, film := sub.conn, sub.film
	defer film.Close()
	chunks := make([]middlebox.Chunk, pageChunks)
	for stop := sub.stop; ; {
		next, n := film.Ready(), 0
		room, later := sub.ration(stop == nil)
		if room > 0 {
			n = film.Next(chunks[:room])
		}
		switch {
		case n > 0:
			if !sub.page(chunks[:n]) {
				return
			}
			sub.rate.spend(n)
			next = always
		case room == 0:
			next = nil
		case stop == nil:
			sub.page([]middlebox.Chunk{{What: "ended", Time: time.Now()}})
			return
		}
		select {
		case <-c.ctx.Done():
			return
		case <-stop:
			stop = nil
		case <-next:
		case <-later:
		}
	}
}

// ration is how many chunks may be brought now; none: later says when again.
func (sub *subscription) ration(stopped bool) (room int, later <-chan time.Time) {
	if sub.rate == nil || stopped {
		return pageChunks, nil
	}
	if room = min(pageChunks, sub.rate.room(time.Now())); room == 0 {
		return 0, time.After(sub.rate.wait())
	}
	return room, nil
}

// page queues a notification as soon as there is room; false: the connection is gone.
func (sub *subscription) page(chunks []middlebox.Chunk) bool {
	c := sub.conn
	for note := encodeNote("capture", CaptureNote{sub.id, chunks}); !c.stream.offer(sub, note, false); {
		select {
		case <-c.ctx.Done():
			return false
		case <-c.stream.whenDrained():
		}
	}
	return true
}

// enroll makes a subscription of the connection; instead is what there is over POST.
func (c *call) enroll(method, instead string) (*subscription, error) {
	if c.conn == nil {
		return nil, faults.Errorf(faults.Invalid, "method", "%s needs a WebSocket (/v1/ws): over POST there is no way to notify%s", method, instead)
	}
	if len(c.conn.subs) >= maxSubs {
		return nil, faults.Errorf(faults.Limit, "", "%d subscriptions on this connection; unsubscribe one", maxSubs)
	}
	c.conn.lastSub++
	sub := &subscription{id: c.conn.lastSub, conn: c.conn, stop: make(chan struct{})}
	c.conn.subs[sub.id] = sub
	return sub, nil
}
