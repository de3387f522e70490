package faults

import "time"

// connectDelay is an upstream that takes long to be reached: a lost SYN (1 s, 3 s,
// 7 s by RFC 6298), a cold start, a busy accept queue. The client is connected at
// once, for it is connected to crimp; what it says waits in its own buffers, and
// upstream is dialled later. So it tests a client's time-out for the first byte;
// for a connect that takes long see refuse with how=drop and a short ttl.
type connectDelay struct {
	Delay  Duration `json:"delay" help:"before upstream is dialled" min:"0s" max:"24h"`
	Jitter Duration `json:"jitter" help:"how much that varies, more or less, evenly" min:"0s" max:"24h"`
}

var _ = Declare(Kind[connectDelay]{
	Name:     "connect_delay",
	Summary:  "upstream is dialled `delay` later, and bytes flow then",
	Client:   "connects at once, then silence for a while",
	Group:    Connect,
	Defaults: connectDelay{Delay: Duration(time.Second)},
	Words:    []string{"slow_connect", "dial_delay", "cold_start"},
	Arrive: func(p connectDelay, a *Arrival) {
		d := time.Duration(p.Delay)
		if p.Jitter > 0 {
			d += time.Duration(float64(p.Jitter) * (2*a.Rand().Float64() - 1))
		}
		if due := a.Opened().Add(d); due.After(a.Now()) {
			a.Wait(due)
		}
	},
	Examples: []Example{
		{Title: "a second later, with what was said meanwhile", Params: `{}`, Play: `
c> hello
+999ms
+1ms
>s hello`},
		{Title: "disarmed: at once", Params: `{"delay":"1h"}`, Play: `
c> hello
c> FIN
+1m
disarm
>s hello
>s FIN`},
	},
})
