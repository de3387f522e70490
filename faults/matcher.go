package faults

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"crimp/faults/wire"
)

// Facts is what is known of the traffic a match is asked about.
type Facts struct {
	Session  uint64 // ordinal on the route
	Client   netip.AddrPort
	Exchange uint64 // ordinal on the session; 0: in no exchange, or not yet
	Reused   bool   // the exchange is not its session's first
	Idle     time.Duration
	// HasRequest says that there is a request or that one is to come: what of it
	// is not known yet may still become known. Without it, keys that ask for an
	// exchange say no.
	HasRequest bool
	Request    *wire.Head // nil until its line is known; its fields are all there when Complete
	Status     int        // of the response; 0: not yet known
}

// Answer is what a match says of facts.
type Answer uint8

const (
	Yes    Answer = iota // whatever else becomes known
	No                   // and no further fact can change it
	NotYet               // more facts may decide it
)

// String is yes, no or not yet.
func (a Answer) String() string { return [...]string{"yes", "no", "not yet"}[a] }

// Matcher is a Match made ready to be asked. It is immutable.
type Matcher struct {
	checks   []check // in the order of MatchKeys
	down, up bool
	http     string // the first key that is known of an exchange only, or empty
	status   Range
	asks     bool // for a status
}

type matcher = Matcher

// check is one key of a match. The functions close over values parsed at
// compile time, so that asking allocates nothing.
type check struct {
	key  string
	want string // what is asked for, in words
	ask  func(f *Facts) Answer
	is   func(b []byte, f *Facts) []byte // appends what the value is (near.go)
}

// Compile validates the match and makes it ready; the error's field is field and
// the key.
func (m Match) Compile(field string) (*Matcher, *Error) { return m.compile(field) }

func (m Match) compile(field string) (*matcher, *Error) {
	out := &Matcher{down: true}
	var errs *Error
	for _, part := range []func(*Matcher) *Error{m.direction, m.ofSession, m.ofExchange, m.ofRequest, m.ofHeader, m.ofStatus} {
		errs = errs.And(part(out))
	}
	if errs != nil {
		return nil, errs.In(field)
	}
	return out, nil
}

// add appends a check; http says that its key is known of an exchange only.
func (m *Matcher) add(key string, http bool, want string, is func(b []byte, f *Facts) []byte, ask func(f *Facts) Answer) {
	m.checks = append(m.checks, check{key, want, ask, is})
	if http && m.http == "" {
		m.http = key
	}
}

func (m Match) direction(out *Matcher) (errs *Error) {
	switch m.Direction {
	case "", "downstream":
	case "upstream":
		out.down, out.up = false, true
	case "both":
		out.up = true
	default:
		errs = errs.And(Errorf(Invalid, "direction", "%s", notOneOf(m.Direction, []string{"downstream", "upstream", "both"})))
	}
	return errs
}

func (m Match) ofSession(out *Matcher) (errs *Error) {
	if m.Session != "" {
		r, err := ordinals(m.Session)
		errs = errs.And(err.In("session"))
		out.add("session", false, m.Session, isSession, func(f *Facts) Answer { return sure(r.Has(f.Session)) })
	}
	if m.Client != "" {
		c, ok := parseClients(m.Client)
		if !ok {
			errs = errs.And(Errorf(Invalid, "client", "expected an address, address:port or CIDR such as 10.0.0.0/8, got %q", m.Client))
		}
		out.add("client", false, m.Client, isClient, func(f *Facts) Answer { return sure(c.has(f.Client)) })
	}
	return errs
}

func (m Match) ofExchange(out *Matcher) (errs *Error) {
	if m.Exchange != "" {
		r, err := ordinals(m.Exchange)
		errs = errs.And(err.In("exchange"))
		out.add("exchange", true, m.Exchange, isExchange, func(f *Facts) Answer { return ofExchange(f, r.Has(f.Exchange)) })
	}
	if m.Reused != nil {
		want := *m.Reused
		out.add("reused", true, strconv.FormatBool(want), isReused, func(f *Facts) Answer { return ofExchange(f, f.Reused == want) })
	}
	if m.Idle != "" {
		r, err := parseSpan(m.Idle)
		if err != nil {
			errs = errs.And(Errorf(Invalid, "idle", "%v", err))
		}
		out.add("idle", true, m.Idle, isIdle, func(f *Facts) Answer { return ofExchange(f, f.Reused && r.has(f.Idle)) })
	}
	return errs
}

func (m Match) ofRequest(out *Matcher) (errs *Error) {
	if m.Method != "" {
		if !isToken(strings.ReplaceAll(m.Method, "?", "")) && strings.Trim(m.Method, "?") != "" {
			errs = errs.And(Errorf(Invalid, "method", "expected a method such as GET, got %q", m.Method))
		}
		glob := m.Method
		out.add("method", true, m.Method, isMethod, func(f *Facts) Answer {
			if f.Request == nil {
				return later(f)
			}
			return sure(globMatch(glob, f.Request.Method(), true))
		})
	}
	if m.Host != "" {
		glob := hostGlob(m.Host)
		if glob.text == "" || strings.ContainsAny(m.Host, "/ @") {
			errs = errs.And(Errorf(Invalid, "host", "expected a host or glob such as *.example.com, got %q", m.Host))
		}
		out.add("host", true, m.Host, isHost, func(f *Facts) Answer { return askHost(f, glob) })
	}
	if m.Path != "" {
		glob := m.Path
		if !strings.ContainsAny(glob[:1], "/*?") {
			errs = errs.And(Errorf(Invalid, "path", "expected a glob that starts with / or *, such as /api/*, got %q", glob))
		}
		out.add("path", true, m.Path, isPath, func(f *Facts) Answer {
			if f.Request == nil {
				return later(f)
			}
			return sure(globMatch(glob, pathOf(f.Request.Target()), false))
		})
	}
	return errs
}

func (m Match) ofHeader(out *Matcher) (errs *Error) {
	seen := map[string]bool{}
	for _, name := range sortedKeys(m.Header) {
		if !isToken(name) {
			errs = errs.And(Errorf(Invalid, join("header", name), "expected the name of a field, got %q", name))
		}
		if seen[strings.ToLower(name)] {
			errs = errs.And(Errorf(Invalid, join("header", name), "given twice"))
		}
		seen[strings.ToLower(name)] = true
		glob := m.Header[name]
		out.add("header", true, glob, func(b []byte, f *Facts) []byte {
			return isHeader(append(append(b, name...), ' '), f, name)
		}, func(f *Facts) Answer { return askHeader(f, name, glob) })
	}
	return errs
}

func (m Match) ofStatus(out *Matcher) (errs *Error) {
	if m.Status == "" {
		return nil
	}
	r, err := parseStatus(m.Status)
	if err != nil {
		errs = errs.And(Errorf(Invalid, "status", "%v", err))
	}
	out.status, out.asks = r, true
	out.add("status", true, m.Status, isStatus, func(f *Facts) Answer {
		if f.Status == 0 {
			return later(f)
		}
		return sure(r.Has(uint64(f.Status)))
	})
	return errs
}

// ordinals reads a range of numbers that count from 1.
func ordinals(s string) (Range, *Error) {
	r, err := ParseRange(s)
	if err != nil {
		return r, Errorf(Invalid, "", "%v", err)
	}
	if r.High == 0 || r.Low == 0 && !strings.HasPrefix(s, "-") {
		return r, Errorf(Invalid, "", "expected a number from 1 or a range of them, got %q", s)
	}
	return r, nil
}

// Ask says whether the facts match, and if not which key said no or is not known
// yet: the first no in the order of MatchKeys, else the first not yet. It
// allocates nothing.
func (m *Matcher) Ask(f *Facts) (Answer, string) {
	answer, key := Yes, ""
	for i := range m.checks {
		switch m.checks[i].ask(f) {
		case No:
			return No, m.checks[i].key
		case NotYet:
			if answer == Yes {
				answer, key = NotYet, m.checks[i].key
			}
		}
	}
	return answer, key
}

// Near is the key that alone said no while all others said yes: a near miss.
// It is empty if none or several did, or something is not known yet.
func (m *Matcher) Near(f *Facts) string {
	if i := m.near(f); i >= 0 {
		return m.checks[i].key
	}
	return ""
}

// near is the check that alone said no, -1 if there is none such.
func (m *Matcher) near(f *Facts) int {
	no := -1
	for i := range m.checks {
		switch m.checks[i].ask(f) {
		case NotYet:
			return -1
		case No:
			if no >= 0 {
				return -1
			}
			no = i
		}
	}
	return no
}

// Session asks only what is known of a session from its start: session and client.
func (m *Matcher) Session(f *Facts) (Answer, string) {
	for i := range m.checks {
		if key := m.checks[i].key; key == "session" || key == "client" {
			if m.checks[i].ask(f) == No {
				return No, key
			}
		}
	}
	return Yes, ""
}

// Directions says which directions the match is for; downstream if it says nothing.
func (m *Matcher) Directions() (down, up bool) { return m.down, m.up }

// HTTPKeys says whether the match asks for anything that only an exchange has:
// such a rule is a message rule and needs an http session.
func (m *Matcher) HTTPKeys() bool { return m.http != "" }

// HTTPKey is the first key that only an exchange has, or empty.
func (m *Matcher) HTTPKey() string { return m.http }

// NeedsStatus says whether the match asks for the response's status.
func (m *Matcher) NeedsStatus() bool { return m.asks }

// WantsInterim says whether the match asks for interim (1xx) responses. Without
// that, a rule for responses means the final one.
func (m *Matcher) WantsInterim() bool { return m.asks && m.status.Low < 200 }

func sure(yes bool) Answer {
	if yes {
		return Yes
	}
	return No
}

// later is the answer where a fact is missing.
func later(f *Facts) Answer {
	if f.HasRequest {
		return NotYet
	}
	return No
}

func ofExchange(f *Facts, yes bool) Answer {
	if f.Exchange == 0 {
		return later(f)
	}
	return sure(yes)
}
