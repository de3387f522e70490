package control

import (
	"context"

	"crimp/faults"
	"crimp/middlebox"
)

// This file is the Client's methods, one for each of the protocol's.

// do calls a method with a typed result.
func do[R any](ctx context.Context, c *Client, method string, params any) (R, error) {
	var r R
	err := c.Call(ctx, method, params, &r)
	return r, err
}

// State is the whole box at one sequence number.
func (c *Client) State(ctx context.Context) (middlebox.State, error) {
	return do[middlebox.State](ctx, c, "state.get", nil)
}

// Faults is the catalogue.
func (c *Client) Faults(ctx context.Context) ([]faults.Fault, error) {
	r, err := do[FaultListResult](ctx, c, "fault.list", nil)
	return r.Faults, err
}

// Routes lists the routes in file order.
func (c *Client) Routes(ctx context.Context) ([]middlebox.RouteState, error) {
	r, err := do[RouteListResult](ctx, c, "route.list", nil)
	return r.Routes, err
}

// SetRoute makes or replaces a route with all its rules.
func (c *Client) SetRoute(ctx context.Context, p RouteSetParams) (RouteSetResult, error) {
	return do[RouteSetResult](ctx, c, "route.set", p)
}

// DeleteRoute stops a route.
func (c *Client) DeleteRoute(ctx context.Context, p RouteDeleteParams) (SeqResult, error) {
	return do[SeqResult](ctx, c, "route.delete", p)
}

// Rules lists rules with their counters.
func (c *Client) Rules(ctx context.Context, f middlebox.Filter) (RuleListResult, error) {
	return do[RuleListResult](ctx, c, "rule.list", f)
}

// SetRule makes or replaces a rule. When it has returned, the rule is in force.
func (c *Client) SetRule(ctx context.Context, p RuleSetParams) (middlebox.Changed, error) {
	return do[middlebox.Changed](ctx, c, "rule.set", p)
}

// Arm arms a rule as it stands. When it has returned, the rule is in force.
func (c *Client) Arm(ctx context.Context, p RuleArmParams) (middlebox.Changed, error) {
	return do[middlebox.Changed](ctx, c, "rule.arm", p)
}

// Disarm disarms a rule. When it has returned, the rule is out of force.
func (c *Client) Disarm(ctx context.Context, p RuleNameParams) (middlebox.Changed, error) {
	return do[middlebox.Changed](ctx, c, "rule.disarm", p)
}

// DeleteRule removes a rule.
func (c *Client) DeleteRule(ctx context.Context, p RuleNameParams) (middlebox.Changed, error) {
	return do[middlebox.Changed](ctx, c, "rule.delete", p)
}

// Sessions lists sessions.
func (c *Client) Sessions(ctx context.Context, f middlebox.Filter) (middlebox.List[middlebox.SessionItem], error) {
	return do[middlebox.List[middlebox.SessionItem]](ctx, c, "session.list", f)
}

// Exchanges lists requests and their responses.
func (c *Client) Exchanges(ctx context.Context, f middlebox.Filter) (middlebox.List[middlebox.ExchangeItem], error) {
	return do[middlebox.List[middlebox.ExchangeItem]](ctx, c, "exchange.list", f)
}

// Events lists the journal.
func (c *Client) Events(ctx context.Context, f middlebox.Filter) (middlebox.List[middlebox.Event], error) {
	return do[middlebox.List[middlebox.Event]](ctx, c, "event.list", f)
}

// Act ends, stalls or resumes sessions, and says how many it reached.
func (c *Client) Act(ctx context.Context, p ActParams) (int, error) {
	r, err := do[ActResult](ctx, c, "session.act", p)
	return r.Sessions, err
}

// Wait returns when enough matching events are there; a *faults.Error with code
// timeout says how far it got. ctx should outlast the timeout of p.
func (c *Client) Wait(ctx context.Context, p WaitParams) (WaitResult, error) {
	return do[WaitResult](ctx, c, waits, p)
}

// Panic disarms everything and refuses arming until Release or Revert.
func (c *Client) Panic(ctx context.Context, why string) (PanicResult, error) {
	return do[PanicResult](ctx, c, "panic", PanicParams{Why: why})
}

// Release allows arming again; rearm arms what the panic disarmed.
func (c *Client) Release(ctx context.Context, rearm bool) (ReleaseResult, error) {
	return do[ReleaseResult](ctx, c, "release", ReleaseParams{Rearm: rearm})
}

// Revert goes back to the configuration.
func (c *Client) Revert(ctx context.Context) (RevertResult, error) {
	return do[RevertResult](ctx, c, "revert", nil)
}

// Ping asks whether the box is there.
func (c *Client) Ping(ctx context.Context) error {
	return c.Call(ctx, "ping", nil, nil)
}
