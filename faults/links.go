package faults

// Presets made of several kinds. Of the links, latency and rate are each way, and
// the loss is of the server's segments; where packets cannot be filtered, delays
// with a heavy tail stand in for what retransmission does.
func init() {
	compose(Composite{
		Name: "slow-3g", Summary: "200 ms each way, 50 kB/s, 1 % loss (stalls, where packets cannot be filtered)",
		Client: "everything takes half a second and more, and trickles",
		Match:  `{"direction":"both"}`,
		Parts: []PartOf{
			{Kind: "latency", Params: `{"delay":"200ms","jitter":"20ms"}`},
			{Kind: "bandwidth", Params: `{"rate":"50kB/s"}`},
			{Kind: "packet_loss", Params: `{"rate":"1%"}`, Optional: true},
			{Kind: "latency", Params: `{"delay":"0s","jitter":"20ms","distribution":"pareto"}`, Without: true},
		},
		Examples: []Example{{Title: "half a second for a byte", Params: `{"latency_jitter":"0s"}`, Play: `
s> .
+199ms
+7ms
>c .`}},
		Words: []string{"3g", "mobile", "edge"},
	})
	compose(Composite{
		Name: "lossy-wifi", Summary: "5 ms each way, more or less, 2.5 MB/s, 5 % loss (stalls, where packets cannot be filtered)",
		Client: "fast, then stuck for a fifth of a second or more, again and again",
		Match:  `{"direction":"both"}`,
		Parts: []PartOf{
			{Kind: "latency", Params: `{"delay":"5ms","jitter":"5ms"}`},
			{Kind: "bandwidth", Params: `{"rate":"2500kB/s"}`},
			{Kind: "packet_loss", Params: `{"rate":"5%"}`, Optional: true},
			{Kind: "latency", Params: `{"delay":"0s","jitter":"50ms","distribution":"pareto"}`, Without: true},
		},
		Examples: []Example{{Title: "as it is without jitter", Params: `{"latency-jitter":"0s"}`, Play: `
c> .
+4ms
+2ms
>s .`}},
		Words: []string{"wifi", "wlan"},
	})
	compose(Composite{
		Name: "satellite", Summary: "280 ms each way, 2.5 MB/s, 0.5 % loss (stalls, where packets cannot be filtered)",
		Client: "more than half a second for each round trip, at a good rate",
		Match:  `{"direction":"both"}`,
		Parts: []PartOf{
			{Kind: "latency", Params: `{"delay":"280ms"}`},
			{Kind: "bandwidth", Params: `{"rate":"2500kB/s"}`},
			{Kind: "packet_loss", Params: `{"rate":"0.5%"}`, Optional: true},
			{Kind: "latency", Params: `{"delay":"0s","jitter":"20ms","distribution":"pareto"}`, Without: true},
		},
		Examples: []Example{{Title: "up and down by way of an orbit", Params: `{}`, Play: `
c> .
+279ms
+6ms
>s .`}},
		Words: []string{"geostationary", "long_fat"},
	})
	compose(Composite{
		Name: "pulled-cable", Summary: "the client's cable is pulled: nothing of it arrives, nor its new connections, nor anything at it (Linux)",
		Client: "silence on every connection, connect time-outs for new ones, until the cable is in again",
		Parts: []PartOf{
			{Kind: "black_hole", Params: `{"side":"client"}`},
			{Kind: "refuse", Params: `{"how":"drop"}`},
		},
		Examples: []Example{{Title: "in again: what waited comes", Params: `{}`, Play: `
s> hello
+1h
disarm
>c hello`}},
		Words: []string{"unplugged", "cable"},
	})
}
