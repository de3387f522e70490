package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxDepth bounds how deep JSON may nest: the deepest object of crimp has eight.
const maxDepth = 64

// node is a JSON value, with the bytes it was read from. Strict decoding works on
// nodes and not on a json.Decoder because it has to see duplicate keys, to know
// the path of each value, and to read an object before it knows what it is for.
type node struct {
	kind    nodeKind
	raw     []byte
	text    string // of a string or number
	members []member
	items   []node
}

type member struct {
	key   string
	value node
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

// describe names the value for an error: `number 250`, `string "x"`, `an object`.
func (n *node) describe() string {
	const most = 60
	switch n.kind {
	case boolNode:
		return string(n.raw)
	case numberNode, stringNode:
		shown := string(n.raw)
		if len(shown) > most {
			shown = shown[:most] + "..."
		}
		return map[nodeKind]string{numberNode: "number ", stringNode: "string "}[n.kind] + shown
	}
	return map[nodeKind]string{nullNode: "null", arrayNode: "a list", objectNode: "an object"}[n.kind]
}

// parseJSON reads exactly one JSON value.
func parseJSON(raw []byte, field string) (*node, *Error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil, Errorf(Invalid, field, "expected JSON, got nothing")
	}
	if !json.Valid(raw) {
		return nil, Errorf(Invalid, field, "%s", syntaxError(raw))
	}
	r := &jsonReader{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw))}
	r.dec.UseNumber()
	n, err := r.value(field, 0)
	if err != nil {
		return nil, err
	}
	return &n, nil
}

// syntaxError says where and why raw is not JSON.
func syntaxError(raw []byte) string {
	var into json.RawMessage
	err := json.Unmarshal(raw, &into)
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		before := raw[:min(int(syntax.Offset), len(raw))]
		line := 1 + bytes.Count(before, []byte("\n"))
		column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
		return fmt.Sprintf("not JSON: %v (line %d, column %d)", syntax, line, column)
	}
	return fmt.Sprintf("not JSON: %v", err)
}

// jsonReader builds nodes in one pass over input that is known to be valid.
type jsonReader struct {
	raw []byte
	dec *json.Decoder
}

func (r *jsonReader) value(field string, depth int) (node, *Error) {
	if depth > maxDepth {
		return node{}, Errorf(Invalid, field, "nested deeper than %d", maxDepth)
	}
	start := int(r.dec.InputOffset())
	for start < len(r.raw) && bytes.IndexByte([]byte(" \t\r\n,:"), r.raw[start]) >= 0 {
		start++
	}
	token, err := r.dec.Token()
	if err != nil {
		return node{}, Errorf(Invalid, field, "not JSON: %v", err)
	}
	var n node
	var problem *Error
	switch t := token.(type) {
	case nil:
	case bool:
		n.kind = boolNode
	case json.Number:
		n.kind, n.text = numberNode, t.String()
	case string:
		n.kind, n.text = stringNode, t
	case json.Delim:
		if t == '[' {
			n.kind = arrayNode
			n.items, problem = r.array(field, depth)
		} else {
			n.kind = objectNode
			n.members, problem = r.object(field, depth)
		}
		if problem == nil {
			_, err = r.dec.Token() // the closing bracket
		}
	}
	if err != nil {
		problem = Errorf(Invalid, field, "not JSON: %v", err)
	}
	n.raw = r.raw[start:r.dec.InputOffset()]
	return n, problem
}

func (r *jsonReader) array(field string, depth int) ([]node, *Error) {
	items := []node{}
	for r.dec.More() {
		n, err := r.value(index(field, len(items)), depth+1)
		if err != nil {
			return nil, err
		}
		items = append(items, n)
	}
	return items, nil
}

func (r *jsonReader) object(field string, depth int) ([]member, *Error) {
	members := []member{}
	seen := map[string]bool{}
	for r.dec.More() {
		token, err := r.dec.Token()
		key, isKey := token.(string)
		if err != nil || !isKey {
			return nil, Errorf(Invalid, field, "not JSON: expected a key")
		}
		if seen[key] {
			return nil, Errorf(Invalid, join(field, key), "given twice")
		}
		seen[key] = true
		n, problem := r.value(join(field, key), depth+1)
		if problem != nil {
			return nil, problem
		}
		members = append(members, member{key, n})
	}
	return members, nil
}

// plain is the value as encoding/json gives it to an any, but that a number which
// a float64 would change stays a json.Number.
func (n *node) plain() any {
	switch n.kind {
	case boolNode:
		return n.raw[0] == 't'
	case numberNode:
		return plainNumber(n.text)
	case stringNode:
		return n.text
	case arrayNode:
		out := make([]any, len(n.items))
		for i := range n.items {
			out[i] = n.items[i].plain()
		}
		return out
	case objectNode:
		out := make(map[string]any, len(n.members))
		for i := range n.members {
			out[n.members[i].key] = n.members[i].value.plain()
		}
		return out
	}
	return nil
}
