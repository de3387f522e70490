package middlebox

import (
	"context"
	"fmt"
	"time"
)

// Close ends the box as its users would like it: it stops accepting, disarms
// every rule, closes the sessions on which no exchange is open, and waits for the
// others until ctx ends. Those that are left then are reset, and the error says
// how many. After it, every goroutine is gone.
func (b *Box) Close(ctx context.Context) error {
	if !b.retreat() {
		b.served.Wait()
		return nil
	}
	b.everywhere(func(l *loop) int64 {
		l.draining = true
		for i := len(l.sessions) - 1; i >= 0; i-- {
			l.sessions[i].draining = true
			l.enqueue(&l.sessions[i].task)
		}
		for _, o := range l.owners {
			if r, ok := o.(*retiree); ok {
				l.enqueue(&r.task)
			}
		}
		return 0
	})()
	left := b.drain(ctx)
	b.Kill()
	if left > 0 {
		return fmt.Errorf("%d sessions were reset at the end of the drain", left)
	}
	return nil
}

// retreat stops listening and disarms; false if the box was closed before.
func (b *Box) retreat() bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	b.closed = true
	var drafts []*draft
	for _, r := range b.routes {
		if d, _, err := b.disarmed(r, Change{Who: "drain"}); err == nil {
			drafts = append(drafts, d)
		}
	}
	b.publishAll(drafts)
	b.stopListening()
	wait := b.swap(b.routes...)
	b.mu.Unlock()
	wait()
	return true
}

func (b *Box) stopListening() {
	var lns []*listener
	for _, r := range b.routes {
		if r.ln != nil {
			lns = append(lns, r.ln)
		}
	}
	b.on(b.loops[0], func(l *loop) {
		for _, ln := range lns {
			ln.close(l)
		}
	})
}

// drain waits for sessions, and for sockets that only have to end well, to go.
// It says how many sessions are left when ctx ends.
func (b *Box) drain(ctx context.Context) int64 {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := b.everywhere(func(l *loop) int64 { return int64(len(l.sessions) + l.retirees) })()
		if left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return b.live.Load()
		case <-tick.C:
		}
	}
}

// Kill ends the box now: every session is reset. After it, every goroutine is gone.
func (b *Box) Kill() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	for _, l := range b.loops {
		l.post(func(l *loop) { l.stopped = true })
	}
	if b.driven {
		for _, l := range b.loops {
			l.takeMail()
			if !l.mail.closed {
				l.end()
			}
		}
	}
	b.served.Wait()
	b.helpers.Wait()
}
