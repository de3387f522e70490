package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
)

func waitCommand() *cli.Command {
	return &cli.Command{
		Name: "wait", Category: groupSee, Usage: "until the box is ready, or an event has happened",
		ArgsUsage: "ready | TYPE",
		Description: describe(`
"wait ready" returns as soon as a box answers that all its routes listen. "wait TYPE" returns when
enough matching events are there, those that came before it included: with --rule it counts from
the last arming of that rule, else from now, so "arm; act; wait" never races. When the time is up
it exits with 4 and says how far it got and what nearly matched. A --route or --rule that is not
there is an error at once (exit 2); one that is to come is waited for by route.added, rule.armed
or rule.changed. A TYPE is the first word of several, or one of
`+wrapped(control.EventTypes()),
			"crimp wait ready --timeout 5s",
			"crimp wait fault.fired --rule truncate --count 3",
			"crimp wait session.closed --route web --match client=10.0.0.7 --timeout 1m"),
		Flags: boxFlags(append(filterFlags(),
			countFlag("count", groupFilter, "until there are `N`", "1"),
			durationFlag("timeout", groupFilter, "give up after this `DURATION`", "10s"),
			jsonFlag())...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 1); err != nil {
				return err
			}
			timeout, _ := flagValue[time.Duration](c, "timeout")
			if c.Args().First() == "ready" {
				for _, name := range []string{"match", "route", "rule", "session", "outcome", "since", "count"} {
					if c.IsSet(name) {
						return usagef("crimp wait ready: --%s goes with a TYPE of event", name)
					}
				}
				return waitReady(c, timeout)
			}
			return waitEvent(c, timeout)
		},
	}
}

func waitEvent(c *cli.Context, timeout time.Duration) error {
	f, err := filter(c)
	if err != nil {
		return err
	}
	f.Type = c.Args().First()
	n, _ := flagValue[int64](c, "count")
	count, patience := int(n), faults.Duration(timeout)
	return withBox(c, func(ctx context.Context, box *control.Client) error {
		ctx, cancel := context.WithTimeout(ctx, timeout+callTimeout)
		defer cancel()
		var answer struct {
			Events []json.RawMessage `json:"events"`
		}
		p := control.WaitParams{Filter: f, Count: &count, Timeout: &patience}
		if err := box.Call(ctx, "wait", p, &answer); err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		return list{method: "wait", row: rowOf(eventRow)}.print(c, c.App.Writer, answer.Events)
	})
}

// oneLook is how long a box has to say whether it is ready, also to somebody who does
// not wait.
const oneLook = time.Second

// waitReady asks /readyz until it says yes, and at least once. Nobody listening is no
// error here: the box may be about to start.
func waitReady(c *cli.Context, timeout time.Duration) error {
	api, token, err := boxAt(c)
	if err != nil {
		return err
	}
	stopped, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(stopped, max(timeout, oneLook))
	defer cancel()
	over := time.After(timeout)
	transport := &http.Transport{Proxy: nil} // a proxy of the environment is not meant for a lab's box
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	last := "no answer"
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		ready, said := askReady(ctx, client, api, token)
		if ready {
			return say(c, map[string]any{"ready": true, "api": api}, "ready")
		}
		if ctx.Err() == nil {
			last = said
		}
		select {
		case <-stopped.Done():
			return codef(exitInterrupted, "interrupted")
		case <-over:
			return codef(exitTimeout, "wait: no crimp ready at %s in %v (%s)", api, timeout, last)
		case <-time.After(pause):
		}
	}
}

func askReady(ctx context.Context, client *http.Client, api, token string) (ready bool, said string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/readyz", nil)
	if err != nil {
		return false, err.Error()
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := client.Do(request)
	if err != nil {
		return false, reason(err)
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 200))
	if answer.StatusCode == http.StatusOK {
		return true, ""
	}
	return false, fmt.Sprintf("%s %s", answer.Status, strings.TrimSpace(string(body)))
}
