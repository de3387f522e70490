package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

// armWhile arms under a lease, runs a command, and judges: its exit code is the
// command's, unless the command succeeded and the rule never had its say.
// Nothing here has to undo the arming: the lease ends with the connection,
// whether this function returns, panics or the process is killed.
func armWhile(ctx context.Context, c *cli.Context, box *control.Client, o order, command []string) error {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return codef(exitFailed, "%s: %s", command[0], reason(err))
	}
	rule, before, err := o.armLeased(ctx, c, box)
	if err != nil {
		return err
	}
	child, err := commandFor(ctx, c, box, path, command)
	if err != nil {
		return err
	}
	code, err := runChild(child)
	switch {
	case err != nil:
		return codef(exitFailed, "%s: %s", command[0], reason(err))
	case code != 0:
		return &childExit{code}
	}
	return neverFired(ctx, box, rule, before)
}

// armLeased arms the rule, unless it is in force already, and says how often it
// had fired by then.
func (o order) armLeased(ctx context.Context, c *cli.Context, box *control.Client) (rule middlebox.RuleState, before int64, err error) {
	there, err := rulesOf(ctx, box, o.route)
	if err != nil {
		return rule, 0, err
	}
	old := find(there, o.what)
	if old != nil && old.Armed && old.Lease == "" && !old.Spent && !o.shaped && o.ttl == nil {
		return *old, old.Hits, nil
	}
	o.lease = true
	done, err := o.arm(ctx, box)
	if err != nil {
		return rule, 0, err
	}
	fmt.Fprintf(c.App.ErrWriter, "armed %s/%s: %s; in force on %s\n",
		done.Rule.Route, done.Rule.Name, done.Rule.Summary, plural(done.Sessions, "live session"))
	return done.Rule, done.Rule.Hits, nil
}

// neverFired is nil if the rule fired since, else why it did not.
func neverFired(ctx context.Context, box *control.Client, rule middlebox.RuleState, before int64) error {
	now := rule
	for try := 0; ; try++ {
		var l control.RuleListResult
		f := middlebox.Filter{Route: rule.Route, Rule: rule.Name}
		if err := call(ctx, box, "rule.list", f, &l); err != nil {
			return err
		}
		if len(l.Rules) == 0 {
			return codef(exitFailed, "%s/%s was removed while the command ran", rule.Route, rule.Name)
		}
		now = l.Rules[0]
		if now.Hits > before || now.Hits > 0 && now.Rev != rule.Rev {
			return nil
		}
		if try == 1 {
			break
		}
		// The command may have seen the effect before the event was written.
		patience := faults.Duration(250 * time.Millisecond)
		f.Type, f.Since = "fault.fired", "armed"
		_ = call(ctx, box, "wait", control.WaitParams{Filter: f, Timeout: &patience}, nil)
	}
	text := fmt.Sprintf("%s/%s never fired", rule.Route, rule.Name)
	if m := missed(now); m != "" {
		return codef(exitFailed, "%s: %s", text, m)
	}
	return codef(exitFailed, "%s: nothing it matches went by", text)
}

// commandFor is a command with the box and its routes in its environment.
func commandFor(ctx context.Context, c *cli.Context, box *control.Client, path string, command []string) (*exec.Cmd, error) {
	var routes control.RouteListResult
	if err := call(ctx, box, "route.list", control.Nothing{}, &routes); err != nil {
		return nil, err
	}
	api, token, err := boxAt(c)
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{Path: path, Args: command, Stdin: os.Stdin, Stdout: itself(c.App.Writer), Stderr: c.App.ErrWriter,
		Env: childEnv(os.Environ(), api, token, routes.Routes)}, nil
}

// itself is what a command writes to that has our standard output: the file, as a pipe
// in between would be no terminal to it.
func itself(w io.Writer) io.Writer {
	if o, ok := w.(*output); ok {
		return o.Writer
	}
	return w
}

// childEnv tells the command where the box and its routes are.
func childEnv(env []string, api, token string, routes []middlebox.RouteState) []string {
	env = append(env, "CRIMP_API="+api)
	if token != "" {
		env = append(env, "CRIMP_TOKEN="+token)
	}
	for _, r := range routes {
		env = append(env, urlVariable(r.Name)+"=http://"+reachable(r.Listen))
	}
	return env
}

// urlVariable is CRIMP_URL_ and the route's name as an environment can have it.
func urlVariable(route string) string {
	return "CRIMP_URL_" + strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return '_'
	}, route)
}

// runChild runs the command to its end. An interrupt from the terminal reaches
// it as well; one sent to crimp alone is passed on, and its exit decides.
func runChild(child *exec.Cmd) (code int, err error) {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return 0, err
	}
	done := make(chan error, 1)
	go func() { done <- child.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = child.Process.Signal(s) // it may be gone already
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return exitStatus(exit), nil
			}
			return 0, err
		}
	}
}

// exitStatus is the code as a shell gives it: 128 and the signal for the killed.
func exitStatus(exit *exec.ExitError) int {
	if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return 128 + int(s.Signal())
	}
	return exit.ExitCode()
}
