package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// relay is one that takes part: its processes, and an origin of its own, so that
// the ports of closed connections of one are not missing to another.
type relay struct {
	kind   string
	addr   string // where it listens
	cmd    *exec.Cmd
	origin *origin
	said   *bytes.Buffer // what it printed
	gone   chan struct{} // closed when it has ended
}

// copyCommand makes this program the plain relay: LISTEN and UPSTREAM follow.
const copyCommand = "copy-relay"

// nobody is the ordinary user by convention.
const nobody = 65534

// startRelay starts a relay of a kind, as an ordinary user if so asked and not one
// already, and waits until it relays.
func startRelay(dir, kind string, p *plan, user bool) (*relay, error) {
	o, err := serveOrigin()
	if err != nil {
		return nil, err
	}
	r := &relay{kind: kind, origin: o, said: &bytes.Buffer{}, gone: make(chan struct{})}
	if r.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(dir, "relay")
	if err != nil {
		return nil, err
	}
	if r.cmd, err = r.command(own, p); err != nil {
		return nil, err
	}
	if user && os.Getuid() == 0 {
		r.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := errors.Join(os.Chmod(dir, 0o755), os.Chown(own, nobody, nobody)); err != nil {
			return nil, err
		}
	}
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.cmd.Wait()
		close(r.gone)
	}()
	if err := r.ready(); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// command is how a relay is started: crimp and nginx from a file each.
func (r *relay) command(dir string, p *plan) (*exec.Cmd, error) {
	file := filepath.Join(dir, "conf")
	text, found := confOf(r.kind, r.addr, r.origin.addr, dir)
	if !found {
		return nil, fmt.Errorf("no relay is called %q", r.kind)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return nil, err
	}
	program, _, _ := strings.Cut(r.kind, " ")
	switch program {
	case "crimp":
		args := append([]string{"serve", "-c", file, "--log-level", "warn"}, p.args...)
		if r.kind == crimpTwo {
			args = append(args, "--loops", "2")
		}
		return exec.Command(p.crimp, args...), nil
	case "haproxy":
		return exec.Command(find("haproxy"), "-db", "-f", file), nil
	case "nginx":
		return exec.Command(find("nginx"), "-p", dir, "-e", "stderr", "-c", file), nil
	}
	self, err := os.Executable()
	return exec.Command(self, copyCommand, r.addr, r.origin.addr), err
}

// find looks also where servers are and a user's PATH does not lead.
func find(program string) string {
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin", "/sbin"} {
		if at := filepath.Join(dir, program); exec.Command(at, "-v").Run() == nil {
			return at
		}
	}
	return program
}

// ready waits until a byte comes back from the origin.
func (r *relay) ready() error {
	limit := time.Now().Add(10 * time.Second)
	for {
		err := ping(r.addr)
		if err == nil {
			return nil
		}
		select {
		case <-r.gone:
			return fmt.Errorf("%s did not start: %s", r.kind, r.said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not relay: %w; it said: %s", r.kind, err, r.said)
		}
	}
}

// ping makes one request: every relay passes it on.
func ping(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	return newAsker(c).get(1)
}

func (r *relay) stop() {
	r.cmd.Process.Signal(os.Interrupt)
	select {
	case <-r.gone:
	case <-time.After(2 * time.Second):
		r.cmd.Process.Kill()
		<-r.gone
	}
	r.origin.stop()
}

// freeAddr is an address that was free just now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// copyRelay is the relay that everybody writes first: two goroutines a session,
// each in io.Copy, which on Linux splices.
func copyRelay(listen, upstream string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			u, err := net.Dial("tcp", upstream)
			if err != nil {
				return
			}
			defer u.Close()
			done := make(chan struct{})
			go func() {
				copyHalf(u.(*net.TCPConn), c.(*net.TCPConn))
				close(done)
			}()
			copyHalf(c.(*net.TCPConn), u.(*net.TCPConn))
			<-done
		}()
	}
}

func copyHalf(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}
