package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Tables is the catalogue as two Markdown tables, presets and kinds, whose names
// are links to the sections of Markdown: what stands in README.md.
func Tables() string {
	var presetRows, kindRows strings.Builder
	for _, f := range Catalogue() {
		if f.PresetOf != nil {
			fmt.Fprintf(&presetRows, "| %s | %s | %s |\n", link(f.Name), cell(f.Is), cell(f.Summary))
		} else {
			fmt.Fprintf(&kindRows, "| %s | %s | %s |\n", link(f.Name), cell(paramCells(f.List)), cell(f.Summary))
		}
	}
	return "| preset | is | what it does |\n|---|---|---|\n" + presetRows.String() +
		"\n| kind | parameters and their defaults | what goes over the wire |\n|---|---|---|\n" + kindRows.String()
}

// chapters of the catalogue, in its order; the key is the group of a kind, "" for
// presets.
var chapters = map[string]string{
	"":              "Presets",
	string(Connect): "Kinds on the making of a session",
	string(Bytes):   "Kinds on bytes",
	string(Packet):  "Kinds on packets",
	string(Message): "Kinds on messages",
}

// Markdown is the whole catalogue: the tables, then each fault with what a client
// sees, its parameters and examples.
func Markdown() string {
	var b strings.Builder
	b.WriteString(Tables())
	last := "none"
	for _, f := range Catalogue() {
		chapter, section := f.Group, f.Markdown
		if f.PresetOf != nil {
			chapter = ""
		}
		if f.PresetOf != nil && !f.isComposite() {
			section = f.shortSection
		}
		if chapter != last {
			fmt.Fprintf(&b, "\n## %s\n", chapters[chapter])
			last = chapter
		}
		b.WriteString("\n")
		b.WriteString(section())
	}
	return b.String()
}

func (f Fault) isComposite() bool {
	s := kinds[canonical(f.Name)]
	return s != nil && s.composite != nil
}

// Markdown is the fault's own section, which needs no other.
func (f Fault) Markdown() string {
	is := ""
	if f.PresetOf != nil {
		is = fmt.Sprintf("\nA preset: `%s`.", f.Is)
		if f.Match != nil {
			is += fmt.Sprintf(" Match: `%s`.", f.Match)
		}
		is += "\n"
	}
	return f.head() + is + f.table() + f.plays()
}

// shortSection is a preset's where its kind's section is near: what it is short
// for, and where to read of the rest.
func (f Fault) shortSection() string {
	kind, _ := Lookup(*f.PresetOf)
	words := kind.Name
	for _, p := range f.List {
		if text := fmt.Sprint(p.Default); text != fmt.Sprint(kind.Defaults[p.Name]) {
			words += " " + p.Name + "=" + shellWord(text)
		}
	}
	if f.Match != nil {
		for _, w := range f.Match.Words() {
			words += " --match " + shellWord(w)
		}
	}
	return f.head() + fmt.Sprintf("\nShort for `%s`, with the parameters of %s.\n", words, link(kind.Name)) + f.plays()
}

// head is a section's heading and what every fault has to say.
func (f Fault) head() string {
	text := fmt.Sprintf("### %s\n\n%s\n\nWhat a client sees: %s\n", f.Name, sentence(f.Summary), sentence(f.Client))
	if f.HTTP && f.PresetOf == nil {
		text += "\nIt needs an http route.\n"
	}
	return text
}

// table is the parameters'.
func (f Fault) table() string {
	if len(f.List) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n| parameter | default | |\n|---|---|---|\n")
	for _, p := range f.List {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, p.defaultCell(), cell(p.helpText()))
	}
	return b.String()
}

// plays are the examples.
func (f Fault) plays() string {
	var b strings.Builder
	for _, e := range f.Examples {
		fmt.Fprintf(&b, "\n%s: `crimp arm ROUTE %s%s`\n\n```\n%s\n```\n", strings.TrimSuffix(sentence(e.Title), "."), f.Name, e.Words(), strings.Trim(e.Play, "\n"))
	}
	return b.String()
}

// link leads to a fault's section.
func link(name string) string { return fmt.Sprintf("[`%s`](#%s)", name, name) }

// Words are the example's parameters and match as the command line takes them,
// each with a blank before it.
func (e FaultExample) Words() string {
	var b strings.Builder
	n, err := parseJSON(orEmpty(e.Params), "")
	if err != nil {
		return ""
	}
	for _, m := range n.members {
		fmt.Fprintf(&b, " %s=%s", m.key, shellWord(m.value.scalarText()))
	}
	var match Match
	if err := DecodeStrict(orEmpty(e.Match), &match, ""); err == nil {
		for _, w := range match.Words() {
			b.WriteString(" --match " + shellWord(w))
		}
	}
	return b.String()
}

func orEmpty(raw json.RawMessage) []byte {
	if len(bytes.TrimSpace(raw)) == 0 {
		return []byte("{}")
	}
	return raw
}

// shellWord quotes what a shell would not leave alone.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/%=+,@") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// helpText is the help, then what the value may be.
func (p Param) helpText() string {
	text := p.Help
	switch {
	case p.Enum != nil:
		text += " (" + strings.Join(nonEmpty(p.Enum), ", ") + ")"
	case p.Min != "" && p.Max != "":
		text += fmt.Sprintf(" (%s, %s to %s)", p.Type, p.Min, p.Max)
	case p.Min != "":
		text += fmt.Sprintf(" (%s, from %s)", p.Type, p.Min)
	case p.Max != "":
		text += fmt.Sprintf(" (%s, up to %s)", p.Type, p.Max)
	case p.Type != "string":
		text += " (" + p.Type + ")"
	}
	return text
}

func (p Param) defaultCell() string {
	switch text := fmt.Sprint(p.Default); {
	case p.Required:
		return "required"
	case text == "":
		return ""
	default:
		return "`" + cell(text) + "`"
	}
}

// paramCells lists parameters in one cell: `at` now, `end` fin/close/rst.
func paramCells(params []Param) string {
	cells := make([]string, len(params))
	for i, p := range params {
		cells[i] = "`" + p.Name + "`"
		text := fmt.Sprint(p.Default)
		switch {
		case p.Required:
			cells[i] += " (required)"
		case p.Enum != nil:
			cells[i] += " " + strings.Join(defaultFirst(nonEmpty(p.Enum), text), "/")
		case text != "":
			cells[i] += " " + text
		}
	}
	return strings.Join(cells, ", ")
}

func defaultFirst(words []string, first string) []string {
	out := []string{}
	for _, w := range words {
		if w == first {
			out = append([]string{w}, out...)
		} else {
			out = append(out, w)
		}
	}
	return out
}

func nonEmpty(words []string) []string {
	out := []string{}
	for _, w := range words {
		if w != "" {
			out = append(out, w)
		}
	}
	return out
}

// cell makes text fit for a table cell.
func cell(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "|", `\|`), "\n", " ")
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + strings.TrimSuffix(s[1:], ".") + "."
}
