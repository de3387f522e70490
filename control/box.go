package control

import (
	"crimp/faults"
	"crimp/middlebox"
)

// Box is what the server needs of the middlebox; *middlebox.Box is one. Every
// error it returns is a *faults.Error. All methods may be called from several
// goroutines, and none waits for a peer.
type Box interface {
	// Info says what the box is, State and Stats how it stands.
	Info() middlebox.Info
	State() middlebox.State
	Stats() middlebox.Stats

	// What changes something answers when it is in force, and changes nothing where it
	// fails: with invalid, not_found, conflict (if_rev) or forbidden (a panic).
	SetRoute(r middlebox.Route, c middlebox.Change) (middlebox.RouteState, int64, error)
	DeleteRoute(name string, c middlebox.Change) (int64, error)
	SetRule(route string, r faults.Rule, c middlebox.Change) (middlebox.Changed, error)
	Arm(route, name string, armed bool, c middlebox.Change) (middlebox.Changed, error)
	DeleteRule(route, name string, c middlebox.Change) (middlebox.Changed, error)

	// The lists: what a filter selects, routes and rules in their order, all else oldest first.
	Routes(f middlebox.Filter) (middlebox.List[middlebox.RouteState], error)
	Rules(f middlebox.Filter) (middlebox.List[middlebox.RuleState], error)
	Sessions(f middlebox.Filter) (middlebox.List[middlebox.SessionItem], error)
	Exchanges(f middlebox.Filter) (middlebox.List[middlebox.ExchangeItem], error)
	Events(f middlebox.Filter) (middlebox.List[middlebox.Event], error)

	// Act says how many sessions it reached; Panic and Release which rules, as
	// route/rule; Revert which routes. Release without a panic is a conflict.
	Act(f middlebox.Filter, act faults.Act, side faults.Side, c middlebox.Change) (int, error)
	Panic(c middlebox.Change) (disarmed []string, seq int64, err error)
	Release(rearm bool, c middlebox.Change) (rearmed []string, seq int64, err error)
	Revert(c middlebox.Change) (changed []string, seq int64, err error)

	// Emit journals an event, Watch reads from behind one (below 0: from the newest on),
	// Match makes a filter a question about events, and Since says from where it asks.
	Emit(e middlebox.Event) int64
	Watch(since int64) *middlebox.Watch
	Match(f middlebox.Filter) (func(middlebox.Event) (ok bool, near string), error)
	Since(f middlebox.Filter) (int64, error)

	// Capture shows bytes of sessions until it is closed.
	Capture(o middlebox.CaptureOptions) (*middlebox.Capture, error)
}

// cursor reads the journal at its owner's pace; *middlebox.Watch is one.
type cursor interface {
	// Next fills buf with the events after the last ones given, without
	// blocking, and says how many the ring no longer had.
	Next(buf []middlebox.Event) (n int, lost int64)
	// Ready gets a value when there may be more.
	Ready() <-chan struct{}
	Close()
}

// always is ready: a loop that selects on it goes round again after it has
// looked at everything else.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()
