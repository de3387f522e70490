package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is the crimp that all tests here run, built once from the tree. If it
// does not build, only the tests that need none (layers_test.go) can pass.
var (
	program  string
	buildErr error
)

// shared is what ends the clients that all tests share.
var shared endings

type endings struct {
	mu  sync.Mutex
	all []func()
}

// atExit has f called once all tests are over.
func atExit(f func()) {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.all = append(shared.all, f)
}

func (e *endings) stop() {
	for _, f := range e.all {
		f()
	}
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "crimp-e2e")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		defer shared.stop()
		program = filepath.Join(dir, "crimp")
		// With the race detector on here, it is on in the box too: it then reports in the log and exits 66.
		args := append([]string{"build", "-o", program}, raceFlag...)
		build := exec.Command("go", append(args, "crimp/cmd/crimp")...)
		if said, err := build.CombinedOutput(); err != nil {
			buildErr = fmt.Errorf("crimp does not build: %w\n%s", err, said)
		}
		// Parallel tests here wait more than they work: more at a time than there are cores.
		flag.Parse()
		if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
			_ = n.Value.Set("6")
		}
		log.SetOutput(io.Discard) // net/http's client remarks on surplus bytes there
		return m.Run()
	}())
}

// environment is a clean one: no proxy and no crimp variables of whoever runs the tests.
func environment(extra ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(name, "CRIMP_") || strings.HasSuffix(strings.ToLower(name), "_proxy")
	})
	// The race detector would otherwise sleep a second before each exit.
	return append(append(env, "NO_PROXY=*", "no_proxy=*", "GORACE=atexit_sleep_ms=0"), extra...)
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("no go.mod above the test's folder")
	return ""
}

// box is a running crimp.
type box struct {
	t      testing.TB
	cmd    *exec.Cmd
	api    string            // base URL of the control port
	routes map[string]string // listening addresses by route
	token  string
	log    lockedBuffer
	done   chan struct{} // closed once the process has exited
	code   int           // valid after done
}

// serve starts "crimp serve" on free ports; arguments are added. It is stopped
// with the test, and must then exit with 0.
func serve(t testing.TB, args ...string) *box {
	t.Helper()
	file := filepath.Join(t.TempDir(), "addresses")
	all := []string{"serve", "--addr-file", file}
	if !slices.Contains(args, "--control") {
		all = append(all, "--control", "127.0.0.1:0")
	}
	b := launch(t, append(all, args...)...)
	b.readAddresses(file)
	return b
}

func launch(t testing.TB, args ...string) *box {
	t.Helper()
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	b := &box{t: t, cmd: exec.Command(program, args...), done: make(chan struct{})}
	b.cmd.Env = environment()
	b.cmd.Stdout, b.cmd.Stderr = &b.log, &b.log
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := b.cmd.Wait()
		b.code = exitCode(err)
		close(b.done)
	}()
	t.Cleanup(func() {
		b.stop()
		if strings.Contains(b.log.String(), "DATA RACE") {
			t.Errorf("the race detector reports:\n%s", b.log.String())
		}
		if t.Failed() {
			t.Logf("crimp %s said:\n%s", strings.Join(args, " "), tail(b.log.String(), 4000))
		}
	})
	return b
}

// addresses is what --addr-file holds.
type addresses struct {
	Control string            `json:"control"`
	Routes  map[string]string `json:"routes"`
}

func (b *box) readAddresses(file string) {
	b.t.Helper()
	var a addresses
	b.eventually("the address file", func() error {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &a)
	})
	b.api, b.routes = "http://"+a.Control, a.Routes
}

// stop ends the box the polite way and checks that it left with 0.
func (b *box) stop() {
	select {
	case <-b.done:
		return
	default:
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-b.done:
		if b.code != 0 {
			b.t.Errorf("crimp exited with %d after SIGTERM", b.code)
		}
	case <-time.After(500 * time.Millisecond): // live sessions: do not wait for them
		_ = b.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-b.done:
		case <-time.After(10 * time.Second):
			_ = b.cmd.Process.Kill()
			b.t.Errorf("crimp did not end after a second SIGTERM")
		}
	}
}

// exits waits for the box to end by itself, and says whether it did with a code.
func (b *box) exits(code int, after string) {
	b.t.Helper()
	select {
	case <-b.done:
		if b.code != code {
			b.t.Errorf("exit %d after %s, expected %d", b.code, after, code)
		}
	case <-time.After(patience):
		b.t.Errorf("still there after %s", after)
	}
}

// eventually retries f until it is content; a deadline only so that a broken
// box ends the test.
func (b *box) eventually(what string, f func() error) {
	b.t.Helper()
	eventually(b.t, what, func() error {
		select {
		case <-b.done:
			b.t.Fatalf("%s: crimp has exited with %d", what, b.code)
		default:
		}
		return f()
	})
}

func eventually(t testing.TB, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

// result is how a command ended.
type result struct {
	code           int
	stdout, stderr string
}

// run starts a program with a clean environment and waits for it.
func run(t testing.TB, env []string, name string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment(env...)
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s %q did not end", name, args)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", name, err)
	}
	return result{exitCode(err), stdout.String(), stderr.String()}
}

// crimp runs the binary; the box, if any, is the one it talks to.
func crimp(t testing.TB, b *box, args ...string) result {
	t.Helper()
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	var env []string
	if b != nil {
		env = append(env, "CRIMP_API="+b.api)
		if b.token != "" {
			env = append(env, "CRIMP_TOKEN="+b.token)
		}
	}
	return run(t, env, program, args...)
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}

func tail(s string, n int) string {
	if len(s) > n {
		return "..." + s[len(s)-n:]
	}
	return s
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
