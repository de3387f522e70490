package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
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
	d := &document{file: file, source: source, keys: map[string]place{}, values: map[string]place{}}
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
	tree, err = parser.Parse(tokens, 0)
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

// at gives an error of the decoder, or of anything else that names a path, its
// place: that of the value; of the key, if it is the key that is wrong; of what
// is around it, if something is missing.
func (d *document) at(err *faults.Error) error {
	path := err.Field
	key, known := d.keys[path]
	if known && (strings.HasPrefix(err.Message, "unknown key") || strings.Contains(err.Message, "has no parameter")) {
		return d.errorAt(key, err.Error())
	}
	for {
		if at, ok := d.values[path]; ok {
			return d.errorAt(at, err.Error())
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return d.errorAt(place{1, 1}, err.Error())
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

// jsonWriter turns nodes into JSON.
type jsonWriter struct {
	doc     *document
	out     bytes.Buffer
	isText  func(string) bool
	anchors map[string]ast.Node
	inside  []string // aliases being written: one that names itself never ends
	nodes   int
}

func (w *jsonWriter) write(n ast.Node, path string, depth int) error {
	at := placeOf(n)
	if _, known := w.doc.values[path]; !known { // an alias has its place where it is used
		w.doc.values[path] = at
	}
	if w.nodes++; w.nodes > maxNodes || depth > maxDepth {
		return w.doc.errorAt(at, fmt.Sprintf("too much: at most %d values, %d deep, were expected", maxNodes, maxDepth))
	}
	if n.Type() != ast.NullType && w.isText(path) && isPlainScalar(n) {
		return w.text(n.GetToken().Value)
	}
	switch n := n.(type) {
	case *ast.NullNode:
		w.out.WriteString("null")
	case *ast.BoolNode:
		w.out.WriteString(strconv.FormatBool(n.Value))
	case *ast.IntegerNode:
		fmt.Fprint(&w.out, n.Value)
	case *ast.FloatNode:
		if math.IsInf(n.Value, 0) || math.IsNaN(n.Value) {
			return w.doc.errorAt(at, "a finite number was expected")
		}
		w.out.WriteString(strconv.FormatFloat(n.Value, 'g', -1, 64))
	case *ast.StringNode:
		return w.text(n.Value)
	case *ast.LiteralNode:
		return w.text(n.Value.Value)
	case *ast.SequenceNode:
		return w.sequence(n, path, depth)
	case *ast.MappingNode:
		return w.mapping(n.Values, path, depth)
	case *ast.MappingValueNode:
		return w.mapping([]*ast.MappingValueNode{n}, path, depth)
	case *ast.AnchorNode:
		w.anchors[n.Name.GetToken().Value] = n.Value
		return w.write(n.Value, path, depth)
	case *ast.AliasNode:
		return w.alias(n, func(target ast.Node) error { return w.write(target, path, depth+1) })
	default:
		return w.doc.errorAt(at, fmt.Sprintf("%s: only mappings, lists, text, numbers, true, false and null were expected", n.Type().YAMLName()))
	}
	return nil
}

func isPlainScalar(n ast.Node) bool {
	switch n.(type) {
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode:
		return true
	}
	return false
}

func (w *jsonWriter) text(s string) error {
	b, err := json.Marshal(s)
	w.out.Write(b)
	return err
}

func (w *jsonWriter) sequence(n *ast.SequenceNode, path string, depth int) error {
	w.out.WriteByte('[')
	for i, v := range n.Values {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.write(v, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
			return err
		}
	}
	w.out.WriteByte(']')
	return nil
}

func (w *jsonWriter) alias(n *ast.AliasNode, use func(ast.Node) error) error {
	name := n.Value.GetToken().Value
	target, known := w.anchors[name]
	if !known {
		return w.doc.errorAt(placeOf(n), fmt.Sprintf("*%s: no anchor &%s before it", name, name))
	}
	for _, outer := range w.inside {
		if outer == name {
			return w.doc.errorAt(placeOf(n), fmt.Sprintf("*%s: within itself", name))
		}
	}
	w.inside = append(w.inside, name)
	err := use(target)
	w.inside = w.inside[:len(w.inside)-1]
	return err
}

// mapping writes an object. Merged mappings (`<<: *base`) come first, so that
// what the mapping says itself wins.
func (w *jsonWriter) mapping(values []*ast.MappingValueNode, path string, depth int) error {
	own := map[string]ast.Node{}
	var order []string
	if err := w.collect(values, path, own, &order, depth); err != nil {
		return err
	}
	w.out.WriteByte('{')
	for i, key := range order {
		if i > 0 {
			w.out.WriteByte(',')
		}
		if err := w.text(key); err != nil {
			return err
		}
		w.out.WriteByte(':')
		if err := w.write(own[key], below(path, key), depth+1); err != nil {
			return err
		}
	}
	w.out.WriteByte('}')
	return nil
}

func (w *jsonWriter) collect(values []*ast.MappingValueNode, path string, into map[string]ast.Node, order *[]string, depth int) error {
	if depth > maxDepth {
		return w.doc.errorAt(place{1, 1}, "mappings merged too deep")
	}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			continue
		}
		key := v.Key.GetToken().Value
		if s, ok := v.Key.(*ast.StringNode); ok {
			key = s.Value
		}
		if _, twice := into[key]; !twice {
			*order = append(*order, key)
			into[key] = v.Value
			w.doc.keys[below(path, key)] = placeOf(v.Key)
			if v.Value.Type() == ast.NullType {
				w.doc.values[below(path, key)] = placeOf(v.Key)
			}
		}
	}
	for _, v := range values {
		if !v.Key.IsMergeKey() {
			continue
		}
		if err := w.merge(v.Value, path, into, order, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// merge adds what is not there yet of a mapping, an alias of one, or a list of them.
func (w *jsonWriter) merge(n ast.Node, path string, into map[string]ast.Node, order *[]string, depth int) error {
	switch n := n.(type) {
	case *ast.AliasNode:
		return w.alias(n, func(target ast.Node) error { return w.merge(target, path, into, order, depth) })
	case *ast.MappingNode:
		return w.collect(n.Values, path, into, order, depth)
	case *ast.MappingValueNode:
		return w.collect([]*ast.MappingValueNode{n}, path, into, order, depth)
	case *ast.SequenceNode:
		for _, each := range n.Values {
			if err := w.merge(each, path, into, order, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return w.doc.errorAt(placeOf(n), "<<: a mapping to merge was expected")
}

// below is the path of a key, as faults.DecodeStrict writes it.
func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
