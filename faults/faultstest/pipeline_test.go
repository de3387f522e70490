package faultstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

func piped(mode string, more ...any) faults.Rule {
	r := faults.Rule{Name: "p", Fault: "pipeline", Armed: true, Params: map[string]any{"mode": mode}}
	for i := 0; i < len(more); i += 2 {
		r.Params[more[i].(string)] = more[i+1]
	}
	return r
}

// TestPipelineTellsWhatWasDelivered: an exchange that was cut off in the pipe says
// how much of its request the server has got, though that was still under way when
// the client's connection ended.
func TestPipelineTellsWhatWasDelivered(t *testing.T) {
	const pipe = `
c> GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi`
	slow := faults.Rule{Name: "l", Fault: "latency", Params: map[string]any{"delay": "50ms"}, Match: faults.Match{Direction: "upstream", Path: "/2"}}
	for _, tt := range []struct {
		name  string
		rules []faults.Rule
		play  string
		want  string // the second exchange
	}{
		{"whole", []faults.Rule{piped("answer_first")}, pipe + `
>s GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>c FIN
>s CLOSE`, "request whole, cut fin"},
		{"part", []faults.Rule{piped("answer_first", "end", "rst")}, `
c> GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nh
>s GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nh
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>c RST
>s CLOSE`, "request part, rst rst"},
		{"under way, and it arrives", []faults.Rule{piped("answer_first"), slow}, pipe + `
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>c FIN
+50ms
>s POST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi
>s CLOSE`, "request whole, cut fin"},
		{"none: it waited for the answer", []faults.Rule{piped("serialize"), {Name: "c", Fault: "cut", Params: map[string]any{"at": "end"}, Match: faults.Match{Path: "/1"}}}, pipe + `
>s GET /1 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\n
>c FIN
>s CLOSE`, "request none, cut fin"},
		{"none: the client was gone before its turn", []faults.Rule{piped("serialize")}, pipe + `
>s GET /1 HTTP/1.1\r\n\r\n
c> RST
>s RST`, "request none, rst rst"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, cut := range map[string]Cut{"whole": Whole, "byte by byte": Bytewise, "at random": Random(3)} {
				for i := range tt.rules {
					tt.rules[i].Armed = true
				}
				told, err := Tell(tt.rules, tt.play, cut)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if got := strings.Join(told, "\n"); !strings.Contains(got, "finished 2 0, 0 of -1, "+tt.want) {
					t.Fatalf("%s: told\n%s\nwant of 2 %s", name, got, tt.want)
				}
			}
		})
	}
}

// TestPipelineFires: each pipe is one occurrence, and what is no pipe is missed
// with its reason.
func TestPipelineFires(t *testing.T) {
	told, err := Tell([]faults.Rule{piped("answer_first", "n", 2)}, `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 One\r\n\r\nHTTP/1.1 204 Two\r\n\r\n
>c HTTP/1.1 204 One\r\n\r\nHTTP/1.1 204 Two\r\n\r\n
c> GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\nGET /5 HTTP/1.1\r\n\r\n
>s GET /3 HTTP/1.1\r\n\r\nGET /4 HTTP/1.1\r\n\r\nGET /5 HTTP/1.1\r\n\r\n
s> HTTP/1.1 204 Three\r\n\r\nHTTP/1.1 204 Four\r\n\r\nHTTP/1.1 204 Five\r\n\r\n
>c HTTP/1.1 204 Three\r\n\r\nHTTP/1.1 204 Four\r\n\r\n
>c FIN
>s CLOSE`, Random(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"missed p nothing was asked behind it", "fired p downstream byte 83, message 21, head_end, body 0, after 83 fin", "finished 5 0, 0 of -1, request whole, cut fin"} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("nobody told %q:\n%s", want, strings.Join(told, "\n"))
		}
	}
}

// TestPipelineKeepsWithOthers: what other rules do to the answers that are kept is
// done, in whatever order the rules stand, and an ending lets out what is kept in
// the order the server gave.
func TestPipelineKeepsWithOthers(t *testing.T) {
	const asked = `
c> GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n
>s GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n`
	const answers = `
s> HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 204 Two\r\n\r\n`
	fault := func(name, match string, more ...any) faults.Rule {
		r := piped("", more...)
		delete(r.Params, "mode")
		r.Name, r.Fault, r.Match = "x", name, faults.Match{Path: match}
		return r
	}
	for _, tt := range []struct {
		name, mode string
		other      faults.Rule
		play       string
	}{
		{"a delay", "reorder", fault("latency", "/1", "delay", "1s"), answers + `
>c HTTP/1.1 204 Two\r\n\r\n
+1s
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nab`},
		{"more bytes", "reorder", fault("inject", "/1", "at", "body:1", "bytes", "text:~"), answers + `
>c HTTP/1.1 204 Two\r\n\r\nHTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\na~b`},
		{"a cut", "reorder", fault("cut", "/2", "at", "start_line", "end", "rst"), answers + `
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1
>c RST
>s CLOSE`},
		{"an answer swallowed", "reorder", fault("swallow", "/2", "what", "response"), answers + `
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nab`},
		{"a made-up answer", "merge", fault("reply", "/2", "when", "after", "status", 500), answers + `
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n`},
		{"the server's end", "reorder", fault("latency", "/none"), `
s> HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 Two\r\n\r\n
s> FIN
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 Two\r\n\r\n
>c FIN`},
		{"a pause between", "merge", fault("latency", "/2", "delay", "1s"), answers + `
+1s
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 204 Two\r\n\r\n`},
		{"two that keep", "merge", func() faults.Rule { r := piped("reorder"); r.Name = "x"; return r }(), answers + `
>c HTTP/1.1 200 One\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 204 Two\r\n\r\n`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			play(t, []faults.Rule{piped(tt.mode), tt.other}, asked+tt.play)
			if tt.other.Fault != "pipeline" && tt.other.Fault != "latency" {
				play(t, []faults.Rule{tt.other, piped(tt.mode)}, asked+tt.play)
			}
		})
	}
}

// TestMergeIsOneSegment: merged answers are one thing to write, apart from what
// comes before and behind.
func TestMergeIsOneSegment(t *testing.T) {
	now := time.Unix(0, 0)
	e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: compile(t, nil, piped("merge"))})
	var wrote []string
	step := func(kind faults.InputKind, d wire.Direction, data string) {
		for _, a := range e.Step(now, faults.Input{Kind: kind, Dir: d, Data: []byte(data)}) {
			if a.Op == faults.OpSend && a.Dir == wire.Downstream {
				wrote = append(wrote, fmt.Sprintf("%v %s", a.Apart != 0, strings.ReplaceAll(string(a.Data), "\r\n\r\n", "")))
			}
		}
	}
	step(faults.InOpen, 0, "")
	step(faults.InDialed, 0, "")
	step(faults.InBytes, wire.Upstream, strings.Repeat("GET / HTTP/1.1\r\n\r\n", 3))
	step(faults.InBytes, wire.Downstream, "HTTP/1.1 204 a\r\n\r\nHTT")
	step(faults.InBytes, wire.Downstream, "P/1.1 204 b\r\n\r\nHTTP/1.1 204 c\r\n\r\n")
	if got := strings.Join(wrote, ", "); got != "true HTTP/1.1 204 aHTTP/1.1 204 b, false HTTP/1.1 204 c" {
		t.Errorf("wrote %s", got)
	}
}

// TestOneShelf: a session keeps messages for one rule at a time. A second misses, and
// says for which; the first is served as if alone.
func TestOneShelf(t *testing.T) {
	first, second := piped("reorder"), piped("merge")
	tr := NewTraffic(compile(t, nil, first, second), 1, Whole, 1, 0)
	tr.in[wire.Upstream].bytes = []byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 2))
	tr.read()
	a, b := "HTTP/1.1 204 a\r\n\r\n", "HTTP/1.1 204 b\r\n\r\n"
	tr.in[wire.Downstream].bytes = []byte(a + b)
	tr.read()
	tr.collect()
	if got := string(tr.Got[wire.Downstream]); got != b+a {
		t.Errorf("got %q", got)
	}
	if told := strings.Join(tr.told, "\n"); !strings.Contains(told, "missed pipeline-1 the session's messages are kept by pipeline-0") {
		t.Errorf("told\n%s", told)
	}
}

// TestKeptAnswersAreBounded: an answer that is larger than what may be held goes
// out as it came, and the rule says that it missed.
func TestKeptAnswersAreBounded(t *testing.T) {
	rule := piped("reorder")
	tr := NewTraffic(compile(t, nil, rule), 1, Whole, 1, 0)
	tr.in[wire.Upstream].bytes = []byte(strings.Repeat("GET / HTTP/1.1\r\n\r\n", 2))
	tr.read()
	answers := fmt.Sprintf("HTTP/1.1 200 a\r\nContent-Length: 9000\r\n\r\n%sHTTP/1.1 204 b\r\n\r\n", strings.Repeat("x", 9000))
	for i := 0; i < len(answers); i += 1000 {
		tr.in[wire.Downstream].bytes = []byte(answers[i:min(i+1000, len(answers))])
		tr.read()
		if down, _ := tr.Engine().HeldBytes(); down > 4096 {
			t.Fatalf("%d bytes are held", down)
		}
	}
	tr.collect()
	if got := string(tr.Got[wire.Downstream]); got != answers {
		t.Errorf("got %d bytes, want %d", len(got), len(answers))
	}
	if told := strings.Join(tr.told, "\n"); !strings.Contains(told, "more than may be held") {
		t.Errorf("told\n%s", told)
	}
}
