package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"runtime/debug"
	"strings"
	"time"
	"unicode"

	"crimp/faults"
	"crimp/middlebox"
)

// call is one call being carried out.
type call struct {
	ctx  context.Context
	srv  *Server
	conn *conn  // the WebSocket it came over; nil over POST
	who  string // for the journal
	then func() // to be done once the answer is queued; may be nil
}

// maxWhy bounds a reason: it stays in the journal for long.
const maxWhy = 500

// change describes a changing call to the box.
func (c *call) change(why string, ifRev *int64) middlebox.Change {
	if len(why) > maxWhy {
		why = strings.ToValidUTF8(why[:maxWhy], "") + "..."
	}
	return middlebox.Change{Who: c.who, Why: why, IfRev: ifRev}
}

// method is a row of the table: from it come dispatch, did-you-mean and schema.
type method struct {
	name, help     string
	params, result reflect.Type
	// run decodes strictly and carries out.
	run func(c *call, params json.RawMessage) (any, error)
}

// waits is the name of the one method that does not answer at once.
const waits = "wait"

// methods is the protocol, in the order of the documentation.
var methods = []method{
	on("hello", "who is calling; what this box is", hello),
	on("state.get", "the whole box at one sequence number", stateGet),
	on("fault.list", "the catalogue of faults", faultList),
	on("route.list", "the routes with their rules and counters", routeList),
	on("route.set", "make or replace a route with its rules, atomically", routeSet),
	on("route.delete", "stop a route", routeDelete),
	on("rule.list", "rules with hit and miss counters", ruleList),
	on("rule.set", "make or replace a rule", ruleSet),
	on("rule.arm", "arm a rule as it stands", ruleArm),
	on("rule.disarm", "disarm a rule", ruleDisarm),
	on("rule.delete", "remove a rule", ruleDelete),
	on("session.list", "sessions, live and past", sessionList),
	on("exchange.list", "requests and their responses", exchangeList),
	on("event.list", "the journal", eventList),
	on("session.act", "end, stall or resume sessions by hand", sessionAct),
	on("subscribe", "a snapshot, then every later event as a notification", subscribe),
	on("unsubscribe", "end a subscription or a capture", unsubscribe),
	on("capture", "the bytes of sessions, read and written, as notifications", capture),
	on(waits, "answer when enough matching events are there", wait),
	on("panic", "disarm everything and refuse arming", panicAll),
	on("release", "allow arming again", release),
	on("revert", "back to the configuration", revert),
	on("ping", "nothing; for clients that cannot send WebSocket pings", ping),
}

var methodNames, methodByName = func() (names []string, by map[string]*method) {
	by = map[string]*method{}
	for i := range methods {
		names = append(names, methods[i].name)
		by[methods[i].name] = &methods[i]
	}
	return
}()

// on makes the row of a method. Its parameters are decoded by their type and
// tags: unknown keys, wrong types and missing values never reach it.
func on[P, R any](name, help string, do func(*call, P) (R, error)) method {
	return method{
		name: name, help: help, params: reflect.TypeFor[P](), result: reflect.TypeFor[R](),
		run: func(c *call, raw json.RawMessage) (any, error) {
			switch raw = bytes.TrimSpace(raw); string(raw) {
			case "", "null", "[]": // as libraries say that there are none
				raw = json.RawMessage("{}")
			}
			if raw[0] != '{' {
				return nil, faults.Errorf(faults.Invalid, "params", "expected an object, not %.40s", raw)
			}
			var p P
			if err := faults.DecodeStrict(raw, &p, ""); err != nil {
				return nil, err
			}
			return do(c, p)
		},
	}
}

// dispatch carries out one call and encodes its answer. A panic in it is told
// to the caller and logged: the box lives.
func (s *Server) dispatch(c *call, q request) (answer []byte) {
	defer func() {
		if r := recover(); r != nil {
			s.log.Error().Str("method", q.method).Interface("panic", r).Bytes("stack", debug.Stack()).Msg("a call panicked")
			answer = encodeReply(q.id, nil, numbered(codeInternal, faults.Errorf("internal", "", "%s failed inside crimp; its log has more", q.method)))
		}
	}()
	m := methodByName[q.method]
	if m == nil {
		return encodeReply(q.id, nil, numbered(codeUnknownMethod, faults.Errorf(faults.NotFound, "method",
			"no method %.60q%s", q.method, faults.Hint(q.method, methodNames))))
	}
	result, err := m.run(c, q.params)
	if err != nil {
		return encodeReply(q.id, nil, onWire(err))
	}
	return encodeReply(q.id, result, nil)
}

func hello(c *call, p HelloParams) (HelloResult, error) {
	if len(p.Client) > 100 || strings.ContainsFunc(p.Client, unicode.IsControl) {
		return HelloResult{}, faults.Errorf(faults.Invalid, "client", "expected at most 100 bytes without control characters, got %.120q", p.Client)
	}
	if c.conn != nil && p.Client != "" {
		c.conn.name = p.Client
	}
	info := c.srv.box.Info()
	if info.Rights == nil {
		info.Rights = []string{}
	}
	return HelloResult{Version: c.srv.o.Version, Protocol: Protocol, Epoch: info.Epoch, Seed: info.Seed, Limits: info.Limits, Rights: info.Rights}, nil
}

func stateGet(c *call, _ Nothing) (middlebox.State, error) {
	return c.srv.box.State(), nil
}

func faultList(*call, Nothing) (FaultListResult, error) {
	return FaultListResult{Faults: faults.Catalogue()}, nil
}

func routeList(c *call, f middlebox.Filter) (RouteListResult, error) {
	l, err := list(c.srv.box.Routes, f)
	return RouteListResult{Routes: l.Items, Seq: l.Seq}, err
}

func routeSet(c *call, p RouteSetParams) (RouteSetResult, error) {
	r, seq, err := c.srv.box.SetRoute(p.Route, c.change(p.Why, p.IfRev))
	return RouteSetResult{Route: r, Rev: r.Rev, Seq: seq}, c.srv.routeConflict(err, p.Route.Name)
}

func routeDelete(c *call, p RouteDeleteParams) (SeqResult, error) {
	seq, err := c.srv.box.DeleteRoute(p.Name, c.change(p.Why, p.IfRev))
	return SeqResult{seq}, c.srv.routeConflict(err, p.Name)
}

func ruleList(c *call, f middlebox.Filter) (RuleListResult, error) {
	l, err := list(c.srv.box.Rules, f)
	return RuleListResult{Rules: l.Items, Total: l.Total, Complete: l.Complete, Seq: l.Seq}, err
}

func ruleSet(c *call, p RuleSetParams) (middlebox.Changed, error) {
	change := c.change(p.Why, p.IfRev)
	change.Before = p.Before
	if p.TTL != nil && !p.Rule.Armed {
		return middlebox.Changed{}, faults.Errorf(faults.Invalid, "ttl", "goes with an armed rule: this one has armed false")
	}
	if err := c.tie(&change, p.Lease, p.TTL); err != nil {
		return middlebox.Changed{}, err
	}
	done, err := c.srv.box.SetRule(p.Route, p.Rule, change)
	if err == nil {
		c.tied(done, change.Lease, removeRule)
	}
	return done, c.srv.ruleConflict(err, p.Route, cmp.Or(p.Rule.Name, p.Rule.Fault))
}

func ruleArm(c *call, p RuleArmParams) (middlebox.Changed, error) {
	change := c.change(p.Why, p.IfRev)
	if err := c.tie(&change, p.Lease, p.TTL); err != nil {
		return middlebox.Changed{}, err
	}
	// The lease is on the arming, not on the rule, and stays in our own books.
	lease := change.Lease
	change.Lease = ""
	done, err := c.srv.box.Arm(p.Route, p.Name, true, change)
	if err == nil {
		c.tied(done, lease, disarmRule)
	}
	return done, c.srv.ruleConflict(err, p.Route, p.Name)
}

func ruleDisarm(c *call, p RuleNameParams) (middlebox.Changed, error) {
	done, err := c.srv.box.Arm(p.Route, p.Name, false, c.change(p.Why, p.IfRev))
	if err == nil {
		c.srv.ttls.forget(ruleKey{p.Route, p.Name})
	}
	return done, c.srv.ruleConflict(err, p.Route, p.Name)
}

func ruleDelete(c *call, p RuleNameParams) (middlebox.Changed, error) {
	done, err := c.srv.box.DeleteRule(p.Route, p.Name, c.change(p.Why, p.IfRev))
	if err == nil {
		c.srv.ttls.forget(ruleKey{p.Route, p.Name})
	}
	return done, c.srv.ruleConflict(err, p.Route, p.Name)
}

func sessionList(c *call, f middlebox.Filter) (middlebox.List[middlebox.SessionItem], error) {
	return list(c.srv.box.Sessions, f)
}

func exchangeList(c *call, f middlebox.Filter) (middlebox.List[middlebox.ExchangeItem], error) {
	return list(c.srv.box.Exchanges, f)
}

func eventList(c *call, f middlebox.Filter) (middlebox.List[middlebox.Event], error) {
	return list(c.srv.box.Events, f)
}

var acts = map[string]faults.Act{
	"rst": faults.ActRst, "close": faults.ActClose, "fin": faults.ActFin, "stall": faults.ActStall, "resume": faults.ActResume,
}

var sides = map[string]faults.Side{
	"": faults.BothSides, "both": faults.BothSides, "client": faults.Client, "server": faults.Server,
}

func sessionAct(c *call, p ActParams) (ActResult, error) {
	f := p.Filter
	if p.ID == "" && reflect.ValueOf(f).IsZero() {
		return ActResult{}, faults.Errorf(faults.Invalid, "id", "expected a session's ID or a filter: nothing says which sessions are meant")
	}
	if p.ID != "" && f.Session != "" {
		return ActResult{}, faults.Errorf(faults.Invalid, "id", "goes without session: both pick a session")
	}
	if p.ID != "" {
		f.Session = p.ID
	}
	if err := checkFilter(f); err != nil {
		return ActResult{}, err
	}
	n, err := c.srv.box.Act(f, acts[p.Act], sides[p.Side], c.change(p.Why, nil))
	if p.ID == "" {
		return ActResult{n}, err
	}
	var fault *faults.Error
	if errors.As(err, &fault) && fault.Field == "session" {
		fault.Field = "id"
	}
	if err == nil && n == 0 {
		err = faults.Errorf(faults.NotFound, "id", "no live session %q", p.ID)
	}
	return ActResult{n}, err
}

func panicAll(c *call, p PanicParams) (PanicResult, error) {
	disarmed, seq, err := c.srv.box.Panic(c.change(p.Why, nil))
	return PanicResult{orEmpty(disarmed), seq}, err
}

func release(c *call, p ReleaseParams) (ReleaseResult, error) {
	rearmed, seq, err := c.srv.box.Release(p.Rearm, c.change(p.Why, nil))
	return ReleaseResult{orEmpty(rearmed), seq}, err
}

func revert(c *call, p RevertParams) (RevertResult, error) {
	changed, seq, err := c.srv.box.Revert(c.change(p.Why, nil))
	return RevertResult{orEmpty(changed), seq}, err
}

func ping(*call, Nothing) (Nothing, error) { return Nothing{}, nil }

// list answers a list call.
func list[T any](of func(middlebox.Filter) (middlebox.List[T], error), f middlebox.Filter) (middlebox.List[T], error) {
	if err := checkFilter(f); err != nil {
		return middlebox.List[T]{}, err
	}
	l, err := of(f)
	l.Items = orEmpty(l.Items)
	return l, err
}

// orEmpty makes the list of nothing [] and not null: a page maps over it.
func orEmpty[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}

// checkFilter refuses what no box could mean; the rest is the box's to check.
func checkFilter(f middlebox.Filter) error {
	if f.Type != "" {
		return checkTopic("type", f.Type)
	}
	return nil
}

// expiry is when a time to live that starts now runs out.
func expiry(ttl faults.Duration) *time.Time {
	t := time.Now().Add(time.Duration(ttl))
	return &t
}
