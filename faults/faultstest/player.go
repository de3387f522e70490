package faultstest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// player is an engine in a play, with the peers and the clock that the play has.
type player struct {
	others  int  // sessions that were there before
	dials   bool // the upstream connection is to be made
	e       *faults.Engine
	now     time.Time
	cut     Cut
	rules   []faults.Rule
	proxy   bool
	plan    *faults.Plan
	in      [2]unread
	out     [2][]byte   // bytes by direction, not yet said by the play
	ends    [2][]string // endings likewise
	log     []string
	told    []string
	fired   []int64 // where in the stream rules fired
	firedBy []string
}

// Before, Leave and Keep make the player the census of its session.
func (p *player) Before(bool) int { return p.others }
func (p *player) Leave()          {}

// Keep: the sessions there were before are kept by the same client.
func (p *player) Keep(on bool) int {
	if on {
		return p.others + 1
	}
	return p.others
}

func (p *player) compile(armed bool) (*faults.Plan, error) {
	rules := append([]faults.Rule(nil), p.rules...)
	for i := range rules {
		rules[i].Armed = armed
	}
	plan, err := faults.Compile(p.plan, 42, "web", faults.HTTP, rules)
	if err != nil {
		return nil, err
	}
	p.plan = plan
	return plan, nil
}

// pass lets time go by, stopping wherever the engine wants to be woken.
func (p *player) pass(d time.Duration) {
	end := p.now.Add(d)
	for n := 0; n < 100_000; n++ {
		due := p.e.Deadline()
		if due.IsZero() || due.After(end) {
			break
		}
		if due.After(p.now) {
			p.now = due
		}
		p.step(faults.Input{Kind: faults.InTick})
	}
	p.now = end
}

// unread is what a peer has sent and the session has not read: it reads only
// what the engine demands.
type unread struct {
	bytes     []byte
	fin, hung bool
	told      int // how many bytes the engine was told of as unread
}

// read gives the engine what it is willing to read.
func (p *player) read() {
	for more := true; more; {
		more = false
		for d := range p.in {
			q, dir := &p.in[d], wire.Direction(d)
			demand := p.e.Demand(dir)
			hold := demand.Mode == faults.Hold
			switch {
			case demand.Tell && len(q.bytes) > q.told:
				q.told, more = len(q.bytes), true
				p.act(faults.Input{Kind: faults.InUnread, Dir: dir, N: int64(len(q.bytes))})
			case hold && q.fin && !q.hung:
				q.hung, more = true, true
				p.act(faults.Input{Kind: faults.InHangup, Dir: dir})
			case hold:
			case len(q.bytes) > 0:
				more = true
				p.take(dir, p.cut(len(q.bytes)))
			case q.fin:
				q.fin = false
				p.act(faults.Input{Kind: faults.InEOF, Dir: dir})
			}
		}
	}
}

// take reads n of the bytes that wait, or lets -n of them go by unseen.
func (p *player) take(d wire.Direction, n int) {
	q, demand := &p.in[d], p.e.Demand(d)
	splice := n < 0 && demand.Mode == faults.Splice
	if n = max(n, -n); demand.N > 0 {
		n = int(min(int64(n), demand.N))
	}
	b := append([]byte(nil), q.bytes[:n]...)
	q.bytes, q.told = q.bytes[n:], 0
	if splice {
		p.out[d] = append(p.out[d], b...)
		p.act(faults.Input{Kind: faults.InSkipped, Dir: d, N: int64(n)})
		return
	}
	p.act(faults.Input{Kind: faults.InBytes, Dir: d, Data: b})
}

// step feeds the engine, then what it has become willing to read.
func (p *player) step(in faults.Input) {
	p.act(in)
	if p.dials {
		p.dials = false
		p.act(faults.Input{Kind: faults.InDialed})
	}
	p.read()
}

// act feeds the engine and keeps what comes out. The input's memory is spoiled
// afterwards: actions are valid until the next Step only.
func (p *player) act(in faults.Input) {
	for _, a := range p.e.Step(p.now, in) {
		switch a.Op {
		case faults.OpSend:
			p.out[a.Dir] = append(p.out[a.Dir], a.Data...)
			p.log = append(p.log, fmt.Sprintf("%v send %v %q", p.now.Format("05.000"), a.Dir, a.Data))
		case faults.OpPart:
			p.ended(wire.Upstream, "PART")
			p.in[wire.Downstream] = unread{}
		case faults.OpDial:
			if p.dials = !p.proxy; p.proxy { // a play of a proxy says when it is connected
				p.ended(wire.Upstream, strings.TrimSpace("DIAL "+a.Target))
			}
		case faults.OpShut, faults.OpFinish:
			p.ended(a.Dir, "FIN")
		case faults.OpClose:
			p.ended(a.Dir, "CLOSE")
		case faults.OpDesert:
			p.ended(a.Dir, "FIN")
			p.ended(a.Dir, "RST")
		case faults.OpReset:
			p.ended(a.Dir, "RST")
		case faults.OpNote:
			p.tell(a.Note)
		}
		if a.Op != faults.OpNote && a.Note != nil {
			p.tell(a.Note)
		}
	}
	for i := range in.Data {
		in.Data[i] = '#'
	}
}

// tell keeps a note in words: what it points to is gone with the next Step.
func (p *player) tell(n *faults.Note) {
	x := n.Exchange
	switch n.Kind {
	case faults.NoteFired:
		p.fired, p.firedBy = append(p.fired, n.Off), append(p.firedBy, n.Rule.Name())
		p.told = append(p.told, strings.TrimSpace(fmt.Sprintf("fired %s %v byte %d, message %d, %v, body %d, after %d %v", n.Rule.Name(), n.Dir, n.Off, n.Pos, n.Part, n.Body, n.Bytes, n.End)))
	case faults.NoteMissed:
		if !slices.Contains(faults.MissWords, n.Word) {
			panic(fmt.Sprintf("%s missed by %q, which is none of %v", n.Rule.Name(), n.Word, faults.MissWords))
		}
		p.told = append(p.told, fmt.Sprintf("missed %s %s", n.Rule.Name(), n.Text))
	case faults.NoteSpent:
		p.told = append(p.told, "spent "+n.Rule.Name())
	case faults.NoteExchangeStarted:
		p.told = append(p.told, fmt.Sprintf("started %d %s %s", x.N, x.Head.Method(), x.Head.Target()))
	case faults.NoteExchangeFinished:
		p.told = append(p.told, fmt.Sprintf("finished %d %d, %d of %d, request %v, %s %v %v", x.N, x.Status, x.Sent, x.Declared, x.Said, x.Outcome, x.End, x.Odd.Words()))
	default:
		p.told = append(p.told, n.Text)
	}
}

func (p *player) ended(d wire.Direction, how string) {
	p.ends[d] = append(p.ends[d], how)
	p.log = append(p.log, fmt.Sprintf("%v %s %v", p.now.Format("05.000"), how, d))
}

func (p *player) transcript() string { return strings.Join(p.log, "\n") }
