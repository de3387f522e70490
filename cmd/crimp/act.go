package main

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/middlebox"
)

func panicCommand() *cli.Command {
	return &cli.Command{
		Name: "panic", Category: groupBreak, Usage: "disarm everything, and refuse arming until release",
		Description: describe(`
All rules of all routes go out of force at once. Until "crimp release" or "crimp revert" every
arming is refused, naming who said panic and why.`,
			"crimp panic", "crimp panic --why 'customers see it'", "crimp panic --json | jq -r '.disarmed[]'"),
		Flags: boxFlags(whyFlag(), jsonFlag()),
		Action: once(func(ctx context.Context, c *cli.Context, box *control.Client) (any, string, error) {
			var done control.PanicResult
			err := call(ctx, box, "panic", control.PanicParams{Why: c.String("why")}, &done)
			return done, plural(int64(len(done.Disarmed)), "rule") + " disarmed", err
		}),
	}
}

func releaseCommand() *cli.Command {
	return &cli.Command{
		Name: "release", Category: groupBreak, Usage: "allow arming again after a panic",
		Description: describe(`
Ends the panic. What it disarmed stays disarmed unless --rearm is given.`,
			"crimp release", "crimp release --rearm", "crimp release --rearm --json | jq -r '.rearmed[]'"),
		Flags: boxFlags(&cli.BoolFlag{Name: "rearm", Category: groupAct, Usage: "arm again what the panic disarmed", DisableDefaultText: true}, whyFlag(), jsonFlag()),
		Action: once(func(ctx context.Context, c *cli.Context, box *control.Client) (any, string, error) {
			var done control.ReleaseResult
			err := call(ctx, box, "release", control.ReleaseParams{Rearm: c.Bool("rearm"), Why: c.String("why")}, &done)
			return done, "released; " + plural(int64(len(done.Rearmed)), "rule") + " armed again", err
		}),
	}
}

func revertCommand() *cli.Command {
	return &cli.Command{
		Name: "revert", Category: groupBreak, Usage: "back to the configuration the box started from, or last reloaded",
		Description: describe(`
Routes and rules become what the configuration says, those that were added since are gone; a panic
ends.`,
			"crimp revert", "crimp revert --why 'end of round'", "crimp revert --json"),
		Flags: boxFlags(whyFlag(), jsonFlag()),
		Action: once(func(ctx context.Context, c *cli.Context, box *control.Client) (any, string, error) {
			var done control.RevertResult
			err := call(ctx, box, "revert", control.RevertParams{Why: c.String("why")}, &done)
			return done, "back to the configuration; " + plural(int64(len(done.Routes)), "route") + " changed", err
		}),
	}
}

// once is a command of one call: no argument, one sentence or its JSON.
func once(do func(context.Context, *cli.Context, *control.Client) (result any, said string, err error)) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := wantArgs(c, 0, 0); err != nil {
			return err
		}
		return withBox(c, func(ctx context.Context, box *control.Client) error {
			result, said, err := do(ctx, c, box)
			if err != nil {
				return err
			}
			return say(c, result, said)
		})
	}
}

func say(c *cli.Context, result any, said string) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, result)
	}
	_, err := fmt.Fprintln(c.App.Writer, said)
	return err
}

func sessionCommand() *cli.Command {
	return &cli.Command{
		Name: "session", Category: groupBreak, Usage: "end, stall or resume sessions by hand",
		ArgsUsage: "[ID] rst|close|fin|stall|resume",
		Description: describe(`
Acts on the session with that ID, or on all live ones that the filter picks.
  rst     a true reset, once what was said before is acknowledged
  close   FIN, then closed: what comes later is answered with a reset
  fin     FIN; the other direction goes on
  stall   nothing more flows, until resume
  resume  ends a stall`,
			"crimp session web/3 rst",
			"crimp session --match client=10.0.0.7 stall --side client",
			"crimp session --route web --outcome open close",
			"crimp session --since 10s --limit 1 rst   # the newest of those opened in the last 10 s"),
		Flags: boxFlags(append(filterFlags(), typeFlag(), limitFlag(),
			typedFlag("side", groupAct, "on which `SIDE`: client, server or both", "both", nil, oneOf("client", "server", "both")),
			whyFlag(), jsonFlag())...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 1, 2); err != nil {
				return err
			}
			p, err := actParams(c)
			if err != nil {
				return err
			}
			return withBox(c, func(ctx context.Context, box *control.Client) error {
				var done control.ActResult
				if err := call(ctx, box, "session.act", p, &done); err != nil {
					return err
				}
				return say(c, done, fmt.Sprintf("%s: %s reached", p.Act, plural(int64(done.Sessions), "session")))
			})
		},
	}
}

var actNames = []string{"rst", "close", "fin", "stall", "resume"}

func actParams(c *cli.Context) (control.ActParams, error) {
	f, err := filter(c)
	if err != nil {
		return control.ActParams{}, err
	}
	side, _ := flagValue[string](c, "side")
	p := control.ActParams{Filter: f, Act: c.Args().Get(c.Args().Len() - 1), Side: side, Why: c.String("why")}
	if c.Args().Len() == 1 && reflect.ValueOf(f).IsZero() && slices.Contains(actNames, p.Act) {
		return p, usagef("crimp session %s: which? an ID such as web/3, or a filter such as --route web", p.Act)
	}
	if id := p.Act; c.Args().Len() == 2 && slices.Contains(actNames, c.Args().First()) {
		return p, usagef("crimp session: the session goes first: crimp session %s %s", id, c.Args().First())
	}
	if _, err := oneOf(actNames...)(p.Act); err != nil {
		return p, usagef("crimp session: %v", err)
	}
	if c.Args().Len() == 2 {
		p.ID = c.Args().First()
		if !strings.Contains(p.ID, "/") {
			return p, usagef("crimp session: %q: a session's ID was expected, such as web/3", p.ID)
		}
	}
	return p, nil
}

func routeCommand() *cli.Command {
	return &cli.Command{
		Name: "route", Category: groupBreak, Usage: "add or remove a route of a running box",
		Description: describe(`
Live sessions of a route that changes go on; a new upstream is for new ones.`,
			"crimp route add web=127.0.0.1:8080,127.0.0.1:9000",
			"crimp route add db=127.0.0.1:0,10.0.0.5:5432,tcp",
			"crimp route add px=127.0.0.1:3128,proxy",
			"crimp route rm web"),
		Subcommands: []*cli.Command{{
			Name: "add", Usage: "add a route, or change the one of that name", ArgsUsage: routeForm,
			Description: describe(`
The rules of a route that is changed stay. A route that is a proxy (NAME=LISTEN,proxy) dials whom
its clients name; with an UPSTREAM that is the next proxy, which gets all they say.`,
				"crimp route add web=127.0.0.1:8080,127.0.0.1:9000", "crimp route add web=127.0.0.1:0,[::1]:9000,http", "crimp route add px=127.0.0.1:3128,proxy", "crimp route add web=127.0.0.1:8080,origin:80 --json"),
			Flags: boxFlags(whyFlag(), jsonFlag()), Action: routeAdd,
		}, {
			Name: "rm", Usage: "stop a route and forget it", ArgsUsage: "NAME",
			Description: describe("Stops listening. Live sessions go on, without rules.",
				"crimp route rm web", "crimp route rm web --why 'end of test'", "crimp route rm web --api 127.0.0.1:27468"),
			Flags: boxFlags(whyFlag(), jsonFlag()), Action: routeRemove,
		}},
	}
}

func routeAdd(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	r, err := parseRoute(c.Args().First())
	if err != nil {
		return usagef("%v", err)
	}
	return withBox(c, func(ctx context.Context, box *control.Client) error {
		p, err := keepRules(ctx, box, r)
		if err != nil {
			return err
		}
		p.Why = c.String("why")
		var done control.RouteSetResult
		if err := call(ctx, box, "route.set", p, &done); err != nil {
			return err
		}
		return say(c, done, fmt.Sprintf("%s  %s -> %s", done.Route.Name, done.Route.Listen, toward(done.Route.Upstream)))
	})
}

// keepRules lays a route over the one of its name: route.set replaces it whole.
// if_rev makes sure that it is the one that was looked at.
func keepRules(ctx context.Context, box *control.Client, r middlebox.Route) (control.RouteSetParams, error) {
	var l control.RouteListResult
	if err := call(ctx, box, "route.list", control.Nothing{}, &l); err != nil {
		return control.RouteSetParams{}, err
	}
	p := control.RouteSetParams{Route: r}
	for _, old := range l.Routes {
		if old.Name != r.Name {
			continue
		}
		p.IfRev = &old.Rev
		if old.Mode == cmp.Or(r.Mode, "forward") { // each mode has a default of its own
			p.Route.OnDialError = old.OnDialError
		}
		for _, rule := range old.Rules {
			p.Route.Rules = append(p.Route.Rules, rule.Rule)
		}
	}
	return p, nil
}

func routeRemove(c *cli.Context) error {
	if err := wantArgs(c, 1, 1); err != nil {
		return err
	}
	name := c.Args().First()
	return withBox(c, func(ctx context.Context, box *control.Client) error {
		if _, err := rulesOf(ctx, box, name); err != nil {
			return err // an unknown route, with a did-you-mean
		}
		var done control.SeqResult
		if err := call(ctx, box, "route.delete", control.RouteDeleteParams{Name: name, Why: c.String("why")}, &done); err != nil {
			return err
		}
		return say(c, done, "removed "+name)
	})
}
