package middlebox

import (
	"slices"
	"strconv"
	"strings"

	"crimp/faults"
)

// A filter may name what was, as long as anybody remembers: the journal outlives
// its routes and rules. So a name is looked up only where nothing was found, and
// one that never was, which is a slip of the hand, is told from one of which there
// is nothing to show.

// unknown says which name of a filter has nothing ever had; nil: all were there.
func (b *Box) unknown(f Filter) error {
	if f.Route != "" {
		if _, err := b.sessionsSoFar(f.Route, "route"); err != nil && !b.told(f.Route, "") {
			return err
		}
	}
	if f.Session != "" {
		if err := b.unknownSession(f.Session); err != nil {
			return err
		}
	}
	if f.Rule != "" {
		if err := b.unknownRule(f.Route, f.Rule); err != nil {
			return err
		}
	}
	return nil
}

// told says whether the journal has an event of the route and rule; empty: any.
func (b *Box) told(route, rule string) (yes bool) {
	b.journal.walk(-1, func(e Event) bool {
		yes = (route == "" || route == e.Route) && (rule == "" || rule == e.Rule)
		return yes
	})
	return yes
}

// sessionsSoFar is how many sessions the route has had, or all there ever were of
// that name.
func (b *Box) sessionsSoFar(name, field string) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := b.numbers[name]; n != nil && n.Load() > 0 {
		return n.Load(), nil
	}
	_, err := b.route(name)
	if e, ok := err.(*faults.Error); ok {
		e.Field = field
	}
	return 0, err
}

// unknownSession asks for a session's ID: its route and its number.
func (b *Box) unknownSession(id string) error {
	name, word, ok := strings.Cut(id, "/")
	n, err := strconv.ParseUint(word, 10, 64)
	if !ok || err != nil || n == 0 {
		return faults.Errorf(faults.Invalid, "session", "expected a session's ID such as web/3, got %q", id)
	}
	had, unknown := b.sessionsSoFar(name, "session")
	switch {
	case unknown != nil:
		return unknown
	case had == 0:
		return faults.Errorf(faults.NotFound, "session", "no session %q: %s has had none", id, name)
	case n > had:
		return faults.Errorf(faults.NotFound, "session", "no session %q: the last one was %s/%d", id, name, had)
	}
	return nil
}

// unknownRule asks for a rule on a route, or on any; one that is gone was armed or
// disarmed once.
func (b *Box) unknownRule(route, name string) error {
	var names []string
	for _, r := range b.routesNow() {
		if route != "" && route != r.name {
			continue
		}
		for _, e := range r.force.Load().rules {
			if e.c.Rule.Name == name {
				return nil
			}
			if !slices.Contains(names, e.c.Rule.Name) {
				names = append(names, e.c.Rule.Name)
			}
		}
	}
	if b.told(route, name) {
		return nil
	}
	where := ""
	if route != "" {
		where = route + ": "
	}
	return faults.Errorf(faults.NotFound, "rule", "%sno rule %q%s", where, name, faults.Among(name, names))
}
