package middlebox

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// What a session tells the journal: an engine's notes become events and items
// that stay true when the engine has gone on. What comes with every session and
// every exchange is packed and allocates nothing; the rest is rare.

// heard is what a filter's match can ask of an event. It never changes.
type heard struct {
	facts     faults.Facts
	direction string // of what the event is about; empty: of none
}

// asItself is what filters can ask of a session outside any exchange.
func (s *session) asItself() *heard {
	return &heard{facts: faults.Facts{Session: s.num, Client: s.peer}}
}

// id is the session's name.
func (s *session) id() string { return sessionID(s.r.name, s.num) }

// emit journals an event of this session.
func (s *session) emit(typ string, data any) int64 {
	return s.l.box.journal.emit(Event{Type: typ, Route: s.r.name, Session: s.id(), Data: data, heard: s.asItself()})
}

// tell journals that the session was opened or closed.
func (s *session) tell(kind recordKind) {
	r := s.record()
	if kind == sessionClosed {
		r.closed = s.l.box.now()
	}
	p := packer(s.l.record[:0])
	r.pack(&p)
	s.l.record = p
	s.l.box.journal.keep(kind, p, s.l.now)
}

// item is the session as it stands.
func (s *session) item() SessionItem {
	r := s.record()
	r.rules = slices.Clone(r.rules)
	return r.item()
}

// record is the session as it stands. Its rules are the session's own.
func (s *session) record() sessionRecord {
	client, server := &s.leg[wire.Downstream], &s.leg[wire.Upstream]
	it := sessionRecord{
		route: s.r.name, num: s.num, client: s.peer, upstream: s.upstream(), opened: s.opened,
		protocol: s.conf.protocol, bytes: Flow{Upstream: server.said, Downstream: client.said},
		exchanges: s.exchanges, rules: s.rules, outcome: "open",
	}
	stalled := s.isStalled()
	if stalled {
		it.outcome = "stalled"
	}
	if s.eng != nil && !s.crashed {
		down, up := s.eng.HeldBytes()
		it.held = Flow{Upstream: int64(up+server.pending()) + int64(client.piped), Downstream: int64(down+client.pending()) + int64(server.piped)}
		it.protocol, it.odd = s.eng.Protocol(), s.eng.Odd()
	}
	if !s.ended {
		it.idle = max(s.l.now.Sub(s.opened)-s.last, 0).Round(time.Millisecond)
		return it
	}
	it.ended = Ended{Client: client.ended, Server: server.ended}
	it.cause = s.cause
	if it.cause == "" {
		it.cause = "peers"
	}
	switch {
	case stalled:
	case client.ended == "rst" || server.ended == "rst":
		it.outcome = "rst"
	case s.cut || client.ended == "linger" || server.ended == "linger" || server.ended == "refused":
		it.outcome = "cut"
	default:
		it.outcome = "ok"
	}
	return it
}

// stall is where a rule stopped a direction.
type stall struct {
	rule string
	dir  wire.Direction
	said int64 // bytes that had gone out there by then
}

// isStalled says whether a direction stands still since a rule or an operator
// stopped it; once bytes follow, it no longer does.
func (s *session) isStalled() bool {
	return s.halted || s.stalled != nil && s.leg[s.stalled.dir].outgone() <= s.stalled.said
}

// note turns one of the engine's notes into its event.
func (s *session) note(n *faults.Note) {
	switch n.Kind {
	case faults.NoteFired:
		f := s.firing(n)
		f.data.Acked = s.leg[n.Dir].acked(n.Bytes)
		s.emitFired(f)
	case faults.NoteMissed:
		s.r.missed[n.Word].Add(1)
		s.emitAbout("rule.missed", n, ruleName(n), MissedData{Fault: faultName(n), Direction: n.Dir.String(), Reason: n.Text, At: place(n.Part, n.Pos, n.Off, n.Body)})
	case faults.NoteSpent:
		if n.Rule != nil {
			s.emitAbout("rule.spent", n, n.Rule.Name(), RuleData{Rule: s.r.force.Load().stateOf(s.r, n.Rule), Sessions: s.r.live.Load()})
		}
	case faults.NoteOpaque, faults.NoteHeld:
		s.emitAbout("session.opaque", n, "", OpaqueData{Direction: n.Dir.String(), Offset: n.Off, Reason: n.Text, Held: n.Kind == faults.NoteHeld})
	case faults.NoteExchangeStarted:
		s.exchanges++
		s.r.exchanges.Add(1)
		s.tellExchange(exchangeStarted, n.Exchange)
	case faults.NoteExchangeFinished:
		s.tellExchange(exchangeFinished, n.Exchange)
	}
}

// firing is a fault that acted, kept until what ends with it is out.
type firing struct {
	rule, kind string
	about      []byte // packed: its exchange as it was then
	data       FiredData
}

// firing keeps of a note what its event needs; nil where there is none.
func (s *session) firing(n *faults.Note) *firing {
	if n == nil || n.Rule == nil {
		return nil
	}
	f := &firing{rule: n.Rule.Name(), kind: n.Rule.Kind(), data: FiredData{
		Fault: n.Rule.Fault(), Direction: n.Dir.String(), Offset: n.Off, Message: n.Pos, Part: n.Part.String(),
		At: place(n.Part, n.Pos, n.Off, n.Body), Bytes: n.Bytes, End: n.End.String(),
	}}
	p := packer(s.l.record[:0])
	packAbout(&p, s.r.name, s.num, s.peer, n.Exchange)
	s.l.record, f.about = p, slices.Clone(p)
	if n.End != faults.NoEnding {
		s.blame("fault")
		if n.End == faults.StallEnd {
			s.stalled = &stall{rule: f.rule, dir: n.Dir, said: s.leg[n.Dir].outgone()}
		} else {
			s.cut = true
		}
	}
	if !slices.Contains(s.rules, f.rule) {
		s.rules = append(s.rules, f.rule)
	}
	return f
}

func (s *session) emitFired(f *firing) {
	s.r.fired[f.kind].Add(1)
	p := append(packer(s.l.record[:0]), f.about...)
	p.str(f.rule)
	f.data.pack(&p)
	s.l.record = p
	seq := s.l.box.journal.keep(faultFired, p, s.l.now)
	if s.captured {
		s.captureFired(f, seq)
	}
}

// emitAbout journals what a note tells of a rule or a direction.
func (s *session) emitAbout(typ string, n *faults.Note, rule string, data any) {
	e := Event{Type: typ, Route: s.r.name, Session: s.id(), Rule: rule, Data: data, heard: s.about(n)}
	if n.Exchange != nil {
		e.Exchange = s.exchangeID(n.Exchange.N)
	}
	s.l.box.journal.emit(e)
}

// about is what a filter can ask of a note: its exchange's facts, and its direction.
func (s *session) about(n *faults.Note) *heard {
	h := s.asItself()
	if n.Exchange != nil {
		_, h = s.hear(n.Exchange)
	}
	h.direction = n.Dir.String()
	return h
}

// hear is what is known of an exchange, in memory of its own: the engine's is
// used again for another. It goes the way of those in the journal.
func (s *session) hear(x *faults.Exchange) (ExchangeItem, *heard) {
	var p packer
	packExchange(&p, s.r.name, s.num, s.peer, x)
	u := unpacker(p)
	return unpackExchange(&u)
}

// firedOf is a firing as people see it.
func firedOf(f *faults.Firing) Fired {
	return Fired{
		Rule: f.Rule.Name(), Fault: f.Rule.Fault(), Direction: f.Dir.String(), Offset: f.Off, Message: f.Pos,
		Part: f.Part.String(), At: place(f.Part, f.Pos, f.Off, f.Body), End: f.End.String(),
	}
}

func (s *session) tellExchange(kind recordKind, x *faults.Exchange) {
	p := packer(s.l.record[:0])
	packExchange(&p, s.r.name, s.num, s.peer, x)
	s.l.record = p
	s.l.box.journal.keep(kind, p, s.l.now)
}

func (s *session) exchangeID(n uint64) string { return sessionID(s.id(), n) }

// responseEnd says how a response ended, empty while it goes on.
func responseEnd(x *faults.Exchange) string {
	switch {
	case x.Whole:
		return "whole"
	case x.Outcome == "stalled" && x.End == faults.NoEnding:
		return "stall"
	}
	return x.End.String()
}

// place names for people where a fault acted.
func place(part wire.Part, pos, off, body int64) string {
	switch {
	case body >= 0 && (part == wire.Body || part == wire.ChunkData):
		return "body:" + strconv.FormatInt(body, 10)
	case pos >= 0:
		return "message:" + strconv.FormatInt(pos, 10)
	}
	return "byte:" + strconv.FormatInt(max(off, 0), 10)
}

func ruleName(n *faults.Note) string {
	if n.Rule == nil {
		return ""
	}
	return n.Rule.Name()
}

func faultName(n *faults.Note) string {
	if n.Rule == nil {
		return ""
	}
	return n.Rule.Fault()
}

// protocolWord is how a protocol is written.
func protocolWord(p faults.Protocol) string { return [...]string{"auto", "http", "tcp"}[p] }

// parseProtocol reads it; the empty word is auto.
func parseProtocol(word string) (faults.Protocol, bool) {
	switch strings.ToLower(word) {
	case "", "auto":
		return faults.Auto, true
	case "http":
		return faults.HTTP, true
	case "tcp":
		return faults.TCP, true
	}
	return 0, false
}
