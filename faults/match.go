package faults

import (
	"cmp"
	"net/netip"
	"sort"
	"strconv"
	"strings"
)

// Match says which traffic a rule is for; every key that is given must hold, and
// the zero value is everything. Method, host, path and header are the request's,
// in downstream rules too. The same keys filter lists, waits and events.
type Match struct {
	Direction string `json:"direction,omitempty" enum:"downstream,upstream,both"` // downstream if empty
	Session   string `json:"session,omitempty" accept:"number"`                   // ordinals on the route: "3", "2-5", "4-", "3n"
	Client    string `json:"client,omitempty"`                                    // address, address:port or CIDR
	Exchange  string `json:"exchange,omitempty" accept:"number"`                  // ordinals on the session, as Session
	Reused    *bool  `json:"reused,omitempty" accept:"text"`                      // true: not the first exchange of its session
	Idle      string `json:"idle,omitempty"`                                      // since the last exchange: "2s-", "1s-5s", "-1s"
	Method    string `json:"method,omitempty"`                                    // glob, without case
	Host      string `json:"host,omitempty"`                                      // glob, without case; the port counts only if the glob has one
	Path      string `json:"path,omitempty"`                                      // glob over the target's path, without its query
	// Header is field names to globs over their values; of several fields with
	// one name any will do.
	Header map[string]string `json:"header,omitempty"`
	Status string            `json:"status,omitempty" accept:"number"` // of the response: "404", "5xx", "200-299"
}

// MatchKeys are the keys of a match in the order in which they are asked; the
// first that says no is the one a miss is counted under.
var MatchKeys = []string{"direction", "session", "client", "exchange", "reused", "idle", "method", "host", "path", "header", "status"}

// With is the match with what over says in place of its own, key by key;
// header by header too.
func (m Match) With(over Match) Match {
	for _, key := range []struct{ mine, over *string }{
		{&m.Direction, &over.Direction}, {&m.Session, &over.Session}, {&m.Client, &over.Client},
		{&m.Exchange, &over.Exchange}, {&m.Idle, &over.Idle}, {&m.Method, &over.Method},
		{&m.Host, &over.Host}, {&m.Path, &over.Path}, {&m.Status, &over.Status},
	} {
		if *key.over != "" {
			*key.mine = *key.over
		}
	}
	if over.Reused != nil {
		m.Reused = over.Reused
	}
	if len(over.Header) == 0 {
		return m
	}
	merged := map[string]string{}
	for name, glob := range m.Header {
		merged[strings.ToLower(name)] = glob
	}
	for name, glob := range over.Header {
		delete(merged, strings.ToLower(name))
		merged[name] = glob
	}
	m.Header = merged
	return m
}

// Words is the match as ParseMatch reads it, in the order of MatchKeys.
func (m Match) Words() []string {
	var out []string
	add := func(key, value string) {
		if value != "" {
			out = append(out, key+"="+value)
		}
	}
	add("direction", m.Direction)
	add("session", m.Session)
	add("client", m.Client)
	add("exchange", m.Exchange)
	if m.Reused != nil {
		add("reused", strconv.FormatBool(*m.Reused))
	}
	add("idle", m.Idle)
	add("method", m.Method)
	add("host", m.Host)
	add("path", m.Path)
	for _, name := range sortedKeys(m.Header) {
		out = append(out, "header="+name+":"+m.Header[name])
	}
	add("status", m.Status)
	return out
}

// String is Words joined by spaces.
func (m Match) String() string { return strings.Join(m.Words(), " ") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// ParseMatch reads a match from words as a command line gives them: KEY=VALUE,
// and header=NAME:GLOB any number of times. The errors' field is match.KEY.
func ParseMatch(words []string) (Match, *Error) {
	var m Match
	given := map[string]bool{}
	for _, word := range words {
		key, value, found := strings.Cut(word, "=")
		if !found {
			return Match{}, Errorf(Invalid, "match", "expected KEY=VALUE, got %q; keys are %s", word, strings.Join(MatchKeys, ", "))
		}
		key = canonical(key)
		if given[key] && key != "header" {
			return Match{}, Errorf(Invalid, join("match", key), "given twice")
		}
		given[key] = true
		if err := m.set(key, value); err != nil {
			return Match{}, err
		}
	}
	_, err := m.Compile("match")
	return m, err
}

func (m *Match) set(key, value string) *Error {
	fields := map[string]*string{
		"direction": &m.Direction, "session": &m.Session, "client": &m.Client, "exchange": &m.Exchange, "idle": &m.Idle,
		"method": &m.Method, "host": &m.Host, "path": &m.Path, "status": &m.Status,
	}
	switch to := fields[key]; {
	case value == "":
		return Errorf(Invalid, join("match", key), "expected a value after %s=", key)
	case to != nil:
		*to = value
	case key == "reused":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return Errorf(Invalid, "match.reused", "expected true or false, got %q", value)
		}
		m.Reused = &b
	case key == "header":
		name, glob, found := strings.Cut(value, ":")
		if !found {
			return Errorf(Invalid, "match.header", "expected header=NAME:GLOB, got %q", value)
		}
		if m.Header == nil {
			m.Header = map[string]string{}
		}
		if _, twice := m.Header[name]; twice {
			return Errorf(Invalid, join("match.header", name), "given twice")
		}
		m.Header[name] = strings.TrimLeft(glob, " ")
	default:
		return Errorf(Invalid, join("match", key), "unknown key%s", cmp.Or(Hint(key, MatchKeys), "; keys are "+strings.Join(MatchKeys, ", ")))
	}
	return nil
}

// clients is the set of addresses that Match.Client names.
type clients struct {
	prefix netip.Prefix
	port   uint16 // 0: any
}

func parseClients(s string) (clients, bool) {
	if p, err := netip.ParsePrefix(s); err == nil {
		addr := p.Addr().Unmap()
		bits := p.Bits() - (p.Addr().BitLen() - addr.BitLen())
		return clients{prefix: netip.PrefixFrom(addr, bits)}, bits >= 0
	}
	var port uint16
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		var ap netip.AddrPort
		ap, err = netip.ParseAddrPort(s)
		addr, port = ap.Addr(), ap.Port()
		if port == 0 {
			return clients{}, false
		}
	}
	addr = addr.Unmap().WithZone("")
	return clients{prefix: netip.PrefixFrom(addr, addr.BitLen()), port: port}, err == nil
}

func (c clients) has(client netip.AddrPort) bool {
	return c.prefix.Contains(client.Addr().Unmap().WithZone("")) && (c.port == 0 || c.port == client.Port())
}
