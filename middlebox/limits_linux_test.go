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
func TestNoDescriptors(t *testing.T) {
	child := starve(t)
	var held []net.Conn
	defer func() {
		for _, c := range held {
			c.Close()
		}
	}()
	for range 40 { // more than it has descriptors for; the kernel's queue takes them all
		c, err := net.Dial("tcp", child.addr)
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	child.expect(t, "no file descriptor left")
	for _, c := range held[:20] { // as many again are free
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	last := held[39].(*net.TCPConn)
	last.SetDeadline(time.Now().Add(10 * time.Second))
	say(t, last, "hello")
	expect(t, last, "hello")
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
	fmt.Println(b.State().Routes[0].Listen)
	w := b.Watch(-1)
	gone := make(chan bool)
	go func() { // the parent closes our input when it is done
		os.Stdin.Read(make([]byte, 1))
		close(gone)
	}()
	for {
		select {
		case <-w.Ready():
			var events [16]Event
			for n, _ := w.Next(events[:]); n > 0; n, _ = w.Next(events[:]) {
				for _, e := range events[:n] {
					if f, ok := e.Data.(FailedData); ok && f.Client == "" {
						fmt.Println(f.Error)
					}
				}
			}
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
	t.Cleanup(func() {
		in.Close()
		io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the starved box: %v", err)
		}
	})
	s := &starved{lines: bufio.NewScanner(out)}
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
