package middlebox

import (
	"net/netip"
	"time"

	"crimp/faults"
)

// This file holds the objects that people and programs see: the same in the
// configuration, the control protocol, the journal and the commands.

// Route is a listening address and the upstream it relays to.
type Route struct {
	Name        string        `json:"name"`                    // letters, digits, '-', '_', '.', at most 64
	Listen      string        `json:"listen"`                  // ADDRESS:PORT; port 0: any
	Upstream    string        `json:"upstream,omitempty"`      // HOST:PORT; mode proxy: the next proxy, or empty
	Protocol    string        `json:"protocol,omitempty"`      // auto (default), http, tcp
	Mode        string        `json:"mode,omitempty"`          // forward (default), proxy
	OnDialError string        `json:"on_dial_error,omitempty"` // rst (default), fin, 502 (default of mode proxy; on an auto route rst where no HTTP is spoken)
	Rules       []faults.Rule `json:"rules,omitempty"`         // in the order in which they act
}

// Limits bounds what the box may use. Zero means the default named.
type Limits struct {
	Sessions            int             `json:"sessions" min:"1" max:"10000000"`    // 20000
	Excess              string          `json:"excess"`                             // rst: what a connection beyond them gets, or fin
	HeldBytes           faults.Size     `json:"held_bytes" min:"64KiB"`             // 1GiB, over all sessions
	HeldBytesPerSession faults.Size     `json:"held_bytes_per_session" min:"64KiB"` // 4MiB
	Linger              faults.Duration `json:"linger" min:"1ms"`                   // 30s: how long a connection that ends waits for its peer
	Events              int             `json:"events" min:"1" max:"100000000"`     // 100000 in the ring
	Exchanges           int             `json:"exchanges" min:"1" max:"100000000"`  // 10000 in the ring
}

// Flow is a number for each direction.
type Flow struct {
	Upstream   int64 `json:"upstream"`
	Downstream int64 `json:"downstream"`
}

// RouteState is a route as it runs.
type RouteState struct {
	Name          string      `json:"name"`
	Listen        string      `json:"listen"` // the resolved address
	Upstream      string      `json:"upstream"`
	Protocol      string      `json:"protocol"`
	Mode          string      `json:"mode"`
	OnDialError   string      `json:"on_dial_error"`
	Rev           int64       `json:"rev"` // another one with each change of it
	Rules         []RuleState `json:"rules"`
	Sessions      int64       `json:"sessions"`       // live
	SessionsTotal int64       `json:"sessions_total"` // since start
	Failed        int64       `json:"failed"`         // dials
	Exchanges     int64       `json:"exchanges"`      // since start
	Bytes         Flow        `json:"bytes"`          // that went out, since start
}

// RuleState is a rule as it stands.
type RuleState struct {
	faults.Rule
	Route   string           `json:"route"`
	Summary string           `json:"summary"`            // what it does here: "cut at body:50%, fin"
	Without string           `json:"without,omitempty"`  // what of it is left out here, and why: "packet_loss, which needs CAP_NET_ADMIN: ..."
	Rev     int64            `json:"rev"`                // another one with each change of it
	Hits    int64            `json:"hits"`               // since it was last armed or changed
	Misses  map[string]int64 `json:"misses"`             // by match key, gate word ("skip", "probability", ...) or faults.MissWords
	Spent   bool             `json:"spent"`              // its gate says no from here on
	Lease   string           `json:"lease,omitempty"`    // the control client it is tied to
	Expires *time.Time       `json:"expires,omitempty"`  // when its ttl runs out
	Why     string           `json:"why,omitempty"`      // of the last change
	ArmedAt int64            `json:"armed_at,omitempty"` // seq of the last arming
	Arming  int64            `json:"-"`                  // the same, but that a release after a panic goes on with the arming before it
	// NearMiss is the last exchange that all but matched, and by what it missed:
	// "GET /apis/x (path): path /apis/x is not /api/*".
	NearMiss string `json:"near_miss,omitempty"`
}

// SessionItem is a session in session.list and in session.* events.
type SessionItem struct {
	ID        string           `json:"id"`
	Route     string           `json:"route"`
	Client    string           `json:"client"`
	Upstream  string           `json:"upstream"`
	Protocol  string           `json:"protocol"` // auto (not yet known), http, tcp
	Opened    time.Time        `json:"opened"`
	Closed    *time.Time       `json:"closed,omitempty"`
	Bytes     Flow             `json:"bytes"` // that went out
	Held      Flow             `json:"held"`  // bytes that rules or a slow receiver keep back
	Exchanges int64            `json:"exchanges"`
	Outcome   string           `json:"outcome"`         // open, ok, cut, rst, stalled
	Ended     *Ended           `json:"ended,omitempty"` // how each side ended
	Cause     string           `json:"cause,omitempty"` // peers, fault, command, drain, dial, limit, panic
	Rules     []string         `json:"rules,omitempty"` // rules that fired on it
	Odd       []string         `json:"odd,omitempty"`   // what its client did against the rules of persistence (faults.Odd)
	Peer      netip.AddrPort   `json:"-"`
	Idle      *faults.Duration `json:"idle,omitempty"` // since a byte was last read
}

// Ended is how each side of a session ended: fin, rst, close, linger (its time ran out), refused.
type Ended struct {
	Client string `json:"client"`
	Server string `json:"server"`
}

// ExchangeItem is one request and its response.
type ExchangeItem struct {
	ID       string     `json:"id"`
	Route    string     `json:"route"`
	Session  string     `json:"session"`
	Client   string     `json:"client"`
	Request  Request    `json:"request"`
	Response Response   `json:"response"`
	Rules    []Fired    `json:"rules"` // what fired, in order
	Started  time.Time  `json:"started"`
	Finished *time.Time `json:"finished,omitempty"`
	Outcome  string     `json:"outcome"` // open, ok, cut, rst, stalled
	Odd      []string   `json:"odd"`     // what its client did against the rules of persistence (faults.Odd)
}

// Request is an exchange's request as it was read and passed on.
type Request struct {
	Method    string `json:"method"`
	Target    string `json:"target"`
	Host      string `json:"host,omitempty"`
	Bytes     int64  `json:"bytes"`     // body bytes read
	Delivered string `json:"delivered"` // whole, part, none
}

// Response is an exchange's response as it was passed on.
type Response struct {
	Status   int    `json:"status"`   // 0: none
	Declared *int64 `json:"declared"` // null: not by Content-Length
	Sent     int64  `json:"sent"`     // body bytes
	End      string `json:"end"`      // whole, or how it was cut: fin, rst, close, stall; empty while open
}

// Fired is a fault that acted on an exchange.
type Fired struct {
	Rule      string `json:"rule"`
	Fault     string `json:"fault"`
	Direction string `json:"direction"`
	Offset    int64  `json:"offset"`         // in the stream
	Message   int64  `json:"message_offset"` // in the message
	Part      string `json:"part"`
	At        string `json:"at"`  // "body:512", for people
	End       string `json:"end"` // fin, rst, close, stall; empty if only bytes changed
}

// Event is a thing that happened, with one sequence number over the whole box.
type Event struct {
	Seq      int64     `json:"seq"`
	Time     time.Time `json:"time"`
	Type     string    `json:"type"`
	Route    string    `json:"route"` // this and the next three: empty if it is of none
	Session  string    `json:"session"`
	Exchange string    `json:"exchange"`
	Rule     string    `json:"rule"`
	Data     any       `json:"data"` // null: there is nothing to add

	heard *heard // what a filter's match can ask about; nil: of no session
}

// FiredData is what fault.fired tells; offsets and counts are bytes of the direction.
type FiredData struct {
	Fault     string `json:"fault"`
	Direction string `json:"direction"`
	Offset    int64  `json:"offset"`
	Message   int64  `json:"message_offset"`
	Part      string `json:"part"`
	At        string `json:"at"`
	Bytes     int64  `json:"bytes"` // bytes of that direction that went out before it
	End       string `json:"end"`   // as in Fired
	// Acked is how many of Bytes the receiver's kernel had acknowledged when the
	// ending went out. A RST waits for all of them, unless the receiver stopped
	// reading; a FIN follows them without waiting.
	Acked int64 `json:"acked"`
}

// State is the box at one sequence number.
type State struct {
	Seq    int64        `json:"seq"`
	Epoch  string       `json:"epoch"`
	Panic  *PanicState  `json:"panic"`
	Routes []RouteState `json:"routes"`
}

// PanicState says who stopped everything, why and when.
type PanicState struct {
	Who  string    `json:"who"`
	Why  string    `json:"why"`
	When time.Time `json:"when"`
}

// Change goes with every call that changes something.
type Change struct {
	Who    string
	Why    string
	Before string     // rule.set: place a new rule before this one
	IfRev  *int64     // refuse with conflict if the object's rev differs
	Lease  string     // tie the rule to this control client's lease (box only records it)
	Expiry *time.Time // recorded; control disarms by itself
}

// Changed is what a change of a rule came to. Sessions are the live ones it is in force on.
type Changed struct {
	Rule     RuleState `json:"rule"`
	Rev      int64     `json:"rev"`
	Seq      int64     `json:"seq"`
	Sessions int64     `json:"sessions"`
}

// Filter is the same in every list, wait and command; the zero value means everything.
type Filter struct {
	Match   faults.Match `json:"match,omitzero"`
	Route   string       `json:"route,omitempty"`
	Rule    string       `json:"rule,omitempty"`
	Session string       `json:"session,omitempty"`
	Type    string       `json:"type,omitempty"`
	Outcome string       `json:"outcome,omitempty"`
	Since   string       `json:"since,omitempty" accept:"number"` // a seq, a duration back, or "armed"
	Limit   int          `json:"limit,omitempty" min:"0"`         // the newest so many; 0: all
}

// List answers every list call.
type List[T any] struct {
	Items    []T   `json:"items"`
	Total    int   `json:"total"`    // before limit
	Complete bool  `json:"complete"` // false: the ring no longer reaches back to since
	Seq      int64 `json:"seq"`      // of the newest event it knows of
}
