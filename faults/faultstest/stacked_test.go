package faultstest

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// TestStackedDelays: of two rules that delay the same bytes one is disarmed. What
// it held goes on, whatever their order, and so does what comes after.
func TestStackedDelays(t *testing.T) {
	rule := func(fault, key, value string) faults.Rule {
		return faults.Rule{Fault: fault, Armed: true, Params: map[string]any{key: value}}
	}
	stall, latency := rule("stall", "at", "body:1"), rule("latency", "delay", "20ms")
	for _, c := range []struct {
		name  string
		rules []faults.Rule
	}{
		{"stall before latency", []faults.Rule{stall, latency}},
		{"latency before stall", []faults.Rule{latency, stall}},
		{"stall before drip", []faults.Rule{stall, rule("drip", "every", "20ms")}},
		{"drip before stall", []faults.Rule{rule("drip", "every", "20ms"), stall}},
		{"two latencies", []faults.Rule{rule("latency", "delay", "1h"), latency}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for seed := range uint64(20) {
				plan := compile(t, nil, c.rules...)
				tr := NewTraffic(plan, 1, Random(seed), seed, 3)
				tr.Pipelined = true
				tr.Run()
				tr.Pass(time.Minute)
				tr.Run()
				rules := []faults.Rule{plan.Rules()[0].Rule, plan.Rules()[1].Rule}
				for i := range rules {
					rules[i].Armed = rules[i].Params["delay"] == "20ms" || rules[i].Params["every"] == "20ms"
				}
				after, err := faults.Compile(plan, 42, "web", faults.HTTP, rules)
				if err != nil {
					t.Fatal(err)
				}
				tr.Swap(after)
				for range 10 {
					tr.Run()
					tr.Pass(time.Second)
				}
				tr.More(2)
				for range 10 {
					tr.Run()
					tr.Pass(time.Second)
				}
				untouched(t, tr, c.name)
			}
		})
	}
}

// TestPartedLine: a rule finds the middle of a line that a rule before it has
// parted at a place of its own, whatever that rule's gate said.
func TestPartedLine(t *testing.T) {
	for at, want := range map[string]string{
		"start_line":   `HTTP/~1.`,
		"field:1":      `HTTP/~1.1 200 OK\r\nTE: ab`,
		"field_name:1": `HTTP/~1.1 200 OK\r\nT`,
		"chunk_size:1": `HTTP/~1.1 200 OK\r\nTE: abcd\r\nTransfer-Encoding: chunked\r\n\r\n000`,
	} {
		inject := faults.Rule{Name: "a", Fault: "inject", Params: map[string]any{"at": "message:5", "bytes": "text:~"}}
		field := faults.Rule{Name: "b", Fault: "stall", Params: map[string]any{"at": "message:18"}, Gate: faults.Gate{Skip: 9}}
		size := faults.Rule{Name: "c", Fault: "stall", Params: map[string]any{"at": "message:58"}, Gate: faults.Gate{Skip: 9}}
		cut := faults.Rule{Name: "d", Fault: "cut", Params: map[string]any{"at": at}}
		play(t, []faults.Rule{inject, field, size, cut}, `
s> HTTP/1.1 200 OK\r\nTE: abcd\r\nTransfer-Encoding: chunked\r\n\r\n000001\r\na\r\n0\r\n\r\n
>c `+want+`
>c FIN
>s CLOSE`)
	}
}

// TestRemovedField: a place in a field that a rule before has taken away is where
// the field stood.
func TestRemovedField(t *testing.T) {
	for _, remover := range []faults.Rule{
		{Name: "a", Fault: "content_length", Params: map[string]any{"mode": "remove"}},
		{Name: "a", Fault: "field", Params: map[string]any{"name": "Content-Length", "mode": "remove"}},
	} {
		for _, at := range []string{"field_name:2", "field:2", "field:content-length"} {
			cut := faults.Rule{Name: "b", Fault: "cut", Params: map[string]any{"at": at}}
			play(t, []faults.Rule{remover, cut}, `
s> HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 1\r\nC: d\r\n\r\ne
>c HTTP/1.1 200 OK\r\nA: b\r\n
>c FIN
>s CLOSE`)
		}
	}
}

// TestBodyIsNotHeld: a rule that needs the whole head needs no more than that. What
// has come of the body goes on with it.
func TestBodyIsNotHeld(t *testing.T) {
	length := faults.Rule{Name: "a", Fault: "length-mismatch"}
	play(t, []faults.Rule{length}, `
s> HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab
>c HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\nab
s> c
>c c
s> d
>c d`)
}

// TestLateFiringNamesItsExchange: what is told when delayed bytes are out speaks of
// the exchange they were of, though that is over and the next has begun.
func TestLateFiringNamesItsExchange(t *testing.T) {
	rule := faults.Rule{Fault: "inject", Armed: true, Params: map[string]any{"at": "body:100%", "bytes": "text:~", "count": 3, "every": "1s"}}
	now := time.Unix(0, 0)
	e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Plan: compile(t, nil, rule)})
	step := func(kind faults.InputKind, d wire.Direction, data string) (told []uint64) {
		for _, a := range e.Step(now, faults.Input{Kind: kind, Dir: d, Data: []byte(data)}) {
			if a.Op == faults.OpNote && a.Note.Kind == faults.NoteFired {
				told = append(told, a.Note.Exchange.N)
			}
		}
		return told
	}
	step(faults.InOpen, 0, "")
	step(faults.InDialed, 0, "")
	step(faults.InBytes, wire.Upstream, "GET /1 HTTP/1.1\r\n\r\n")
	step(faults.InBytes, wire.Downstream, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na")
	step(faults.InBytes, wire.Upstream, "GET /2 HTTP/1.1\r\n")
	now = now.Add(time.Minute)
	if told := step(faults.InTick, 0, ""); len(told) != 1 || told[0] != 1 {
		t.Errorf("it fired on exchange 1, and is told of %v", told)
	}
}

// TestKeptBackIsNotOvertaken: what a rule inserts does not overtake what a later one
// keeps back of the body, and that one finds its place all the same.
func TestKeptBackIsNotOvertaken(t *testing.T) {
	rule := func(name, fault string, params map[string]any) faults.Rule {
		return faults.Rule{Name: name, Fault: fault, Params: params}
	}
	insert := func(name, at, bytes string) faults.Rule {
		return rule(name, "inject", map[string]any{"at": at, "bytes": "text:" + bytes})
	}
	const head = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`
	const chunked = head + `3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n`
	const length = `HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef`
	for _, c := range []struct {
		name    string
		rules   []faults.Rule
		s, want string
	}{
		{"a length that is known", []faults.Rule{insert("a", "body:-2", "1"), insert("b", "body:-4", "2")}, length, `HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab2cd1ef`},
		{"two ends that nobody knows", []faults.Rule{insert("a", "body:-2", "1"), insert("b", "body:-4", "2")}, chunked, head + `3\r\nab2c\r\n3\r\nd1ef\r\n0\r\n\r\n`},
		{"the other way round", []faults.Rule{insert("b", "body:-4", "2"), insert("a", "body:-2", "1")}, chunked, head + `3\r\nab2c\r\n3\r\nd1ef\r\n0\r\n\r\n`},
		{"in the middle of what is kept", []faults.Rule{insert("a", "body:5", "1"), insert("b", "body:-4", "2")}, chunked, head + `3\r\nab2c\r\n3\r\nde1f\r\n0\r\n\r\n`},
		{"just where that begins", []faults.Rule{insert("a", "body:2", "1"), insert("b", "body:-4", "2")}, chunked, head + `3\r\nab21c\r\n3\r\ndef\r\n0\r\n\r\n`},
		{"chunks made anew", []faults.Rule{rule("a", "chunk", map[string]any{"mode": "rechunk", "value": "2"}), insert("b", "body:-3", "2")}, chunked,
			head + `2\r\nab\r\n1\r\nc2\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n`},
		{"what may be a find", []faults.Rule{insert("a", "body:2", "1"), rule("b", "rewrite", map[string]any{"find": "text:bcX", "with": "text:Y"})},
			`HTTP/1.1 200 OK\r\n\r\nabcdef`, `HTTP/1.1 200 OK\r\n\r\nab1cdef`},
		{"a find that it parts", []faults.Rule{insert("a", "body:2", "1"), rule("b", "rewrite", map[string]any{"find": "text:bc", "with": "text:YYY"})},
			`HTTP/1.1 200 OK\r\n\r\nabcdefbc`, `HTTP/1.1 200 OK\r\n\r\nab1cdefYYY`},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, c.rules, "\ns> "+c.s+"\ns> FIN\n>c "+c.want+"\n>c FIN")
		})
	}
}
