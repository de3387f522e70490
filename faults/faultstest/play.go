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
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

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

func unescape(text string) ([]byte, error) {
	s, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	return []byte(s), err
}
