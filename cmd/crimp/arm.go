package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

func armCommand() *cli.Command {
	return &cli.Command{
		Name: "arm", Category: groupBreak, Usage: "arm a fault or a rule on a route",
		ArgsUsage: "ROUTE FAULT|RULE [PARAM=VALUE]... [-- CMD ARG...]",
		Description: describe(`
An existing rule of that name comes first, then a fault or preset of the catalogue ("crimp
faults"). An existing rule without parameters is armed as it stands, --match and gate laid over
it; with any it is replaced. One that is armed is armed anew: its counts start afresh. A new
rule is named as its fault unless --name says otherwise.

"crimp faults FAULT" explains a fault's PARAMs; values have their units: 250ms, 64KiB, 10MB/s, 50%.
--skip, --every, --probability and --times gate how often the rule fires, asked in that order.

With -- CMD the rule is armed only while CMD runs, and gone with this command however that
ends. CMD gets CRIMP_API and, for each route, CRIMP_URL_<ROUTE> (upper case; what is neither
letter nor digit is _). The exit code is CMD's, or 1 if CMD succeeded and the rule never fired.`,
			"crimp arm web truncate",
			"crimp arm web cut at=field:2 end=rst --match path=/api/* --times 1",
			"crimp arm web stall for=2s --match header=User-Agent:curl/* --match exchange=2- --probability 30%",
			"crimp arm web truncate -- sh -c 'curl -s $CRIMP_URL_WEB'"),
		Flags: boxFlags(
			&cli.StringFlag{Name: "name", Category: groupRule, Usage: "the `NAME` of the new rule, if not the fault's"},
			&cli.StringSliceFlag{Name: "match", Category: groupRule, Usage: "only what matches `KEY=VALUE`: direction session exchange reused idle method path host header=NAME:GLOB status client"},
			countFlag("times", groupRule, "fire `N` times, then no more", ""),
			wholeFlag("skip", groupRule, "first let `N` go by", ""),
			countFlag("every", groupRule, "of those that --skip leaves, only every `N`-th", ""),
			&cli.StringFlag{Name: "probability", Category: groupRule, Usage: "of those, only this `SHARE`: 0.3 or 30%"},
			&cli.StringFlag{Name: "key", Category: groupRule, Usage: "draw for --probability by `KEY`: path, client or header:NAME, for clients whose order varies"},
			durationFlag("ttl", groupRule, "disarm by itself after this `DURATION`", ""),
			&cli.StringFlag{Name: "before", Category: groupRule, Usage: "a new rule goes before this `RULE`, not last"},
			whyFlag(), jsonFlag(),
		),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, -1); err != nil {
				return err
			}
			tail, _ := c.App.Metadata[tailKey].([]string)
			if tail != nil && len(tail) == 0 {
				return usagef("crimp arm: a command was expected after --")
			}
			o, err := readOrder(c)
			if err != nil {
				return err
			}
			return withBox(c, func(ctx context.Context, box *control.Client) error {
				if tail != nil {
					return armWhile(ctx, c, box, o, tail)
				}
				done, err := o.arm(ctx, box)
				if err != nil {
					return err
				}
				return sayArmed(c, done)
			})
		},
	}
}

func whyFlag() cli.Flag {
	return &cli.StringFlag{Name: "why", Category: groupAct, Usage: "`TEXT` that events and refusals will show"}
}

// order is what an arm command asks for.
type order struct {
	route, what string // what: a rule's name, or a fault's or preset's
	name        string // --name
	params      map[string]any
	match       faults.Match
	gate        faults.Gate
	shaped      bool // parameters, match or gate were given: the rule is set, not just armed
	before, why string
	ttl         *faults.Duration
	lease       bool
}

func readOrder(c *cli.Context) (order, error) {
	o := order{route: c.Args().Get(0), what: c.Args().Get(1), name: c.String("name"), before: c.String("before"), why: c.String("why")}
	for _, word := range c.Args().Slice()[2:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok || name == "" {
			return o, usagef("%q: PARAM=VALUE was expected", word)
		}
		if o.params == nil {
			o.params = map[string]any{}
		}
		if _, twice := o.params[name]; twice {
			return o, usagef("%s: given twice", name)
		}
		o.params[name] = value
	}
	var err error
	if o.match, err = matchFlags(c); err != nil {
		return o, err
	}
	gated, err := o.readGate(c)
	if err != nil {
		return o, err
	}
	if ttl, given := flagValue[time.Duration](c, "ttl"); given {
		d := faults.Duration(ttl)
		o.ttl = &d
	}
	o.shaped = len(o.params) > 0 || c.IsSet("match") || gated
	return o, nil
}

// readGate reads the gate as the protocol would, so that its rules hold here.
func (o *order) readGate(c *cli.Context) (given bool, err error) {
	gate := map[string]any{}
	for _, name := range []string{"skip", "every", "times"} {
		if n, given := flagValue[int64](c, name); given {
			gate[name] = n
		}
	}
	for _, name := range []string{"probability", "key"} {
		if c.IsSet(name) {
			gate[name] = c.String(name)
		}
	}
	raw, err := json.Marshal(gate)
	if err != nil {
		return false, err
	}
	if fault := faults.DecodeStrict(raw, &o.gate, ""); fault != nil {
		return false, usagef("--%s", fault)
	}
	return len(gate) > 0, nil
}

// arm finds out whether a rule or a fault is meant, and does it.
func (o order) arm(ctx context.Context, box *control.Client) (done middlebox.Changed, err error) {
	there, err := rulesOf(ctx, box, o.route)
	if err != nil {
		return done, err
	}
	old := find(there, o.what)
	if old != nil && o.name == "" {
		return o.armOld(ctx, box, *old)
	}
	fault, unknown := faults.Lookup(o.what)
	switch {
	case unknown != nil && old != nil:
		return done, usagef("--name: %q is a rule; a new one is made of a fault", old.Name)
	case unknown != nil:
		return done, o.unknown(there)
	}
	name := o.name
	if name == "" {
		name = fault.Name
	}
	return done, o.set(ctx, box, o.rule(fault.Name, name), there, &done)
}

// armOld arms a rule that stands: as it is, or replaced by what is given. With
// match or gate alone its parameters stay, and the rest is laid over.
func (o order) armOld(ctx context.Context, box *control.Client, old middlebox.RuleState) (done middlebox.Changed, err error) {
	if !o.shaped {
		if o.before != "" {
			return done, usagef("--before: %s/%s has its place already", o.route, old.Name)
		}
		return done, o.asItStands(ctx, box, old.Name, &done)
	}
	rule := o.rule(old.Fault, old.Name)
	if len(o.params) == 0 {
		rule.Params, rule.Match, rule.Gate = old.Params, old.Match.With(o.match), old.Gate.With(o.gate)
	}
	if o.lease {
		// What is leased goes with the lease; the rule that stands here stays,
		// and the leased one has the first say.
		rule.Name = fmt.Sprintf("%.50s.%d", old.Name, os.Getpid())
		if o.before == "" {
			o.before = old.Name
		}
	}
	return done, o.set(ctx, box, rule, []middlebox.RuleState{old}, &done)
}

func (o order) rule(fault, name string) faults.Rule {
	return faults.Rule{Name: name, Fault: fault, Params: o.params, Match: o.match, Gate: o.gate, Armed: true}
}

// asItStands arms a rule that is there, anew if it is armed.
func (o order) asItStands(ctx context.Context, box *control.Client, name string, done *middlebox.Changed) error {
	return call(ctx, box, "rule.arm", control.RuleArmParams{
		Route: o.route, Name: name, Lease: o.leaseWord(), TTL: o.ttl, Why: o.why}, done)
}

// set makes the rule; there are those that stood before. rule.set changes nothing
// where the same rule is armed already: to arm that is to arm it anew.
func (o order) set(ctx context.Context, box *control.Client, rule faults.Rule, there []middlebox.RuleState, done *middlebox.Changed) error {
	err := call(ctx, box, "rule.set", control.RuleSetParams{
		Route: o.route, Rule: rule, Before: o.before, Lease: o.leaseWord(), TTL: o.ttl, Why: o.why}, done)
	var fault *faults.Error
	if errors.As(err, &fault) { // in the command's words: there is but one rule, and its fault is named in the sentence
		for _, e := range fault.All() {
			e.Field = strings.TrimPrefix(strings.TrimPrefix(e.Field, "rule."), "params.")
			switch part, key, _ := strings.Cut(e.Field, "."); part {
			case "fault":
				e.Field = ""
			case "gate":
				e.Field = "--" + key
			case "match":
				e.Field = strings.TrimSuffix("--match: "+key, ": ")
			}
		}
	}
	if i := slices.IndexFunc(there, func(r middlebox.RuleState) bool { return r.Name == done.Rule.Name }); err == nil && i >= 0 && there[i].ArmedAt == done.Rule.ArmedAt {
		return o.asItStands(ctx, box, rule.Name, done)
	}
	return err
}

func (o order) leaseWord() string {
	if o.lease {
		return "client"
	}
	return ""
}

// unknown says what the name may have meant: a rule, a fault, or another tool's
// word for one.
func (o order) unknown(there []middlebox.RuleState) error {
	var names []string
	for _, r := range there {
		names = append(names, r.Name)
	}
	return usagef("%s: no rule or fault %q%s", o.route, o.what, orSee(faults.FaultHint(o.what, names...), "crimp faults"))
}

// rulesOf lists a route's rules; an unknown route is answered with a did-you-mean.
func rulesOf(ctx context.Context, box *control.Client, route string) ([]middlebox.RuleState, error) {
	var l control.RouteListResult
	if err := call(ctx, box, "route.list", control.Nothing{}, &l); err != nil {
		return nil, err
	}
	var names []string
	for _, r := range l.Routes {
		if r.Name == route {
			return r.Rules, nil
		}
		names = append(names, r.Name)
	}
	return nil, usagef("no route %q%s", route, faults.Among(route, names))
}

// find gives the rule of that name; - and _ are the same where none has it exactly.
func find(there []middlebox.RuleState, name string) *middlebox.RuleState {
	for _, same := range []func(string) bool{
		func(s string) bool { return s == name },
		func(s string) bool {
			return strings.EqualFold(strings.ReplaceAll(s, "_", "-"), strings.ReplaceAll(name, "_", "-"))
		},
	} {
		if i := slices.IndexFunc(there, func(r middlebox.RuleState) bool { return same(r.Name) }); i >= 0 {
			return &there[i]
		}
	}
	return nil
}

func sayArmed(c *cli.Context, done middlebox.Changed) error {
	if c.Bool("json") {
		return printJSON(c.App.Writer, done)
	}
	_, err := fmt.Fprintln(c.App.Writer, armed(done))
	return err
}

// armed says what was armed, and what of the fault was not.
func armed(done middlebox.Changed) string {
	text := fmt.Sprintf("armed %s/%s: %s; in force on %s",
		done.Rule.Route, done.Rule.Name, done.Rule.Summary, plural(done.Sessions, "live session"))
	if done.Rule.Without != "" {
		text += "\nwithout " + done.Rule.Without
	}
	return text
}

// ruleCommand makes disarm, toggle and rm: one rule of one route.
func ruleCommand(name, usage, text string, examples []string, do func(context.Context, *cli.Context, *control.Client, middlebox.RuleState) error) *cli.Command {
	return &cli.Command{
		Name: name, Category: groupBreak, Usage: usage, ArgsUsage: "ROUTE RULE", Description: describe(text, examples...),
		Flags: boxFlags(whyFlag(), jsonFlag()),
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 2, 2); err != nil {
				return err
			}
			route, rule := c.Args().Get(0), c.Args().Get(1)
			return withBox(c, func(ctx context.Context, box *control.Client) error {
				there, err := rulesOf(ctx, box, route)
				if err != nil {
					return err
				}
				r := find(there, rule)
				if r == nil {
					var names []string
					for _, r := range there {
						names = append(names, r.Name)
					}
					return usagef("%s: no rule %q%s", route, rule, faults.Among(rule, names))
				}
				return do(ctx, c, box, *r)
			})
		},
	}
}

func disarmCommand() *cli.Command {
	return ruleCommand("disarm", "disarm a rule; it stays", `
Answers when the rule is out of force on every live session. What it held back goes out in
order: disarming loses no byte.`,
		[]string{"crimp disarm web truncate", "crimp disarm web truncate --why 'round two'", "crimp disarm web truncate --json | jq .rule.hits"},
		func(ctx context.Context, c *cli.Context, box *control.Client, r middlebox.RuleState) error {
			return changeRule(ctx, c, box, "rule.disarm", "disarmed", r, nil)
		})
}

func toggleCommand() *cli.Command {
	return ruleCommand("toggle", "arm a rule if it is disarmed, and the other way round",
		"Changes the rule only if nobody else did in the meantime.",
		[]string{"crimp toggle web truncate", "crimp toggle web reset --why demo", "crimp toggle web cut-head --json | jq .rule.armed"},
		func(ctx context.Context, c *cli.Context, box *control.Client, r middlebox.RuleState) error {
			if r.Armed {
				return changeRule(ctx, c, box, "rule.disarm", "disarmed", r, &r.Rev)
			}
			var done middlebox.Changed
			if err := call(ctx, box, "rule.arm", control.RuleArmParams{Route: r.Route, Name: r.Name, IfRev: &r.Rev, Why: c.String("why")}, &done); err != nil {
				return err
			}
			return sayArmed(c, done)
		})
}

func rmCommand() *cli.Command {
	return ruleCommand("rm", "remove a rule",
		"Disarms the rule and takes it off its route.",
		[]string{"crimp rm web truncate", "crimp rm web truncate --why 'not needed'", "crimp rm web cut --api 127.0.0.1:27468"},
		func(ctx context.Context, c *cli.Context, box *control.Client, r middlebox.RuleState) error {
			return changeRule(ctx, c, box, "rule.delete", "removed", r, nil)
		})
}

func changeRule(ctx context.Context, c *cli.Context, box *control.Client, method, deed string, r middlebox.RuleState, ifRev *int64) error {
	var done middlebox.Changed
	if err := call(ctx, box, method, control.RuleNameParams{Route: r.Route, Name: r.Name, IfRev: ifRev, Why: c.String("why")}, &done); err != nil {
		return err
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, done)
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s %s/%s; it fired %s\n", deed, r.Route, r.Name, times(r.Hits))
	return err
}
