package faults

import (
	"strconv"
	"time"
)

// nearMost bounds each value that a near miss is told with.
const nearMost = 60

// Explain appends what is known of a near miss, where all keys of the match but
// one say yes: that key, which others matched, and what its value is and should be:
// "(status): path matched, status 200 is not 5xx". Of a match, and of what misses by
// more, or may still be decided, it says nothing.
func (m *Matcher) Explain(b []byte, f *Facts) []byte {
	i := m.near(f)
	if i < 0 {
		return b
	}
	c := &m.checks[i]
	b = append(append(m.explained(b, c.key), c.key...), ' ')
	return append(append(clipped(c.is(b, f), len(b)), " is not "...), c.want...)
}

// explained begins an explanation: the key that said no, and those that said yes.
func (m *Matcher) explained(b []byte, key string) []byte {
	b = append(append(append(b, '('), key...), "): "...)
	var others [len(missNames)]string // each once: of fields there may be several
	n := 0
	for i := range m.checks {
		if k := m.checks[i].key; k != key && (n == 0 || others[n-1] != k) {
			others[n] = k
			n++
		}
	}
	for i, k := range others[:n] {
		switch {
		case i == 0:
		case i == n-1:
			b = append(b, " and "...)
		default:
			b = append(b, ", "...)
		}
		b = append(b, k...)
	}
	if n > 0 {
		b = append(b, " matched, "...)
	}
	return b
}

// ExplainDirection is Explain where all keys say yes and the direction is another.
func (m *Matcher) ExplainDirection(is, want string) string {
	if is == "" {
		is = "none"
	}
	return string(m.explained(nil, "direction")) + "direction " + is + " is not " + want
}

// clipped cuts what was appended after from to what can be read.
func clipped(b []byte, from int) []byte {
	if len(b)-from > nearMost {
		b = append(b[:from+nearMost], "..."...)
	}
	return b
}

// The values that keys are asked about, in words; each appends to b.

func isSession(b []byte, f *Facts) []byte  { return strconv.AppendUint(b, f.Session, 10) }
func isExchange(b []byte, f *Facts) []byte { return strconv.AppendUint(b, f.Exchange, 10) }
func isReused(b []byte, f *Facts) []byte   { return strconv.AppendBool(b, f.Reused) }
func isStatus(b []byte, f *Facts) []byte   { return strconv.AppendInt(b, int64(f.Status), 10) }
func isClient(b []byte, f *Facts) []byte   { return f.Client.AppendTo(b) }

func isIdle(b []byte, f *Facts) []byte {
	if !f.Reused {
		return append(b, "of a first exchange"...)
	}
	return append(b, f.Idle.Round(time.Millisecond).String()...)
}

func isMethod(b []byte, f *Facts) []byte {
	if f.Request == nil {
		return append(b, "of no request"...)
	}
	return append(b, f.Request.Method()...)
}

func isPath(b []byte, f *Facts) []byte {
	if f.Request == nil {
		return append(b, "of no request"...)
	}
	return append(b, pathOf(f.Request.Target())...)
}

func isHost(b []byte, f *Facts) []byte {
	if f.Request != nil {
		if host, ok := authorityOf(f.Request); ok {
			return append(b, host...)
		}
	}
	return append(b, "none"...)
}

// isHeader gives the first field of a name.
func isHeader(b []byte, f *Facts, name string) []byte {
	if h := f.Request; h != nil {
		for i := range h.Fields {
			if equalFold(h.Name(i), name) {
				return append(b, h.Value(i)...)
			}
		}
	}
	return append(b, "none"...)
}
