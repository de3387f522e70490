package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"crimp/faults"
)

func faultsCommand() *cli.Command {
	return &cli.Command{
		Name: "faults", Category: groupKnow, Usage: "the catalogue of faults and presets",
		ArgsUsage: "[NAME]",
		Description: describe(`
Lists what can be armed: the headline presets, the other presets, then the kinds they are made
of. With a NAME it says what goes over the wire, what a client sees, every parameter, and
examples as plays: c> and s> is what client and server send, >c and >s what arrives. No box is
needed: the catalogue comes from this program's own declarations.`,
			"crimp faults", "crimp faults truncate", "crimp faults --json | jq -r .name"),
		Flags: []cli.Flag{jsonFlag(), &cli.BoolFlag{Name: "markdown", Category: groupOutput, Usage: "as a Markdown document", DisableDefaultText: true}},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 1); err != nil {
				return err
			}
			if c.Bool("json") && c.Bool("markdown") {
				return usagef("crimp faults: --json and --markdown: one of them")
			}
			if c.Args().Present() {
				return showFault(c, c.Args().First())
			}
			return listFaults(c)
		},
	}
}

func listFaults(c *cli.Context) error {
	w := c.App.Writer
	if c.Bool("markdown") {
		_, err := io.WriteString(w, faults.Markdown())
		return err
	}
	var t table
	for _, f := range faults.Catalogue() {
		if c.Bool("json") {
			if err := printJSON(w, f); err != nil {
				return err
			}
			continue
		}
		t.add(f.Name, f.Is, f.Summary)
	}
	return t.print(w)
}

func showFault(c *cli.Context, name string) error {
	f, unknown := faults.Lookup(name)
	if unknown != nil {
		return usagef("no fault %q%s", name, orSee(faults.FaultHint(name), "crimp faults"))
	}
	if c.Bool("json") {
		return printJSON(c.App.Writer, f)
	}
	if c.Bool("markdown") {
		_, err := io.WriteString(c.App.Writer, f.Markdown())
		return err
	}
	sentence := func(format string, args ...any) {
		fmt.Fprintln(c.App.Writer, fold(strings.Fields(fmt.Sprintf(format, args...)), helpWidth, "\n  "))
	}
	sentence("%s: %s", f.Name, f.Summary)
	if f.PresetOf != nil {
		sentence("It is %s%s.", f.Is, filtersOf(f))
	}
	sentence("A client: %s", f.Client)
	if f.HTTP {
		fmt.Fprintln(c.App.Writer, "It needs an http route.")
	}
	if len(f.List) > 0 {
		fmt.Fprintln(c.App.Writer, "\nParameters")
		paramTable(f.List).print(c.App.Writer)
	}
	for _, e := range f.Examples {
		fmt.Fprintf(c.App.Writer, "\nExample: %s\n  crimp arm ROUTE %s%s\n", e.Title, f.Name, e.Words())
		for _, line := range strings.Split(strings.Trim(e.Play, "\n"), "\n") {
			fmt.Fprintln(c.App.Writer, "    "+line)
		}
	}
	return nil
}

// paramTable is a row a parameter; what it means is folded into what is left of a line.
func paramTable(params []faults.Param) *table {
	var columns [3]int
	for _, p := range params {
		for i, cell := range []string{p.Name, p.Type, defaultOf(p)} {
			columns[i] = max(columns[i], utf8.RuneCountInString(cell))
		}
	}
	room := max(40, helpWidth-len("  ")*4-columns[0]-columns[1]-columns[2])
	t := &table{}
	for _, p := range params {
		help := strings.Split(fold(strings.Fields(p.Help+bounds(p)), room, "\n"), "\n")
		t.add("  "+p.Name, p.Type, defaultOf(p), help[0])
		for _, line := range help[1:] {
			t.add("", "", "", line)
		}
	}
	return t
}

// filtersOf is the match and gate that a preset brings along.
func filtersOf(f faults.Fault) string {
	text := ""
	if f.Match != nil {
		text += ", match " + f.Match.String()
	}
	if f.Gate != nil {
		var b strings.Builder
		if printJSON(&b, f.Gate) == nil {
			text += ", gate " + strings.TrimSpace(b.String())
		}
	}
	return text
}

func defaultOf(p faults.Param) string {
	if p.Required {
		return "required"
	}
	text := fmt.Sprint(p.Default)
	if text == "" {
		return "-"
	}
	return text
}

func bounds(p faults.Param) string {
	var said []string
	if len(p.Enum) > 0 {
		said = append(said, strings.Join(p.Enum, ", "))
	}
	if p.Min != "" {
		said = append(said, "at least "+p.Min)
	}
	if p.Max != "" {
		said = append(said, "at most "+p.Max)
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}
