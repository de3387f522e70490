// Crimp is a fault-injecting TCP middlebox for test labs: it relays byte for
// byte while nothing is armed, and does exactly the damage asked for while
// something is.
//
// Reading order of this command: args.go (flags may stand anywhere), flags.go,
// errors.go (what exits how), then a file per command or family of commands:
// serve.go and demo.go run a box; arm.go, act.go, watch.go and wait.go talk to
// one over its control protocol (dial.go); config.go and yaml.go read a file
// into the very objects the protocol speaks.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/urfave/cli/v2"
)

func main() { os.Exit(run(os.Args, os.Stdout, os.Stderr)) }

// run is the whole program but for the exit: it returns the exit code.
func run(argv []string, stdout, stderr io.Writer) int {
	out := &output{Writer: stdout}
	app := newApp(out, stderr)
	arranged, tail, err := arrange(app, argv)
	if err == nil {
		app.Metadata[tailKey] = tail
		err = app.Run(arranged)
	}
	if err == nil {
		err = out.err
	}
	return report(err, stderr)
}

// output is standard output, and whether all could be written that was: a part must
// not be taken for the whole.
type output struct {
	io.Writer
	err  error
	busy atomic.Bool // a write is under way
}

func (o *output) Write(b []byte) (int, error) {
	o.busy.Store(true)
	n, err := o.Writer.Write(b)
	o.busy.Store(false)
	if o.err == nil {
		o.err = err
	}
	return n, err
}

// report prints what went wrong on stderr, once, and says the exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	var quiet *childExit
	if errors.As(err, &quiet) {
		return quiet.code
	}
	fmt.Fprintln(stderr, err)
	return exitCode(err)
}

// newApp builds the command tree afresh: cli keeps parsed values in it.
func newApp(stdout, stderr io.Writer) *cli.App {
	cli.FlagStringer = flagLine
	app := &cli.App{
		Name:                      "crimp",
		Usage:                     "a fault-injecting TCP middlebox for test labs",
		UsageText:                 "crimp COMMAND [ARGUMENT]... [--FLAG]...   (flags stand before or after arguments)",
		Writer:                    stdout,
		ErrWriter:                 stderr,
		Metadata:                  map[string]any{},
		HideVersion:               true, // `crimp version` says it
		HideHelpCommand:           true, // `crimp help X` is `crimp X --help`: see arrange
		DisableSliceFlagSeparator: true, // a value may have commas in it
		CustomAppHelpTemplate:     appHelp,
		Commands: []*cli.Command{
			demoCommand(), serveCommand(), checkCommand(),
			armCommand(), disarmCommand(), toggleCommand(), rmCommand(),
			panicCommand(), releaseCommand(), revertCommand(), routeCommand(), sessionCommand(),
			stateCommand(), routesCommand(), rulesCommand(), sessionsCommand(), exchangesCommand(), eventsCommand(), captureCommand(), waitCommand(),
			faultsCommand(), versionCommand(),
		},
		// The default handler prints and exits by itself, past our codes.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Action: func(c *cli.Context) error {
			cli.HelpPrinter(stderr, appHelp, c.App)
			return usagef("a command is needed")
		},
	}
	for _, c := range app.Commands {
		finish(c)
	}
	return app
}

// finish gives every command what all have in common.
func finish(c *cli.Command) {
	c.OnUsageError = onUsageError
	c.HideHelpCommand = true // else "help" could not be an argument
	c.CustomHelpTemplate, c.UsageText = commandHelp, usageText(c.ArgsUsage)
	for _, sub := range c.Subcommands {
		sub.HelpName = "crimp " + c.Name + " " + sub.Name
		finish(sub)
	}
}
