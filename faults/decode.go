package faults

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// DecodeStrict reads one JSON value into what into points to, as encoding/json
// does but for this: an unknown key, a key given twice and text after the value
// are errors; keys compare exactly; a wrong type says what was expected. What is
// not given stays as it is, so into may hold defaults; so does what is null, but in a
// list null is an error.
//
// The error's Field is the path of what it is about, starting with field:
// "routes[0].rules[1].params.at". It goes on behind a mistake and tells of all;
// what is right is written to into all the same.
//
// Tags beside json: `required:"true"` refuses an object without the key,
// `enum:"a,b"`, `min` and `max` bound it, `accept:"number"` lets a string field
// take a JSON number as its text, `accept:"text"` lets a number or bool be given
// as a string. A type may decode itself with UnmarshalStrict(raw []byte, field string) *Error.
func DecodeStrict(raw []byte, into any, field string) *Error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		panic(fmt.Sprintf("faults: DecodeStrict into a %T", into))
	}
	n, err := parseJSON(raw, field)
	if err != nil {
		return err
	}
	return n.decode(v.Elem(), field, false)
}

// strictUnmarshaler decodes itself, for what tags cannot say.
type strictUnmarshaler interface {
	UnmarshalStrict(raw []byte, field string) *Error
}

// decode writes the node to v, which must be settable. With lenient, numbers and
// bools may come as text and text as a number: as parameters do.
func (n *node) decode(v reflect.Value, field string, lenient bool) *Error {
	if n.kind == nullNode {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return n.decode(v.Elem(), field, lenient)
	}
	if v.Type() == rawType {
		v.SetBytes(append([]byte{}, n.raw...))
		return nil
	}
	switch u := v.Addr().Interface().(type) {
	case strictUnmarshaler:
		if !promoted(v.Type()) {
			return u.UnmarshalStrict(n.raw, field)
		}
	case encoding.TextUnmarshaler:
		return n.decodeText(u, field, lenient)
	case json.Unmarshaler:
		if err := u.UnmarshalJSON(n.raw); err != nil {
			return Errorf(Invalid, field, "%v", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return n.decodeStruct(v, field)
	case reflect.Map:
		return n.decodeMap(v, field)
	case reflect.Slice, reflect.Array:
		return n.decodeList(v, field)
	case reflect.Interface:
		if v.NumMethod() > 0 {
			panic("faults: DecodeStrict into " + v.Type().String())
		}
		v.Set(reflect.ValueOf(n.plain()))
		return nil
	}
	return n.decodeScalar(v, field, lenient)
}

var (
	rawType    = reflect.TypeFor[json.RawMessage]()
	strictType = reflect.TypeFor[strictUnmarshaler]()
)

// promoted says whether the type has UnmarshalStrict only from an embedded field,
// which would read the embedding object as if it were the embedded one.
func promoted(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		if f := t.Field(i); f.Anonymous && (f.Type.Implements(strictType) || reflect.PointerTo(f.Type).Implements(strictType)) {
			return true
		}
	}
	return false
}

// decodeText reads what travels as text.
func (n *node) decodeText(u encoding.TextUnmarshaler, field string, lenient bool) *Error {
	_, number := u.(interface{ acceptsNumber() })
	want := "text"
	if e, ok := u.(interface{ expects() string }); ok {
		want = e.expects()
	} else if e, ok := u.(interface{ words() []string }); ok {
		want = "one of " + strings.Join(e.words(), ", ")
	}
	if n.kind != stringNode && (n.kind != numberNode || !number) {
		why := ""
		if _, duration := u.(*Duration); duration && n.kind == numberNode {
			why = ": a bare number does not say its unit"
		}
		return Errorf(Invalid, field, "expected %s, got %s%s", want, n.describe(), why)
	}
	if err := u.UnmarshalText([]byte(n.text)); err != nil {
		return Errorf(Invalid, field, "%v", err)
	}
	return nil
}

func (n *node) decodeStruct(v reflect.Value, field string) *Error {
	if n.kind != objectNode {
		return Errorf(Invalid, field, "expected an object, got %s", n.describe())
	}
	var errs *Error
	fields := fieldsOf(v.Type())
	for i := range n.members {
		if errs.full() {
			return errs
		}
		m := &n.members[i]
		path := join(field, m.key)
		f := findStructField(fields, m.key)
		if f == nil {
			errs = errs.And(unknownKey(m.key, fields).In(field))
			continue
		}
		to := v.FieldByIndex(f.index)
		err := m.value.decode(to, path, f.lenient)
		if err == nil && m.value.kind != nullNode {
			err = f.limits.check(to, path)
		}
		errs = errs.And(err)
	}
	for i := range fields {
		if f := &fields[i]; f.required && !n.gives(f.key) {
			errs = errs.Then(Errorf(Invalid, join(field, f.key), "is required"))
		}
	}
	return errs
}

func (n *node) gives(key string) bool {
	for i := range n.members {
		if n.members[i].key == key && n.members[i].value.kind != nullNode {
			return true
		}
	}
	return false
}

func unknownKey(key string, fields []structField) *Error {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	err := Errorf(Invalid, key, "unknown key %q", key)
	err.meant = Suggest(key, keys)
	switch {
	case err.meant != "":
		err.Message += Hint(key, keys)
	case len(keys) == 0:
		err.Message += ": none is expected"
	default:
		err.Message += "; expected one of " + strings.Join(keys, ", ")
	}
	return err
}

func (n *node) decodeMap(v reflect.Value, field string) *Error {
	t := v.Type()
	if t.Key().Kind() != reflect.String {
		panic("faults: DecodeStrict into " + t.String())
	}
	if n.kind != objectNode {
		return Errorf(Invalid, field, "expected an object, got %s", n.describe())
	}
	var errs *Error
	out := reflect.MakeMapWithSize(t, len(n.members))
	for i := range n.members {
		if errs.full() {
			break
		}
		m := &n.members[i]
		value := reflect.New(t.Elem()).Elem()
		errs = errs.And(m.value.decode(value, join(field, m.key), false))
		out.SetMapIndex(reflect.ValueOf(m.key).Convert(t.Key()), value)
	}
	v.Set(out)
	return errs
}

func (n *node) decodeList(v reflect.Value, field string) *Error {
	if n.kind != arrayNode {
		return Errorf(Invalid, field, "expected a list, got %s", n.describe())
	}
	if v.Kind() == reflect.Array {
		if len(n.items) != v.Len() {
			return Errorf(Invalid, field, "expected a list of %d, got %d", v.Len(), len(n.items))
		}
	} else {
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	}
	var errs *Error
	for i := range n.items {
		if errs.full() {
			break
		}
		item := &n.items[i]
		if k := v.Type().Elem().Kind(); item.kind == nullNode && k != reflect.Interface && k != reflect.Pointer {
			errs = errs.And(Errorf(Invalid, index(field, i), "expected an item, got nothing"))
			continue
		}
		errs = errs.And(item.decode(v.Index(i), index(field, i), false))
	}
	return errs
}

// decodeScalar reads bools, numbers and plain strings.
func (n *node) decodeScalar(v reflect.Value, field string, lenient bool) *Error {
	numeric := n.kind == numberNode || lenient && n.kind == stringNode && strings.Trim(n.text, "0123456789+-.eE") == ""
	switch {
	case v.Kind() == reflect.String && (n.kind == stringNode || lenient && (n.kind == numberNode || n.kind == boolNode)):
		v.SetString(n.scalarText())
		return nil
	case v.Kind() == reflect.Bool && (n.kind == boolNode || lenient && n.kind == stringNode):
		if text := n.scalarText(); text == "true" || text == "false" {
			v.SetBool(text == "true")
			return nil
		}
	case v.CanInt() && numeric:
		if i, ok := wholeNumber(n.text); ok && !v.OverflowInt(i) {
			v.SetInt(i)
			return nil
		}
	case v.CanUint() && numeric:
		if u, err := strconv.ParseUint(n.text, 10, 64); err == nil && !v.OverflowUint(u) {
			v.SetUint(u)
			return nil
		}
	case v.CanFloat() && numeric:
		if f, err := strconv.ParseFloat(n.text, 64); err == nil && f-f == 0 {
			v.SetFloat(f)
			return nil
		}
	}
	return Errorf(Invalid, field, "expected %s, got %s", scalarName(v), n.describe())
}

// scalarText is a scalar as text: what a string says, or how the value is written.
func (n *node) scalarText() string {
	if n.kind == stringNode {
		return n.text
	}
	return string(n.raw)
}

func scalarName(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return "a string"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanUint():
		return "a whole number from 0"
	case v.CanInt():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	panic("faults: DecodeStrict into " + v.Type().String())
}

// wholeNumber reads an integer as JSON may write it: 10, 1e3, 10.0.
func wholeNumber(s string) (int64, bool) {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != float64(int64(f)) || f > 1<<53 || f < -(1<<53) {
		return 0, false
	}
	return int64(f), true
}

// plainNumber is a JSON number as an any.
func plainNumber(text string) any {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return json.Number(text)
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil && (i > 1<<53 || i < -(1<<53)) {
		return json.Number(text)
	}
	return f
}

// index is the path of an item of a list.
func index(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// structField is a field of a struct as JSON sees it.
type structField struct {
	key      string
	index    []int
	required bool
	lenient  bool
	limits   limits
}

// fieldsOf lists the fields of a struct type, those of embedded structs among
// them, in their order.
func fieldsOf(t reflect.Type) []structField {
	var out []structField
	for _, f := range reflect.VisibleFields(t) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "-" || !f.IsExported() || f.Anonymous && key == "" && f.Type.Kind() == reflect.Struct {
			continue
		}
		if key == "" {
			key = f.Name
		}
		if !flattened(t, f.Index, key) {
			continue
		}
		out = append(out, structField{key: key, index: f.Index, required: f.Tag.Get("required") == "true",
			lenient: f.Tag.Get("accept") != "", limits: limitsOf(t.String()+"."+f.Name, f)})
	}
	return out
}

// flattened says whether the field of that key is reached through embedded structs
// only that have no key of their own.
func flattened(t reflect.Type, path []int, key string) bool {
	for _, i := range path[:len(path)-1] {
		f := t.Field(i)
		if f.Type.Kind() != reflect.Struct || f.Tag.Get("json") != "" {
			return false
		}
		t = f.Type
	}
	return true
}

func findStructField(fields []structField, key string) *structField {
	for i := range fields {
		if fields[i].key == key {
			return &fields[i]
		}
	}
	return nil
}
