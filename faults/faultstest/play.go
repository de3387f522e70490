// Package faultstest runs plays: short scripts of what goes into a session's
// engine and what must come out. They are the catalogue's examples and its tests
// at once.
//
//	c> GET / HTTP/1.1\r\n\r\n      the client sends these bytes (Go escapes)
//	>s GET / HTTP/1.1\r\n\r\n      the server has received exactly these since the last line of its kind
//	s> FIN                         the server sends FIN; RST likewise
//	>c FIN                         the client gets FIN; CLOSE, RST likewise
//	+50ms                          time passes
//	act rst client                 an operator acts on the session (rst close fin stall resume; client server both)
//	sessions 2                     so many other sessions were accepted before this one and are there
//	proxy                          first of all: the session is an explicit proxy's ("proxy next": before another proxy)
//	>s DIAL a:80                   a connection to that server is asked for
//	s> UP                          it stands; DOWN: it cannot be had, LATE: nor in time
//	arm, disarm                    the plan changes (a play with a line "arm" starts disarmed)
//
// Lines of input come first, then what they lead to; before time passes or the
// plan changes, and at the end, the play must have said all that came out. Every play runs whole, byte by
// byte and cut at seeded random places, and must read the same.
package faultstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// Cut says how a play's input lines are cut into reads: it returns the size of
// the next one, at most n; below 0 to have that many go by unseen where the
// engine lets them.
type Cut func(n int) int

// Whole gives each line in one read, Bytewise a byte at a time.
func Whole(n int) int  { return n }
func Bytewise(int) int { return 1 }

// Random cuts at places drawn from seed.
func Random(seed uint64) Cut {
	r := rand.New(rand.NewPCG(seed, seed))
	return func(n int) int { return 1 + r.IntN(n) }
}

// Spliced cuts at places drawn from seed and lets bytes go by unseen wherever the
// engine lets them, as a session does that splices.
func Spliced(seed uint64) Cut {
	r := rand.New(rand.NewPCG(seed, seed))
	return func(n int) int { return -1 - r.IntN(n) }
}

// Run plays a script with the rules on an http route and says where it was not
// followed, nil if it was.
func Run(rules []faults.Rule, script string, cut Cut) error {
	_, err := Tell(rules, script, cut)
	return err
}

// Tell is Run, and what the engine told the journal meanwhile, a line a note.
func Tell(rules []faults.Rule, script string, cut Cut) ([]string, error) {
	p := &player{cut: cut, rules: rules, now: time.Unix(1_700_000_000, 0)}
	err := p.play(script)
	return p.told, err
}

func (p *player) play(script string) error {
	armed := true
	lines := strings.Split(strings.TrimSpace(script), "\n")
	for _, line := range lines {
		if strings.TrimSpace(line) == "arm" {
			armed = false
		}
	}
	plan, err := p.compile(armed)
	if err != nil {
		return err
	}
	options := faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: plan,
		Client: netip.MustParseAddrPort("127.0.0.1:50000"), Census: p, Packets: true}
	switch strings.TrimSpace(lines[0]) {
	case "proxy":
		options.Proxying, options.OnDialError = faults.ToOrigin, "502"
	case "proxy next":
		options.Proxying, options.OnDialError = faults.ToProxy, "502"
	}
	p.proxy = options.Proxying != faults.Forward
	p.e = faults.NewEngine(p.now, options)
	for len(lines) > 0 && strings.HasPrefix(lines[0], "sessions ") { // were there before
		p.others, _ = strconv.Atoi(lines[0][9:])
		lines = lines[1:]
	}
	p.step(faults.Input{Kind: faults.InOpen})
	if p.proxy {
		lines[0] = ""
	}
	for i, line := range lines {
		if err := p.line(strings.TrimSpace(line)); err != nil {
			return fmt.Errorf("line %d: %s\n%w\n%s", i+1, line, err, p.transcript())
		}
	}
	if err := p.settled(); err != nil {
		return fmt.Errorf("at the end\n%w\n%s", err, p.transcript())
	}
	return nil
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

func (p *player) line(line string) error {
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	word, rest, _ := strings.Cut(line, " ")
	switch {
	case word == ">c":
		return p.expect(wire.Downstream, rest)
	case word == ">s":
		return p.expect(wire.Upstream, rest)
	}
	switch word {
	case "c>":
		return p.input(wire.Upstream, rest)
	case "s>":
		return p.input(wire.Downstream, rest)
	}
	if err := p.settled(); err != nil {
		return err
	}
	switch {
	case word == "sessions":
		n, err := strconv.Atoi(rest)
		p.others = n
		return err
	case word == "arm", word == "disarm":
		plan, err := p.compile(word == "arm")
		if err != nil {
			return err
		}
		p.step(faults.Input{Kind: faults.InSwap, Plan: plan})
		return nil
	case word == "act":
		act, side, _ := strings.Cut(rest, " ")
		a := slices.Index([]string{"rst", "close", "fin", "stall", "resume"}, act)
		b := slices.Index([]string{"client", "server", "both"}, side)
		if a < 0 || b < 0 {
			return fmt.Errorf("a play has no %q", line)
		}
		p.step(faults.Input{Kind: faults.InCommand, Act: faults.Act(a), Side: faults.Side(b)})
		return nil
	case strings.HasPrefix(word, "+"):
		d, err := time.ParseDuration(word[1:])
		if err != nil {
			return err
		}
		p.pass(d)
		return nil
	}
	return fmt.Errorf("a play has no %q", word)
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

func (p *player) input(d wire.Direction, text string) error {
	q := &p.in[d]
	switch text {
	case "FIN":
		q.fin = true
	case "RST":
		p.step(faults.Input{Kind: faults.InReset, Dir: d})
		return nil
	case "UP":
		p.in[d] = unread{} // what the server before it said no more
		p.step(faults.Input{Kind: faults.InDialed})
		return nil
	case "DOWN":
		p.step(faults.Input{Kind: faults.InDialFailed, Err: errors.New("connection refused")})
		return nil
	case "LATE":
		p.step(faults.Input{Kind: faults.InDialFailed, Err: context.DeadlineExceeded})
		return nil
	default:
		b, err := unescape(text)
		if err != nil {
			return err
		}
		q.bytes = append(q.bytes, b...)
	}
	p.read()
	return nil
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

func (p *player) expect(d wire.Direction, text string) error {
	if text == "FIN" || text == "RST" || text == "CLOSE" || text == "ABORT" || text == "PART" || strings.HasPrefix(text, "DIAL") {
		if len(p.out[d]) > 0 || len(p.ends[d]) == 0 || p.ends[d][0] != text {
			return fmt.Errorf("got %q %v", p.out[d], p.ends[d])
		}
		p.ends[d] = p.ends[d][1:]
		return nil
	}
	b, err := unescape(text)
	if err != nil {
		return err
	}
	if string(p.out[d]) != string(b) {
		return fmt.Errorf("got  %q\nwant %q", p.out[d], b)
	}
	p.out[d] = nil
	return nil
}

// settled says what came out without being expected.
func (p *player) settled() error {
	for d, who := range []string{"client", "server"} {
		if len(p.out[d]) > 0 || len(p.ends[d]) > 0 {
			return fmt.Errorf("the %s got %q %v, which the play does not say", who, p.out[d], p.ends[d])
		}
	}
	return nil
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

func unescape(text string) ([]byte, error) {
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	return []byte(s), err
}
