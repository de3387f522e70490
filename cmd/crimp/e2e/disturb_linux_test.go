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

// None of these is felt by sessions beside it: not by the p99 of their round trips.
// Newcomers come and go meanwhile, with it and without it: it is they who find a full
// table, and of whom a watcher is told.
func TestDisturbances(t *testing.T) {
	hole := deaf(t)
	full := answer("hello")
	o := always(t, full)
	b := serve(t, "--log-level", "error", "--limit", "events=2000", "--route", "web=127.0.0.1:0,"+echoes(t)+",tcp",
		"--route", "hole=127.0.0.1:0,"+hole+",tcp", "--route", "slow=127.0.0.1:0,"+o.addr+",http")
	b.arm("slow", params{"fault": "truncate", "match": params{"path": "/never"}}) // so that heads are waited for
	sessions := others(t, b.routes["web"])
	for _, d := range []struct {
		name    string
		disturb func(t *testing.T, b *box) (stop func())
	}{
		{"an upstream that answers no SYN", blackHoled},
		{"a watcher that never reads", watcherThatNeverReads},
		{"a byte now and then", aByteNowAndThen},
		{"a full table", fullTable},
	} {
		t.Run(d.name, func(t *testing.T) {
			if felt(t, b, sessions, 12, func() func() { return d.disturb(t, b) }) {
				t.Error("others felt it: their p99 is not within twice the undisturbed")
			}
			defer d.disturb(t, b)()
			begun, before := time.Now(), b.cpu()
			time.Sleep(300 * time.Millisecond)
			used := b.cpu() - before
			t.Logf("processor time in %v of nothing else: %v", time.Since(begun), used)
			within(t, "processor time in a moment of nothing else", used, time.Since(begun)/5)
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
	for range 200 { // until some of it is in the kernel's buffers
		if c, _ := newcomer(t, b); c != nil {
			c.Close()
		}
	}
	return func() { w.reset() }
}

// aByteNowAndThen has 100 clients of an http route that say a request for ever, five
// bytes of it a second each.
func aByteNowAndThen(t *testing.T, b *box) func() {
	var all []*raw
	for range 100 {
		all = append(all, dial(t, b.routes["slow"]).send("GET /"))
	}
	next := 0
	stop := repeatedly(func() {
		_, _ = io.WriteString(all[next%len(all)], "x")
		next++
		time.Sleep(2 * time.Millisecond)
	})
	return func() {
		stop()
		for _, r := range all {
			r.reset()
		}
	}
}

// fullTable leaves the box 20 numbers for descriptors, which are ten sessions, has
// clients take them, and others find that there are none. The control port goes on
// answering who is connected to it.
func fullTable(t *testing.T, b *box) func() {
	t.Helper()
	pid := b.cmd.Process.Pid
	var was unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = b.numbers(t, 20)
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &few, nil); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var served []net.Conn
	refused := 0 // in a row
	ask := func() {
		c, err := newcomer(t, b)
		mu.Lock()
		defer mu.Unlock()
		if refused++; err == nil {
			served, refused = append(served, c), 0
		}
	}
	var crowd sync.WaitGroup
	for range 40 { // they take numbers from each other: a session needs two
		crowd.Go(ask)
	}
	crowd.Wait()
	for refused < 20 {
		ask()
	}
	b.must("ping", nil, nil)
	if len(served) != 10 {
		t.Errorf("%d were served, expected 10", len(served))
	}
	return func() {
		for _, c := range served {
			c.Close()
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &was, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// numbers is the limit of descriptors under which so many numbers are free. The limit
// is one of numbers, not of how many there are: those above it that were given out
// before leave as many more below it.
func (b *box) numbers(t *testing.T, free int) (limit uint64) {
	t.Helper()
	b.eventually("only the others are left", func() error {
		if n := b.usage(t).sessions; n > 8 {
			return fmt.Errorf("%d sessions", n)
		}
		return nil
	})
	taken, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, fd := range taken {
		used[fd.Name()] = true
	}
	for ; free > 0; limit++ {
		if !used[strconv.FormatUint(limit, 10)] {
			free--
		}
	}
	return limit
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
