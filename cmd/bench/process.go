package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is a program of others that serves at an address: a relay, or an origin.
type process struct {
	kind string
	addr string // where it listens
	dir  string // its own
	cmd  *exec.Cmd
	said *bytes.Buffer // what it printed
	gone chan struct{} // closed when it has ended
}

// nobody is the ordinary user by convention.
const nobody = 65534

// newProcess gives it a directory of its own under dir, and an address.
func newProcess(dir, kind string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	own, err := os.MkdirTemp(dir, "process")
	return &process{kind: kind, addr: addr, dir: own, said: &bytes.Buffer{}, gone: make(chan struct{})}, err
}

// conf writes its configuration and says where.
func (s *process) conf(text string) (string, error) {
	file := filepath.Join(s.dir, "conf")
	return file, os.WriteFile(file, []byte(text), 0o644)
}

// start runs a command, as an ordinary user if so asked and not one already, and
// waits until it serves.
func (s *process) start(cmd *exec.Cmd, user bool) error {
	s.cmd = cmd
	if user && os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if err := errors.Join(os.Chmod(filepath.Dir(s.dir), 0o755), os.Chown(s.dir, nobody, nobody)); err != nil {
			return err
		}
	}
	cmd.Stdout, cmd.Stderr = s.said, s.said
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		cmd.Wait()
		close(s.gone)
	}()
	err := s.ready()
	if err != nil {
		s.stop()
	}
	return err
}

// ready waits until an answer comes back.
func (s *process) ready() error {
	limit := time.Now().Add(10 * time.Second)
	for {
		err := ping(s.addr)
		if err == nil {
			return nil
		}
		select {
		case <-s.gone:
			return fmt.Errorf("%s did not start: %s", s.kind, s.said)
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(limit) {
			return fmt.Errorf("%s does not answer: %w; it said: %s", s.kind, err, s.said)
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

func (s *process) at() string { return s.addr }

func (s *process) stop() {
	s.cmd.Process.Signal(os.Interrupt)
	select {
	case <-s.gone:
	case <-time.After(2 * time.Second):
		s.cmd.Process.Kill()
		<-s.gone
	}
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

// freeAddr is an address that was free just now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
