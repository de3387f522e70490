package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

// Lists: what a box has and what happened on it. One list is one method of the
// protocol, the key its items stand under, and how a row reads.

func routesCommand() *cli.Command {
	return list{
		name: "routes", method: "route.list", key: "routes", usage: "the routes, with what they carried",
		text: "Lists the routes in the order of the configuration: where each listens and relays to, for what it\ntakes its sessions, how many there are, what they carried, and its rules.",
		examples: []string{"crimp routes", "crimp routes --json | jq -r .listen",
			"crimp routes --expect 1-"},
		row: rowOf(routeRow), flags: listFlags(),
	}.command()
}

func rulesCommand() *cli.Command {
	return list{
		name: "rules", method: "rule.list", key: "rules", usage: "the rules: what is armed, what fired, why not",
		text: "Lists the rules, route by route, in the order they act. A row says whether the rule is armed,\nwhat it does, how often it fired, and why it did not: how often each match key or gate said no, or\na match was there and nothing to damage (docs/metrics.md has the words).",
		examples: []string{"crimp rules", "crimp rules --armed --expect 0",
			"crimp rules --route web --json | jq '{name, hits, misses}'"},
		row: rowOf(ruleRow),
		flags: append(listFlags(),
			&cli.BoolFlag{Name: "armed", Category: groupFilter, Usage: "only what is armed", DisableDefaultText: true}),
		keep: func(c *cli.Context, raw json.RawMessage) bool {
			var r middlebox.RuleState
			return !c.Bool("armed") || json.Unmarshal(raw, &r) == nil && r.Armed
		},
	}.command()
}

func sessionsCommand() *cli.Command {
	return list{
		name: "sessions", method: "session.list", key: "items", usage: "the sessions, live or past",
		text: "Lists the live sessions. With --session, --since, --rule, --type, or an --outcome other than\nopen, those that are over as well, as far back as the box remembers.",
		examples: []string{"crimp sessions --outcome open", "crimp sessions --route web --limit 5",
			"crimp sessions --match client=10.0.0.0/8 --expect 0"},
		row: rowOf(sessionRow), flags: listFlags(),
	}.command()
}

func exchangesCommand() *cli.Command {
	return list{
		name: "exchanges", method: "exchange.list", key: "items", usage: "requests and their responses",
		text: "Lists exchanges, oldest first: the request, the status, how much of the declared body went\nout, how it ended, and which rules fired where.",
		examples: []string{"crimp exchanges --limit 1", "crimp exchanges --match path=/api/* --outcome cut",
			"crimp exchanges --rule truncate --since armed --expect 2"},
		row: rowOf(exchangeRow), gaps: []string{" ", "  ", "   "}, flags: listFlags(),
	}.command()
}

func eventsCommand() *cli.Command {
	return list{
		name: "events", method: "event.list", key: "items", usage: "everything that happened, in one order",
		text: "Lists events, oldest first; -f goes on with those to come until interrupted. A TYPE is the first\nword of several, or one of\n" + wrapped(control.EventTypes()),
		examples: []string{"crimp events --type fault.fired --since 1m", "crimp events -f --route web",
			"crimp events --rule truncate --since armed --json"},
		row: rowOf(eventRow),
		flags: append(listFlags(),
			&cli.BoolFlag{Name: "f", Category: groupOutput, Usage: "follow: go on with the events to come", DisableDefaultText: true}),
		follow: true,
	}.command()
}

type list struct {
	name, method, key string
	usage, text       string
	examples          []string
	row               func(json.RawMessage) ([]string, error)
	gaps              []string
	flags             []cli.Flag
	keep              func(*cli.Context, json.RawMessage) bool // what the box cannot filter; nil: all
	follow            bool
}

func (l list) command() *cli.Command {
	return &cli.Command{
		Name: l.name, Category: groupSee, Usage: l.usage, Description: describe(l.text, l.examples...),
		Flags: boxFlags(l.flags...),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if l.follow && c.Bool("f") && c.IsSet("expect") {
				return usagef("crimp %s: --expect counts rows, -f never stops: one of them", l.name)
			}
			f, err := filter(c)
			if err != nil {
				return err
			}
			return withBox(c, func(ctx context.Context, box *control.Client) error { return l.run(ctx, c, box, f) })
		},
	}
}

func (l list) run(ctx context.Context, c *cli.Context, box *control.Client, f middlebox.Filter) error {
	if l.follow && c.Bool("f") {
		return l.goOn(ctx, c, box, f)
	}
	items, _, err := l.fetch(ctx, c, box, f)
	if err != nil {
		return err
	}
	expected, asked := flagValue[rows](c, "expect")
	if asked && expected.holds(len(items)) {
		return nil
	}
	if err := l.print(c, c.App.Writer, items); err != nil {
		return err
	}
	if asked {
		return codef(exitFailed, "%s: %s, expected %s", l.name, plural(int64(len(items)), "row"), expected.text)
	}
	return nil
}

func (l list) fetch(ctx context.Context, c *cli.Context, box *control.Client, f middlebox.Filter) (kept []json.RawMessage, seq string, err error) {
	var answer map[string]json.RawMessage
	asked := f
	if l.keep != nil {
		asked.Limit = 0 // of what is kept
	}
	if err := call(ctx, box, l.method, asked, &answer); err != nil {
		return nil, "", err
	}
	var items []json.RawMessage
	if raw := answer[l.key]; raw != nil {
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, "", fmt.Errorf("%s: %q is not a list: %w", l.method, l.key, err)
		}
	}
	if string(answer["complete"]) == "false" && f.Since != "" {
		fmt.Fprintln(c.App.ErrWriter, "the box no longer remembers all that was asked for: older rows are missing")
	}
	for _, item := range items {
		if l.keep == nil || l.keep(c, item) {
			kept = append(kept, item)
		}
	}
	if f.Limit > 0 && len(kept) > f.Limit {
		kept = kept[len(kept)-f.Limit:]
	}
	return kept, string(answer["seq"]), nil
}

// goOn prints the events there are, then those to come. A wait that starts where
// the last one ended leaves none out, and the box does the filtering.
func (l list) goOn(ctx context.Context, c *cli.Context, box *control.Client, f middlebox.Filter) error {
	if f.Since == "" && f.Limit == 0 {
		f.Limit = 10 // as tail -f does
	}
	items, seq, err := l.fetch(ctx, c, box, f)
	for err == nil {
		if err = l.print(c, c.App.Writer, items); err != nil {
			break
		}
		f.Since, f.Limit = seq, 0
		items, seq, err = l.next(ctx, box, f)
	}
	if ctx.Err() != nil {
		return nil // interrupted: that is how one ends it
	}
	return err
}

func (l list) next(ctx context.Context, box *control.Client, f middlebox.Filter) ([]json.RawMessage, string, error) {
	var answer struct {
		Events []json.RawMessage `json:"events"`
		Seq    json.RawMessage   `json:"seq"`
	}
	patience := faults.Duration(time.Hour)
	err := box.Call(ctx, "wait", control.WaitParams{Filter: f, Timeout: &patience}, &answer)
	var fault *faults.Error
	if errors.As(err, &fault) && fault.Code == faults.Timeout && ctx.Err() == nil {
		return nil, f.Since, nil
	}
	return answer.Events, string(answer.Seq), err
}

func (l list) print(c *cli.Context, w io.Writer, items []json.RawMessage) error {
	t := table{gaps: l.gaps}
	for _, item := range items {
		if c.Bool("json") {
			if _, err := fmt.Fprintf(w, "%s\n", item); err != nil {
				return err
			}
			continue
		}
		cells, err := l.row(item)
		if err != nil {
			return fmt.Errorf("%s: %w", l.method, err)
		}
		t.add(cells...)
	}
	return t.print(w)
}

// filter reads the filter flags that the command has.
func filter(c *cli.Context) (middlebox.Filter, error) {
	match, err := matchFlags(c)
	if err != nil {
		return middlebox.Filter{}, err
	}
	limit, _ := flagValue[int64](c, "limit")
	return middlebox.Filter{
		Match: match, Route: c.String("route"), Rule: c.String("rule"), Session: c.String("session"),
		Type: c.String("type"), Outcome: c.String("outcome"), Since: c.String("since"), Limit: int(limit),
	}, nil
}

// matchFlags reads every --match KEY=VALUE.
func matchFlags(c *cli.Context) (faults.Match, error) {
	match, err := faults.ParseMatch(c.StringSlice("match"))
	if err != nil {
		text := strings.TrimPrefix(err.Error(), "match: ")
		return match, usagef("--match: %s", strings.TrimPrefix(text, "match."))
	}
	return match, nil
}

// rowOf adapts a row of a type to the raw items that lists print.
func rowOf[T any](row func(T) []string) func(json.RawMessage) ([]string, error) {
	return func(raw json.RawMessage) ([]string, error) {
		var item T
		if err := json.Unmarshal(raw, &item); err != nil {
			return nil, err
		}
		return row(item), nil
	}
}
