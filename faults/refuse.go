package faults

// refuse is an upstream that is not there, in each of the ways a client can meet
// one: they differ in what the client waits for and in what it is told.
//
//	rst     accepted, then RST: a load balancer without a healthy server
//	fin     accepted, then FIN: a process that closes what it cannot serve
//	silent  accepted, never served: a full process whose kernel still accepts;
//	        disarmed, the session is dialled and served
//	closed  ECONNREFUSED: nobody listens (RFC 9293 section 3.10.7.1)
//	drop    the SYN is lost: connect time-out, as behind a firewall that drops or
//	        a host that is off; disarmed, the client gets through with its next SYN
type refuse struct {
	How string `json:"how" help:"what the client meets: RST or FIN after connecting, silence, nobody listening, or its SYNs lost" enum:"rst,fin,silent,closed,drop"`
}

var _ = Declare(Kind[refuse]{
	Name:     "refuse",
	Summary:  "the client is turned away, upstream is never dialled",
	Client:   "RST, FIN or silence after connecting; or ECONNREFUSED; or a connect time-out",
	Group:    Connect,
	Nearest:  "refuse closed",
	Defaults: refuse{How: "rst"},
	Words:    []string{"down", "connection_refused", "reject", "disable", "blackout"},
	Door: func(p refuse) Door {
		switch p.How {
		case "closed":
			return DoorClosed
		case "drop":
			return DoorDrop
		}
		return DoorOpen
	},
	Arrive: func(p refuse, a *Arrival) {
		switch p.How {
		case "rst":
			a.Refuse(Rst)
		case "fin":
			a.Refuse(Fin)
		case "silent":
			a.Wait(Never)
		}
	},
	Presets: []Preset{
		{Name: "down", Summary: "nobody listens", Client: "ECONNREFUSED", Params: `{"how":"closed"}`},
	},
	Examples: []Example{
		{Title: "accepted, then RST", Params: `{}`, Play: `
>c RST`},
		{Title: "accepted, then FIN", Params: `{"how":"fin"}`, Play: `
>c FIN`},
		{Title: "accepted, and served only when disarmed", Params: `{"how":"silent"}`, Play: `
c> hello
+1h
disarm
>s hello`},
	},
})
