package middlebox

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

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
