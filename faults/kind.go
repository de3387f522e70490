package faults

import (
	"sort"
	"time"

	"crimp/faults/wire"
)

// Group is where a kind acts; the catalogue lists kinds by it.
type Group string

const (
	Connect Group = "connect" // on the making of a session
	Bytes   Group = "bytes"   // on a stream or message, by position
	Packet  Group = "packet"  // beneath TCP, by socket filter (Linux)
	Message Group = "message" // on an HTTP/1 message
)

// Grain is how whole a kind needs a head to be before it sees it. The engine
// holds (hold.go); stages never do.
type Grain uint8

const (
	Fragment  Grain = iota // bytes as they come
	Line                   // whole start lines, field lines and chunk-size lines
	WholeHead              // the complete head, in one Step
)

// Stage is a rule at work on one session: it sees every segment of the traffic
// the rule is for and says with w what goes on. A stage that sends nothing
// swallows. Optional faces: Opener, Ender, Disarmer, Finisher, Waker, Skipper,
// Counter, Taker, Rationer, Later, Hanger, Unreader, Rester.
type Stage interface {
	Segment(s wire.Segment, w *Writer)
}

// Opener is told when the stage takes its place: at session open, when its rule
// comes into force on a live session, or when its message starts.
type Opener interface{ Open(w *Writer) }

// Ender is told that the source's FIN reached the stage. Without it, or with
// w.Shut, the FIN goes on.
type Ender interface{ End(w *Writer) }

// Gluer is asked whether, with it at work, a proxy's connection to its client ends
// with that to the server, whatever else is armed.
type Gluer interface{ Glues() bool }

// Disarmer is told that its rule is gone: what it keeps back must be sent now. One
// that is a Finisher too may go on.
type Disarmer interface{ Disarm(w *Writer) }

// Finisher is a message stage that cannot stop half-way: a body that it began to
// chunk must end in a last chunk. While Unfinished says true its slot outlives
// its rule, up to the end of the message; it can no more delay anything. A stage
// for both directions says itself when it is through (Writer.Gone).
type Finisher interface{ Unfinished() bool }

// Waker is told that the time asked for with Writer.Alarm has come.
type Waker interface{ Wake(w *Writer) }

// Skipper says how many bytes of the direction, from offset off, the stage need
// not see at all; they may then be spliced.
type Skipper interface{ Blind(off int64) int64 }

// Counter is a stage that need not see bytes, only count them, as long as there
// are few: Free says how many may go by unseen now, and Counted that some did.
type Counter interface {
	Free(now time.Time) int64
	Counted(now time.Time, n int64)
}

// Taker says how many bytes a stage wants to be read at most, given how long
// what it said last has still to wait: 0 leaves the source unread until that is
// less. A stage that makes many small pieces of what it gets needs it.
type Taker interface {
	Take(behind time.Duration) int64
}

// Rationer says how many bytes of its direction are to be read at most; 0: none
// before again. A stage that lets bytes go slowly is not to be given what it will
// need seconds for: it stays with the sender, which feels it.
type Rationer interface {
	Ration(now time.Time) (n int64, again time.Time)
}

// Later is told that a Step that was due came so much too late: the machine was
// busy. A stage that keeps to a schedule may catch up.
type Later interface{ Late(by time.Duration) }

// Unreader is told that so many bytes wait unread in the kernel, where it made
// the engine leave them: of its own direction by Until(Never), of the other by Deaf.
type Unreader interface{ Unread(n int64, w *Writer) }

// Rester is a Waker that, if it says so, is also woken when the last open exchange
// is over.
type Rester interface{ AtRest() bool }

// Hanger is told that the sender hung up (FIN or RST waiting) while its bytes
// are left unread.
type Hanger interface{ Hangup(w *Writer) }

// Kind declares a fault. One file declares one kind; from the declaration come
// strict decoding, limits, JSON Schema, form, help, docs and tests. P is the
// struct of its parameters, each field tagged `json` and `help`, and `enum`,
// `min`, `max` where they apply; a field named At of type Position gives the
// kind a place, and its scope follows from it.
type Kind[P any] struct {
	Name    string
	Summary string // one sentence: what goes over the wire
	Client  string // one sentence: what a client sees
	Group   Group
	HTTP    bool // needs an http session whatever the position
	Both    bool // one stage sees both directions, from the next request on
	Later   bool // with Both: the stage asks the gate itself, where it acts
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
	http, both, later     bool
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
	s := &spec{name: k.Name, summary: k.Summary, client: k.Client, group: k.Group, http: k.HTTP, both: k.Both, later: k.Later, nearest: k.Nearest,
		presets: k.Presets, examples: k.Examples, words: k.Words}
	s.params = describe(k.Name, k.Defaults)
	s.prepare = func(params map[string]any, field string) (*prepared, *Error) {
		p, err := decodeParams(k.Name, k.Defaults, params, field)
		if err != nil {
			return nil, err
		}
		if k.Check != nil {
			if err := k.Check(p); err != nil {
				err.Field = join(field, err.Field)
				return nil, err
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
