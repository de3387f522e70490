package faults

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// PositionKind is the form of a Position.
type PositionKind uint8

const (
	NoPosition PositionKind = iota // "": the kind has no place

	// Of the stream.
	Now   // at once
	ByteN // after exactly N bytes of the direction
	Next  // N bytes after the rule came into force
	After // D after the session opened
	Idle  // D without a byte

	// Of a message.
	MsgStart     // before its first byte
	MsgByte      // after N of its bytes, head included
	StartLineMid // middle of the start line
	FieldMid     // middle of the value of field N (from 1), or of the field called Name
	FieldNameMid // middle of the name of field N
	HeadEndAt    // all fields sent, the blank line not
	HeadAt       // right after the blank line
	BodyAt       // after N bytes of body data
	BodyFromEnd  // N bytes of body data before its end
	BodyPercent  // at Percent of the declared length
	ChunkAt      // before the N-th chunk
	ChunkSizeMid // middle of the N-th chunk's size line
	ChunkDataMid // middle of the N-th chunk's data
	LastChunkAt  // between "0 CRLF" and the final CRLF
	MsgEnd       // after the whole message
)

// Position is a place in a direction's stream or in an HTTP message (faults.md,
// "Position"). It counts bytes as they came from the peer. Its text is the form's
// word, with what the form needs after a colon: "field:2", "body:50%".
type Position struct {
	Kind    PositionKind
	N       int64         // bytes, or the number of a field or chunk from 1
	Name    string        // of the field, instead of N, as it was written; names compare without case
	Percent float64       // 0 to 100
	D       time.Duration // of After and Idle
}

// argument is what follows the colon.
type argument uint8

const (
	argNone    argument = iota
	argCount            // bytes, from 0
	argOrdinal          // a number from 1
	argField            // a number from 1, or a name
	argBody             // N, -N or P%
	argLength           // a duration
)

// forms in the order of faults.md. BodyAt stands for the three forms of body.
var forms = []struct {
	word string
	kind PositionKind
	arg  argument
}{
	{"now", Now, argNone}, {"byte", ByteN, argCount}, {"next", Next, argCount}, {"after", After, argLength}, {"idle", Idle, argLength},
	{"start", MsgStart, argNone}, {"message", MsgByte, argCount}, {"start_line", StartLineMid, argNone},
	{"field", FieldMid, argField}, {"field_name", FieldNameMid, argOrdinal},
	{"head_end", HeadEndAt, argNone}, {"head", HeadAt, argNone}, {"body", BodyAt, argBody},
	{"chunk", ChunkAt, argOrdinal}, {"chunk_size", ChunkSizeMid, argOrdinal}, {"chunk_data", ChunkDataMid, argOrdinal},
	{"last_chunk", LastChunkAt, argNone}, {"end", MsgEnd, argNone},
}

// Forms lists every form of a position, for help and errors.
const Forms = "now, byte:N, next:N, after:D, idle:D, start, message:N, start_line, field:N, field:NAME, field_name:N, " +
	"head_end, head, body:N, body:-N, body:P%, chunk:N, chunk_size:N, chunk_data:N, last_chunk, end"

// ParsePosition reads a position. "next:0" is Now; the empty text is NoPosition.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	word, arg, colon := strings.Cut(s, ":")
	words := make([]string, len(forms))
	for i, f := range forms {
		words[i] = f.word
		if f.word != canonical(word) {
			continue
		}
		if f.arg == argNone {
			if colon {
				return Position{}, fmt.Errorf("expected %s alone, got %q", f.word, s)
			}
			return Position{Kind: f.kind}, nil
		}
		p := Position{Kind: f.kind}
		if want := p.parse(f.arg, arg, colon); want != "" {
			return Position{}, fmt.Errorf("expected %s:%s, got %q", f.word, want, s)
		}
		if p == (Position{Kind: Next}) {
			p.Kind = Now
		}
		return p, nil
	}
	hint := ""
	if near := Suggest(word, words); near != "" {
		if colon {
			near += ":" + arg
		}
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return Position{}, fmt.Errorf("unknown position %q%s expected one of %s", s, cmpOr(hint, ";"), Forms)
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// parse reads what follows the colon; it answers with what was expected, or "".
func (p *Position) parse(kind argument, arg string, given bool) (want string) {
	ok := false
	switch kind {
	case argCount:
		want = "N with N a number of bytes from 0"
		p.N, ok = number(arg, 0)
	case argOrdinal:
		want = "N with N counted from 1"
		p.N, ok = number(arg, 1)
	case argField:
		want = "N (counted from 1) or the name of a field"
		if p.N, ok = number(arg, 1); !ok && isToken(arg) && strings.Trim(arg, "0123456789") != "" && arg[0] != '-' {
			p.Name, ok = arg, true
		}
	case argLength:
		want = "D with D a duration such as 2s"
		var d Duration
		ok = d.UnmarshalText([]byte(arg)) == nil && (d > 0 || p.Kind == After)
		p.D = time.Duration(d)
		if p.Kind == Idle {
			want += ", more than 0s"
		}
	case argBody:
		want = "N, -N (before the end, N from 1) or P% (0% to 100%)"
		ok = p.parseBody(arg)
	}
	if ok && given {
		return ""
	}
	return want
}

func (p *Position) parseBody(arg string) (ok bool) {
	if percent, found := strings.CutSuffix(arg, "%"); found {
		v, err := parsePlain(percent)
		p.Kind, p.Percent = BodyPercent, v
		return err == nil && v <= 100
	}
	if back, found := strings.CutPrefix(arg, "-"); found {
		p.Kind = BodyFromEnd
		p.N, ok = number(back, 1)
		return ok
	}
	p.N, ok = number(arg, 0)
	return ok
}

// number reads a decimal number of at least low, without a sign.
func number(s string, low int64) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil || int64(n) < low {
		return 0, false
	}
	return int64(n), true
}

// isToken says whether s is a token of RFC 9110 section 5.6.2: what methods and
// field names are made of.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// String is the position's text; ParsePosition of it is the position again.
func (p Position) String() string {
	switch p.Kind {
	case NoPosition:
		return ""
	case BodyFromEnd:
		return "body:-" + strconv.FormatInt(p.N, 10)
	case BodyPercent:
		return "body:" + percentText(p.Percent, func(shown float64) bool { return shown == p.Percent }) + "%"
	}
	for _, f := range forms {
		switch {
		case f.kind != p.Kind:
		case f.arg == argNone:
			return f.word
		case f.arg == argLength:
			return f.word + ":" + Duration(p.D).String()
		case p.Name != "":
			return f.word + ":" + p.Name
		default:
			return f.word + ":" + strconv.FormatInt(p.N, 10)
		}
	}
	return fmt.Sprintf("position(%d)", p.Kind)
}

// MarshalText gives String.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePosition.
func (p *Position) UnmarshalText(text []byte) error {
	v, err := ParsePosition(string(text))
	if err == nil {
		*p = v
	}
	return err
}

func (Position) expects() string { return "a position such as body:50%" }

// IsStream says whether it is a place in a direction's stream, or none, rather
// than in a message: what decides a rule's scope.
func (p Position) IsStream() bool { return p.Kind <= Idle }

// Grain is how whole a head must be before the position can be found in it: a
// middle is known only when its line is.
func (p Position) Grain() Grain {
	switch p.Kind {
	case StartLineMid, FieldMid, FieldNameMid, ChunkSizeMid:
		return Line
	}
	return Fragment
}

// Of is where a BodyPercent position falls in a body of n bytes, rounded down.
func (p Position) Of(n int64) int64 {
	if at := math.Floor(float64(n) * p.Percent / 100); at < float64(n) {
		return int64(at)
	}
	return n
}
