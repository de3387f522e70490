package middlebox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What takes Linux to bring about: a peer that answers no SYN, and a full table
// of descriptors.

// A listener whose queue is full answers no SYN: the connection comes neither up
// nor down.
func TestConnectTimeout(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, _ := unix.Getsockname(fd)
	deaf := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 2 {
		if c, err := net.DialTimeout("tcp", deaf, 100*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	b := start(t, Config{DialTimeout: 150 * time.Millisecond}, Route{Protocol: "tcp", Upstream: deaf, OnDialError: "fin"})
	begun := time.Now()
	wantEnd(t, dial(t, b, "web"), "", "fin")
	if took := time.Since(begun); took < 150*time.Millisecond {
		t.Errorf("gave up after %v already", took)
	}
	list, _ := b.Events(Filter{Type: "session.failed"})
	if len(list.Items) != 1 || !strings.Contains(list.Items[0].Data.(FailedData).Error, "timed out") {
		t.Errorf("told as %+v", list.Items)
	}
}

// TestNoDescriptors runs this test binary again as a box with few descriptors.
// Whom it has none for it refuses soon, without spinning; once there are some
// again it serves.
func TestNoDescriptors(t *testing.T) {
	child := starve(t)
	served, refused := meet(t, child.addr, 40)
	if len(served) == 0 || refused == 0 {
		t.Fatalf("%d were served and %d refused, by a box that has 50 descriptors", len(served), refused)
	}
	child.expect(t, "no file descriptor left")

	before, begun := child.cpu(t), time.Now()
	if more, _ := meet(t, child.addr, 20); len(more) > 1 { // a last odd descriptor is no session
		t.Errorf("%d more were served", len(more))
	}
	time.Sleep(300 * time.Millisecond)
	if used, span := child.cpu(t)-before, time.Since(begun); used > span/2 {
		t.Errorf("with a full table it used %v of processor time in %v", used, span)
	}
	for _, c := range served {
		say(t, c, "still")
		expect(t, c, "still")
		c.Close()
	}
	until(t, "a newcomer is served again", func() bool {
		again, _ := meet(t, child.addr, 1)
		return len(again) == 1
	})
}

// meet makes n clients, and says which of them are served. The others are to be
// refused, within seconds.
func meet(t *testing.T, addr string, n int) (served []*net.TCPConn, refused int) {
	t.Helper()
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err == nil {
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(8 * time.Second)) // below what a dial may take where there are descriptors
				var got [5]byte
				io.WriteString(c, "hello")
				if _, err = io.ReadFull(c, got[:]); isTimeout(err) {
					t.Error("a client was left to hang")
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused++
				return
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			served = append(served, c.(*net.TCPConn))
		})
	}
	clients.Wait()
	return served, refused
}

// cpu is the processor time that the child has used.
func (s *starved) cpu(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // a tick is 10 ms on every Linux
}

// beStarved is the child's main: an echoing box under a low limit.
func beStarved() bool {
	upstream := os.Getenv("CRIMP_TEST_STARVED")
	if upstream == "" {
		return false
	}
	b, err := New(Config{Loops: 1})
	if err == nil {
		err = b.Configure([]Route{{Name: "web", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: upstream}}, "test")
	}
	if err == nil {
		var now unix.Rlimit
		unix.Getrlimit(unix.RLIMIT_NOFILE, &now)
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: leaving(50), Max: now.Max})
	}
	if err != nil {
		fmt.Println("error:", err)
		return true
	}
	w := b.Watch(-1) // before anybody can come
	fmt.Println(b.State().Routes[0].Listen)
	gone := make(chan bool)
	go func() { // the parent closes our input when it is done
		os.Stdin.Read(make([]byte, 1))
		close(gone)
	}()
	for {
		ready := w.Ready() // before Next: nothing comes in unnoticed between them
		var events [16]Event
		for n, _ := w.Next(events[:]); n > 0; n, _ = w.Next(events[:]) {
			for _, e := range events[:n] {
				if f, ok := e.Data.(FailedData); ok && f.Client == "" {
					fmt.Println(f.Error)
				}
			}
		}
		select {
		case <-ready:
		case <-gone:
			b.Kill()
			return true
		}
	}
}

// leaving is the limit on descriptors that leaves n free: it counts numbers, and
// the lowest free one is always given out.
func leaving(n int) uint64 {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	used := map[string]bool{}
	for _, e := range dir {
		used[e.Name()] = true
	}
	limit := 0
	for ; n > 0; limit++ {
		if !used[strconv.Itoa(limit)] {
			n--
		}
	}
	return uint64(limit)
}

// starved is a child process that is a box with few file descriptors.
type starved struct {
	addr  string
	pid   int
	lines *bufio.Scanner
}

func starve(t *testing.T) *starved {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "CRIMP_TEST_STARVED="+origin(t, echo))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() }) // nobody waits for its words for ever
	t.Cleanup(func() {
		late.Stop()
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the starved box: %v", err)
		}
	})
	s := &starved{lines: bufio.NewScanner(out), pid: cmd.Process.Pid}
	s.lines.Scan()
	s.addr = s.lines.Text()
	return s
}

// expect reads lines until one contains text.
func (s *starved) expect(t *testing.T, text string) {
	t.Helper()
	for s.lines.Scan() {
		if strings.Contains(s.lines.Text(), text) {
			return
		}
		t.Fatalf("the starved box said %q, want %q", s.lines.Text(), text)
	}
	t.Fatalf("the starved box ended without saying %q", text)
}
