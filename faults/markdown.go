package faults

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Tables is the catalogue as two Markdown tables, presets and kinds: what stands
// in README.md.
func Tables() string {
	var presetRows, kindRows strings.Builder
	for _, f := range Catalogue() {
		if f.PresetOf != nil {
			fmt.Fprintf(&presetRows, "| `%s` | %s | %s |\n", f.Name, cell(f.Is), cell(f.Summary))
		} else {
			fmt.Fprintf(&kindRows, "| `%s` | %s | %s |\n", f.Name, cell(paramCells(f.List)), cell(f.Summary))
		}
	}
	return "| preset | is | what it does |\n|---|---|---|\n" + presetRows.String() +
		"\n| kind | parameters and their defaults | what goes over the wire |\n|---|---|---|\n" + kindRows.String()
}

// Markdown is the whole catalogue: the tables, then each fault with its
// parameters and examples.
func Markdown() string {
	var b strings.Builder
	b.WriteString(Tables())
	for _, f := range Catalogue() {
		b.WriteString("\n")
		b.WriteString(f.Markdown())
	}
	return b.String()
}

// Markdown is the fault's own section.
func (f Fault) Markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n%s\n\n", f.Name, sentence(f.Summary))
	if f.PresetOf != nil {
		fmt.Fprintf(&b, "A preset: `%s`.", f.Is)
		if f.Match != nil {
			fmt.Fprintf(&b, " Match: `%s`.", f.Match)
		}
		b.WriteString("\n\n")
	}
	fmt.Fprintf(&b, "What a client sees: %s\n", sentence(f.Client))
	if len(f.List) > 0 {
		b.WriteString("\n| parameter | default | |\n|---|---|---|\n")
	}
	for _, p := range f.List {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", p.Name, p.defaultCell(), cell(p.helpText()))
	}
	for _, e := range f.Examples {
		fmt.Fprintf(&b, "\n%s: `crimp arm ROUTE %s%s`\n\n```\n%s\n```\n", strings.TrimSuffix(sentence(e.Title), "."), f.Name, e.Words(), strings.Trim(e.Play, "\n"))
	}
	return b.String()
}

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
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
