package faults

import "time"

// stall stops a direction at a place: nothing flows from there, so the sender
// feels the back-pressure of a receiver that has stopped reading, and then
// everything flows on. None of 13 HTTP clients measured gives up by itself
// within 6 s: a time-out for silence has to be asked for.
type stall struct {
	At  Position `json:"at" help:"where the bytes stop"`
	For Duration `json:"for" help:"for how long; 0s: until disarmed" min:"0s"`
}

var _ = Declare(Kind[stall]{
	Name:     "stall",
	Summary:  "nothing flows that way from `at`, then everything does",
	Client:   "silence in mid-message, and no FIN",
	Group:    Bytes,
	Defaults: stall{At: Position{Kind: Now}},
	Words:    []string{"timeout", "pause", "hang"},
	Keeps:    func(stall) bool { return true },
	Here:     func(p stall, w *Writer) { w.Stall(time.Duration(p.For)) },
	Presets: []Preset{
		{Name: "slow-response", Summary: "the answer comes 2 s late", Client: "2 s of silence before the first byte of each answer",
			Params: `{"at":"start","for":"2s"}`},
		{Name: "pause", Summary: "1 s without a byte", Client: "1 s of silence, at once",
			Params: `{"at":"now","for":"1s"}`},
		{Name: "stall-body", Summary: "the body stops half-way", Client: "half of the body, then silence",
			Params: `{"at":"body:50%"}`},
		{Name: "stall-head", Summary: "the header stops in its second field", Client: "one and a half fields, then silence",
			Params: `{"at":"field:2"}`},
	},
	Examples: []Example{
		{Title: "silence before each answer, the head whole after it", Params: `{"at":"start","for":"2s"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
+1999ms
+1ms
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi`},
		{Title: "until disarmed, FIN behind the bytes", Params: `{"at":"body:50%"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd
s> FIN
>c HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab
+1h
disarm
>c cd
>c FIN`},
		{Title: "a stream, at once", Params: `{"for":"1s"}`, Match: `{"direction":"both"}`, Play: `
c> ping
s> pong
+1s
>s ping
>c pong
c> ping
>s ping`},
	},
})
