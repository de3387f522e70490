//go:build linux || darwin

package sys

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A full table of files is a matter of the whole process, so it is played in a
// child: the test binary again, with fullEnv set and a limit of few files. The
// parent is the clients.

const fullEnv = "CRIMP_SYS_TEST_FULL"

func TestFullTable(t *testing.T) {
	if os.Getenv(fullEnv) != "" {
		if err := childWithFullTable(); err != nil {
			fmt.Println("failed:", err)
		}
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFullTable$")
	child.Env = append(os.Environ(), fullEnv+"=1")
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	lines := bufio.NewScanner(out)
	var said []string
	for lines.Scan() {
		said = append(said, lines.Text())
		what, rest, _ := strings.Cut(lines.Text(), " ")
		switch what {
		case "dial": // three clients, of which there is room for one
			for range 3 {
				c, err := net.Dial("tcp", rest)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			}
		case "done":
			return
		}
	}
	t.Errorf("the child said %q", said)
}

func childWithFullTable() error {
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 64, Max: 64}); err != nil {
		return err
	}
	k, err := New()
	if err != nil {
		return err
	}
	l, at, err := k.Listen(netip.MustParseAddrPort("127.0.0.1:0"))
	if err != nil {
		return err
	}
	spare, err := fillTable()
	if err != nil {
		return err
	}
	unix.Close(spare) // room for one
	fmt.Println("dial", at)

	// One comes in, then it is full.
	var first Socket
	for n := 0; n < 1; {
		awaitIn(k, l)
		s, _, o := k.Accept(l)
		switch o {
		case OK:
			first = s
			n++
		case Again:
		default:
			return fmt.Errorf("first accept: %v", o)
		}
	}
	for {
		_, _, o := k.Accept(l)
		if o == Full {
			break
		}
		if o != Again {
			return fmt.Errorf("accept with a full table: %v", o)
		}
		time.Sleep(time.Millisecond) // the next client is on its way
	}
	return fullTable(k, l, at, first)
}

// fullTable is what holds while the table is full, and once it is not.
func fullTable(k Kernel, l Socket, at netip.AddrPort, first Socket) error {
	if s, o := k.Connect(at, false); s != None || o != Full {
		return fmt.Errorf("connect with a full table: %d, %v", s, o)
	}
	if _, err := k.Connected(None); !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("connect with a full table failed because of %v", err)
	}
	if p, ok := k.Pipe(); ok {
		return fmt.Errorf("pipe %d with a full table", p)
	}
	if _, _, err := k.Listen(netip.MustParseAddrPort("127.0.0.1:0")); !errors.Is(err, unix.EMFILE) {
		return fmt.Errorf("listen with a full table: %v", err)
	}
	// The listener is silent about those that wait: an edge is told once. (A
	// third client may be on its way still, so it may speak once more.)
	var ev [8]Event
	told := 0
	for until := time.Now().Add(50 * time.Millisecond); time.Now().Before(until); {
		for _, e := range ev[:k.Wait(5*time.Millisecond, ev[:])] {
			if e.Sock == l {
				told++
			}
		}
	}
	if told > 2 {
		return fmt.Errorf("the listener spoke %d times", told)
	}
	// One of those that wait can be told so; the other goes on waiting.
	if o := k.Refuse(l, false); o != OK {
		return fmt.Errorf("refuse with a full table: %v", o)
	}
	// A closed socket makes room at the next Wait, not before.
	k.Close(first)
	if _, _, o := k.Accept(l); o != Full {
		return fmt.Errorf("accept before the Wait after a close: %v", o)
	}
	k.Wait(0, ev[:])
	if _, _, o := k.Accept(l); o != OK {
		return fmt.Errorf("accept after the Wait after a close: %v", o)
	}
	if o := k.Refuse(l, false); o != Again {
		return fmt.Errorf("refuse where nobody waits: %v", o)
	}
	fmt.Println("done")
	return nil
}

// fillTable opens files until no more can be and gives the last one.
func fillTable() (last int, err error) {
	if last, err = unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return 0, err
	}
	for {
		fd, err := unix.Dup(last)
		if err == unix.EMFILE {
			return last, nil
		}
		if err != nil {
			return 0, err
		}
		last = fd
	}
}

func awaitIn(k Kernel, s Socket) {
	var ev [8]Event
	for until := time.Now().Add(10 * time.Second); time.Now().Before(until); {
		for _, e := range ev[:k.Wait(10*time.Millisecond, ev[:])] {
			if e.Sock == s && e.Ready&In != 0 {
				return
			}
		}
	}
}
