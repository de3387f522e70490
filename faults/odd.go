package faults

import "crimp/faults/wire"

// Odd is what a client did against the rules of persistence and pipelining: any
// of the marks, or none. It is noted, never prevented.
type Odd uint8

const (
	// UnsafePipe: a request with a method that is not idempotent before all the
	// answers to those before it are there (RFC 9112 section 9.3.2).
	UnsafePipe Odd = 1 << iota
	// EarlyPipe: a second request before the first answer has said whether the
	// connection persists (RFC 9112 section 9.3.2).
	EarlyPipe
	// AfterClose: a request after one side has said Connection: close (RFC 9112
	// section 9.6).
	AfterClose
	// Crowding: more than two connections at a time to one route, from one client
	// address, that the client means to keep. Two is the limit of RFC 2616 section
	// 8.1.4 and of "HTTP: The Definitive Guide", 4.5; RFC 9112 section 9.4 sets
	// no number any more and only asks for restraint.
	Crowding
)

// mostKept is how many persistent connections a client may have at a time.
const mostKept = 2

var oddWords = [...]string{
	"non-idempotent request in a pipe", "pipelined before persistence was known",
	"request after Connection: close", "more than two persistent connections",
}

// Words says each mark for people; nil for none.
func (o Odd) Words() (words []string) {
	for i, w := range oddWords {
		if o&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return words
}

// odd marks an exchange, and with it the session.
func (e *Engine) odd(x *Exchange, o Odd) {
	if x != nil {
		x.Odd |= o
	}
	e.oddly |= o
}

// Odd is what was odd on the session so far.
func (e *Engine) Odd() Odd { return e.oddly }

// oddRequest marks a request whose line is known.
func (e *Engine) oddRequest(x *Exchange) {
	for _, y := range e.q.open {
		if y == x || y.answered {
			continue
		}
		if m := string(x.Head.Method()); m != "GET" && m != "HEAD" && m != "OPTIONS" && m != "TRACE" && m != "PUT" && m != "DELETE" {
			e.odd(x, UnsafePipe)
		}
		if e.q.last.IsZero() {
			e.odd(x, EarlyPipe)
		}
		break
	}
	if e.closing {
		e.odd(x, AfterClose)
	}
}

// persists follows, head by head, whether the connection is one that the client
// keeps (RFC 9112 section 9.3), and marks the request that makes it one too many.
func (e *Engine) persists(x *Exchange, h *wire.Head) {
	e.closing = e.closing || h.Close
	kept := e.kept
	switch {
	case e.closing || h.Framing == wire.Tunnel:
		kept = false
	case h.Request:
		kept = asksToKeep(h)
	case h.Status >= 200:
		kept = kept && h.Framing != wire.UntilClose && asksToKeep(h)
	}
	if kept != e.kept || kept && h.Request && e.oddly&Crowding != 0 {
		if e.keep(kept) > mostKept && h.Request {
			e.odd(x, Crowding)
		}
	}
}

// asksToKeep says that a complete head means the connection to persist.
func asksToKeep(h *wire.Head) bool {
	return h.Minor > 0 && !h.Close || h.KeepAlive || lists(h, "Proxy-Connection", "keep-alive")
}

// keep counts the session among those that its client keeps, or no more, and
// says how many these are.
func (e *Engine) keep(on bool) int {
	if e.kept = on; e.o.Census == nil {
		return 1
	}
	return e.o.Census.Keep(on)
}

// unkeep: the client has left, or speaks HTTP no more.
func (e *Engine) unkeep() {
	if e.kept {
		e.keep(false)
	}
}
