package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"crimp/faults"
)

// Exit codes; scripts rely on them.
const (
	exitOK      = 0
	exitFailed  = 1 // a failed expectation, an error at run time, no box there
	exitUsage   = 2 // usage, an invalid configuration, an unknown name
	exitStart   = 3 // an address cannot be bound, or the box cannot start
	exitTimeout = 4 // `wait` timed out

	exitInterrupted = 130 // as a shell has it; a drained `serve` is 0
)

// exitCode is the one place where an error becomes a number.
func exitCode(err error) int {
	var coded *codedError
	if errors.As(err, &coded) {
		return coded.code
	}
	var fault *faults.Error
	if errors.As(err, &fault) {
		switch fault.Code {
		case faults.Invalid, faults.NotFound:
			return exitUsage
		case faults.Bind:
			return exitStart
		case faults.Timeout:
			return exitTimeout
		}
	}
	return exitFailed
}

// codedError is an error that knows its exit code.
type codedError struct {
	code int
	err  error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func codef(code int, format string, args ...any) error {
	return &codedError{code, fmt.Errorf(format, args...)}
}

// usagef is an error in how the command was written.
func usagef(format string, args ...any) error { return codef(exitUsage, format, args...) }

// childExit ends crimp with the code of the command it ran, silently: the
// command has said itself what was wrong.
type childExit struct{ code int }

func (e *childExit) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// The words in which package flag, and cli on top of it, refuse a value.
var (
	badFlag = regexp.MustCompile(`^invalid (?:boolean )?value "(?s:(.*))" for (?:flag )?-([\w-]+): (?s:(.*))$`)
	badEnv  = regexp.MustCompile(`^could not parse "(?s:.*)" (?:from |as .* from )environment variable "(\w+)" (?:as value )?for flag [\w-]+: (?s:(.*))$`)
)

// onUsageError turns cli's words into ours; exit 2, and no help on stdout.
func onUsageError(_ *cli.Context, err error, _ bool) error {
	text := err.Error()
	if m := badFlag.FindStringSubmatch(text); m != nil {
		if m[3] == "parse error" { // of a switch
			return usagef("--%s: %q is neither true nor false", m[2], m[1])
		}
		return usagef("--%s: %s", m[2], m[3])
	}
	if m := badEnv.FindStringSubmatch(text); m != nil {
		return usagef("%s: %s", m[1], m[2])
	}
	return usagef("%s", text)
}

// wantArgs refuses a wrong number of arguments, naming what was expected.
func wantArgs(c *cli.Context, least, most int) error {
	n := c.Args().Len()
	if n >= least && (most < 0 || n <= most) {
		return nil
	}
	usage := strings.TrimSpace(c.Command.HelpName + " " + c.Command.ArgsUsage)
	if route, name, joined := strings.Cut(c.Args().First(), "/"); joined && n < least && strings.HasPrefix(c.Command.ArgsUsage, "ROUTE ") {
		// as lists write it
		return usagef("%s: %q is two words here: %s %s %s", c.Command.HelpName, c.Args().First(), c.Command.HelpName, route, name)
	}
	if n > most && most >= 0 {
		return usagef("%s: %q is one argument too many; usage: %s", c.Command.HelpName, c.Args().Get(most), usage)
	}
	return usagef("%s: an argument is missing; usage: %s", c.Command.HelpName, usage)
}
