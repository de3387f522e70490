package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"crimp/faults"
)

// A configuration is the protocol's objects written as YAML. So a file is not
// decoded from YAML: it is turned into JSON, and every place of it remembered by
// its path. Then the one strict decoder of the protocol judges it, and an error
// that names a path ("routes[0].rules[1].params.at") is shown where that path
// stands in the file.

// document is a YAML file as JSON, with the place of every key and value.
type document struct {
	file   string
	source []byte
	json   []byte
	keys   map[string]place // of a mapping's key, by the path of its value
	values map[string]place
	wrong  *faults.Error    // what is wrong in it as YAML, by the path it is at; a null stands there
	exact  map[string]place // where each of them is, by its line
}

// place is a line and a column in runes, both from 1.
type place struct{ line, column int }

// fileError is an error with its place: file:line:column, and an excerpt.
type fileError struct {
	file    string
	at      place
	message string
	excerpt string
}

func (e *fileError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s\n%s", e.file, e.at.line, e.at.column, e.message, e.excerpt)
}

const (
	maxFile  = 1 << 20 // bytes; the read limit of the protocol as well
	maxDepth = 64      // of nesting
	maxNodes = 200_000 // after aliases: a few lines can name a billion
)

// parseYAML reads one YAML document. isText tells by path which values are text
// whatever they look like (`on_dial_error: 502`).
func parseYAML(file string, source []byte, isText func(path string) bool) (*document, error) {
	source = bytes.TrimPrefix(source, []byte("\ufeff")) // a byte-order mark is no text
	d := &document{file: file, source: source, keys: map[string]place{}, values: map[string]place{}, exact: map[string]place{}}
	if len(source) > maxFile {
		return nil, usagef("%s: %d bytes: at most %d were expected", file, len(source), maxFile)
	}
	if i := invalidUTF8(source); i >= 0 {
		return nil, d.errorAt(d.placeOf(i), "not UTF-8 text")
	}
	tree, err := d.parse()
	if err != nil {
		return nil, err
	}
	w := &jsonWriter{doc: d, isText: isText, anchors: map[string]ast.Node{}}
	var body ast.Node
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.DirectiveType {
			continue
		}
		if body != nil {
			return nil, d.errorAt(placeOf(doc.Body), "one document was expected, a second one starts here")
		}
		body = doc.Body
	}
	if body == nil {
		w.out.WriteString("{}")
	} else if err := w.write(body, "", 0); err != nil {
		return nil, err
	}
	d.json = w.out.Bytes()
	return d, nil
}

// parse reads the source into a tree. The parser takes memory by the square of
// the depth, and is not ours to trust with a file that somebody else wrote: so
// depth is looked at before, among the tokens, and a panic is an error.
func (d *document) parse() (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, d.errorAt(place{1, 1}, fmt.Sprintf("the YAML parser gave up: %v", r))
		}
	}()
	tokens := lexer.Tokenize(string(d.source))
	if t := tooDeep(tokens); t != nil {
		return nil, d.errorAt(tokenPlace(t), fmt.Sprintf("too deep: at most %d levels were expected", maxDepth))
	}
	tree, err = parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, d.syntax(err)
	}
	return tree, nil
}

// tooDeep gives the first token that is nested too deep by brackets, or by
// dashes on one line; nesting by indentation takes a file too long for it.
func tooDeep(tokens token.Tokens) *token.Token {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType:
			if t.Position.Line != line {
				dashes, line = 0, t.Position.Line
			}
			dashes++
		}
		if brackets > maxDepth || dashes > maxDepth {
			return t
		}
	}
	return nil
}

func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// syntax gives a parser's error its place.
func (d *document) syntax(err error) error {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		return d.errorAt(tokenPlace(e.GetToken()), e.GetMessage())
	}
	return d.errorAt(place{1, 1}, err.Error())
}

// errorAt makes an error at a place, with the lines around it and a caret.
func (d *document) errorAt(at place, message string) error {
	return &codedError{exitUsage, &fileError{d.file, at, message, d.excerpt(at)}}
}

// mistake notes what is wrong at a place and can be gone on from.
func (d *document) mistake(path string, at place, format string, args ...any) {
	e := faults.Errorf(faults.Invalid, path, format, args...)
	d.wrong = d.wrong.And(e)
	d.exact[e.Line()] = at
}

// list shows mistakes in the order of the file, each at its place, and counts them.
func (d *document) list(wrong *faults.Error) error {
	all := wrong.All()
	slices.SortStableFunc(all, func(a, b *faults.Error) int {
		x, y := d.at(a), d.at(b)
		return cmp.Or(cmp.Compare(x.line, y.line), cmp.Compare(x.column, y.column))
	})
	var shown []string
	for _, e := range all {
		if at := d.at(e); at == nowhere {
			shown = append(shown, e.Line())
		} else {
			shown = append(shown, d.errorAt(at, e.Line()).Error())
		}
	}
	switch {
	case len(all) == faults.MaxMistakes:
		shown = append(shown, fmt.Sprintf("%s: %d mistakes, perhaps more", d.file, len(all)))
	case len(all) > 1:
		shown = append(shown, fmt.Sprintf("%s: %d mistakes", d.file, len(all)))
	}
	return usagef("%s", strings.Join(shown, "\n"))
}

// nowhere is the place of what is not in the file: a flag was laid over it.
var nowhere place

// at is the place of a mistake that names a path: that of the value; of the key, if
// it is the key that is wrong; of what is around it, if something is missing.
func (d *document) at(err *faults.Error) place {
	path := err.Field
	if at, known := d.exact[err.Line()]; known {
		return at
	}
	key, known := d.keys[path]
	if known && (strings.HasPrefix(err.Message, "unknown key") || strings.Contains(err.Message, "has no parameter")) {
		return key
	}
	for {
		if at, ok := d.values[path]; ok {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return nowhere
		}
		path = path[:i]
	}
}

// excerpt shows the line with up to two before it, and a caret beneath.
func (d *document) excerpt(at place) string {
	const width = 110
	lines := strings.Split(strings.ReplaceAll(string(d.source), "\r\n", "\n"), "\n")
	var b strings.Builder
	for n := max(1, at.line-2); n <= at.line && n <= len(lines); n++ {
		line, cut := []rune(lines[n-1]), 0
		if n == at.line && at.column > width {
			cut = min(len(line), at.column-width/2)
		}
		line = line[cut:]
		if len(line) > width {
			line = line[:width]
		}
		shown := strings.ReplaceAll(string(line), "\t", " ") // a caret cannot stand under a tab
		b.WriteString(strings.TrimRight(fmt.Sprintf("%5d | %s", n, printable(shown)), " ") + "\n")
		if n == at.line {
			b.WriteString("      | " + strings.Repeat(" ", max(0, at.column-1-cut)) + "^")
		}
	}
	return b.String()
}

func (d *document) placeOf(offset int) place {
	before := d.source[:offset]
	line := bytes.Count(before, []byte("\n"))
	return place{line + 1, utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1}
}

func tokenPlace(t *token.Token) place {
	return place{max(1, t.Position.Line), max(1, t.Position.Column)}
}

// placeOf is where a node begins; a block mapping begins at its first key.
func placeOf(n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return placeOf(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return placeOf(n.Key)
	case *ast.LiteralNode:
		return tokenPlace(n.Start)
	}
	return tokenPlace(n.GetToken())
}
