package main

import (
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// Help texts. Flags come grouped, each with its default and its environment
// variable; every command ends with three examples, which a test parses.

const appHelp = `{{.Usage}}

Usage: {{.UsageText}}

Start here
  crimp demo                                                  a box to play with, and its dashboard
  crimp arm web truncate                                      break it; then see "crimp exchanges"
  crimp serve --route web=127.0.0.1:8080,127.0.0.1:9000,http  a box before a server of your own
{{range .VisibleCategories}}
{{slice .Name 2}}
{{- range .VisibleCommands}}
  {{.Name}}{{"\t"}}{{.Usage}}
{{- end}}
{{end}}
Commands that talk to a running box take --api (CRIMP_API, default ` + defaultAPI + `)
and --token (CRIMP_TOKEN). Exit codes: 0 ok; 1 failed expectation, run-time error, no box there;
2 usage, invalid configuration, unknown name; 3 cannot bind or start; 4 wait timed out;
130 interrupted. "crimp COMMAND --help" says more, with examples; "crimp faults" lists the
faults, "crimp faults NAME" explains one.
`

const commandHelp = `{{.Usage}}

Usage: {{.HelpName}}{{if .Subcommands}} COMMAND{{end}} {{.UsageText}}
{{if .VisibleCommands}}
Commands
{{- range .VisibleCommands}}
  {{.Name}} {{.ArgsUsage}}{{"\t"}}{{.Usage}}
{{- end}}
{{end}}{{if .Description}}
{{.Description}}
{{end}}{{range .VisibleFlagCategories}}{{if .Name}}
{{.Name}}
{{- range .Flags}}
  {{.}}
{{- end}}
{{end}}{{end}}`

// No line of help is longer than helpWidth; what a flag does stands behind the names of
// those of its group, which leave it usageWidth.
const (
	helpWidth  = 100
	usageWidth = 68
)

// fold puts words in lines of at most width columns, with between standing between two.
func fold(words []string, width int, between string) string {
	var text strings.Builder
	column := 0
	for i, w := range words {
		n := utf8.RuneCountInString(w)
		switch {
		case i == 0:
		case column+1+n > width:
			text.WriteString(between)
			column = 0
		default:
			text.WriteString(" ")
			column++
		}
		text.WriteString(w)
		column += n
	}
	return text.String()
}

// wrapped is words in whole lines, each behind two spaces.
func wrapped(words []string) string { return "  " + fold(words, helpWidth-2, "\n  ") }

// usageText is the arguments and flags of a command. What stands behind -- is another's,
// flags too.
func usageText(args string) string {
	const flags = "[--FLAG]..."
	if own, other, ok := strings.Cut(args, "[-- "); ok {
		return own + flags + " [-- " + other
	}
	return strings.TrimSpace(args + " " + flags)
}

// describe is a command's long text, ending with its examples.
func describe(text string, examples ...string) string {
	return strings.TrimSpace(text) + "\n\nExamples\n  " + strings.Join(examples, "\n  ")
}

// flagLine is a flag in --help: names, what it takes, what it does, default and
// environment variable. A flag that may be repeated says so. Tabs align its lines with
// those of the flags around it.
func flagLine(f cli.Flag) string {
	d := f.(cli.DocGenerationFlag)
	takes, usage := "", d.GetUsage()
	if before, rest, ok := strings.Cut(usage, "`"); ok {
		var after string
		takes, after, _ = strings.Cut(rest, "`")
		usage = before + takes + after
	}
	var line strings.Builder
	for i, name := range f.Names() {
		if i > 0 {
			line.WriteString(", ")
		}
		line.WriteString(dashed(name))
	}
	if d.TakesValue() {
		line.WriteString(" " + takes)
	}
	var notes []string
	if s, ok := f.(cli.DocGenerationSliceFlag); ok && s.IsSliceFlag() {
		notes = append(notes, "may be repeated")
	}
	if text := strings.Trim(d.GetDefaultText(), `"`); d.TakesValue() && text != "" {
		notes = append(notes, "default: "+text)
	}
	for _, name := range d.GetEnvVars() {
		notes = append(notes, "$"+name)
	}
	if last := len(notes) - 1; last >= 0 {
		for i := range last {
			notes[i] += ";"
		}
		notes[0] = "(" + notes[0]
		notes[last] += ")"
	}
	words := append(strings.Fields(usage), notes...) // each note in one piece
	line.WriteString("\t" + fold(words, usageWidth, "\n  \t"))
	return line.String()
}

// Command groups, in the order of use; the figure sorts them and is not shown.
const (
	groupRun   = "1 Run a box"
	groupBreak = "2 Break things"
	groupSee   = "3 See what happens"
	groupKnow  = "4 Know more"
)
