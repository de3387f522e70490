package e2e

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What others feel is judged by comparison: windows with a disturbance and windows
// without it follow each other closely, so that what a busy machine does to the
// tests falls on both alike.

const (
	windows = 4 // of either sort in a round
	window  = 60 * time.Millisecond
	beat    = time.Millisecond     // from trip to trip of a session
	grain   = 2 * time.Millisecond // what is less is the scheduler's, of the box and of the tests
)

// others are eight sessions that want to be left in peace.
func others(t *testing.T, addr string) (all []*raw) {
	for range 8 {
		all = append(all, throughEcho(t, dial(t, addr), "hello"))
	}
	return all
}

// newcomer connects and says something; the connection only if that was answered.
func newcomer(t *testing.T, b *box) (net.Conn, error) {
	c, err := net.Dial("tcp", b.routes["web"])
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte("x"))
	if _, err = c.Read(make([]byte, 1)); err != nil {
		c.Close()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a newcomer was left to hang")
		}
		return nil, err
	}
	return c, nil
}

// trips is how long their round trips take for a moment in which newcomers come and
// go, too. A trip that had to wait because the one before was not over counts from
// when it was to begin: a box that stands still for 20 ms delays twenty trips of each
// session, not one.
func trips(t *testing.T, b *box, sessions []*raw) times {
	t.Helper()
	var mu sync.Mutex
	var all times
	var group sync.WaitGroup
	until := time.Now().Add(window)
	group.Go(func() {
		for ; time.Now().Before(until); time.Sleep(beat) {
			if c, _ := newcomer(t, b); c != nil {
				c.Close()
			}
		}
	})
	for _, r := range sessions {
		_ = r.SetDeadline(time.Now().Add(patience))
		group.Go(func() {
			var took times
			for begun := time.Now(); len(took) == 0 || begun.Before(until); {
				var got [64]byte
				_, err := r.Write(got[:])
				if err == nil {
					_, err = io.ReadFull(r, got[:])
				}
				if err != nil {
					t.Errorf("a trip of others: %v", err)
					return
				}
				took = append(took, time.Since(begun))
				begun = begun.Add(beat)
				if early := time.Until(begun); early > 0 {
					time.Sleep(early)
					begun = time.Now() // that we overslept is not the box's doing
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	group.Wait()
	if len(all) == 0 {
		t.Fatal("no trips")
	}
	return all
}

// disturbance begins, and stops what it began.
type disturbance func() (stop func())

// felt says whether others feel a disturbance: whether the p99 of their trips is more
// than twice what it is without. A busy machine can spoil a round, or several; what is
// the box's doing is in all of them. So one round in which nothing is felt settles it;
// for each in which something was there must be one without it first, and it is felt
// once those in which it was are more by so many as make sure.
func felt(t *testing.T, b *box, sessions []*raw, sure int, disturb disturbance) bool {
	t.Helper()
	for balance := 0; balance > -sure; {
		var calm, disturbed times
		for range windows {
			calm = append(calm, trips(t, b, sessions)...)
			stop := disturb()
			disturbed = append(disturbed, trips(t, b, sessions)...)
			stop()
		}
		without, with := calm.at(0.99), disturbed.at(0.99)
		t.Logf("p99 of others %v, undisturbed %v; medians %v and %v; %d and %d trips",
			with, without, disturbed.median(), calm.median(), len(disturbed), len(calm))
		if with <= max(2*without, without+grain) {
			if balance++; balance > 0 {
				return false
			}
		} else {
			balance--
		}
		if t.Failed() {
			return false
		}
	}
	return true
}

// A box that stands still for 20 ms now and then is felt: what looks for effects
// finds one. On a machine so busy that this is nothing it must stand still for longer.
func TestEffectsAreFelt(t *testing.T) {
	b := serve(t, "--log-level", "error", "--route", "web=127.0.0.1:0,"+echoes(t)+",tcp")
	sessions := others(t, b.routes["web"])
	still, n := 20*time.Millisecond, 0
	now := func() (stop func()) {
		if n++; n%2 == 0 {
			return func() {}
		}
		done := make(chan struct{})
		time.AfterFunc(window/2, func() {
			_ = b.cmd.Process.Signal(syscall.SIGSTOP)
			time.Sleep(still)
			_ = b.cmd.Process.Signal(syscall.SIGCONT)
			close(done)
		})
		return func() { <-done }
	}
	for !felt(t, b, sessions, 3, now) {
		if still *= 2; still > 400*time.Millisecond {
			t.Fatal("a box that stands still for 20 ms, or even 320, is not felt")
		}
	}
}
