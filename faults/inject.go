package faults

import "time"

// inject says bytes the peer never sent. At `end` they are what a desynchronised
// origin leaves behind: surplus that poisons the next answer of a client that
// keeps the connection: http.client, requests, fasthttp and java.net.http keep it
// in spite of surplus, and curl, http.client and fasthttp take a whole stray answer,
// or an idle connection's 408, for that to their next request.
//
// Rules that stand behind this one see what it says, each time it says it: latency
// delays it, slice parts it; positions do not count it.
//
// What it says at one place is at most 16 MiB in all: it waits in memory where the
// receiver does not take it.
type inject struct {
	At    Position   `json:"at" help:"where the bytes come in"`
	Bytes ByteString `json:"bytes" help:"what comes in: text:..., hex:... or random:N" required:"true"`
	Count int64      `json:"count" help:"how many times; no more than 16 MiB in all" min:"1" max:"100000"`
	Every Duration   `json:"every" help:"from one time to the next" min:"0s"`
	Delay Duration   `json:"delay" help:"before the first" min:"0s"`
	Then  Then       `json:"then" help:"what comes after: the rest, or an ending"`
}

var _ = Declare(Kind[inject]{
	Name:     "inject",
	Summary:  "extra bytes at that place, in the same write where nothing delays them; the rest unchanged",
	Client:   "bytes the server never sent",
	Group:    Bytes,
	Adds:     true,
	Defaults: inject{At: Position{Kind: Now}, Count: 1},
	Words:    []string{"insert", "append", "prepend"},
	Check:    inject.check,
	Here: func(p inject, w *Writer) {
		b := p.Bytes.Bytes(w.Rand(0).Uint64)
		w.Wait(time.Duration(p.Delay))
		for i := range p.Count {
			if i > 0 {
				w.Wait(time.Duration(p.Every))
			}
			w.Insert(b)
		}
		if end := p.Then.Ending(); end != NoEnding {
			w.End(end, OtherClose)
		}
	},
	Presets: []Preset{
		{Name: "surplus", Summary: "bytes beyond the body, in the same write", Client: "8 bytes more than Content-Length says",
			Params: `{"at":"end","bytes":"text:surplus!"}`},
		{Name: "stray-response", Summary: "a second whole answer that nobody asked for", Client: "a 200 with the body `stray`, ready for its next request",
			Params: `{"at":"end","bytes":"text:HTTP/1.1 200 OK\\r\\nContent-Length: 5\\r\\n\\r\\nstray"}`},
		{Name: "garbage", Summary: "a KiB of random bytes instead of an answer, then FIN", Client: "bytes that are no HTTP, then FIN",
			Params: `{"at":"start","bytes":"random:1KiB","then":"fin"}`, Words: []string{"RANDOM_DATA_THEN_CLOSE", "MALFORMED_RESPONSE_CHUNK"}},
		{Name: "idle-408", Summary: "an idle connection gets a 408 and FIN", Client: "a 408 for a request it has not sent yet, then FIN",
			Params: `{"at":"idle:100ms","bytes":"text:HTTP/1.1 408 Request Timeout\\r\\nConnection: close\\r\\nContent-Length: 0\\r\\n\\r\\n","then":"fin"}`},
	},
	Examples: []Example{
		{Title: "surplus after the body", Params: `{"at":"end","bytes":"text:more"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhimore`},
		{Title: "in mid-body, twice, half a second apart", Params: `{"at":"body:1","bytes":"hex:2d2d","count":2,"every":"500ms"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh--
+500ms
>c --i`},
		{Title: "a last word, then RST", Params: `{"at":"byte:0","bytes":"text:go away","then":"rst"}`, Play: `
>c go away
>c RST
>s CLOSE`},
		{Title: "an answer to nothing on an idle connection", Params: `{"at":"idle:100ms","bytes":"text:HTTP/1.1 408 Request Timeout\\r\\n\\r\\n","then":"fin"}`, Play: `
+100ms
>c HTTP/1.1 408 Request Timeout\r\n\r\n
>c FIN
>s CLOSE`},
	},
})

func (p inject) check() *Error {
	if n := int64(p.Bytes.Len()); n > 0 && p.Count > maxBytes/n {
		return Errorf(Invalid, "count", "expected at most %s in all, got %d times %s", Size(maxBytes), p.Count, Size(n))
	}
	return nil
}
