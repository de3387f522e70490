package control

import (
	"slices"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

// This file holds what is said: the parameters and result of every method, and
// the notifications. The objects in them are those of package middlebox.

// Protocol is the name of the protocol and its WebSocket subprotocol.
const Protocol = "crimp.v1"

// Nothing is the parameters of a method that has none, and the result of one
// that has nothing to tell.
type Nothing struct{}

// HelloParams of hello.
type HelloParams struct {
	Client string `json:"client,omitempty" help:"who is calling: shown in events as who changed something"`
}

// HelloResult of hello.
type HelloResult struct {
	Version  string           `json:"version"`
	Protocol string           `json:"protocol"`
	Epoch    string           `json:"epoch" help:"a new one at each start of the box: sequence numbers start over"`
	Seed     uint64           `json:"seed"`
	Limits   middlebox.Limits `json:"limits"`
	Rights   []string         `json:"rights" help:"faults beneath TCP that this process may arm"`
}

// FaultListResult of fault.list.
type FaultListResult struct {
	Faults []faults.Fault `json:"faults"`
}

// RouteListResult of route.list.
type RouteListResult struct {
	Routes []middlebox.RouteState `json:"routes" help:"in file order"`
	Seq    int64                  `json:"seq"`
}

// RouteSetParams of route.set: a new route, or an existing one replaced with
// all its rules at once.
type RouteSetParams struct {
	Route middlebox.Route `json:"route" required:"true"`
	IfRev *int64          `json:"if_rev,omitempty" help:"refuse with conflict if the route's rev is another"`
	Why   string          `json:"why,omitempty"`
}

// RouteSetResult of route.set.
type RouteSetResult struct {
	Route middlebox.RouteState `json:"route"`
	Rev   int64                `json:"rev"`
	Seq   int64                `json:"seq"`
}

// RouteDeleteParams of route.delete.
type RouteDeleteParams struct {
	Name  string `json:"name" required:"true"`
	IfRev *int64 `json:"if_rev,omitempty"`
	Why   string `json:"why,omitempty"`
}

// SeqResult is the sequence number of what a call changed.
type SeqResult struct {
	Seq int64 `json:"seq"`
}

// RuleListResult of rule.list.
type RuleListResult struct {
	Rules    []middlebox.RuleState `json:"rules"`
	Total    int                   `json:"total"`
	Complete bool                  `json:"complete"`
	Seq      int64                 `json:"seq"`
}

// RuleSetParams of rule.set: the whole rule, new or replaced. On the wire armed
// defaults to true; a Go caller says it.
type RuleSetParams struct {
	Route  string           `json:"route" required:"true"`
	Rule   faults.Rule      `json:"rule" required:"true"`
	Before string           `json:"before,omitempty" help:"a new rule goes before this one; else last"`
	IfRev  *int64           `json:"if_rev,omitempty" help:"refuse with conflict if the rule's rev is another"`
	Lease  string           `json:"lease,omitempty" enum:"client" help:"client: the rule is gone when this WebSocket is"`
	TTL    *faults.Duration `json:"ttl,omitempty" help:"disarmed by itself after this long"`
	Why    string           `json:"why,omitempty"`
}

// RuleArmParams of rule.arm. With a lease the rule, which stood before, is
// disarmed when the WebSocket is gone, unless it has been armed anew since.
type RuleArmParams struct {
	Route string           `json:"route" required:"true"`
	Name  string           `json:"name" required:"true"`
	Lease string           `json:"lease,omitempty" enum:"client" help:"client: disarmed when this WebSocket is gone"`
	TTL   *faults.Duration `json:"ttl,omitempty" help:"disarmed by itself after this long"`
	IfRev *int64           `json:"if_rev,omitempty"`
	Why   string           `json:"why,omitempty"`
}

// RuleNameParams of rule.disarm and rule.delete.
type RuleNameParams struct {
	Route string `json:"route" required:"true"`
	Name  string `json:"name" required:"true"`
	IfRev *int64 `json:"if_rev,omitempty"`
	Why   string `json:"why,omitempty"`
}

// ActParams of session.act: one session by its ID, or those that a filter picks of
// the live ones; Since leaves those opened after it, Limit the newest of them.
type ActParams struct {
	middlebox.Filter
	ID   string `json:"id,omitempty" help:"one session: web/3"`
	Act  string `json:"act" required:"true" enum:"rst,close,fin,stall,resume"`
	Side string `json:"side,omitempty" enum:"both,client,server" help:"which leg; both unless told"`
	Why  string `json:"why,omitempty"`
}

// ActResult of session.act.
type ActResult struct {
	Sessions int `json:"sessions" help:"how many were reached"`
}

// SubscribeParams of subscribe.
type SubscribeParams struct {
	Topics []string `json:"topics,omitempty" help:"event types or their first word, or stats; all events unless told"`
	Rate   *int     `json:"rate,omitempty" min:"1" max:"1000000" help:"at most so many a second of session, exchange, fault and rule.missed events: those over it are left out, as a gap in seq shows; all unless told"`
}

// SubscribeResult of subscribe: a snapshot; every event after Seq follows.
type SubscribeResult struct {
	Sub   int64           `json:"sub"`
	Seq   int64           `json:"seq"`
	State middlebox.State `json:"state"`
}

// UnsubscribeParams of unsubscribe.
type UnsubscribeParams struct {
	Sub int64 `json:"sub" required:"true"`
}

// WaitParams of wait.
type WaitParams struct {
	middlebox.Filter
	Count   *int             `json:"count,omitempty" min:"1" max:"100000" help:"how many events; 1 unless told"`
	Timeout *faults.Duration `json:"timeout,omitempty" max:"24h" help:"10s unless told; 0s looks at what is there and does not wait"`
}

// WaitResult of wait. A wait with since set to Seq goes on where this one ended.
type WaitResult struct {
	Events []middlebox.Event `json:"events"`
	Seq    int64             `json:"seq"`
}

// PanicParams of panic.
type PanicParams struct {
	Why string `json:"why,omitempty"`
}

// PanicResult of panic: the rules it disarmed, as route/rule.
type PanicResult struct {
	Disarmed []string `json:"disarmed"`
	Seq      int64    `json:"seq"`
}

// ReleaseParams of release.
type ReleaseParams struct {
	Rearm bool   `json:"rearm,omitempty" help:"arm again what the panic disarmed"`
	Why   string `json:"why,omitempty"`
}

// ReleaseResult of release: the rules it armed again, as route/rule.
type ReleaseResult struct {
	Rearmed []string `json:"rearmed"`
	Seq     int64    `json:"seq"`
}

// RevertParams of revert.
type RevertParams struct {
	Why string `json:"why,omitempty"`
}

// RevertResult of revert: the routes that changed for it, in themselves or in their rules.
type RevertResult struct {
	Routes []string `json:"routes"`
	Seq    int64    `json:"seq"`
}

// CaptureParams of capture.
type CaptureParams struct {
	middlebox.CaptureOptions
	Rate *int `json:"rate,omitempty" min:"1" max:"1000000" help:"at most so many chunks a second: those over it wait, and what finds no room in buffer meanwhile is left out; all unless told"`
}

// CaptureResult of capture: every byte from now on follows, or is counted as lost.
// Unsubscribe ends it: what was captured by then still follows, last a chunk "ended".
type CaptureResult struct {
	Sub      int64 `json:"sub"`
	Seq      int64 `json:"seq" help:"of the newest event then"`
	Sessions int64 `json:"sessions" help:"live ones that it captures"`
}

// CaptureNote is the notification "capture": what went by, in its order.
type CaptureNote struct {
	Sub    int64             `json:"sub"`
	Chunks []middlebox.Chunk `json:"chunks"`
}

// EventNote is the notification "event".
type EventNote struct {
	Sub int64 `json:"sub"`
	middlebox.Event
}

// StatsNote is the notification "stats": once a second, the latest only.
type StatsNote struct {
	Sub    int64        `json:"sub"`
	Seq    int64        `json:"seq"`
	Time   time.Time    `json:"time"`
	Routes []RouteStats `json:"routes"`
}

// RouteStats is a route's figures in a StatsNote. Bytes and Exchanges count
// since the start of the box.
type RouteStats struct {
	Name      string         `json:"name"`
	Sessions  int64          `json:"sessions" help:"live"`
	Bytes     middlebox.Flow `json:"bytes"`
	Exchanges int64          `json:"exchanges"`
	Rates     *Rates         `json:"rates,omitempty" help:"since the last one; missing in the first"`
}

// Rates are a route's figures per second.
type Rates struct {
	Bytes     middlebox.Flow `json:"bytes"`
	Exchanges float64        `json:"exchanges"`
}

// ResyncNote is the notification "resync": the subscriber fell behind, what it
// had not been sent is dropped, and it starts again from this snapshot.
type ResyncNote struct {
	Sub   int64           `json:"sub"`
	Seq   int64           `json:"seq"`
	State middlebox.State `json:"state"`
}

// EventTypes are the types of events there are.
func EventTypes() []string { return slices.Clone(eventTypes) }

// eventTypes are all event types. A topic is one of these, or the first word of
// one.
var eventTypes = []string{
	"session.opened", "session.closed", "session.failed", "session.opaque",
	"exchange.started", "exchange.finished",
	"rule.armed", "rule.disarmed", "rule.changed", "rule.spent", "rule.missed",
	"fault.fired",
	"route.added", "route.changed", "route.removed",
	"control.joined", "control.left",
	"box.started", "box.reloaded", "box.panicked", "box.released", "box.reverted",
}
