package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/ast"
)

// jsonWriter turns nodes into JSON, and notes where each came from.
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
			w.doc.mistake(path, at, "a finite number was expected")
			w.out.WriteString("null")
			return nil
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
		target, done := w.alias(n, path)
		if target == nil {
			w.out.WriteString("null")
			return nil
		}
		defer done()
		return w.write(target, path, depth+1)
	default:
		w.doc.mistake(path, at, "%s: only mappings, lists, text, numbers, true, false and null were expected", n.Type().YAMLName())
		w.out.WriteString("null")
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

// alias is what an alias stands for, nil if that is nothing; done is to be called
// when it has been used.
func (w *jsonWriter) alias(n *ast.AliasNode, path string) (target ast.Node, done func()) {
	name := n.Value.GetToken().Value
	target, known := w.anchors[name]
	switch {
	case !known:
		w.doc.mistake(path, placeOf(n), "*%s: no anchor &%s before it", name, name)
		return nil, nil
	case slices.Contains(w.inside, name):
		w.doc.mistake(path, placeOf(n), "*%s: within itself", name)
		return nil, nil
	}
	w.inside = append(w.inside, name)
	return target, func() { w.inside = w.inside[:len(w.inside)-1] }
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
	mine := map[string]bool{}
	for _, v := range values {
		if v.Key.IsMergeKey() {
			continue
		}
		key := v.Key.GetToken().Value
		if s, ok := v.Key.(*ast.StringNode); ok {
			key = s.Value
		}
		if mine[key] {
			w.doc.mistake(below(path, key), placeOf(v.Key), "is given twice")
		}
		mine[key] = true
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
		target, done := w.alias(n, path)
		if target == nil {
			return nil
		}
		defer done()
		return w.merge(target, path, into, order, depth)
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
	w.doc.mistake(path, placeOf(n), "<<: a mapping to merge was expected")
	return nil
}

// below is the path of a key, as faults.DecodeStrict writes it.
func below(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
