package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

func captureCommand() *cli.Command {
	return &cli.Command{
		Name: "capture", Category: groupSee, Usage: "the bytes of sessions, as they were read and written",
		ArgsUsage: "[-- CMD ARG...]",
		Description: describe(`
Shows what was read from each side (c> and s>) and what the system took to be sent to each side
(>s and >c), each piece with its place in the stream, the ends of connections, and the faults that
acted between them. A place of c> and s> is what byte:N counts. Live sessions are captured, and
those to come, until interrupted; --session ends with its session. What comes faster than it is
read is left out and counted. A captured session is copied, not spliced.

-w writes a file for Wireshark or tcpdump: each side is a TCP connection with its true addresses.
Bytes, their order, times and ends are those of crimp's own reads and writes; segments, handshakes
and acknowledgements are made up. Faults stand as comments on the packets that follow them.

With -- CMD it captures while CMD runs, with the environment that arm gives it, and exits as CMD.`,
			"crimp capture --route web",
			"crimp capture --session web/3 --side client --bytes 64 --json",
			"crimp capture -w cut.pcapng -- curl -s http://127.0.0.1:8080/"),
		Flags: boxFlags(
			routeFlag(),
			&cli.StringFlag{Name: "session", Category: groupFilter, Usage: "only of the session with this `ID`"},
			&cli.StringFlag{Name: "side", Category: groupFilter, Usage: "only the connection of this `SIDE`: client, server or both"},
			wholeFlag("bytes", groupOutput, "only the first `N` bytes of each piece", ""),
			countFlag("limit", groupFilter, "end after `N` pieces", ""),
			durationFlag("for", groupFilter, "end after this `DURATION`", ""),
			&cli.StringFlag{Name: "buffer", Category: groupOutput, Usage: "how much the box keeps for a slow reader, a `SIZE` from 64KiB to 16MiB", DefaultText: "1MiB"},
			&cli.StringFlag{Name: "write", Aliases: []string{"w"}, Category: groupOutput, Usage: "write a pcapng `FILE` (-: standard output)"},
			jsonFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			tail, _ := c.App.Metadata[tailKey].([]string)
			if tail != nil && len(tail) == 0 {
				return usagef("crimp capture: a command was expected after --")
			}
			if c.Bool("json") && c.IsSet("write") {
				return usagef("crimp capture: --json and --write: one of them")
			}
			if tail != nil && c.IsSet("for") {
				return usagef("crimp capture: --for and a command: one of them")
			}
			o, err := captureOptions(c)
			if err != nil {
				return err
			}
			return withBox(c, func(ctx context.Context, box *control.Client) error { return captureUntil(ctx, c, box, o, tail) })
		},
	}
}

func captureOptions(c *cli.Context) (o middlebox.CaptureOptions, err error) {
	o = middlebox.CaptureOptions{Route: c.String("route"), Session: c.String("session"), Side: c.String("side")}
	if n, given := flagValue[int64](c, "bytes"); given {
		most := int(min(n, 1<<30))
		o.Bytes = &most
	}
	if c.IsSet("buffer") {
		var size faults.Size
		if err := size.UnmarshalText([]byte(c.String("buffer"))); err != nil {
			return o, usagef("--buffer: %v", err)
		}
		o.Buffer = &size
	}
	return o, nil
}

// captureUntil shows a capture until it is interrupted, its time is up, its session
// is closed, it has shown enough, or the command has ended.
func captureUntil(ctx context.Context, c *cli.Context, box *control.Client, o middlebox.CaptureOptions, command []string) error {
	path := ""
	if command != nil {
		var err error
		if path, err = exec.LookPath(command[0]); err != nil {
			return codef(exitFailed, "%s: %s", command[0], reason(err))
		}
	}
	asking, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	shown, err := box.Capture(asking, o)
	if err != nil {
		return inFlags(err)
	}
	out, err := openViewer(c, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.App.ErrWriter, "capturing; %s\n", plural(shown.Sessions, "live session"))

	over := ctx
	if d, given := flagValue[time.Duration](c, "for"); given {
		var cancel context.CancelFunc
		over, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	ran := func() error { return nil }
	if command != nil {
		if over, ran, err = captureWhile(c, box, path, command); err != nil {
			return errors.Join(err, out.close())
		}
	}
	err = out.show(box, shown, over)
	if shut := out.close(); err == nil {
		err = shut
	}
	if told := ran(); told != nil {
		return told
	}
	return err
}

// inFlags says an error of the call as one of the flags.
func inFlags(err error) error {
	var fault *faults.Error
	if errors.As(err, &fault) && fault.Code == faults.Invalid {
		return usagef("--%s: %s", fault.Field, fault.Message)
	}
	return err
}

// captureWhile runs a command; over ends with it, and ran says how it ended.
func captureWhile(c *cli.Context, box *control.Client, path string, command []string) (over context.Context, ran func() error, err error) {
	over, cancel := context.WithCancel(context.Background())
	child, err := commandFor(over, c, box, path, command)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	var ended error
	go func() {
		defer cancel()
		switch code, err := runChild(child); {
		case err != nil:
			ended = codef(exitFailed, "%s: %s", command[0], reason(err))
		case code != 0:
			ended = &childExit{code}
		}
	}()
	return over, func() error { <-over.Done(); return ended }, nil
}
