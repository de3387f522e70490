package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/faults"
)

// typed is a flag's value that is checked while it is read, so that a wrong one
// is named with what was expected ("--ttl: ...") before anything is done.
type typed[T any] struct {
	value T
	text  string
	given bool
	parse func(string) (T, error)
}

func (v *typed[T]) Set(s string) error {
	parsed, err := v.parse(s)
	if err != nil {
		return err
	}
	v.value, v.text, v.given = parsed, s, true
	return nil
}

func (v *typed[T]) String() string {
	if v == nil {
		return ""
	}
	return v.text
}

// typedFlag makes a flag of such a value; preset is the default as people write it.
func typedFlag[T any](name, category, usage, preset string, env []string, parse func(string) (T, error)) *cli.GenericFlag {
	v := &typed[T]{parse: parse, text: preset}
	if preset != "" {
		var err error
		if v.value, err = parse(preset); err != nil {
			panic("crimp: --" + name + ": " + err.Error())
		}
	}
	return &cli.GenericFlag{Name: name, Category: category, Usage: usage, EnvVars: env, Value: v}
}

// flagValue is what a typedFlag came to, and whether it was given (as a flag or
// in the environment) rather than left at its default.
func flagValue[T any](c *cli.Context, name string) (value T, given bool) {
	if v, ok := c.Generic(name).(*typed[T]); ok {
		return v.value, v.given
	}
	return value, false
}

func parseDuration(s string) (time.Duration, error) {
	var d faults.Duration
	if err := d.UnmarshalText([]byte(s)); err != nil {
		return 0, err
	}
	if d < 0 {
		return 0, fmt.Errorf("%q: a duration of at least 0s was expected", s)
	}
	return time.Duration(d), nil
}

func durationFlag(name, category, usage, preset string, env ...string) cli.Flag {
	return typedFlag(name, category, usage, preset, env, parseDuration)
}

func parseWhole(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q: a whole number from 0 was expected", s)
	}
	return n, nil
}

func wholeFlag(name, category, usage, preset string) cli.Flag {
	return typedFlag(name, category, usage, preset, nil, parseWhole)
}

func parseCount(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q: a whole number from 1 was expected", s)
	}
	return n, nil
}

// countFlag takes a number that cannot be 0: none of it would mean nothing.
func countFlag(name, category, usage, preset string) cli.Flag {
	return typedFlag(name, category, usage, preset, nil, parseCount)
}

func parseSeed(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return 0, fmt.Errorf("%q: a whole number from 0 to 2^64-1 was expected", s)
	}
	return n, nil
}

func oneOf(among ...string) func(string) (string, error) {
	return func(s string) (string, error) {
		for _, a := range among {
			if s == a {
				return s, nil
			}
		}
		return "", fmt.Errorf("%q: one of %s was expected%s", s, strings.Join(among, ", "), didYouMean(s, among, ""))
	}
}

// rows is how many rows are expected: 3, 2-5, 4-.
type rows struct {
	low, high int64 // high < 0: no upper bound
	text      string
}

func parseRows(s string) (rows, error) {
	bad := fmt.Errorf("%q: a number of rows was expected: 3, 2-5 or 4-", s)
	low, high, ranged := strings.Cut(s, "-")
	r := rows{text: s, high: -1}
	var err error
	if r.low, err = parseWhole(low); err != nil {
		return r, bad
	}
	switch {
	case !ranged:
		r.high = r.low
	case high != "":
		if r.high, err = parseWhole(high); err != nil || r.high < r.low {
			return r, bad
		}
	}
	return r, nil
}

func (r rows) holds(n int) bool { return int64(n) >= r.low && (r.high < 0 || int64(n) <= r.high) }

// Flag groups, as --help shows them.
const (
	groupBox    = "Which box"
	groupOutput = "Output"
	groupFilter = "Filter"
	groupRule   = "Rule"
	groupServe  = "Box"
	groupDemo   = "Demo"
	groupAct    = "Act"
)

const defaultAPI = "http://127.0.0.1:27467"

// boxFlags are those of every command that talks to a running box.
func boxFlags(more ...cli.Flag) []cli.Flag {
	return append(more,
		&cli.StringFlag{Name: "api", Category: groupBox, Usage: "the control address of the box, a `URL` or host:port", Value: defaultAPI, EnvVars: []string{"CRIMP_API"}},
		&cli.StringFlag{Name: "token", Category: groupBox, Usage: "the `TOKEN` the box asks for", EnvVars: []string{"CRIMP_TOKEN"}},
		&cli.StringFlag{Name: "token-file", Category: groupBox, Usage: "or the `FILE` that holds it", EnvVars: []string{"CRIMP_TOKEN_FILE"}},
	)
}

// boxToken is the token to bring along. A container's health check has the same
// environment as its box, so the file that tells serve tells us as well.
func boxToken(c *cli.Context) (string, error) {
	if token, file := c.String("token"), c.String("token-file"); token != "" || file == "" {
		return token, nil
	}
	return readToken(c.String("token-file"))
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Category: groupOutput, Usage: "one JSON object a line", DisableDefaultText: true}
}

// filterFlags are those of every list, of wait and of session.
func filterFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringSliceFlag{Name: "match", Category: groupFilter, Usage: "only what matches `KEY=VALUE`: direction session exchange reused idle method path host header=NAME:GLOB status client"},
		routeFlag(), ruleFlag(),
		&cli.StringFlag{Name: "session", Category: groupFilter, Usage: "only of the session with this `ID`, such as web/3"},
		&cli.StringFlag{Name: "outcome", Category: groupFilter, Usage: "only with this `OUTCOME`: ok, cut, rst, stalled, open"},
		&cli.StringFlag{Name: "since", Category: groupFilter, Usage: "only from `SINCE` on: a seq, a duration back (10s), or armed (the last arming of --rule)"},
	}
}

func routeFlag() cli.Flag {
	return &cli.StringFlag{Name: "route", Category: groupFilter, Usage: "only of this `ROUTE`"}
}

func ruleFlag() cli.Flag {
	return &cli.StringFlag{Name: "rule", Category: groupFilter, Usage: "only of this `RULE`"}
}

// listFlags are those of the lists.
func listFlags() []cli.Flag {
	return append(filterFlags(),
		typeFlag(), limitFlag(), expectFlag(), jsonFlag())
}

func typeFlag() cli.Flag {
	return &cli.StringFlag{Name: "type", Category: groupFilter, Usage: "only events of this `TYPE`, or of its first word (rule, fault, session); of all else, what has such an event"}
}

func limitFlag() cli.Flag { return countFlag("limit", groupFilter, "only the newest `N`", "") }

func expectFlag() cli.Flag {
	return typedFlag("expect", groupOutput, "exit 1, and print the rows, unless their number is in `RANGE`: 3, 2-5, 4-", "", nil, parseRows)
}
