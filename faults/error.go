package faults

import (
	"fmt"
	"strings"
)

// Code is what an error is to a machine; the control protocol maps each to a number.
type Code string

const (
	Invalid     Code = "invalid"     // a value that cannot be: the field and what was expected are named
	NotFound    Code = "not_found"   // no such route, rule, fault, session, method
	Conflict    Code = "conflict"    // exists already, or changed since if_rev
	Limit       Code = "limit"       // a configured bound is reached
	Timeout     Code = "timeout"     // a wait ran out
	Forbidden   Code = "forbidden"   // refused by panic, token, origin
	Unsupported Code = "unsupported" // needs a right or another platform
	Bind        Code = "bind"        // an address cannot be listened on
)

// Error is the one error type of crimp: a code for machines, the field it is
// about (a path such as "rules[1].params.at", or empty) and a sentence for people.
//
// Where an input is judged as a whole it is its first mistake, and the others
// stand behind it. What collects them starts with nil, to which all methods apply.
type Error struct {
	Code    Code     `json:"code"`
	Field   string   `json:"field,omitempty"`
	Message string   `json:"message"`
	More    []*Error `json:"more,omitempty"` // the further mistakes, at most MaxMistakes in all; they have none of their own

	meant string // of an unknown key: the path of what it was likely to be
}

// MaxMistakes is how many mistakes of one input are told: who has more has them
// all over the place, and an answer stays short however long the input.
const MaxMistakes = 50

// Error is the Line of each mistake.
func (e *Error) Error() string {
	var lines []string
	for _, x := range e.All() {
		lines = append(lines, x.Line())
	}
	return strings.Join(lines, "\n")
}

// Line is the field, if there is one, and the sentence of this mistake alone.
func (e *Error) Line() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Errorf makes an Error.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}

// All are the mistakes, the first one first.
func (e *Error) All() []*Error {
	if e == nil {
		return nil
	}
	return append([]*Error{e}, e.More...)
}

// And is e with the mistakes of other behind its own; either may be nil.
func (e *Error) And(other *Error) *Error {
	if e == nil {
		return other
	}
	for _, x := range other.All() {
		if e.full() {
			break
		}
		e.More = append(e.More, &Error{Code: x.Code, Field: x.Field, Message: x.Message, meant: x.meant})
	}
	return e
}

// full says that there is no use in looking on.
func (e *Error) full() bool { return e != nil && len(e.More) >= MaxMistakes-1 }

// Then is e with what a later look at the same input found. What that says of a
// field which e found unusable is left out: it has judged a value that nobody gave.
func (e *Error) Then(later *Error) *Error {
	if e == nil {
		return later
	}
	known := e.All()
	for _, x := range later.All() {
		alone := *x
		alone.More = nil
		if !concerns(known, x.Field) {
			e = e.And(&alone)
		}
	}
	return e
}

// concerns says whether any of the mistakes is of that field, of what it is in or
// of what is in it.
func concerns(mistakes []*Error, field string) bool {
	for _, m := range mistakes {
		if beneath(field, m.Field) || beneath(m.Field, field) || m.meant != "" && beneath(field, m.meant) {
			return true
		}
	}
	return false
}

// beneath says whether a path is another or leads on from it.
func beneath(path, of string) bool {
	rest, is := strings.CutPrefix(path, of)
	return is && (of == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// In is e with its fields beneath field.
func (e *Error) In(field string) *Error {
	for _, x := range e.All() {
		x.Field = join(field, x.Field)
		if x.meant != "" {
			x.meant = join(field, x.meant)
		}
	}
	return e
}
