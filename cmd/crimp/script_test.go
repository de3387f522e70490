package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rs/zerolog"
)

// The scripts in testdata/script are sessions at a shell: `crimp` is this
// program, and beside it stand three peers (origin, get, hold) and four words that
// a shell has no need for (exits, addresses, eventually, signal).

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"crimp":  main,
		"origin": originMain,
		"get":    getMain,
		"hold":   holdMain,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		UpdateScripts:      os.Getenv("UPDATE_SCRIPTS") != "",
		RequireUniqueNames: true,
		// Under the race detector every process waits a second at its end, for
		// races that come late; with hundreds of short ones that is too long.
		Setup: func(e *testscript.Env) error { e.Setenv("GORACE", "atexit_sleep_ms=0"); return nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "addresses": readAddresses, "eventually": eventuallyRuns, "signal": sendSignal,
		},
	})
}

// exits CODE CMD ARG...: the command ends with exactly that code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD ARG...")
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || code != want {
		ts.Fatalf("exit %d, want %s", code, args[0])
	}
}

// addresses FILE: once `serve --addr-file FILE` is ready, CRIMP_API,
// CONTROL and a variable per route (WEB) hold its addresses.
func readAddresses(ts *testscript.TestScript, _ bool, args []string) {
	var a addresses
	patiently(ts, func() error {
		raw, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil {
			return err
		}
		return json.Unmarshal(raw, &a)
	})
	ts.Setenv("CRIMP_API", "http://"+a.Control)
	ts.Setenv("CONTROL", a.Control)
	for name, address := range a.Routes {
		ts.Setenv(strings.TrimPrefix(urlVariable(name), "CRIMP_URL_"), address)
	}
}

// eventually CMD ARG...: the command is repeated until it succeeds; with ! before
// it, until it fails.
func eventuallyRuns(ts *testscript.TestScript, neg bool, args []string) {
	patiently(ts, func() error {
		err := ts.Exec(args[0], args[1:]...)
		if neg && err == nil {
			return errors.New("still succeeds")
		} else if neg {
			return nil
		}
		return err
	})
}

// signal HUP|INT|TERM WORD: to the background command that was started with WORD.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	number := map[string]os.Signal{"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "TERM": syscall.SIGTERM}[args[0]]
	for _, c := range ts.BackgroundCmds() {
		if number != nil && slices.Contains(c.Args, args[1]) {
			ts.Check(c.Process.Signal(number))
			return
		}
	}
	ts.Fatalf("nothing to send %s to", args[0])
}

func patiently(ts *testscript.TestScript, try func() error) {
	var err error
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	ts.Fatalf("in vain for 10s: %v", err)
}

// originMain is `origin FILE`: the demo's origin, its address in FILE.
func originMain() {
	address, _, err := startOrigin(zerolog.Nop())
	if err == nil {
		err = writeAddresses(os.Args[1], addresses{Routes: map[string]string{"origin": address}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// getMain is `get URL [N]`: N requests on a kept-alive connection, a line each.
func getMain() {
	n := 1
	if len(os.Args) > 2 {
		n, _ = strconv.Atoi(os.Args[2])
	}
	transport := &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 1}
	v := visitor{url: os.Args[1], patience: 5 * time.Second}
	failed := false
	for range n {
		s := v.look(context.Background(), transport)
		text := fmt.Sprintf("%d, %d bytes", s.status, s.bytes)
		if s.err != nil {
			text, failed = text+", then: "+complaint(s.err), true
		}
		fmt.Println(text)
	}
	if failed {
		os.Exit(1)
	}
}

// holdMain is `hold ADDRESS`: a connection that only waits, and tells how it ended.
func holdMain() {
	c, err := net.Dial("tcp", os.Args[1])
	if err == nil {
		_, err = c.Write([]byte("hello"))
	}
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	switch {
	case err == nil:
		fmt.Println("bytes")
	case err.Error() == "EOF":
		fmt.Println("FIN")
	default:
		fmt.Println(reason(err))
	}
}
