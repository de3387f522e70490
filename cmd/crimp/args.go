package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"crimp/faults"
)

// tailKey is where App.Metadata keeps what stood after `--`.
const tailKey = "tail"

// arrange puts the flags where cli finds them. cli, and package flag beneath it,
// stops at the first argument and takes every flag after it for an argument
// too, silently; people write flags where they think of them. So the words are
// sorted into command, flags and arguments first: `crimp arm web cut --ttl 5s`
// becomes `crimp arm --ttl 5s -- web cut`. Because every flag is looked up here,
// unknown commands and flags are answered here as well, with a did-you-mean.
//
// Words after a `--` are returned apart, nil if there was none, for the
// commands that run one (arm, capture); for all others they are arguments like any.
func arrange(app *cli.App, argv []string) (arranged, tail []string, err error) {
	a := arranger{app: app, takes: valueFlags(app)}
	for i := 1; i < len(argv); i++ {
		word := argv[i]
		switch {
		case word == "--":
			a.tail = append([]string{}, argv[i+1:]...)
			i = len(argv)
		case len(word) > 1 && word[0] == '-':
			var value *string
			if i+1 < len(argv) && argv[i+1] != "--" {
				value = &argv[i+1]
			}
			used, err := a.flag(word, value)
			if err != nil {
				return nil, nil, err
			}
			if used {
				i++
			}
		default:
			if err := a.word(word); err != nil {
				return nil, nil, err
			}
		}
	}
	return a.arrange(argv[0])
}

// later are commands that are promised and not there yet, and what does till then.
var later = map[string]string{
	"run": `not there yet: this version plays no scenarios. To run a command under a fault: crimp arm ROUTE FAULT -- CMD; crimp wait and --expect check what came of it`,
}

type arranger struct {
	app     *cli.App
	takes   map[string]bool // flag name (of any command) -> takes a value
	path    []*cli.Command  // the command, then its subcommand
	args    []string
	flags   []string // as given, values joined by "="
	names   []string // of flags, in the same order
	help    bool
	tail    []string
	unknown string // the first flag that no command has
}

// word takes the next word that is not a flag: a command's name until one with
// no subcommands is reached, an argument from then on.
func (a *arranger) word(word string) error {
	commands, where := a.app.Commands, "crimp"
	if n := len(a.path); n > 0 {
		commands, where = a.path[n-1].Subcommands, a.path[n-1].HelpName
		if where == "" {
			where = "crimp " + a.path[n-1].Name
		}
	}
	if len(commands) == 0 {
		a.args = append(a.args, word)
		return nil
	}
	if word == "help" {
		a.help = true
		return nil
	}
	i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(word) })
	if i < 0 {
		if text, yes := later[word]; yes && len(a.path) == 0 {
			return usagef("crimp %s: %s", word, text)
		}
		var names []string
		for _, c := range commands {
			names = append(names, c.Name)
		}
		return usagef("%s: unknown command %q%s", where, word, orSee(didYouMean(word, names, ""), where+" --help"))
	}
	a.path = append(a.path, commands[i])
	return nil
}

// mayBeEmpty are the flags of which an empty value is as good as none. For others it is
// most often a variable of a script that nobody has set: a filter by an empty route
// would be one for all routes.
var mayBeEmpty = map[string]bool{"why": true, "token": true}

// flag takes a flag and says whether it used up the following word as its value.
func (a *arranger) flag(word string, next *string) (used bool, err error) {
	name, value, joined := strings.Cut(strings.TrimLeft(word, "-"), "=")
	takes, known := a.takes[name]
	switch {
	case name == "help" || name == "h":
		a.help = true
		return false, nil
	case name == "version" && len(a.path) == 0:
		return false, a.word(name) // as other commands have it
	case !known:
		if a.unknown == "" {
			a.unknown = name
		}
		return false, nil
	case takes && !joined:
		if next == nil {
			return false, usagef("%s needs a value", dashed(name))
		}
		value = *next
		word, used = dashed(name)+"="+value, true
	}
	if takes && value == "" && !mayBeEmpty[name] {
		return false, usagef("%s needs a value, and got an empty one", dashed(name))
	}
	a.flags, a.names = append(a.flags, word), append(a.names, name)
	return used, nil
}

func (a *arranger) arrange(program string) (arranged, tail []string, err error) {
	arranged = []string{program}
	flags, where, runs := []cli.Flag{}, "crimp", false
	for _, c := range a.path {
		arranged = append(arranged, c.Name)
		flags, where, runs = c.Flags, where+" "+c.Name, runsCommand(c)
	}
	if a.help {
		return append(arranged, "--help"), nil, nil
	}
	check := a.names
	if a.unknown != "" {
		check = []string{a.unknown}
	}
	for _, name := range check {
		if !hasName(flags, name) {
			return nil, nil, usagef("%s: unknown flag %s%s", where, dashed(name), orSee(didYouMean(name, flagNames(flags), "--"), where+" --help"))
		}
	}
	if n := len(a.path); n > 0 && len(a.path[n-1].Subcommands) > 0 {
		var names []string
		for _, c := range a.path[n-1].Subcommands {
			names = append(names, c.Name)
		}
		return nil, nil, usagef("%s: needs one of its commands, %s; see %s --help", where, strings.Join(names, " or "), where)
	}
	if !runs {
		a.args, a.tail = append(a.args, a.tail...), nil
	}
	arranged = append(arranged, a.flags...)
	if len(a.path) > 0 {
		arranged = append(append(arranged, "--"), a.args...)
	}
	return arranged, a.tail, nil
}

// runsCommand says whether what follows `--` is a command to run.
func runsCommand(c *cli.Command) bool { return c.Name == "arm" || c.Name == "capture" }

// valueFlags lists the flags of all commands. A flag that may come before its
// command must mean the same in all of them: a test sees to that.
func valueFlags(app *cli.App) map[string]bool {
	takes := map[string]bool{}
	var walk func([]*cli.Command)
	walk = func(commands []*cli.Command) {
		for _, c := range commands {
			for _, f := range c.Flags {
				for _, name := range f.Names() {
					takes[name] = f.(cli.DocGenerationFlag).TakesValue()
				}
			}
			walk(c.Subcommands)
		}
	}
	walk(app.Commands)
	return takes
}

func hasName(flags []cli.Flag, name string) bool {
	return slices.ContainsFunc(flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) })
}

func flagNames(flags []cli.Flag) []string {
	names := []string{"help"}
	for _, f := range flags {
		names = append(names, f.Names()[0])
	}
	return names
}

func dashed(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// didYouMean is `; did you mean "X"?`, or nothing if no word is near.
func didYouMean(word string, among []string, prefix string) string {
	if near := faults.Suggest(word, among); near != "" {
		return `; did you mean "` + prefix + near + `"?`
	}
	return ""
}

// orSee is the hint, or where to look if there is none.
func orSee(hint, where string) string {
	if hint == "" {
		return "; see " + where
	}
	return hint
}
