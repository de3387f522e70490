package middlebox

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"crimp/faults"
)

// The rules of a simulated world: drawn from few values, those that traffic is
// made of, so that what is rare happens often. Every kind of the registry comes up;
// of one that this file does not know, its own examples are armed, and the model
// then asks less (tame).

// effect is what a rule does to bytes, as far as the model cares.
type effect uint8

const (
	delays   effect = iota // latency, stall: later, and nothing else
	ends                   // cut
	inserts                // inject: marks, and perhaps an ending
	rewrites               // content_length
	deafens                // dumb_proxy: requests may be lost
	strange                // a kind the model does not know
)

// drawnRule is a rule and what the model knows of it.
type drawnRule struct {
	faults.Rule
	effect effect
	at     faults.Position
	end    faults.Ending // of a cut, or of inject's then
	other  faults.Other
	delay  time.Duration // of latency: the least
	plain  bool          // no gate, and no match but a direction
	http   bool          // needs an exchange
}

// covers says whether a direction (0: downstream) is one
// that the rule is for.
func (d *drawnRule) covers(dir int) bool {
	switch d.Match.Direction {
	case "both":
		return true
	case "upstream":
		return dir == 1
	}
	return dir == 0
}

var (
	streamPlaces  = []string{"now", "byte:0", "byte:1", "byte:3", "byte:10", "byte:17", "byte:40", "next:0", "next:3", "next:10", "after:1ms", "after:20ms", "idle:5ms"}
	messagePlaces = []string{"start", "message:3", "message:11", "message:40", "start_line", "field:1", "field:2", "field:content-length", "field_name:1", "head_end", "head",
		"body:0", "body:1", "body:3", "body:10", "body:-1", "body:-3", "body:50%", "body:100%", "chunk:1", "chunk:2", "chunk_size:1", "chunk_data:1", "last_chunk", "end"}
	presets = []string{"cut-head", "truncate", "reset", "cut-status-line", "empty-reply", "reset-reply", "stale-reuse", "cut-last-chunk",
		"slow-response", "pause", "stall-body", "stall-head", "length-mismatch", "two-lengths", "dumb-proxy", "surplus"}
)

// unknownFaults are the catalogue's entries that drawRule has no case for.
var unknownFaults = func() (out []faults.Fault) {
	known := []string{"cut", "stall", "inject", "latency", "content_length", "dumb_proxy", "stray-response", "idle-408"}
	for _, f := range faults.Catalogue() {
		if !slices.Contains(known, f.Name) && !slices.Contains(presets, f.Name) && len(f.Examples) > 0 {
			out = append(out, f)
		}
	}
	return out
}()

// drawRule draws a rule for a route that speaks HTTP or not.
func drawRule(r *rand.Rand, name string, http bool) drawnRule {
	d := drawnRule{Rule: faults.Rule{Name: name, Armed: !oneIn(r, 6), Params: map[string]any{}}}
	kind := r.IntN(16)
	place := pick(r, streamPlaces...)
	if http && !oneIn(r, 4) {
		place = pick(r, messagePlaces...)
	}
	switch {
	case http && kind == 0 && len(unknownFaults) > 0:
		f := pick(r, unknownFaults...)
		ex := pick(r, f.Examples...)
		raw := fmt.Sprintf(`{"name":%q,"fault":%q,"params":%s,"match":%s}`, name, f.Name, orObject(ex.Params), orObject(ex.Match))
		var err *faults.Error
		if d.Rule, err = faults.DecodeRule([]byte(raw), ""); err != nil {
			panic(raw + ": " + err.Error())
		}
		d.effect = strange
		return d
	case kind < 5:
		d.Fault, d.effect = "cut", ends
		d.set("at", place)
		d.set("end", pick(r, "fin", "fin", "rst", "rst", "close", "stall"))
		d.set("other", pick(r, "close", "close", "rst", "keep", "drain"))
	case kind < 8:
		d.Fault, d.effect = "latency", delays
		d.latency(r)
	case kind < 10:
		d.Fault, d.effect = "stall", delays
		d.set("at", place)
		d.set("for", pick(r, "0s", "2ms", "30ms"))
	case kind < 12:
		d.Fault, d.effect = "inject", inserts
		d.inject(r, place)
	case http && kind == 12:
		d.Fault, d.effect, d.http = "content_length", rewrites, true
		mode := pick(r, "add", "set", "remove", "duplicate", "list", "garbage")
		d.set("mode", mode)
		if mode == "set" {
			d.set("value", "3")
		}
	case http && kind == 13:
		d.Fault, d.effect, d.http = "dumb_proxy", deafens, true
		d.set("next", pick(r, "ignore", "discard"))
	case http:
		d.preset(pick(r, presets...))
	default:
		d.Fault, d.effect, d.end = "cut", ends, faults.Fin
		d.set("at", place)
	}
	d.matchAndGate(r, http)
	return d
}

func orObject(raw json.RawMessage) string {
	if len(raw) == 0 {
		return "{}"
	}
	return string(raw)
}

// set gives a parameter, and tells the model what it means.
func (d *drawnRule) set(name, value string) {
	d.Params[name] = value
	var err error
	switch name {
	case "at":
		if d.at, err = faults.ParsePosition(value); !d.at.IsStream() {
			d.http = true
		}
	case "end":
		err = d.end.UnmarshalText([]byte(value))
	case "other":
		err = d.other.UnmarshalText([]byte(value))
	}
	if err != nil {
		panic(err)
	}
}

func (d *drawnRule) latency(r *rand.Rand) {
	d.delay = pick(r, time.Millisecond, 5*time.Millisecond, 20*time.Millisecond)
	d.set("delay", d.delay.String())
	if oneIn(r, 4) {
		jitter := d.delay / 2
		d.delay -= jitter
		d.set("jitter", jitter.String())
	}
}

func (d *drawnRule) inject(r *rand.Rand, place string) {
	d.set("at", place)
	d.set("bytes", "text:"+pick(r, "~", "~~", "~~~~~"))
	switch r.IntN(5) {
	case 0:
		d.set("delay", "5ms")
	case 1:
		d.Params["count"], d.Params["every"] = 3, "2ms"
	case 2:
		then := pick(r, "fin", "rst")
		d.set("then", then)
		d.end.UnmarshalText([]byte(then))
	}
}

// preset draws one by name; what the model needs to know of it is found in the catalogue.
func (d *drawnRule) preset(name string) {
	f, err := faults.Lookup(name)
	if err != nil {
		panic(err)
	}
	d.Fault, d.http = name, true
	at := fmt.Sprint(f.Defaults["at"])
	switch *f.PresetOf {
	case "cut":
		d.effect = ends
		d.set("at", at)
		d.set("end", fmt.Sprint(f.Defaults["end"]))
	case "stall":
		d.effect = delays
	case "inject":
		d.effect = inserts
		d.set("at", at)
		d.set("bytes", "text:~~")
	case "content_length":
		d.effect = rewrites
	case "dumb_proxy":
		d.effect = deafens
	}
	if d.effect != inserts {
		d.Params = nil
	}
	if name == "reset" { // elsewhere on tcp sessions
		d.at = faults.Position{}
	}
}

// matchAndGate narrows the rule, more often not.
func (d *drawnRule) matchAndGate(r *rand.Rand, http bool) {
	d.plain = d.Fault != "stale-reuse" && d.Fault != "reset"
	d.Match.Direction = pick(r, "", "", "upstream", "both")
	if d.effect == deafens {
		d.Match.Direction = ""
	}
	if oneIn(r, 4) {
		d.plain = false
		d.match(r, http)
	}
	if oneIn(r, 4) {
		d.plain = false
		switch r.IntN(4) {
		case 0:
			d.Gate.Times = 1
		case 1:
			d.Gate.Skip = 1
		case 2:
			d.Gate.Every = 2
		default:
			half := faults.Percent(0.5)
			d.Gate.Probability = &half
		}
	}
}

func (d *drawnRule) match(r *rand.Rand, http bool) {
	m := &d.Match
	if !http || oneIn(r, 6) {
		m.Session = pick(r, "1", "2-", "2n")
		return
	}
	d.http = true
	switch r.IntN(7) {
	case 0:
		m.Exchange = pick(r, "1", "2", "2-")
	case 1:
		reused := oneIn(r, 2)
		m.Reused = &reused
	case 2:
		m.Method = pick(r, "GET", "HEAD", "POST")
	case 3:
		m.Path = pick(r, "/a*", "/b1", "/*2")
	case 4:
		m.Host = pick(r, "a", "b")
	case 5:
		m.Header = map[string]string{"host": "a"}
	default:
		if d.effect != deafens {
			m.Direction = ""
			m.Status = pick(r, "200", "4xx", "2xx", "100-103", "304")
		}
	}
}
