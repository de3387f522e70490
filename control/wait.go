package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file is wait: the answer comes when enough events that match are in the
// journal. It looks back first, so "arm; act; wait" finds what has happened
// already: with a rule it starts at that rule's last arming.

const (
	waitTimeout = 10 * time.Second // unless told
	maxNear     = 3                // near misses that an error tells
)

// waiting is a wait under way.
type waiting struct {
	filter  middlebox.Filter
	count   int
	timeout time.Duration
	match   func(middlebox.Event) (bool, string)
	at      cursor

	found []middlebox.Event
	seq   int64
	near  []string // the last few
	lost  int64    // events that the ring no longer had
}

func wait(c *call, p WaitParams) (WaitResult, error) {
	w := &waiting{filter: p.Filter, count: 1, timeout: waitTimeout, found: []middlebox.Event{}}
	if err := checkFilter(p.Filter); err != nil {
		return WaitResult{}, err
	}
	if p.Count != nil {
		w.count = *p.Count
	}
	if p.Timeout != nil {
		w.timeout = time.Duration(*p.Timeout)
	}
	if err := w.begin(c.srv); err != nil {
		return WaitResult{}, err
	}
	defer w.at.Close()
	why := w.until(c.ctx)
	if why != "" {
		return WaitResult{}, faults.Errorf(faults.Timeout, "", "%s", w.report(c.srv, why))
	}
	if n := p.Limit; n > 0 && len(w.found) > n {
		w.found = w.found[len(w.found)-n:]
	}
	return WaitResult{Events: w.found, Seq: w.seq}, nil
}

// begin resolves where to look from, and places the cursor there.
func (w *waiting) begin(s *Server) error {
	if err := w.known(s); err != nil {
		return err
	}
	since, err := w.since(s)
	if err != nil {
		return err
	}
	if w.match, err = s.box.Match(w.filter); err != nil {
		return err
	}
	w.at = s.watch(since)
	w.seq = max(since, 0)
	return nil
}

// comings are the events by which a route or rule comes to be.
var comings = []string{"route.added", "rule.armed", "rule.changed"}

// known refuses a route or rule that never was, as lists do: one that is misspelt
// would be waited for in vain. Only for its coming can one wait.
func (w *waiting) known(s *Server) error {
	f := w.filter
	for _, coming := range comings {
		if word, _, _ := strings.Cut(coming, "."); f.Type == word || f.Type == coming {
			return nil
		}
	}
	_, err := s.box.Rules(middlebox.Filter{Route: f.Route, Rule: f.Rule, Limit: 1})
	return err
}

// since is the event after which to look; -1 is now. A rule that was never armed
// has had no chance to do anything: now will do.
func (w *waiting) since(s *Server) (int64, error) {
	f := w.filter
	if f.Since != "" || f.Rule == "" {
		return s.box.Since(f)
	}
	f.Since = "armed"
	since, err := s.box.Since(f)
	var fault *faults.Error
	if errors.As(err, &fault) && fault.Code == faults.NotFound {
		return -1, nil
	}
	return since, err
}

// until looks at events until enough matched: then it returns "", else why it
// gave up. When its time is over it still looks at what happened in it.
func (w *waiting) until(ctx context.Context) string {
	timer := time.NewTimer(w.timeout)
	defer timer.Stop()
	buf := make([]middlebox.Event, 64)
	over := w.timeout == 0
	for {
		ready := w.at.Ready()
		n, lost := w.at.Next(buf)
		w.lost += lost
		for _, e := range buf[:n] {
			if w.look(e) {
				return ""
			}
		}
		switch {
		case n > 0:
			ready = always
		case over && w.timeout == 0:
			return "in what has happened so far"
		case over:
			return "in " + faults.Duration(w.timeout).String()
		}
		select {
		case <-ready:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return "when the caller or crimp went away"
		}
	}
}

// look takes one event in and says whether that was the last one needed.
func (w *waiting) look(e middlebox.Event) bool {
	w.seq = e.Seq
	ok, near := w.match(e)
	if ok {
		w.found = append(w.found, e)
	} else if near != "" {
		w.addNear(describe(e) + " " + near)
	}
	return len(w.found) == w.count
}

func (w *waiting) addNear(text string) {
	if slices.Contains(w.near, text) {
		return
	}
	if len(w.near) == maxNear {
		w.near = w.near[1:]
	}
	w.near = append(w.near, text)
}

// report says how far a wait got and what nearly matched:
// "1 of 3 fault.fired for truncate in 5s; near miss: GET /apis/x (path): path /apis/x is not /api/*".
func (w *waiting) report(s *Server, why string) string {
	what := w.filter.Type
	switch {
	case what == "":
		what = "events"
	case !strings.Contains(what, "."):
		what += " events"
	}
	text := fmt.Sprintf("%d of %d %s", len(w.found), w.count, what)
	if w.filter.Rule != "" {
		text += " for " + w.filter.Rule
	} else if w.filter.Route != "" {
		text += " on " + w.filter.Route
	}
	text += " " + why
	state := w.ofRule(s)
	if len(w.near) > 0 {
		text += "; near miss: " + strings.Join(w.near, "; ")
	}
	if state != "" {
		text += "; " + state
	}
	text += w.ofRoute(s)
	if w.lost > 0 {
		text += fmt.Sprintf("; %d older events were no longer in the journal", w.lost)
	}
	return text
}

// ofRule adds what the rule itself has to say: its near miss, and what else may
// have kept it from firing.
func (w *waiting) ofRule(s *Server) string {
	if w.filter.Rule == "" {
		return ""
	}
	l, err := s.box.Rules(middlebox.Filter{Route: w.filter.Route, Rule: w.filter.Rule})
	if err != nil {
		return ""
	}
	var states []string
	for _, r := range l.Items {
		if r.NearMiss != "" {
			w.addNear(r.NearMiss)
		}
		switch {
		case r.Spent:
			states = append(states, r.Route+"/"+r.Name+" is spent")
		case !r.Armed:
			states = append(states, r.Route+"/"+r.Name+" is disarmed")
		case r.NearMiss == "" && r.Hits == 0 && len(r.Misses) > 0:
			states = append(states, r.Route+"/"+r.Name+" missed by "+misses(r.Misses))
		}
	}
	return strings.Join(states, ", ")
}

// ofRoute says that the route has not come to be, and what else there is.
func (w *waiting) ofRoute(s *Server) string {
	if w.filter.Route == "" {
		return ""
	}
	var names []string
	for _, r := range s.box.State().Routes {
		if r.Name == w.filter.Route {
			return ""
		}
		names = append(names, r.Name)
	}
	return fmt.Sprintf("; there is no route %q%s", w.filter.Route, faults.Among(w.filter.Route, names))
}

// misses lists counters by key: "path 3, status 1".
func misses(m map[string]int64) string {
	var words []string
	for key, n := range m {
		words = append(words, fmt.Sprintf("%s %d", key, n))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// describe names an event for people, by what they know it by.
func describe(e middlebox.Event) string {
	switch d := e.Data.(type) {
	case middlebox.ExchangeItem:
		return d.Request.Method + " " + d.Request.Target
	case *middlebox.ExchangeItem:
		return d.Request.Method + " " + d.Request.Target
	}
	for _, id := range []string{e.Exchange, e.Session, e.Rule, e.Route} {
		if id != "" {
			return e.Type + " " + id
		}
	}
	return e.Type
}
