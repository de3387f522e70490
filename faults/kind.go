package faults

import (
	"sort"
	"time"
)

// Group is where a kind acts; the catalogue lists kinds by it.
type Group string

const (
	Connect Group = "connect" // on the making of a session
	Bytes   Group = "bytes"   // on a stream or message, by position
	Packet  Group = "packet"  // beneath TCP, by socket filter (Linux)
	Message Group = "message" // on an HTTP/1 message
)

// Kind declares a fault. One file declares one kind; from the declaration come
// strict decoding, limits, JSON Schema, form, help, docs and tests. P is the
// struct of its parameters, each field tagged `json` and `help`, and `enum`,
// `min`, `max` where they apply; a field named At of type Position gives the
// kind a place, and its scope follows from it.
type Kind[P any] struct {
	Name    string // as rules say it: snake_case
	Summary string // one sentence: what goes over the wire
	Client  string // one sentence: what a client sees
	Group   Group
	HTTP    bool // needs an http session whatever the position
	Both    bool // one stage sees both directions, from the next request on
	Asks    bool // with Both: the stage asks the gate itself, where it acts
	Adds    bool // says bytes of its own, as many as its parameters ask for (keep.go)
	Behind  bool // acts on the bytes behind its place: where its message ends, it misses
	// Nearest is the fault that does nearly the same where the right to filter packets is missing.
	Nearest  string
	Defaults P
	Check    func(p P) *Error // what the tags cannot say; may be nil
	Grain    func(p P) Grain  // nil: what the position needs
	Scope    func(p P) Scope  // nil: what the match says
	// Keeps says that with these parameters exactly the peers' bytes arrive,
	// however late, once the rule is gone. Nil: no. The tests over all kinds hold
	// a kind to it.
	Keeps func(p P) bool
	// Exactly one of Here, New and Arrive. Here is for damage that has a place: the
	// engine finds it, asks the gate, and calls. New makes the stage of one
	// session, direction or message. Arrive is asked when a session is made, before
	// its upstream is dialled; Door says what the route's listening socket does.
	Here   func(p P, w *Writer)
	New    func(p P) Stage
	Arrive func(p P, a *Arrival)
	Door   func(p P) Door
	// Memory makes what stages of a rule share: Writer.Route has one for all
	// sessions, as long as the rule stands unchanged, and is used by several
	// goroutines at once; Writer.Session has one for each session. May be nil.
	Memory   func(p P) any
	Presets  []Preset
	Examples []Example
	// Words are other tools' names for it; did-you-mean knows them.
	Words []string
}

// Scope is what a kind, by its parameters, says of the messages it is for.
type Scope struct {
	// Direction is what a match without one means: "upstream" or "both"; empty:
	// downstream. If Fixed, a match may not say another.
	Direction string
	Fixed     bool
	Interim   bool // it is for interim responses, not for final ones
}

// Preset is a fault with parameters already filled in. Params, Match and Gate
// are JSON objects laid under the rule's own, key by key.
type Preset struct {
	Name, Summary, Client string
	Params, Match, Gate   string
	// TCP, a JSON object, is laid under the rule's parameters instead of Params
	// on tcp sessions; empty: the same there.
	TCP      string
	Headline bool // one of the five the page shows first
	Examples []Example
	Words    []string
}

// Example is a play (package faultstest reads it): documentation and test at once.
type Example struct {
	Title  string
	Params string // JSON object
	Match  string // JSON object, may be empty
	Play   string
}

// spec is a Kind without its type parameter.
type spec struct {
	name, summary, client string
	group                 Group
	http, both, asks      bool
	adds, behind          bool
	nearest               string
	composite             *Composite // nil: a kind
	params                []Param
	presets               []Preset
	examples              []Example
	words                 []string
	// prepare decodes parameters over the defaults, strictly.
	prepare func(params map[string]any, field string) (*prepared, *Error)
}

// prepared is a kind with parameter values: what a plan needs of it.
type prepared struct {
	kind   *spec
	at     Position // zero: no place
	placed bool     // has an At parameter
	grain  Grain
	scope  Scope
	keeps  bool
	here   func(w *Writer)
	new    func() Stage
	arrive func(a *Arrival)
	door   Door
	// Of a composite, the kinds it is made of; of such a part, whether it is left out
	// without the right to filter packets, or with it.
	parts             []*prepared
	optional, without bool
	memory            func() any
	values            map[string]any // every parameter, canonical text or number
}

var kinds = map[string]*spec{}

var presets = map[string]*Preset{}

var presetOf = map[string]*spec{}

// Declare registers a kind. It panics at start-up on a missing help text, a
// duplicate name or a default that does not pass its own checks.
func Declare[P any](k Kind[P]) struct{} {
	s := &spec{name: k.Name, summary: k.Summary, client: k.Client, group: k.Group, http: k.HTTP, both: k.Both, asks: k.Asks, adds: k.Adds, behind: k.Behind, nearest: k.Nearest,
		presets: k.Presets, examples: k.Examples, words: k.Words}
	s.params = describe(k.Name, k.Defaults)
	s.prepare = func(params map[string]any, field string) (*prepared, *Error) {
		p, err := decodeParams(k.Name, k.Defaults, params, field)
		if err != nil {
			return nil, err
		}
		if k.Check != nil {
			if err := k.Check(p); err != nil {
				return nil, err.In(field)
			}
		}
		out := &prepared{kind: s, values: paramValues(p)}
		out.at, out.placed = positionOf(p)
		out.grain = out.at.Grain()
		if k.Grain != nil {
			out.grain = max(out.grain, k.Grain(p))
		}
		if k.Scope != nil {
			out.scope = k.Scope(p)
		}
		out.keeps = k.Keeps != nil && k.Keeps(p)
		switch {
		case k.Here != nil:
			out.here = func(w *Writer) { k.Here(p, w) }
		case k.Arrive != nil:
			out.arrive = func(a *Arrival) { k.Arrive(p, a) }
		default:
			out.new = func() Stage { return k.New(p) }
		}
		if k.Door != nil {
			out.door = k.Door(p)
		}
		out.memory = func() any { return nil }
		if k.Memory != nil {
			out.memory = func() any { return k.Memory(p) }
		}
		return out, nil
	}
	if n := given(k.Here != nil) + given(k.New != nil) + given(k.Arrive != nil); n != 1 || (k.Arrive != nil) != (k.Group == Connect) {
		panic("faults: " + k.Name + ": exactly one of Here, New and, for a connect fault, Arrive")
	}
	if k.Name == "" || k.Summary == "" || k.Client == "" || k.Group == "" || len(k.Examples) == 0 {
		panic("faults: " + k.Name + ": name, summary, client, group and an example are needed")
	}
	register(s)
	return struct{}{}
}

func given(is bool) int {
	if is {
		return 1
	}
	return 0
}

func register(s *spec) {
	if kinds[canonical(s.name)] != nil || presets[canonical(s.name)] != nil {
		panic("faults: " + s.name + " is declared twice")
	}
	kinds[canonical(s.name)] = s
	for i := range s.presets {
		p := &s.presets[i]
		if p.Name == "" || p.Summary == "" {
			panic("faults: a preset of " + s.name + " has no name or summary")
		}
		// A preset may bear its kind's name written with a hyphen (dumb-proxy): the same thing.
		if canonical(p.Name) != canonical(s.name) && (kinds[canonical(p.Name)] != nil || presets[canonical(p.Name)] != nil) {
			panic("faults: " + p.Name + " is declared twice")
		}
		presets[canonical(p.Name)] = p
		presetOf[canonical(p.Name)] = s
	}
}

// sorted kinds, for everything that lists them.
func allKinds() []*spec {
	out := make([]*spec, 0, len(kinds))
	for _, s := range kinds {
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return out
}

// Kinds are the names of all kinds, composites included, in order.
func Kinds() []string {
	var names []string
	for _, s := range allKinds() {
		names = append(names, s.name)
	}
	return names
}

// Never is the time that does not come: w.Until(Never) is a stall.
var Never = time.Unix(1<<40, 0)
