package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"crimp/faults"
)

// This file frames what is said: JSON-RPC 2.0, one object a message.
//
// It is our own because the library at hand answers a malformed frame by
// closing the connection without a word, cannot say "id": null, and rebuilds
// params through a map, so that a duplicate key is gone before the strict
// decoder can refuse it.

// The numbers of errors. Data carries the code by name.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalid        = -32602
	codeInternal       = -32603
	codeNotFound       = -32001
	codeConflict       = -32002
	codeLimit          = -32003
	codeTimeout        = -32004
	codeForbidden      = -32005
	codeUnsupported    = -32006
)

// numbers of the codes. An address that is taken conflicts with its holder.
var numbers = map[faults.Code]int{
	faults.Invalid: codeInvalid, faults.NotFound: codeNotFound, faults.Conflict: codeConflict, faults.Bind: codeConflict,
	faults.Limit: codeLimit, faults.Timeout: codeTimeout, faults.Forbidden: codeForbidden, faults.Unsupported: codeUnsupported,
}

// request is a call, or a notification if id is nil.
type request struct {
	id     json.RawMessage
	method string
	params json.RawMessage // nil: none
}

// response is the answer to a call: Result or Error.
type response struct {
	JSONRPC string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  json.RawMessage `json:"result,omitempty"`
	Error   *wireError      `json:"error,omitempty"`
}

// notification is a message that wants no answer.
type notification struct {
	JSONRPC string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params"`
}

// wireError is an error on the wire. Message is complete by itself; Data has its
// parts.
type wireError struct {
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Data    errorData `json:"data"`
}

type errorData struct {
	Code    faults.Code `json:"code"`
	Field   string      `json:"field"`
	Message string      `json:"message"`
	// More are the further mistakes of a call that has several, each with the same three members.
	More    []*faults.Error `json:"more,omitempty"`
	Current any             `json:"current,omitempty"` // of a conflict over if_rev: the rule or route as it stands
}

// onWire makes the wire's error of err. What is not a *faults.Error is a bug
// somewhere and is told as such.
func onWire(err error) *wireError {
	var e *faults.Error
	if !errors.As(err, &e) {
		e = faults.Errorf("internal", "", "%v", err)
	}
	number, ok := numbers[e.Code]
	if !ok {
		number = codeInternal
	}
	w := numbered(number, e)
	var c *conflict
	if errors.As(err, &c) {
		w.Data.Current = c.current
	}
	return w
}

func numbered(number int, e *faults.Error) *wireError {
	return &wireError{Code: number, Message: e.Error(), Data: errorData{Code: e.Code, Field: e.Field, Message: e.Message, More: e.More}}
}

// back is the error that a client gets from the wire.
func (w *wireError) back() *faults.Error {
	if w.Data.Code != "" {
		return &faults.Error{Code: w.Data.Code, Field: w.Data.Field, Message: w.Data.Message, More: w.Data.More}
	}
	for code, number := range numbers {
		if number == w.Code && code != faults.Bind {
			return &faults.Error{Code: code, Message: w.Message}
		}
	}
	return faults.Errorf("internal", "", "%s", w.Message)
}

// envelope are the members of a request.
var envelope = []string{"jsonrpc", "id", "method", "params"}

// decodeRequest reads one message. On an error the request still has the id, if
// that could be read: the answer needs it.
func decodeRequest(raw []byte) (request, *wireError) {
	var q request
	raw = bytes.TrimSpace(raw)
	if !utf8.Valid(raw) || !json.Valid(raw) {
		return q, numbered(codeParse, faults.Errorf(faults.Invalid, "", "this is not JSON; expected one JSON-RPC 2.0 object"))
	}
	invalid := func(field, format string, args ...any) *wireError {
		return numbered(codeInvalidRequest, faults.Errorf(faults.Invalid, field, format, args...))
	}
	if raw[0] == '[' {
		return q, invalid("", "a batch is not part of %s; send one JSON-RPC object a message", Protocol)
	}
	if raw[0] != '{' {
		return q, invalid("", "expected a JSON-RPC object, not %.40s", raw)
	}
	m, duplicate := members(raw)
	if id := bytes.TrimSpace(m["id"]); len(id) > 0 {
		if id[0] != '"' && id[0] != '-' && (id[0] < '0' || id[0] > '9') {
			return q, invalid("id", "expected a string or a number, not %.40s", id)
		}
		q.id = id
	}
	if duplicate != "" {
		return q, invalid(duplicate, "is there twice")
	}
	for name := range m {
		if !slices.Contains(envelope, name) {
			return q, invalid(name, "unknown member%s; a request has jsonrpc, id, method and params", faults.Hint(name, envelope))
		}
	}
	var version string
	if json.Unmarshal(m["jsonrpc"], &version) != nil || version != "2.0" {
		return q, invalid("jsonrpc", `expected "2.0"`)
	}
	if json.Unmarshal(m["method"], &q.method) != nil || q.method == "" {
		return q, invalid("method", "expected the name of a method")
	}
	q.params = m["params"]
	return q, nil
}

// members splits a valid JSON object, and names a key that it has twice.
func members(object []byte) (m map[string]json.RawMessage, duplicate string) {
	m = map[string]json.RawMessage{}
	d := json.NewDecoder(bytes.NewReader(object))
	d.Token() // {
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			break
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			break
		}
		if _, twice := m[name]; twice {
			duplicate = name
		}
		m[name] = value
	}
	return m, duplicate
}

// encodeReply is the message that answers the call with that id.
func encodeReply(id json.RawMessage, result any, failed *wireError) []byte {
	if id == nil {
		id = json.RawMessage("null")
	}
	r := response{JSONRPC: "2.0", ID: id, Error: failed}
	if failed == nil {
		var err error
		if r.Result, err = json.Marshal(result); err != nil {
			r.Result, r.Error = nil, onWire(fmt.Errorf("the result cannot be encoded: %w", err))
		}
	}
	return mustEncode(r)
}

// encodeNote is the message of a notification.
func encodeNote(method string, params any) []byte {
	return mustEncode(notification{JSONRPC: "2.0", Method: method, Params: params})
}

// mustEncode encodes what is always encodable, except event data that somebody
// put a channel into: said rather than swallowed.
func mustEncode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		b, _ = json.Marshal(response{JSONRPC: "2.0", ID: json.RawMessage("null"), Error: onWire(err)})
	}
	return b
}
