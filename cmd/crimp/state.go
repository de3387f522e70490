package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/middlebox"
)

func stateCommand() *cli.Command {
	return &cli.Command{
		Name: "state", Category: groupSee, Usage: "the whole box at one moment; --yaml: a file for serve -c",
		Description: describe(`
Prints routes and rules as they are now. With --yaml it is a configuration: "serve -c" starts a
box with these routes (at their resolved addresses), rules and limits, and the same seed. Rules
under a lease are left out: they belong to a control client.`,
			"crimp state", "crimp state --yaml > crimp.yaml", "crimp state --json | jq .seq"),
		Flags: boxFlags(jsonFlag(), &cli.BoolFlag{Name: "yaml", Category: groupOutput, Usage: "a configuration file", DisableDefaultText: true}),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			if c.Bool("json") && c.Bool("yaml") {
				return usagef("crimp state: --json and --yaml: one of them")
			}
			return withBox(c, func(ctx context.Context, box *control.Client) error { return printState(ctx, c, box) })
		},
	}
}

func printState(ctx context.Context, c *cli.Context, box *control.Client) error {
	var raw json.RawMessage
	if err := call(ctx, box, "state.get", control.Nothing{}, &raw); err != nil {
		return err
	}
	if c.Bool("json") {
		_, err := fmt.Fprintf(c.App.Writer, "%s\n", raw)
		return err
	}
	var s middlebox.State
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("state.get: %w", err)
	}
	if !c.Bool("yaml") {
		stateTable(c.App.Writer, s)
		return nil
	}
	file, err := stateYAML(s, box.Info.Seed, box.Info.Limits)
	if err == nil {
		_, err = c.App.Writer.Write(file)
	}
	return err
}

// stateTable shows each route, then its rules.
func stateTable(w io.Writer, s middlebox.State) {
	if p := s.Panic; p != nil {
		fmt.Fprintln(w, printable(fmt.Sprintf("panic since %s by %s: %s", p.When.Local().Format("15:04:05"), p.Who, p.Why)))
	}
	var routes, rules table
	for _, r := range s.Routes {
		routes.add(routeRow(r)...)
		for _, rule := range r.Rules {
			rules.add(ruleRow(rule)...)
		}
	}
	routes.print(w)
	rules.print(w)
}

// stateYAML writes a configuration that makes such a box: the protocol's own
// objects, in their own order, so that what is read is what was written.
func stateYAML(s middlebox.State, seed uint64, limits middlebox.Limits) ([]byte, error) {
	file := control.Configuration{Seed: &seed, Limits: limits}
	for _, r := range s.Routes {
		out := middlebox.Route{Name: r.Name, Listen: r.Listen, Upstream: r.Upstream, Protocol: r.Protocol, Mode: r.Mode, OnDialError: r.OnDialError}
		for _, rule := range r.Rules {
			if rule.Lease == "" {
				out.Rules = append(out.Rules, rule.Rule)
			}
		}
		file.Routes = append(file.Routes, out)
	}
	var raw bytes.Buffer
	if err := printJSON(&raw, file); err != nil {
		return nil, err
	}
	return jsonToYAML(raw.Bytes())
}
