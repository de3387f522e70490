package middlebox

// What events carry, by type: session.opened and session.closed a SessionItem,
// exchange.started and exchange.finished an ExchangeItem, fault.fired a
// FiredData, and the rest what follows.

// FailedData is that of session.failed: a session that never had an upstream, or
// a connection that could not become a session.
type FailedData struct {
	Client   string `json:"client,omitempty"`
	Upstream string `json:"upstream"`
	Error    string `json:"error"`
}

// OpaqueData is that of session.opaque: from this offset on the direction is
// relayed as bytes that are not looked at; with Held, a head that a rule's match
// had kept back was let go unmatched, and the stream is still understood.
type OpaqueData struct {
	Direction string `json:"direction"`
	Offset    int64  `json:"offset"`
	Reason    string `json:"reason"`
	Held      bool   `json:"held,omitempty"`
}

// RuleData is that of rule.armed, rule.disarmed, rule.changed and rule.spent.
// Sessions are the live ones of the route.
type RuleData struct {
	Rule     RuleState `json:"rule"`
	Who      string    `json:"who,omitempty"`
	Why      string    `json:"why,omitempty"`
	Sessions int64     `json:"sessions"`
	Removed  bool      `json:"removed,omitempty"`
}

// MissedData is that of rule.missed: a rule that matched had nothing to damage.
type MissedData struct {
	Fault     string `json:"fault"`
	Direction string `json:"direction"`
	Reason    string `json:"reason"`
	At        string `json:"at"`
}

// RouteData is that of route.added, route.changed and route.removed.
type RouteData struct {
	Route RouteState `json:"route"`
	Who   string     `json:"who,omitempty"`
}

// BoxData is that of box.reloaded, box.panicked, box.released and box.reverted;
// Rules are those it disarmed or armed, as route/rule.
type BoxData struct {
	Who   string   `json:"who,omitempty"`
	Why   string   `json:"why,omitempty"`
	Rules []string `json:"rules,omitempty"`
}
