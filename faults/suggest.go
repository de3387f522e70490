package faults

import (
	"cmp"
	"fmt"
	"strings"
)

// canonical is a name as names compare: lower case, '-' and '_' the same.
func canonical(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }

// Suggest is the one of among that word was most likely meant to be, or empty.
// Names compare without case, '-' and '_' being the same; of several as near the
// first is taken.
func Suggest(word string, among []string) string {
	w := canonical(word)
	best, distance := "", len(w)/3+1
	if len(w) < 2 {
		return ""
	}
	for _, name := range among {
		n := canonical(name)
		if n == w {
			return name
		}
		d := editDistance(w, n)
		if d > 0 && len(w) >= 3 && (strings.HasPrefix(n, w) || strings.HasPrefix(w, n) && len(n) >= 3) {
			d = 1 // a word cut short or gone on with
		}
		if 2*d > len(w) {
			continue // of a short word more than half is another
		}
		if d < distance || d == distance && best == "" && d <= 3 && d < len(n) {
			best, distance = name, d
		}
	}
	return best
}

// Hint is what an error about an unknown word ends with: `; did you mean "x"?`,
// or nothing.
func Hint(word string, among []string) string {
	if near := Suggest(word, among); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}

// Among is what an error about a name that nothing has ends with: what was most
// likely meant, else which names there are.
func Among(word string, names []string) string {
	const most = 10
	if hint := Hint(word, names); hint != "" || len(names) == 0 {
		return cmp.Or(hint, "; there is none")
	}
	quoted := make([]string, 0, most)
	for _, name := range names[:min(most, len(names))] {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	text := "; there is "
	if len(names) > 1 {
		text = "; there are "
	}
	text += strings.Join(quoted, ", ")
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// editDistance counts the letters inserted, removed, changed or swapped with
// their neighbour that make b of a (Damerau's distance in its restricted form).
func editDistance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	before, last, now := rows[0], rows[1], rows[2]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(b)]
}

// foreign maps the words of other tools to what crimp calls it, with how it is
// said here where the name alone does not tell. It goes before the words that
// kinds and presets declare themselves (Kind.Words, Preset.Words), which cannot
// say that another kind is nearer.
var foreign = map[string]struct{ ours, how string }{
	// Toxiproxy
	"reset_peer": {"cut", "cut end=rst, or the preset reset"}, "limit_data": {"cut", "cut at=byte:N"}, "slicer": {"slice", ""},
	"slow_close": {"hold_fin", "hold_fin for=D"}, "timeout": {"stall", "stall, then cut end=close"}, "toxic": {"latency", ""},
	// WireMock
	"empty_response": {"empty-reply", ""}, "malformed_response_chunk": {"bad-chunk-size", ""}, "random_data_then_close": {"garbage", ""},
	"connection_reset_by_peer": {"reset-reply", ""}, "fixed_delay": {"latency", ""}, "fixeddelaymilliseconds": {"latency", "latency delay=250ms"},
	"chunked_dribble_delay": {"drip", ""}, "chunkeddribbledelay": {"drip", ""}, "fixeddelay": {"latency", ""}, "lognormal": {"latency", "latency distribution=lognormal"},
	// proxies, network emulators and libraries
	"delay": {"latency", ""}, "jitter": {"latency", "latency jitter=D"}, "netem": {"latency", "latency, bandwidth and packet_loss"}, "lag": {"latency", ""}, "sleep": {"stall", "stall for=D"},
	"throttle": {"bandwidth", ""}, "rate_limit": {"bandwidth", ""}, "limit_rate": {"bandwidth", ""}, "ratelimit": {"bandwidth", ""}, "abort": {"reply", "reply status=503"}, "return": {"reply", ""}, "http_error": {"reply", ""},
	"status": {"reply", "reply status=503"}, "blackhole": {"black_hole", ""}, "drop_connection": {"refuse", ""}, "reject": {"refuse", ""}, "deny": {"refuse", ""},
	"loss": {"packet_loss", ""}, "packetloss": {"packet_loss", ""}, "drop_packets": {"packet_loss", ""}, "partition": {"black_hole", ""}, "corruption": {"corrupt", ""}, "bitflip": {"corrupt", ""}, "fuzz": {"corrupt", ""}, "dup": {"duplicate", ""},
	"rst": {"reset", ""}, "tcp_reset": {"reset", ""}, "kill": {"reset", ""}, "disconnect": {"cut", ""}, "close": {"cut", "cut end=close"}, "fin": {"cut", "cut end=fin"}, "hang": {"stall", ""}, "freeze": {"stall", ""}, "hangup": {"cut", ""},
	"short_body": {"truncate", ""}, "truncated": {"truncate", ""}, "partial": {"truncate", ""}, "partial_response": {"truncate", ""}, "cut_body": {"truncate", ""}, "cut_header": {"cut-head", ""}, "cut_headers": {"cut-head", ""}, "partial_header": {"cut-head", ""},
	"wrong_content_length": {"length-mismatch", ""}, "bad_content_length": {"length-mismatch", ""}, "content_length_mismatch": {"length-mismatch", ""}, "blind_relay": {"dumb-proxy", ""}, "keep_alive_hang": {"dumb-proxy", ""},
	"max_connections": {"limit_sessions", ""}, "maxconn": {"limit_sessions", ""}, "limit_conn": {"limit_sessions", ""}, "half_open": {"half_close", ""}, "shutdown": {"half_close", ""}, "dribble": {"drip", ""}, "slowloris": {"drip", ""},
	"return_empty": {"empty-reply", ""}, "nginx_444": {"empty-reply", ""}, "444": {"empty-reply", ""}, "keepalive_timeout": {"keep_alive", "keep_alive timeout=D"}, "idle_timeout": {"idle_close", ""}, "down": {"refuse", ""},
	"append_header": {"field", "field mode=add"}, "header": {"field", ""}, "body": {"rewrite", ""},
}

// faultNames are all kinds and presets, the names people see first in front.
func faultNames() []string {
	var out []string
	for _, f := range Catalogue() {
		out = append(out, f.Name)
	}
	return out
}

// FaultHint is what an error about an unknown fault ends with: a did-you-mean
// over all faults and those names (the rules of a route, say), which also knows
// other tools' words. It may be empty.
func FaultHint(word string, names ...string) string {
	w := canonical(word)
	if f, ok := foreign[w]; ok {
		hint := fmt.Sprintf("; here that is %q", f.ours)
		if f.how != "" {
			hint += " (" + f.how + ")"
		}
		if specOf(f.ours) == nil {
			hint += ", which this version does not have"
		}
		return hint
	}
	for _, s := range allKinds() {
		for _, p := range s.presets {
			if has(p.Words, w) {
				return fmt.Sprintf("; here that is %q", p.Name)
			}
		}
		if has(s.words, w) {
			return fmt.Sprintf("; here that is %q", s.name)
		}
	}
	return Hint(word, append(append([]string{}, names...), faultNames()...))
}

func has(words []string, canonicalWord string) bool {
	for _, w := range words {
		if canonical(w) == canonicalWord {
			return true
		}
	}
	return false
}

// specOf is the kind of that name, or the kind that the preset of that name is
// of; nil if there is neither.
func specOf(name string) *spec {
	if s := presetOf[canonical(name)]; s != nil {
		return s
	}
	return kinds[canonical(name)]
}
