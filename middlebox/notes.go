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
// that stay true when the engine has gone on. This is the only place where a
// session allocates while it relays, once or twice an exchange.

// heard is what a filter's match can ask of an event. It never changes.
type heard struct {
	facts     faults.Facts
	direction string // of what the event is about; empty: of none
}

// telling is the exchange that a session last told of: what filters can ask of it,
// and the item as it stands. It is the session's, and changes.
type telling struct {
	heard
	item ExchangeItem
}

// keptHead is the longest request head that filters can look into; of a longer
// one they know the line and Host.
const keptHead = 8 << 10

// emit journals an event of this session.
func (s *session) emit(typ string, data any) int64 {
	return s.l.box.journal.emit(Event{Type: typ, Route: s.r.name, Session: s.id, Data: data, heard: s.self})
}

// item is the session as it stands.
func (s *session) item() SessionItem {
	client, server := &s.leg[wire.Downstream], &s.leg[wire.Upstream]
	it := SessionItem{
		ID: s.id, Route: s.r.name, Client: s.client, Upstream: s.upstream, Opened: s.opened, Peer: s.peer,
		Protocol: protocolWord(s.conf.protocol), Bytes: Flow{Upstream: server.said, Downstream: client.said},
		Exchanges: s.exchanges, Rules: slices.Clone(s.rules), Outcome: "open",
	}
	stalled := s.isStalled()
	if stalled {
		it.Outcome = "stalled"
	}
	if s.eng != nil && !s.crashed {
		down, up := s.eng.HeldBytes()
		it.Held = Flow{Upstream: int64(up + server.pending()), Downstream: int64(down + client.pending())}
		it.Protocol = protocolWord(s.eng.Protocol())
	}
	if !s.ended {
		idle := faults.Duration(max(s.l.now.Sub(s.last), 0).Round(time.Millisecond))
		it.Idle = &idle
		return it
	}
	it.Ended = &Ended{Client: client.ended, Server: server.ended}
	it.Cause = s.cause
	if it.Cause == "" {
		it.Cause = "peers"
	}
	switch {
	case stalled:
	case client.ended == "rst" || server.ended == "rst":
		it.Outcome = "rst"
	case s.cut || client.ended == "linger" || server.ended == "linger" || server.ended == "refused":
		it.Outcome = "cut"
	default:
		it.Outcome = "ok"
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
	return s.halted || s.stalled.rule != "" && s.leg[s.stalled.dir].outgone() <= s.stalled.said
}

// note turns one of the engine's notes into its event.
func (s *session) note(n *faults.Note) {
	switch n.Kind {
	case faults.NoteFired:
		f := s.firing(n)
		f.data.Acked = s.leg[n.Dir].acked(n.Bytes)
		s.emitFired(f)
	case faults.NoteMissed:
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
		s.tellExchange("exchange.started", n.Exchange)
	case faults.NoteExchangeFinished:
		s.tellExchange("exchange.finished", n.Exchange)
	}
}

// firing is a fault that acted, kept until what ends with it is out.
type firing struct {
	rule, exchange string
	heard          *heard
	data           FiredData
}

// firing keeps of a note what its event needs; nil where there is none.
func (s *session) firing(n *faults.Note) *firing {
	if n == nil || n.Rule == nil {
		return nil
	}
	f := &firing{rule: n.Rule.Name(), heard: s.about(n), data: FiredData{
		Fault: n.Rule.Fault(), Direction: n.Dir.String(), Offset: n.Off, Message: n.Pos, Part: n.Part.String(),
		At: place(n.Part, n.Pos, n.Off, n.Body), Bytes: n.Bytes, End: n.End.String(),
	}}
	if n.Exchange != nil {
		f.exchange = s.exchangeID(n.Exchange.N)
	}
	if n.End != faults.NoEnding {
		s.blame("fault")
		if n.End == faults.StallEnd {
			s.stalled = stall{rule: f.rule, dir: n.Dir, said: s.leg[n.Dir].outgone()}
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
	s.l.box.journal.emit(Event{Type: "fault.fired", Route: s.r.name, Session: s.id, Exchange: f.exchange, Rule: f.rule, Data: f.data, heard: f.heard})
}

// emitAbout journals what a note tells of a rule or a direction.
func (s *session) emitAbout(typ string, n *faults.Note, rule string, data any) {
	e := Event{Type: typ, Route: s.r.name, Session: s.id, Rule: rule, Data: data, heard: s.about(n)}
	if n.Exchange != nil {
		e.Exchange = s.exchangeID(n.Exchange.N)
	}
	s.l.box.journal.emit(e)
}

// about is what a filter can ask of a note: its exchange's facts, and its direction.
func (s *session) about(n *faults.Note) *heard {
	h := *s.self
	if n.Exchange != nil {
		h = s.hear(n.Exchange).heard
	}
	h.direction = n.Dir.String()
	return &h
}

// hear brings what is known of an exchange up to date.
func (s *session) hear(x *faults.Exchange) *telling {
	t := s.telling
	if t == nil {
		t = &telling{}
		s.telling = t
	}
	if t.facts.Exchange != x.N || t.facts.Request == nil || !t.facts.Request.Complete {
		t.heard = heard{facts: faults.Facts{Session: s.num, Client: s.peer, Exchange: x.N, Reused: x.N > 1, HasRequest: true}}
		t.item = ExchangeItem{ID: s.exchangeID(x.N), Route: s.r.name, Session: s.id, Client: s.client, Started: x.Started}
		if x.Head.StartStop > 0 {
			t.listen(&x.Head)
		}
	}
	t.facts.Status = x.Status
	it := &t.item
	it.Request.Bytes, it.Request.Delivered = x.Asked, x.Said.String()
	it.Response = Response{Status: x.Status, Sent: x.Sent, End: responseEnd(x)}
	if x.Declared >= 0 {
		declared := x.Declared
		it.Response.Declared = &declared
	}
	it.Outcome, it.Odd, it.Rules = x.Outcome, slices.Clone(x.Odd), nil
	if !x.Finished.IsZero() {
		finished := x.Finished
		it.Finished = &finished
	}
	for i := range x.Fired {
		f := &x.Fired[i]
		it.Rules = append(it.Rules, Fired{
			Rule: f.Rule.Name(), Fault: f.Rule.Fault(), Direction: f.Dir.String(), Offset: f.Off, Message: f.Pos,
			Part: f.Part.String(), At: place(f.Part, f.Pos, f.Off, f.Body), End: f.End.String(),
		})
	}
	return t
}

// listen takes a request's head down, in memory of its own: the engine's is used
// again for another.
func (t *telling) listen(head *wire.Head) {
	r := &t.item.Request
	i := head.Find("Host")
	if len(head.Raw) > keptHead {
		r.Method, r.Target = string(head.Method()), string(head.Target())
		if i >= 0 {
			r.Host = string(head.Value(i))
		}
		t.facts.Request = faults.RequestHead(r.Method, r.Target, r.Host)
		return
	}
	text := string(head.Raw) // one piece of memory for three strings
	word := func(at [2]int) string { return text[at[0]:at[1]] }
	r.Method, r.Target = word(head.Word[0]), word(head.Word[1])
	if i >= 0 {
		r.Host = word([2]int{head.Fields[i].Value, head.Fields[i].Stop})
	}
	own := *head
	own.Raw, own.Fields = slices.Clone(head.Raw), slices.Clone(head.Fields)
	t.facts.Request = &own
}

func (s *session) tellExchange(typ string, x *faults.Exchange) {
	t := s.hear(x)
	h := t.heard
	e := Event{Type: typ, Route: s.r.name, Session: s.id, Exchange: t.item.ID, Data: t.item, heard: &h}
	if typ == "exchange.finished" {
		s.l.box.journal.finish(e)
		return
	}
	s.l.box.journal.emit(e)
}

func (s *session) exchangeID(n uint64) string { return s.id + "/" + strconv.FormatUint(n, 10) }

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
