package middlebox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"crimp/faults"
)

// filter is a Filter made ready to be asked: one for sessions, exchanges and
// events, so that the same words find the same things in every list.
type filter struct {
	Filter
	match *faults.Matcher
	since int64 // events after it; -1: all there are
}

// outcomes are the values of a filter's outcome.
var outcomes = []string{"ok", "cut", "rst", "stalled", "open"}

// compile checks a filter and resolves what its since means now.
func (b *Box) compile(f Filter) (*filter, error) {
	out := &filter{Filter: f}
	match := f.Match
	match.Direction = "" // asked by itself: for a filter none means any
	var err *faults.Error
	if out.match, err = match.Compile("match"); err != nil {
		return nil, err
	}
	if d := f.Match.Direction; d != "" && d != "upstream" && d != "downstream" && d != "both" {
		return nil, faults.Errorf(faults.Invalid, "match.direction", "expected upstream, downstream or both, got %q", d)
	}
	if f.Outcome != "" && !slices.Contains(outcomes, f.Outcome) {
		return nil, faults.Errorf(faults.Invalid, "outcome", "expected %s, got %q", strings.Join(outcomes, ", "), f.Outcome)
	}
	if f.Limit < 0 {
		return nil, faults.Errorf(faults.Invalid, "limit", "expected a number from 0 (no limit), got %d", f.Limit)
	}
	since, serr := b.Since(f)
	if serr != nil {
		return nil, serr
	}
	out.since = since
	return out, nil
}

// Since resolves a filter's since to the number of the event after which it
// starts: a number, a duration back from now, or armed, the last arming of the
// filter's rule. Empty is -1: from the beginning. A number beyond the newest event is
// an error: it is of another box, or of this one before it was started anew (its
// epoch tells), and what has happened since would be missed without a word.
func (b *Box) Since(f Filter) (int64, error) {
	if f.Since == "" {
		return -1, nil
	}
	if f.Since == "armed" {
		return b.lastArming(f)
	}
	if n, err := strconv.ParseInt(f.Since, 10, 64); err == nil && n >= 0 {
		if newest := b.journal.newest(); n > newest {
			return 0, faults.Errorf(faults.Invalid, "since", "no event %d yet: the newest is %d; was the box started anew?", n, newest)
		}
		return n, nil
	}
	d, err := time.ParseDuration(f.Since)
	if err != nil || d < 0 {
		return 0, faults.Errorf(faults.Invalid, "since", "expected the number of an event, a duration back such as 30s, or armed, got %q", f.Since)
	}
	return b.journal.sinceTime(b.now().Add(-d)), nil
}

// lastArming is the event that last armed the filter's rule, gone or not.
func (b *Box) lastArming(f Filter) (int64, error) {
	if f.Rule == "" {
		return 0, faults.Errorf(faults.Invalid, "since", "armed needs a rule: since its last arming")
	}
	last := int64(-1)
	for _, r := range b.routesNow() {
		if f.Route != "" && f.Route != r.name {
			continue
		}
		if e := r.force.Load().find(f.Rule); e != nil {
			last = max(last, e.armedAt)
		}
	}
	if last > 0 {
		return last, nil
	}
	b.journal.walk(-1, func(e Event) bool {
		if e.Type == "rule.armed" && e.Rule == f.Rule && (f.Route == "" || f.Route == e.Route) {
			last = e.Seq
		}
		return false
	})
	if last < 0 {
		return 0, faults.Errorf(faults.NotFound, "since", "no rule %q was armed as far back as the journal reaches", f.Rule)
	}
	return last, nil
}

// facts asks the match about what was heard. near explains a near miss.
func (f *filter) facts(h *heard) (ok bool, near string) {
	if h == nil {
		h = &heard{}
	}
	if d := f.Match.Direction; d != "" && d != "both" && h.direction != d {
		if answer, _ := f.match.Ask(&h.facts); answer == faults.Yes {
			return false, f.match.ExplainDirection(h.direction, d)
		}
		return false, ""
	}
	if answer, _ := f.match.Ask(&h.facts); answer == faults.Yes {
		return true, ""
	}
	return false, string(f.match.Explain(nil, &h.facts))
}

// event asks about an event; its type may be a whole type or its first word.
func (f *filter) event(e *Event) (ok bool, near string) {
	switch {
	case !f.typed(e):
		return false, ""
	case f.Route != "" && f.Route != e.Route, f.Rule != "" && f.Rule != e.Rule:
		return false, ""
	case f.Session != "" && f.Session != e.Session:
		return false, ""
	case f.Outcome != "" && f.Outcome != outcomeOf(e.Data):
		return false, ""
	}
	return f.facts(e.heard)
}

// typed says whether an event has the filter's type.
func (f *filter) typed(e *Event) bool {
	return f.Type == "" || f.Type == e.Type || strings.HasPrefix(e.Type, f.Type+".")
}

func outcomeOf(data any) string {
	switch d := data.(type) {
	case SessionItem:
		return d.Outcome
	case ExchangeItem:
		return d.Outcome
	}
	return ""
}

// session asks about a session as it stands or ended; h is its newest exchange.
func (f *filter) session(it *SessionItem, h *heard) bool {
	if f.Route != "" && f.Route != it.Route || f.Session != "" && f.Session != it.ID ||
		f.Outcome != "" && f.Outcome != it.Outcome || f.Rule != "" && !slices.Contains(it.Rules, f.Rule) {
		return false
	}
	ok, _ := f.facts(h)
	return ok
}

// exchange asks about an exchange, which is of both directions.
func (f *filter) exchange(it *ExchangeItem, h heard) bool {
	if f.Route != "" && f.Route != it.Route || f.Session != "" && f.Session != it.Session || f.Outcome != "" && f.Outcome != it.Outcome {
		return false
	}
	if f.Rule != "" && !slices.ContainsFunc(it.Rules, func(x Fired) bool { return x.Rule == f.Rule }) {
		return false
	}
	h.direction = f.Match.Direction
	ok, _ := f.facts(&h)
	return ok
}

// Match compiles a filter for events that are still to come: since and limit do
// not count. Of an event that misses by one key of the match alone it explains by
// which, as [faults.Matcher.Explain] does.
func (b *Box) Match(f Filter) (func(Event) (ok bool, near string), error) {
	f.Since = ""
	c, err := b.compile(f)
	if err != nil {
		return nil, err
	}
	return func(e Event) (bool, string) { return c.event(&e) }, nil
}

// listOf is the answer to a list: the newest of what was found, as many as the filter
// asks for. Where nothing was found a name that never was is an error.
func listOf[T any](b *Box, f Filter, items []T, complete bool, seq int64) (List[T], error) {
	total := len(items)
	if total == 0 {
		if err := b.unknown(f); err != nil {
			return List[T]{}, err
		}
		items = []T{}
	}
	if f.Limit > 0 && total > f.Limit {
		items = items[total-f.Limit:]
	}
	return List[T]{Items: items, Total: total, Complete: complete, Seq: seq}, nil
}
