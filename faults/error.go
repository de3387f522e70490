package faults

import "fmt"

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
type Error struct {
	Code    Code   `json:"code"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// Error is the field, if there is one, and the sentence.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Message
	}
	return e.Field + ": " + e.Message
}

// Errorf makes an Error.
func Errorf(code Code, field, format string, args ...any) *Error {
	return &Error{Code: code, Field: field, Message: fmt.Sprintf(format, args...)}
}
