package middlebox

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNames(t *testing.T) {
	t.Run("localhost", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(origin(t, echo))
		b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "localhost:" + port})
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
	})
	t.Run("addresses are tried in order", func(t *testing.T) {
		_, port, _ := net.SplitHostPort(origin(t, echo))
		b := start(t, Config{Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("127.99.0.1"), netip.MustParseAddr("::ffff:127.0.0.1")}, nil
		}}, Route{Protocol: "tcp", Upstream: "origin.example:" + port})
		c := dial(t, b, "web")
		say(t, c, "hello")
		expect(t, c, "hello")
	})
	t.Run("no such name", func(t *testing.T) {
		b := start(t, Config{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return nil, errors.New("no such host")
		}}, Route{Protocol: "http", OnDialError: "502", Upstream: "nowhere.example:80"})
		said, _ := rest(t, dial(t, b, "web"))
		if !strings.HasPrefix(said, "HTTP/1.1 502 ") {
			t.Errorf("got %q", said)
		}
	})
	t.Run("client leaves before the name is known", func(t *testing.T) {
		asked := make(chan bool)
		b := start(t, Config{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			asked <- true
			<-ctx.Done()
			return nil, ctx.Err()
		}}, Route{Protocol: "tcp", Upstream: "slow.example:80"})
		c := dial(t, b, "web")
		<-asked
		c.SetLinger(0)
		c.Close()
		if it := closedSession(t, b, "web/1"); it.Ended.Client != "rst" || it.Ended.Server != "" {
			t.Errorf("ended as %+v", *it.Ended)
		}
	})
}

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

// What a name turns out to be is looked at when it is dialled.
func TestNameThatIsTheRouteItself(t *testing.T) {
	b := start(t, Config{}, Route{Protocol: "tcp", Upstream: "127.0.0.1:1"})
	listen := listenOf(t, b, "web")
	_, port, _ := net.SplitHostPort(listen)
	if _, _, err := b.SetRoute(Route{Name: "web", Listen: "127.0.0.1:0", Protocol: "tcp", Upstream: "localhost:" + port, OnDialError: "fin"}, Change{}); err != nil {
		t.Fatal(err)
	}
	wantEnd(t, dial(t, b, "web"), "", "fin")
	list, _ := b.Events(Filter{Type: "session.failed"})
	if len(list.Items) != 1 || !strings.Contains(list.Items[0].Data.(FailedData).Error, "the route itself listens") {
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
