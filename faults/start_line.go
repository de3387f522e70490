package faults

import (
	"strings"

	"crimp/faults/wire"
)

// start_line rewrites the request or status line (RFC 9112 sections 3 and 4), or
// a word of it; its line end and all else stay. Nothing is validated but line
// ends: `status=20`, `version=HTTP/2.0` and a reason with spaces are what clients
// have to cope with. crimp itself frames the answer by the method that the server
// was told and the status that it said, so a GET made a HEAD leaves the client
// waiting for a body that never comes.
type startLine struct {
	Set     string `json:"set" help:"the whole line; then nothing else is given"`
	Version string `json:"version" help:"such as HTTP/1.0"`
	Status  string `json:"status" help:"the status code of a response"`
	Reason  string `json:"reason" help:"the reason phrase of a response"`
	Method  string `json:"method" help:"the method of a request"`
	Target  string `json:"target" help:"the target of a request"`
}

var _ = Declare(Kind[startLine]{
	Name:    "start_line",
	Summary: "the request or status line is rewritten, or a word of it; only that part changes",
	Client:  "another version, status or reason than the server said; the server another method or target",
	Group:   Message,
	HTTP:    true,
	Words:   []string{"status_line", "request_line", "http_version", "change_status"},
	Check:   startLine.check,
	Grain:   func(startLine) Grain { return Line },
	Scope: func(p startLine) Scope {
		switch {
		case p.Method != "" || p.Target != "":
			return Scope{Direction: "upstream", Fixed: true}
		case p.Status != "" || p.Reason != "":
			return Scope{Fixed: true}
		}
		return Scope{}
	},
	Defaults: startLine{},
	New:      func(p startLine) Stage { return startLineStage(p) },
	Examples: []Example{
		{Title: "a word of it", Params: `{"status":"503","reason":"Not Today"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 503 Not Today\r\nContent-Length: 2\r\n\r\nhi`},
		{Title: "no reason was there: the space before it comes too", Params: `{"reason":"Fine"}`, Play: `
s> HTTP/1.1 204\r\n\r\n
>c HTTP/1.1 204 Fine\r\n\r\n`},
		{Title: "an old version", Params: `{"version":"HTTP/1.0"}`, Match: `{"direction":"both"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.0\r\n\r\n
s> HTTP/1.1 204 No Content\r\n\r\n
>c HTTP/1.0 204 No Content\r\n\r\n`},
		{Title: "the whole line", Params: `{"set":"ICY 200 OK"}`, Play: `
s> HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n
>c ICY 200 OK\r\nContent-Length: 0\r\n\r\n`},
		{Title: "a request's target", Params: `{"target":"/b?q"}`, Play: `
c> GET /a HTTP/1.1\r\nHost: x\r\n\r\n
>s GET /b?q HTTP/1.1\r\nHost: x\r\n\r\n`},
		{Title: "GET made HEAD: its answer has no body, the next one is paired right", Params: `{"method":"HEAD"}`, Match: `{"path":"/1"}`, Play: `
c> GET /1 HTTP/1.1\r\n\r\n
>s HEAD /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n
>c HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n
c> GET /2 HTTP/1.1\r\n\r\n
>s GET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi`},
	},
})

func (p startLine) check() *Error {
	request, response := p.Method+p.Target != "", p.Status+p.Reason != ""
	switch {
	case strings.ContainsAny(p.Set+p.Version+p.Status+p.Reason+p.Method+p.Target, "\r\n"):
		return Errorf(Invalid, "", "expected no line ends: inject says whole lines")
	case p.Set != "" && (p.Version != "" || request || response):
		return Errorf(Invalid, "set", "is the whole line: expected nothing else with it")
	case request && response:
		return Errorf(Invalid, "", "method and target are a request's, status and reason a response's: expected either")
	}
	return nil
}

type startLineStage startLine

func (p startLineStage) Segment(s wire.Segment, w *Writer) {
	if s.Part != wire.StartLine || !ownLine(s) {
		w.Send(s)
		return
	}
	if p == (startLineStage{}) {
		w.Miss(Miss{missParams, "none of set, version, status, reason, method and target is given"})
	}
	if !w.Fire() {
		w.Send(s)
		return
	}
	h := s.Head
	line := p.line(h)
	if x := w.Exchange(); x != nil && h.Request {
		method, _, _ := strings.Cut(line, " ")
		x.renamed, x.as = true, wire.MethodOf([]byte(method))
	}
	w.Replace(s, append([]byte(line), s.Data[h.StartStop:]...))
}

// line is the line as it is to be, without its end.
func (p startLineStage) line(h *wire.Head) string {
	if p.Set != "" {
		return p.Set
	}
	with := [3]string{p.Version, p.Status, p.Reason}
	if h.Request {
		with = [3]string{p.Method, p.Target, p.Version}
	}
	var words []string
	for i, word := range with {
		if word == "" {
			word = string(h.Raw[h.Word[i][0]:h.Word[i][1]])
		}
		if word != "" || h.Word[i][0] > h.Word[i-1][1] { // an empty reason keeps its space
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}
