package faults_test

import (
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// However much rules add to however many messages of one read, it is no more than may
// be held and one message; those that go without say so, and the next read starts anew.
func TestAddedBytesAreBounded(t *testing.T) {
	const n, large, held = 300, 1 << 20, 2 << 20
	text := "random:1MiB"
	asks := strings.Repeat("GET /b HTTP/1.1\r\n\r\n", n)
	answers := strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.", n)
	for _, tt := range []struct {
		name  string
		rule  faults.Rule
		reads []string // of the client and the server in turn
		miss  int
	}{
		{"fields", faults.Rule{Fault: "field", Params: map[string]any{"name": "X", "mode": "oversize", "size": large}}, []string{asks, answers}, n - 2},
		{"prefixes", faults.Rule{Fault: "rewrite", Params: map[string]any{"prefix": text}}, []string{asks, answers}, n - 2},
		{"injections", faults.Rule{Fault: "inject", Params: map[string]any{"at": "end", "bytes": text}}, []string{asks, answers}, n - 2},
		{"replies", faults.Rule{Fault: "reply", Params: map[string]any{"body": text}}, []string{asks}, n - 2},
		{"replies that wait for an answer", faults.Rule{Fault: "reply", Params: map[string]any{"body": text}, Match: faults.Match{Exchange: "2-"}},
			[]string{asks[:19*10], "", asks[19*10:], answers[:40]}, n - 3},
		{"replies behind answers", faults.Rule{Fault: "reply", Params: map[string]any{"body": text, "when": "after"}}, []string{asks, answers}, n - 2},
		{"words", faults.Rule{Fault: "rewrite", Params: map[string]any{"find": "text:.", "with": "text:" + strings.Repeat("x", large)}}, []string{asks, answers}, n - 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.rule.Name, tt.rule.Armed = "x", true
			e := session(t, faults.HTTP, tt.rule)
			missed := 0
			step := func(i int, text string) {
				sent := 0
				for _, a := range e.Step(time.Now(), faults.Input{Kind: faults.InBytes, Dir: wire.Direction(1 - i%2), Data: []byte(text)}) {
					sent += len(a.Data)
					if a.Note != nil && a.Note.Kind == faults.NoteMissed {
						missed++
						if a.Note.Word != "held" {
							t.Fatalf("missed by %s: %s", a.Note.Word, a.Note.Text)
						}
					}
				}
				if most := len(answers) + held + large + 64*n; sent > most {
					t.Errorf("%d bytes in one step, expected at most %d", sent, most)
				}
			}
			for i, text := range tt.reads {
				step(i, text)
			}
			if missed != tt.miss {
				t.Errorf("%d missed, expected %d", missed, tt.miss)
			}
		})
	}
}
