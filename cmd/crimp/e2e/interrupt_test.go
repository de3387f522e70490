package e2e

import (
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An interrupt ends a list also while it hangs in writing to a pager that shows its
// first page.
func TestInterruptedInWriting(t *testing.T) {
	b := serve(t)
	for range 200 { // more than a pipe takes
		b.must("panic", params{"why": strings.Repeat("x", 400)}, nil)
		b.must("release", params{}, nil)
	}
	for _, args := range [][]string{{"events", "--json"}, {"events", "-f", "--json", "--since", "0"}} {
		cmd := exec.Command(program, append(args, "--api", b.api)...)
		cmd.Env = environment()
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 100)); err != nil { // it writes
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // into a full pipe, by now
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { _, err := cmd.Process.Wait(); ended <- err }()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(args, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s goes on after an interrupt", strings.Join(args, " "))
			_ = cmd.Process.Kill()
		}
		out.Close()
	}
}
