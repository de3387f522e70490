package middlebox

import (
	"bytes"
	"strings"

	"crimp/faults"
	"crimp/middlebox/simnet"
)

// Explicit proxies in a simulated world. A route with an upstream passes all on as
// it came, and is checked like any other. One without dials the servers that its
// client names, which here are those of all routes: the client's talk falls into
// turns, each with a connection of its own. Of these the model knows what each peer
// is to hear, and how often it was turned; times and places are left to others.

// turn is a run of exchanges with one server.
type turn struct {
	server   *simnet.Server
	from     int    // in the client's text
	asks     []byte // as they are to arrive: origin-form
	says     text
	out      *tap
	accepted *actor
}

// beProxy makes a proxy of a route, before another or to the servers themselves.
func (w *world) beProxy(x *simRoute) {
	x.Mode, x.Protocol = "proxy", "http"
	if oneIn(w.q, 3) { // whose servers may leave one by one
		d := drawnRule{Rule: faults.Rule{Name: "correct", Fault: "hop_by_hop", Params: map[string]any{"mode": "correct"}, Armed: true}, effect: strange}
		x.leaves, w.leaves = true, true
		x.ever, x.conf, x.Rules = append(x.ever, d), append(x.conf, d), append(x.Rules, w.given(d))
	}
	if !oneIn(w.q, 3) {
		x.Upstream = ""
	}
}

// onTime lets the loops see what time it is before somebody acts on them, where
// there is much of it.
func (w *world) onTime() {
	if w.leaves {
		w.turn()
	}
}

// namer draws which server a request names; on a route that is no proxy: none.
func (w *world) namer(x *simRoute) func() string {
	last := ""
	return func() string {
		if x.Mode == "proxy" && (last == "" || oneIn(w.q, 2)) {
			last = "http://" + w.routes[w.q.IntN(len(w.routes))].server.Addr().String()
		}
		return last
	}
}

// splitTalk finds the turns of a client that names its servers.
func (w *world) splitTalk(s *simSession) {
	if s.route.Mode != "proxy" || s.route.Upstream != "" {
		return
	}
	up, down := &s.talk.says[1], &s.talk.says[0]
	named := ""
	from, answered := 0, 0 // where the turn begins in either text
	end := func(asked, said int) {
		if len(s.turns) == 0 {
			return
		}
		t := &s.turns[len(s.turns)-1]
		t.from, t.asks = from, originForm(up, from, asked)
		t.says.raw = down.raw[answered:said:said]
		for _, p := range down.pause {
			if answered <= p.at && (p.at < said || said == len(down.raw)) {
				t.says.pause = append(t.says.pause, pause{p.at - answered, len(originForm(up, from, p.heard))})
			}
		}
		from, answered = asked, said
	}
	for i := range up.msgs {
		m := &up.msgs[i]
		if server := string(m.raw[m.named.from:m.named.to]); server != named || s.route.leaves {
			end(m.at, answerOf(down, m.exchange))
			named = server
			s.turns = append(s.turns, turn{server: w.serverAt(server)})
		}
	}
	end(len(up.raw), len(down.raw))
}

// answerOf is where the answers to an exchange begin.
func answerOf(down *text, exchange uint64) int {
	for _, m := range down.msgs {
		if m.exchange == exchange {
			return m.at
		}
	}
	return len(down.raw)
}

// originForm is what a server hears of a client's text between two places.
func originForm(up *text, from, to int) (out []byte) {
	for i := range up.msgs {
		m := &up.msgs[i]
		if m.end() <= from || m.at >= to {
			continue
		}
		raw := m.raw[:min(len(m.raw), to-m.at)]
		out = append(out, raw[:min(m.named.from, len(raw))]...)
		out = append(out, raw[min(m.named.to, len(raw)):]...)
	}
	if n := len(up.msgs); n > 0 && up.msgs[n-1].end() < to { // a tunnel
		out = append(out, up.raw[up.msgs[n-1].end():to]...)
	}
	return out
}

func (w *world) serverAt(named string) *simnet.Server {
	for _, x := range w.routes {
		if named == "http://"+x.server.Addr().String() {
			return x.server
		}
	}
	return nil
}

// dialled notes that the box has begun a connection for the next turn.
func (w *world) dialled(s *simSession, t *tap) {
	for i := range s.turns {
		if s.turns[i].out == nil {
			s.turns[i].out = t
			return
		}
	}
	if s.turns != nil && !s.route.muddled() {
		w.failf("%s: a connection more than there are servers named in turn", s.name())
	}
}

// turnsTo gives a server that was just connected its part.
func (w *world) turnsTo(s *simSession, x *simRoute, a *actor) {
	a.says = text{}
	for i := range s.turns {
		t := &s.turns[i]
		if t.out == nil || t.out.own != a.p.Remote() {
			continue
		}
		t.accepted, a.gets = a, t.asks
		if t.server != x.server && !s.route.muddled() {
			w.failf("%s: turn %d is another server's", a, i)
		}
		if a.says = t.says; a.temper == abrupt {
			a.says.raw = a.says.raw[:w.r.IntN(len(a.says.raw)+1)]
		}
		if i < len(s.turns)-1 && a.temper != abrupt && !s.route.wild() { // who leaves first takes the others' turns along
			a.parts = false
		}
		w.seen("turns")
	}
}

// muddled says that rules may have changed who is asked for what.
func (x *simRoute) muddled() bool { return x.wild() || x.edited(0) || x.edited(1) }

// heardInTurn is heard for a proxy's session.
func (w *world) heardInTurn(a *actor) {
	s, got := a.s, a.p.Got()
	if s.route.muddled() {
		return
	}
	want := a.gets
	if a == s.client {
		want = s.talk.says[0].raw
	}
	switch {
	case bytes.HasPrefix(want, got):
	case a == s.client && s.failed != "" && refusedInTurn(s, got):
	case a != s.client && s.client.sent < len(s.talk.says[1].raw) && s.halfAsked(a, got):
	default:
		w.failf("%s got\n%q\nand was to get\n%q", a, got, want)
	}
}

// halfAsked says that it is a turn's requests and then a piece of a request line,
// which is whatever the client last had to say.
func (s *simSession) halfAsked(a *actor, got []byte) bool {
	up := &s.talk.says[1]
	for i := range s.turns {
		for k := range up.msgs {
			m := &up.msgs[k]
			whole := originForm(up, s.turns[i].from, m.at)
			if s.turns[i].accepted == a && bytes.HasPrefix(got, whole) && bytes.HasPrefix(m.raw[:m.fields[0].name], got[len(whole):]) {
				return true
			}
		}
	}
	return false
}

// refusedInTurn says that it is the answers of the first turns, and then one that
// says that the next server cannot be had.
func refusedInTurn(s *simSession, got []byte) bool {
	const line = "HTTP/1.1 502 Bad Gateway\r\n"
	if s.route.OnDialError != "502" {
		return false
	}
	whole := 0
	for i := range s.turns {
		if len(got) >= whole && bytes.Equal(got[:whole], s.talk.says[0].raw[:whole]) {
			if rest := string(got[whole:]); strings.HasPrefix(line, rest) || strings.HasPrefix(rest, line) {
				return true
			}
		}
		whole += len(s.turns[i].says.raw)
	}
	return false
}

// judgeTurns is judgeSession for a session of turns.
func (w *world) judgeTurns(s *simSession) {
	w.ending(s)
	if s.route.muddled() || s.commanded || s.failed != "" || s.client.harsh || s.client.temper == abrupt || len(s.fired) > 0 && s.endedByRule() {
		return
	}
	for i := range s.turns {
		a := s.turns[i].accepted
		if a == nil || a.harsh || a.temper == abrupt {
			return // he took the others' turns along
		}
		if a.gets = s.turns[i].asks; !bytes.Equal(a.p.Got(), a.gets) {
			w.failf("%s, turn %d, got %q and was to get %q", a, i, a.p.Got(), a.gets)
		}
	}
	if want := s.talk.says[0].raw; !bytes.Equal(s.client.p.Got(), want) || s.client.ended() != simnet.FIN {
		w.failf("%s got %q, then %v, and was to get %q", s.client, s.client.p.Got(), s.client.ended(), want)
	}
	w.seen("turned whole")
}

// endedByRule says that a fault cut the session off.
func (s *simSession) endedByRule() bool {
	for _, e := range s.fired {
		if e.Data.(FiredData).End != "" {
			return true
		}
	}
	return false
}
