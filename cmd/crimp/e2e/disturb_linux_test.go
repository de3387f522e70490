package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What happens to others must not be felt: an upstream that answers no SYN, a
// watcher that never reads, peers that say a byte at a time, a full table of file
// descriptors. Nor may the box spin meanwhile.

// others are eight sessions that want to be left in peace.
func others(t *testing.T, addr string) (all []*raw) {
	for range 8 {
		all = append(all, throughEcho(t, dial(t, addr), "hello"))
	}
	return all
}

// trips is how long their round trips take for a moment.
func trips(t *testing.T, sessions []*raw) times {
	t.Helper()
	var mu sync.Mutex
	var all times
	var group sync.WaitGroup
	until := time.Now().Add(250 * time.Millisecond)
	for _, r := range sessions {
		group.Go(func() {
			var took times
			for time.Now().Before(until) || len(took) < 10 {
				begun := time.Now()
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
				time.Sleep(time.Millisecond)
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

// cpu is the processor time a box has used.
func (b *box) cpu() time.Duration {
	b.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		b.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is 10 ms on every Linux
}

func TestDisturbances(t *testing.T) {
	hole := deaf(t)
	full := answer("hello")
	o := always(t, full)
	b := serve(t, "--log-level", "error", "--limit", "events=2000", "--route", "web=127.0.0.1:0,"+echoes(t)+",tcp",
		"--route", "hole=127.0.0.1:0,"+hole+",tcp", "--route", "slow=127.0.0.1:0,"+o.addr+",http")
	b.arm("slow", params{"fault": "truncate", "match": params{"path": "/never"}}) // so that heads are waited for
	calm := trips(t, others(t, b.routes["web"]))
	for _, d := range []struct {
		name    string
		disturb func(t *testing.T, b *box) (stop func())
		quiet   bool // by itself it gives the box nothing to do
	}{
		{"an upstream that answers no SYN", blackHoled, true},
		{"a watcher that never reads", watcherThatNeverReads, false},
		{"a byte at a time", aByteAtATime, false},
		{"a full table", fullTable, false},
		{"after it all", func(*testing.T, *box) func() { return func() {} }, true},
	} {
		t.Run(d.name, func(t *testing.T) {
			quiet := others(t, b.routes["web"])
			stop := d.disturb(t, b)
			defer stop()
			p99, median := max(10*calm.at(0.99), 250*time.Millisecond), max(10*calm.median(), 50*time.Millisecond)
			took := trips(t, quiet)
			for range 8 { // what is the box's doing is there each time, what is a busy machine's is not
				if took.at(0.99) <= p99 && took.median() <= median {
					break
				}
				took = trips(t, quiet)
			}
			t.Logf("p99 of others %v, undisturbed %v; medians %v and %v", took.at(0.99), calm.at(0.99), took.median(), calm.median())
			within(t, "the p99 of others", took.at(0.99), p99)
			within(t, "the median of others", took.median(), median)
			if d.quiet {
				begun, before := time.Now(), b.cpu()
				time.Sleep(300 * time.Millisecond)
				within(t, "processor time in a moment of nothing", b.cpu()-before, time.Since(begun)/2)
			}
		})
	}
}

// deaf is a listener whose queue is full: it answers no SYN.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 2 {
		if c, err := net.DialTimeout("tcp", addr, 100*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
	return addr
}

// blackHoled has 200 sessions wait for an upstream that does not answer.
func blackHoled(t *testing.T, b *box) func() {
	var all []*raw
	for range 200 {
		all = append(all, dial(t, b.routes["hole"]).send("hello"))
	}
	return func() {
		for _, r := range all {
			r.reset()
		}
	}
}

// repeatedly does something in the background until it is stopped.
func repeatedly(f func()) (stop func()) {
	var done atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		for !done.Load() {
			f()
		}
	})
	return func() { done.Store(true); group.Wait() }
}

// watcherThatNeverReads subscribes to all there is, and there is much.
func watcherThatNeverReads(t *testing.T, b *box) func() {
	w := b.ws(t)
	_ = w.SetReadBuffer(4096)
	if err := w.frame(1, []byte(`{"jsonrpc":"2.0","id":1,"method":"subscribe","params":{}}`)); err != nil {
		t.Fatal(err)
	}
	busy := repeatedly(func() {
		if c, err := net.Dial("tcp", b.routes["web"]); err == nil {
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
		time.Sleep(200 * time.Microsecond)
	})
	time.Sleep(200 * time.Millisecond) // some of it is in the kernel's buffers
	return func() { busy(); w.reset() }
}

// aByteAtATime has clients of an http route that say a request for ever.
func aByteAtATime(t *testing.T, b *box) func() {
	var all []*raw
	for range 50 {
		all = append(all, dial(t, b.routes["slow"]).send("GET /"))
	}
	stop := repeatedly(func() {
		for _, r := range all {
			_, _ = io.WriteString(r, "x")
		}
		time.Sleep(2 * time.Millisecond)
	})
	return func() {
		stop()
		for _, r := range all {
			r.reset()
		}
	}
}

// fullTable leaves the box 21 more descriptors, and makes more clients ask for some
// than there are. The control port goes on answering who is connected to it.
func fullTable(t *testing.T, b *box) func() {
	t.Helper()
	pid := b.cmd.Process.Pid
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = uint64(b.usage(t).descriptors + 21)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	served, refused := []net.Conn{}, 0
	ask := func() {
		c, err := net.Dial("tcp", b.routes["web"])
		if err == nil {
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = c.Write([]byte("x"))
			if _, err = c.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("a client was left to hang")
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			refused++
			return
		}
		served = append(served, c)
	}
	var first sync.WaitGroup
	for range 40 {
		first.Go(ask)
	}
	first.Wait()
	stop := repeatedly(ask)
	return func() {
		stop()
		b.must("ping", nil, nil)
		// Two descriptors a session; connections to the control port that were open
		// when descriptors were counted may have left theirs since.
		if refused < 20 || len(served) > 16 {
			t.Errorf("%d were refused and %d served: the table was not full", refused, len(served))
		}
		for _, c := range served {
			c.Close()
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// SIGTERM under load: whatever was asked before it is answered in full, newcomers
// are refused, and the box leaves with 0.
func TestDrainUnderLoad(t *testing.T) {
	full := answer(pattern(20_000))
	o := answering(t, func(string) string { time.Sleep(20 * time.Millisecond); return full })
	b := serve(t, "--log-level", "error", "--drain-timeout", "20s", "--route", "web=127.0.0.1:0,"+o.addr+",http")
	var signalled atomic.Int64 // nanoseconds; 0: not yet
	var whole, late atomic.Int64
	var clients sync.WaitGroup
	for range 40 {
		r := dial(t, b.routes["web"])
		clients.Go(func() {
			in := bufio.NewReader(r.TCPConn)
			for {
				asked := time.Now()
				if _, err := io.WriteString(r, ask("/")); err != nil {
					return // the box has said FIN, and no request is on its way
				}
				resp, err := http.ReadResponse(in, nil)
				var body []byte
				if err == nil {
					body, err = io.ReadAll(resp.Body)
				}
				switch at := signalled.Load(); {
				case err == nil && len(body) == 20_000:
					if whole.Add(1); at != 0 {
						late.Add(1)
					}
				case at == 0 || asked.UnixNano() < at || resp != nil:
					t.Errorf("an exchange of before the signal was cut: %d bytes, %v", len(body), err)
					return
				default: // asked when the box had gone: no exchange
					return
				}
			}
		})
	}
	b.eventually("the load is on", func() error {
		if whole.Load() < 100 {
			return errNotYet
		}
		return nil
	})
	// Requests that are still on their way to the box when it hears the signal are
	// of no time: a moment is left out.
	signalled.Store(time.Now().Add(-5 * time.Millisecond).UnixNano())
	term(b)
	eventually(t, "newcomers are refused", func() error {
		c, err := net.DialTimeout("tcp", b.routes["web"], time.Second)
		if err == nil {
			c.Close()
			return errors.New("still accepting")
		}
		return nil
	})
	clients.Wait()
	b.exits(0, "its last exchange")
	if late.Load() == 0 {
		t.Error("no exchange was open at the signal: nothing was tested")
	}
	t.Logf("%d exchanges whole, %d of them after the signal", whole.Load(), late.Load())
}
