package faults

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Param describes a parameter of a fault: what decoding, limits, JSON Schema,
// forms and help are made of. All comes from the struct field and its tags
// (see Kind).
type Param struct {
	Name     string
	Type     string // duration, size, rate, percent, bytes, position, string, int, number or bool
	Help     string
	Default  any      // its canonical JSON value; nil if Required
	Enum     []string // the words it may be, nil if any
	Min, Max string   // with their unit; empty: no bound
	Required bool
}

var paramTypes = map[reflect.Type]string{
	reflect.TypeFor[Duration]():   "duration",
	reflect.TypeFor[Size]():       "size",
	reflect.TypeFor[Rate]():       "rate",
	reflect.TypeFor[Percent]():    "percent",
	reflect.TypeFor[ByteString](): "bytes",
	reflect.TypeFor[Position]():   "position",
}

// typeName is the word for a parameter's type, empty if it cannot be one.
func typeName(t reflect.Type) string {
	if name := paramTypes[t]; name != "" {
		return name
	}
	switch {
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "string"
	case t.Kind() == reflect.Bool:
		return "bool"
	case reflect.Zero(t).CanInt(), reflect.Zero(t).CanUint():
		return "int"
	case reflect.Zero(t).CanFloat():
		return "number"
	}
	return ""
}

// join puts a path and what lies beneath it together: "params" and "at" are
// "params.at", and an index needs no dot. Either may be empty.
func join(field, sub string) string {
	if field == "" || sub == "" || sub[0] == '[' {
		return field + sub
	}
	return field + "." + sub
}

// describe makes the parameters of a kind from its struct. It panics on what a
// declaration must not lack: a json or help tag, a type that travels as text or
// number, a default within its own limits.
func describe[P any](kind string, defaults P) []Param {
	v := reflect.ValueOf(&defaults).Elem()
	fail := func(f reflect.StructField, why string) {
		panic(fmt.Sprintf("faults: %s: parameter %s %s", kind, f.Name, why))
	}
	if v.Kind() != reflect.Struct {
		panic("faults: " + kind + ": parameters are a struct")
	}
	params := []Param{}
	seen := map[string]bool{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := Param{Name: name, Type: typeName(f.Type), Help: f.Tag.Get("help"), Required: f.Tag.Get("required") == "true"}
		switch {
		case !f.IsExported() || f.Anonymous:
			fail(f, "must be an exported field of its own")
		case name == "" || name == "-" || seen[canonical(name)]:
			fail(f, "has no json name of its own")
		case p.Help == "":
			fail(f, "has no help")
		case p.Type == "":
			fail(f, "has a type that parameters do not have: "+f.Type.String())
		}
		seen[canonical(name)] = true
		l := limitsOf(kind+"."+name, f)
		p.Enum, p.Min, p.Max = l.enum, l.min, l.max
		if !p.Required {
			p.Default = paramValue(v.Field(i))
			if err := l.check(v.Field(i), name); err != nil {
				fail(f, "has a default outside its limits: "+err.Message)
			}
		}
		params = append(params, p)
	}
	return params
}

// decodeParams reads parameter values over the defaults: strictly, with a
// did-you-mean, '-' and '_' in names being the same. Values are JSON's or, as on
// a command line, all text. The error's field is field and the parameter's name.
func decodeParams[P any](kind string, defaults P, params map[string]any, field string) (P, *Error) {
	out := defaults
	v := reflect.ValueOf(&out).Elem()
	fields := fieldsOf(v.Type())
	var errs *Error
	given := map[string]bool{}
	for _, key := range sortedKeys(params) {
		if errs.full() {
			break
		}
		f := findParam(fields, key)
		switch {
		case f == nil:
			errs = errs.And(unknownParam(kind, key, fields))
			continue
		case given[f.key]:
			errs = errs.And(Errorf(Invalid, key, "given twice: '-' and '_' are the same"))
			continue
		}
		n, err := nodeOf(params[key], key)
		if err == nil {
			given[f.key] = n.kind != nullNode
			to := v.FieldByIndex(f.index)
			if at, is := to.Interface().(Position); is && at != (Position{}) && n.kind == stringNode && n.text == "" {
				errs = errs.And(Errorf(Invalid, key, "expected a position such as %s, got nothing", at))
				continue
			}
			if err = n.decode(to, key, true); err == nil && n.kind != nullNode {
				err = f.limits.check(to, key)
			}
		}
		errs = errs.And(err)
	}
	for _, f := range fields {
		if f.required && !given[f.key] {
			errs = errs.Then(Errorf(Invalid, f.key, "%s needs it", kind))
		}
	}
	return out, errs.In(field)
}

func findParam(fields []structField, key string) *structField {
	for i := range fields {
		if canonical(fields[i].key) == canonical(key) {
			return &fields[i]
		}
	}
	return nil
}

func unknownParam(kind, key string, fields []structField) *Error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.key
	}
	if len(names) == 0 {
		return Errorf(Invalid, key, "%s has no parameter %q; it has none", kind, key)
	}
	err := Errorf(Invalid, key, "%s has no parameter %q%s; it has %s", kind, key, strings.TrimSuffix(Hint(key, names), "?"), strings.Join(names, ", "))
	err.meant = Suggest(key, names)
	return err
}

// nodeOf is a value of a params object as a node. A program may give its own
// values (a Duration, a Position): they go by their text.
func nodeOf(value any, field string) (*node, *Error) {
	switch t := value.(type) {
	case string:
		return &node{kind: stringNode, raw: quoted(t), text: t}, nil
	case json.Number:
		return &node{kind: numberNode, raw: []byte(t), text: string(t)}, nil
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, Errorf(Invalid, field, "%v", err)
	}
	return parseJSON(raw, field)
}

func quoted(s string) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		return []byte(fmt.Sprintf("%q", s))
	}
	return raw
}

// paramValues is every parameter by name as its canonical JSON value: text for
// all that has a unit, a number or bool else. Two sets of parameters do the same
// if these are equal.
func paramValues[P any](p P) map[string]any {
	v := reflect.ValueOf(p)
	out := map[string]any{}
	for _, f := range fieldsOf(v.Type()) {
		out[f.key] = paramValue(v.FieldByIndex(f.index))
	}
	return out
}

func paramValue(v reflect.Value) any {
	switch {
	case v.Type().Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return textOf(v)
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	}
	return v.Float()
}

// positionOf is the field At of type Position: the kind's place, if it has one.
func positionOf[P any](p P) (Position, bool) {
	f := reflect.ValueOf(p).FieldByName("At")
	if !f.IsValid() {
		return Position{}, false
	}
	at, ok := f.Interface().(Position)
	return at, ok
}
