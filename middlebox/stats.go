package middlebox

// Stats is what the box can say of itself without asking a loop: counters that
// only grow, and what is held and live now.
type Stats struct {
	Routes   []RouteStats `json:"routes"`
	Sessions int64        `json:"sessions"` // live, over all routes
	Held     int64        `json:"held"`     // bytes that rules or slow peers hold back
	Events   int64        `json:"events"`   // ever
	Dropped  int64        `json:"dropped"`  // events that the journal no longer has
}

// RouteStats is a route's share of Stats.
type RouteStats struct {
	Route     string `json:"route"`
	Sessions  int64  `json:"sessions"` // live
	Total     int64  `json:"sessions_total"`
	Failed    int64  `json:"failed"` // dials
	Exchanges int64  `json:"exchanges"`
	Bytes     Flow   `json:"bytes"`
	Held      int64  `json:"held"`
}

// Stats gives the box's counters.
func (b *Box) Stats() Stats {
	out := Stats{Routes: []RouteStats{}, Sessions: b.live.Load(), Held: b.held.Load(), Events: b.journal.newest(), Dropped: b.journal.dropped()}
	for _, r := range b.routesNow() {
		out.Routes = append(out.Routes, RouteStats{
			Route: r.name, Sessions: r.live.Load(), Total: r.total.Load(), Failed: r.failed.Load(),
			Exchanges: r.exchanges.Load(), Bytes: r.flow(), Held: r.held.Load(),
		})
	}
	return out
}
