package faults

import (
	"bytes"
	"fmt"
	"time"

	"crimp/faults/wire"
)

// interim says 1xx responses before the final one (RFC 9110 section 15.2: a client
// must take any number of them, even unasked for). http.client, requests and
// fasthttp hand a 103 to the program as the answer, HttpURLConnection hangs;
// of endless 102s only java.net.http tires, after 3,000.
//
// They start where the final answer would, whose bytes wait behind them. Rules that
// stand behind this one see each, as it comes. Endless ones pass by them, for there is
// no end to what they would have to be shown before the answer: those come out of the
// one that waits, without costing memory for each, until disarmed or after 16 MiB.
type interim struct {
	Status int      `json:"status" help:"their status" min:"100" max:"199"`
	Count  int64    `json:"count" help:"how many; 0: endless, which rules that stand behind do not see" min:"0" max:"100000"`
	Every  Duration `json:"every" help:"from one to the next, and from the last to the answer" min:"0s" max:"1h"`
}

// endlessInterim bounds what endless interim responses come to, in bytes: a client
// that stops reading must not cost memory without end.
const endlessInterim = 16 << 20

var interimReasons = map[int]string{100: "Continue", 102: "Processing", 103: "Early Hints", 104: "Upload Resumption Supported"}

var _ = Declare(Kind[interim]{
	Name:     "interim",
	Summary:  "so many interim responses before the final one",
	Client:   "1xx after 1xx before its answer",
	Group:    Message,
	HTTP:     true,
	Defaults: interim{Status: 100, Count: 1},
	Words:    []string{"1xx", "informational", "100_continue", "103"},
	Check:    interim.check,
	Scope:    func(interim) Scope { return Scope{Fixed: true} },
	New:      func(p interim) Stage { return &interimStage{p: p} },
	Presets: []Preset{
		{Name: "early-hints", Summary: "a 103 before each answer", Client: "103 with a Link, then its answer: http.client, requests and fasthttp take the 103 for it",
			Params: `{"status":103,"count":1}`,
			Examples: []Example{{Title: "103, then the answer", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n`}}},
		{Name: "endless-interim", Summary: "102 after 102 and never an answer", Client: "a 102 every 10 ms, for ever: only java.net.http gives up",
			Params: `{"status":102,"count":0,"every":"10ms"}`,
			Examples: []Example{{Title: "102 after 102, and no answer", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 102 Processing\r\n\r\n
+10ms
>c HTTP/1.1 102 Processing\r\n\r\n
+10ms
>c HTTP/1.1 102 Processing\r\n\r\n`}}},
	},
	Examples: []Example{
		{Title: "early hints", Params: `{"status":103}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi`},
		{Title: "two, a second apart, behind the server's own", Params: `{"status":102,"count":2,"every":"1s"}`, Play: `
s> HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n
+1s
>c HTTP/1.1 102 Processing\r\n\r\n
+1s
>c HTTP/1.1 204 No Content\r\n\r\n`},
		{Title: "endless, until disarmed", Params: `{"status":102,"count":0,"every":"1s"}`, Play: `
s> HTTP/1.1 204 No Content\r\n\r\n
s> FIN
>c HTTP/1.1 102 Processing\r\n\r\n
+2s
>c HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n
disarm
>c HTTP/1.1 204 No Content\r\n\r\n
>c FIN
+1h`},
	},
})

func (p interim) check() *Error {
	switch {
	case p.Status == 101:
		return Errorf(Invalid, "status", "101 is no interim response: it ends HTTP on the connection; expected 100, 102, 103 or another 1xx")
	case p.Count == 0 && p.Every < Duration(time.Millisecond):
		return Errorf(Invalid, "every", "endless ones (count 0) need at least 1ms between them, got %s", p.Every)
	}
	return nil
}

// message is one interim response.
func (p interim) message() []byte {
	fields := ""
	if p.Status == 103 {
		fields = "Link: </style.css>; rel=preload; as=style\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\n%s\r\n", p.Status, interimReasons[p.Status], fields)
}

type interimStage struct {
	p    interim
	said bool
}

func (k *interimStage) Segment(s wire.Segment, w *Writer) {
	if !k.said && s.Message > 0 {
		if k.said = true; w.Fire() {
			k.say(w)
		}
	}
	w.Send(s)
}

func (k *interimStage) say(w *Writer) {
	b, every := k.p.message(), time.Duration(k.p.Every)
	switch {
	case k.p.Count == 0:
		w.Repeat(b, endlessInterim/int64(len(b)), every)
		w.Until(Never)
	case every == 0:
		w.Insert(bytes.Repeat(b, int(k.p.Count)))
	default:
		for range k.p.Count {
			w.Insert(b)
			w.Wait(every)
		}
	}
}

// Blind: once they are said, the answer is its own.
func (k *interimStage) Blind(int64) int64 { return allOrNothing(k.said) }
