package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// Help texts. Flags come grouped, each with its default and its environment
// variable; every command ends with three examples, which a test parses.

const appHelp = `{{.Usage}}

Usage: {{.UsageText}}

Start here
  crimp demo                                                    a box to play with, and its dashboard
  crimp arm web truncate                                        break it; then see "crimp exchanges"
  crimp serve --route web=127.0.0.1:8080,127.0.0.1:9000,http    a box before a server of your own
{{range .VisibleCategories}}
{{slice .Name 2}}
{{- range .VisibleCommands}}
  {{.Name}}{{"\t"}}{{.Usage}}
{{- end}}
{{end}}
Commands that talk to a running box take --api (CRIMP_API, default ` + defaultAPI + `) and
--token (CRIMP_TOKEN). Exit codes: 0 ok; 1 failed expectation, run-time error, no box there; 2 usage, invalid
configuration, unknown name; 3 cannot bind or start; 4 wait timed out.
"crimp COMMAND --help" says more, with examples; "crimp faults" lists the faults, "crimp faults NAME" explains one.
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

// wrapped is words in lines of at most 96 columns, each behind two spaces.
func wrapped(words []string) string {
	var text strings.Builder
	width := 0
	for _, w := range words {
		if width == 0 || width+1+len(w) > 96 {
			if width > 0 {
				text.WriteString("\n")
			}
			text.WriteString("  " + w)
			width = 2 + len(w)
			continue
		}
		text.WriteString(" " + w)
		width += 1 + len(w)
	}
	return text.String()
}

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
// environment variable. A flag that may be repeated says so.
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
	line.WriteString("\t" + usage)
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
	if len(notes) > 0 {
		line.WriteString(" (" + strings.Join(notes, "; ") + ")")
	}
	return line.String()
}

// Command groups, in the order of use; the figure sorts them and is not shown.
const (
	groupRun   = "1 Run a box"
	groupBreak = "2 Break things"
	groupSee   = "3 See what happens"
	groupKnow  = "4 Know more"
)
