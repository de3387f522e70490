package faults

import "time"

// limitSessions is a server with so many connections and no more: a pool of
// workers, a descriptor limit, a load balancer's quota for each client. Sessions
// that are there already count, and none is ended. In the order in which they
// were accepted, the first `max` are served; one that goes lets the next in.
// Sessions refused do not count; those waiting do not for those before them.
//
// With `queue` a client is connected and hears nothing until it is its turn, which
// is what a full accept queue or a busy worker pool looks like from outside (the
// limits of parallel connections, "HTTP: The Definitive Guide" 4.4).
type limitSessions struct {
	Max    int64  `json:"max" help:"how many sessions are served at a time" min:"0" required:"true"`
	Per    string `json:"per" help:"counted over the route, or for each client address" enum:"route,client"`
	Excess string `json:"excess" help:"what one too many gets: RST, FIN, or a place in the queue" enum:"rst,fin,queue"`
}

// queueLook is how often one in the queue looks by itself: where sessions wait
// for several limits at once, it may not be told.
const queueLook = 250 * time.Millisecond

var _ = Declare(Kind[limitSessions]{
	Name:     "limit_sessions",
	Summary:  "no more than `max` sessions at a time: one too many gets RST or FIN, or waits its turn",
	Client:   "some connections are turned away, or are connected and not served until others are gone",
	Group:    Connect,
	Defaults: limitSessions{Per: "route", Excess: "rst"},
	Words:    []string{"max_connections", "max_conns", "limit_connections", "too_many_connections"},
	Arrive: func(p limitSessions, a *Arrival) {
		if int64(a.Before(p.Per == "client")) < p.Max {
			return
		}
		switch p.Excess {
		case "rst":
			a.Refuse(Rst)
		case "fin":
			a.Refuse(Fin)
		default:
			a.Wait(a.Now().Add(queueLook))
		}
	},
	Presets: []Preset{
		{Name: "overloaded", Summary: "one session at a time is served, the others wait their turn", Client: "connects at once; all but one connection hang until the one before is closed",
			Params: `{"max":1,"excess":"queue"}`, Words: []string{"busy"}},
	},
	Examples: []Example{
		{Title: "the first is served", Params: `{"max":1}`, Play: `
c> hello
>s hello`},
		{Title: "the third is one too many", Params: `{"max":2,"excess":"fin"}`, Play: `
sessions 2
>c FIN`},
		{Title: "the third waits its turn", Params: `{"max":2,"excess":"queue"}`, Play: `
sessions 2
c> hello
+1h
sessions 1
+1s
>s hello`},
		{Title: "disarmed: all are served", Params: `{"max":0,"excess":"queue"}`, Play: `
c> hello
+1s
disarm
>s hello`},
	},
})
