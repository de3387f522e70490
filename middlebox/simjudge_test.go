package middlebox

import (
	"crimp/faults"
	"crimp/middlebox/simnet"
)

// What must hold of a world at its end.

func (w *world) judge() {
	took := w.net.Now().Sub(w.since).Seconds()
	harsh := false
	for _, s := range w.sessions {
		w.judgeSession(s)
		harsh = harsh || s.disturbed() || len(s.fired) > 0
	}
	for _, x := range w.routes {
		harsh = harsh || len(x.ever) > 0
	}
	if !harsh && took > 3 {
		w.failf("nobody disturbed anything, and the end took %.1f s", took)
	}
	w.judgeGates()
	w.judgeFilms()
	w.judgeBox()
}

// judgeGates counts the firings of rules that may fire only so often. Both
// messages of an exchange are one occurrence.
func (w *world) judgeGates() {
	for _, x := range w.routes {
		for i := range x.ever {
			d := &x.ever[i]
			if d.Gate.Times == 0 {
				continue
			}
			fired, may := int64(0), int64(0)
			for _, a := range x.history {
				if a.Name == d.Name {
					may += d.Gate.Times
				}
			}
			seen := map[string]bool{}
			for _, s := range w.sessions {
				for _, e := range s.fired {
					if s.route != x || e.Rule != d.Name || e.Exchange != "" && seen[e.Exchange] {
						continue
					}
					seen[e.Exchange] = true
					fired++
				}
			}
			if fired > may {
				w.failf("%s fired %d times, and may %d", d.Describe(), fired, may)
			}
		}
	}
}

// disturbed says that somebody other than a rule ended the session before its time.
func (s *simSession) disturbed() bool {
	return s.client.harsh || s.server == nil || s.server.harsh || s.commanded || s.failed != ""
}

func (w *world) judgeSession(s *simSession) {
	if s.opened != s.closed || s.exchanges != 0 {
		w.failf("%s: opened %d, closed %d times; %d exchanges started and did not finish", s.name(), s.opened, s.closed, s.exchanges)
	}
	if s.opened == 0 {
		return
	}
	if s.turns != nil {
		w.judgeTurns(s)
		return
	}
	ending, rule := w.ending(s)
	deaf := false
	for _, e := range s.fired {
		deaf = deaf || s.route.ruleOf(e).effect == deafens
	}
	w.claims(s)
	switch {
	case s.route.wild() || deaf:
	case s.commanded:
	case s.failed != "":
		w.judgeFailed(s)
	case ending != nil:
		w.judgeCut(s, ending, rule)
	case s.server == nil:
		if !s.client.harsh && !(s.route.Mode == "proxy" && s.client.temper == abrupt) {
			w.failf("%s: nobody was harsh, and no server was reached", s.name())
		}
	default:
		w.judgeWhole(s)
		w.mustHaveFired(s)
	}
}

// judgeWhole is for a session that nothing ended but its peers.
func (w *world) judgeWhole(s *simSession) {
	for dir, to := range []*actor{s.client, s.server} {
		from := s.sender(dir)
		if to.harsh {
			continue
		}
		got, ok := s.align(dir, to.p.Got())
		if from.harsh {
			w.judgeReset(s, dir, from, to, got)
			continue
		}
		if !ok || got != from.sent {
			w.failf("%s got %d bytes (%v) of the %d sent (of %d):\n%q of\n%q", to, got, ok, from.sent, len(from.says.raw), to.p.Got(), from.says.raw)
		}
		if end := to.ended(); !s.client.harsh && !s.server.harsh && (end != simnet.FIN || to.p.Broken()) {
			w.failf("%s saw %v (broken %v), and nobody was harsh", to, end, to.p.Broken())
		}
		w.seen("whole")
	}
}

// judgeReset is for what a peer said before it reset, to a gentle one.
func (w *world) judgeReset(s *simSession, dir int, from, to *actor, got int) {
	in, out := s.in, s.out
	if dir == 0 {
		in, out = out, in
	}
	if to.lazy || out == nil || !s.out.stood {
		return
	}
	if dir == 1 && s.in.rst.step > 0 && (s.out.closed.step == s.in.rst.step && !s.out.stood) {
		return
	}
	if read := total(in.in); got != read && !(got > read && has(s.route.ever, deafens)) {
		w.failf("%s got %d bytes, but %s had said %d more before it was gone", to, got, from, read-got)
	}
	if end := to.ended(); from.temper == slams && !from.fin && end != simnet.RST && !to.fin {
		w.failf("%s was reset by %s and saw %v", to, from, end)
	}
	w.seen("reset passed on")
}

// judgeFailed is for a session whose dial failed.
func (w *world) judgeFailed(s *simSession) {
	if s.client.harsh || s.opened == 0 {
		return
	}
	want := simnet.FIN
	switch {
	case s.route.OnDialError == "rst":
		want = simnet.RST
	case s.route.OnDialError == "502" && s.route.Protocol == "auto" && len(unmarked(s.client.p.Got())) == 0: // its client spoke no HTTP
		want = simnet.RST
	}
	ending, _ := w.ending(s)
	if end := s.client.ended(); end != want && ending == nil {
		w.failf("%s: the dial failed, and the client saw %v, not %v", s.name(), end, want)
	}
}

// judgeCut is for a session that a rule ended.
func (w *world) judgeCut(s *simSession, e *Event, rule *drawnRule) {
	data := e.Data.(FiredData)
	dir := 0
	if data.Direction == "upstream" {
		dir = 1
	}
	to, from := s.client, s.server
	if dir == 1 {
		to, from = from, to
	}
	if to == nil || to.harsh || dir == 1 && !s.out.stood { // or given up before the box heard that it was connected
		return
	}
	got := int64(len(to.p.Got()))
	rst := data.End == "rst"
	switch {
	case from != nil && from.harsh && got <= data.Bytes: // the reset may have overtaken what was to come
		return
	case rst && got != data.Acked:
		w.failf("%s got %d bytes, and the event says %d were acknowledged: %+v", to, got, data.Acked, data)
	case got > data.Bytes, got < data.Bytes && !to.lazy:
		w.failf("%s got %d bytes, and the cut was after %d: %+v", to, got, data.Bytes, data)
	}
	if data.End != rule.end.String() {
		w.failf("%s ended %s with %q", rule.Describe(), s.name(), data.End)
	}
	if !s.route.edited(dir) && data.Offset != data.Bytes {
		w.failf("%s: nothing was inserted, and %d bytes went out before the cut at byte %d", s.name(), data.Bytes, data.Offset)
	}
	want := simnet.FIN
	if rst {
		want = simnet.RST
	}
	if end := to.ended(); end != want && !(to.lazy && end == simnet.RST) {
		w.failf("%s saw %v at the end of a cut that says %q", to, end, data.End)
	}
	w.seen("cut exact")
	w.judgeOther(s, rule, from, to)
}

// judgeOther is for the side behind a cut.
func (w *world) judgeOther(s *simSession, rule *drawnRule, from, to *actor) {
	if from == nil || from.harsh || from.lazy {
		return
	}
	want := simnet.FIN
	if rule.other == faults.OtherRst {
		want = simnet.RST
	}
	if !s.out.stood { // the box had not yet heard that it was connected, and gave it up
		return
	}
	if end := from.ended(); end != want && !(want == simnet.RST && (from.fin || to.fin)) {
		w.failf("%s saw %v behind a cut whose other side gets %q", from, end, rule.other)
	}
}

// judgeBox checks that nothing is left.
func (w *world) judgeBox() {
	st := w.box.Stats()
	if st.Sessions != 0 || st.Held != 0 {
		w.failf("at the end %d sessions are live and %d bytes held", st.Sessions, st.Held)
	}
	listening := 0
	for _, x := range w.routes {
		if !x.gone {
			listening++
		}
	}
	if leaks := w.net.Leaks(); len(leaks) != listening {
		w.failf("%d routes listen, and this is open: %q", listening, leaks)
	}
	for _, l := range w.box.loops {
		for _, t := range l.alarms.heap {
			if _, ok := t.do.(*listener); !ok {
				w.failf("an alarm is left, for %v: %T", t.at, t.do)
			}
		}
	}
	w.box.Kill()
	if leaks := w.net.Leaks(); len(leaks) > 0 {
		w.failf("after the end there is %q", leaks)
	}
}
