package faults

import (
	"sync"
	"sync/atomic"
)

// Gate says how often a rule may fire. It is asked when the match is yes and the
// position is reached; the zero value always lets fire. The questions are asked
// in the order of the fields, Key belonging to Probability: of the occurrences
// after the first Skip, every Every-th, of those a share of Probability, of
// those the first Times.
type Gate struct {
	Skip        int64    `json:"skip,omitempty" min:"0" accept:"text"`  // how many occurrences are let by first
	Every       int64    `json:"every,omitempty" min:"0" accept:"text"` // 3: the third, sixth, ... of the rest; 0 and 1: each
	Probability *Percent `json:"probability,omitempty"`                 // nil: each
	Times       int64    `json:"times,omitempty" min:"0" accept:"text"` // 0: without end
	// Key ties the draw for Probability to a value and how often it was seen,
	// instead of session and exchange: "path", "client" or "header:NAME". For
	// parallel clients, whose order varies from run to run.
	Key string `json:"key,omitempty"`
}

// With is the gate with what over says in place of its own, key by key.
func (g Gate) With(over Gate) Gate {
	if over.Skip != 0 {
		g.Skip = over.Skip
	}
	if over.Every != 0 {
		g.Every = over.Every
	}
	if over.Probability != nil {
		g.Probability = over.Probability
	}
	if over.Times != 0 {
		g.Times = over.Times
	}
	if over.Key != "" {
		g.Key = over.Key
	}
	return g
}

// check says what is wrong with the gate.
func (g Gate) check(field string) (errs *Error) {
	for _, n := range []struct {
		key   string
		value int64
	}{{"skip", g.Skip}, {"every", g.Every}, {"times", g.Times}} {
		if n.value < 0 {
			errs = errs.And(Errorf(Invalid, n.key, "expected a whole number from 0, got %d", n.value))
		}
	}
	if p := g.Probability; p != nil && !(*p >= 0 && *p <= 1) {
		errs = errs.And(Errorf(Invalid, "probability", "expected %s, got %v", p.expects(), float64(*p)))
	}
	if kind, _ := keyOf(g.Key); kind == badKey {
		errs = errs.And(Errorf(Invalid, "key", "expected path, client or header:NAME, got %q", g.Key))
	}
	return errs.In(field)
}

// HTTPKey says whether the gate's key is known of an exchange only.
func (g Gate) HTTPKey() bool {
	kind, _ := keyOf(g.Key)
	return kind == pathKey || kind == headerKey
}

type gateKey uint8

const (
	noKey gateKey = iota
	pathKey
	clientKey
	headerKey
	badKey
)

// keyOf reads Gate.Key.
func keyOf(s string) (gateKey, string) {
	const header = "header:"
	switch {
	case s == "":
		return noKey, ""
	case s == "path":
		return pathKey, ""
	case s == "client":
		return clientKey, ""
	case len(s) > len(header) && s[:len(header)] == header && isToken(s[len(header):]):
		return headerKey, s[len(header):]
	}
	return badKey, ""
}

// gate is a Gate at work, shared by all sessions and by the plans in which its
// rule stands unchanged. Its order is the order in which it is asked.
type gate struct {
	skip, every, times int64
	probability        float64 // below 0: not asked
	key                gateKey
	header             string
	passed             atomic.Int64 // by skip
	counted            atomic.Int64 // by every
	fired              atomic.Int64
	seen               seen
}

// compile makes the gate ready to be asked. The gate must pass its check.
func (g Gate) compile() *gate {
	out := &gate{skip: g.Skip, every: g.Every, times: g.Times, probability: -1}
	out.key, out.header = keyOf(g.Key)
	if g.Probability != nil {
		out.probability = float64(*g.Probability)
	}
	return out
}

// occasion is one occurrence a gate is asked about: what its draw depends on.
type occasion struct {
	seed        uint64
	route, rule string
	session     uint64
	number      uint64 // the exchange's ordinal; in a stream the byte offset
	facts       *Facts // for a keyed gate; may be nil
}

// Ask says whether the rule fires now, and if not which of skip, every,
// probability, spent kept it from that. spent is true once: with the last firing
// that Times allows. Nothing is allocated but a keyed gate's memory.
func (g *gate) Ask(o occasion) (fire bool, why string, spent bool) {
	if g.skip > 0 && g.passed.Load() < g.skip && g.passed.Add(1) <= g.skip {
		return false, "skip", false
	}
	if g.every > 1 && g.counted.Add(1)%g.every != 0 {
		return false, "every", false
	}
	if g.probability >= 0 && g.draw(o) >= g.probability {
		return false, "probability", false
	}
	if g.times == 0 {
		g.fired.Add(1)
		return true, "", false
	}
	for {
		n := g.fired.Load()
		if n >= g.times {
			return false, "spent", false
		}
		if g.fired.CompareAndSwap(n, n+1) {
			return true, "", n+1 == g.times
		}
	}
}

// Spent says whether the gate lets fire no more.
func (g *gate) Spent() bool { return g.times > 0 && g.fired.Load() >= g.times }

// draw is the occasion's number from 0 to 1: of session and occurrence, or of
// the key's value and how often it was seen.
func (g *gate) draw(o occasion) float64 {
	if g.key == noKey {
		return share(drawSeed(o.seed, o.route, o.rule, o.session, o.number))
	}
	value := g.valueOf(o.facts)
	return share(drawSeed(o.seed, o.route, o.rule, value, g.seen.count(value)))
}

// valueOf is the hash of the value that the gate's key names, of nothing where
// it is not known.
func (g *gate) valueOf(f *Facts) uint64 {
	if f == nil {
		return hashStart
	}
	switch {
	case g.key == clientKey:
		addr := f.Client.Addr().Unmap().As16()
		return hashBytes(hashStart, addr[:])
	case f.Request == nil:
	case g.key == pathKey:
		return hashBytes(hashStart, pathOf(f.Request.Target()))
	case g.key == headerKey:
		if i := f.Request.Find(g.header); i >= 0 {
			return hashBytes(hashStart, f.Request.Value(i))
		}
	}
	return hashStart
}

// maxSeen bounds how many values a keyed gate tells apart; those that come when
// it is full share one count.
const maxSeen = 4096

// seen counts how often each value came.
type seen struct {
	mu     sync.Mutex
	counts map[uint64]uint64
	rest   uint64
}

func (s *seen) count(value uint64) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counts == nil {
		s.counts = map[uint64]uint64{}
	}
	n, known := s.counts[value]
	if !known && len(s.counts) >= maxSeen {
		s.rest++
		return s.rest
	}
	s.counts[value] = n + 1
	return n + 1
}
