package faults

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// limits is what the tags enum, min and max of a field allow.
type limits struct {
	enum              []string
	min, max          string // as the tags say them
	least, most       float64
	hasLeast, hasMost bool
	optional          bool // omitempty: the empty text is as good as nothing
}

// limitsOf reads the tags of a field and panics, naming where, on any that the
// field's type cannot have: tags are written by us.
func limitsOf(where string, f reflect.StructField) limits {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var l limits
	l.optional = strings.Contains(f.Tag.Get("json"), ",omitempty")
	if tag := f.Tag.Get("enum"); tag != "" {
		l.enum = strings.Split(tag, ",")
	} else if w, ok := reflect.Zero(t).Interface().(interface{ words() []string }); ok {
		l.enum = w.words()
	}
	bound := func(tag string) (text string, value float64, ok bool) {
		if text = f.Tag.Get(tag); text == "" {
			return "", 0, false
		}
		v := reflect.New(t).Elem()
		n := node{kind: stringNode, raw: []byte(text), text: text}
		err := n.decode(v, "", true)
		if value, ok = numeric(v); err != nil || !ok {
			panic(fmt.Sprintf("faults: %s: tag %s:%q does not fit %s", where, tag, text, t))
		}
		return text, value, true
	}
	l.min, l.least, l.hasLeast = bound("min")
	l.max, l.most, l.hasMost = bound("max")
	return l
}

// check says whether v is within the limits. A word of an enumeration is brought
// to the form it is listed in.
func (l *limits) check(v reflect.Value, field string) *Error {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
	}
	if l.enum != nil {
		word := textOf(v)
		if word == "" && l.optional {
			return nil
		}
		for _, w := range l.enum {
			if canonical(w) == canonical(word) {
				if v.Kind() == reflect.String {
					v.SetString(w)
				}
				return nil
			}
		}
		return Errorf(Invalid, field, "%s", notOneOf(word, l.enum))
	}
	if n, ok := numeric(v); ok && (l.hasLeast && n < l.least || l.hasMost && n > l.most) {
		return Errorf(Invalid, field, "expected %s, got %s", l.bounds(), textOf(v))
	}
	return nil
}

// bounds says the limits in words.
func (l *limits) bounds() string {
	switch {
	case l.hasLeast && l.hasMost:
		return l.min + " to " + l.max
	case l.hasLeast:
		return l.min + " or more"
	}
	return "at most " + l.max
}

// numeric is the number behind a value: nanoseconds, bytes, a share.
func numeric(v reflect.Value) (float64, bool) {
	switch {
	case v.CanInt() && !isWord(v):
		return float64(v.Int()), true
	case v.CanUint() && !isWord(v):
		return float64(v.Uint()), true
	case v.CanFloat():
		return v.Float(), true
	}
	return 0, false
}

func isWord(v reflect.Value) bool {
	_, ok := v.Interface().(interface{ words() []string })
	return ok
}

// textOf is a value as people write it.
func textOf(v reflect.Value) string {
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		text, err := m.MarshalText()
		if err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}
