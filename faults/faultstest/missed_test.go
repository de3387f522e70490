package faultstest

import (
	"strings"
	"testing"

	"crimp/faults"
)

// A rule that matched and was too late, because another one had ended the direction,
// says which.
func TestMissedBecauseOfAnother(t *testing.T) {
	cut := func(name, at string) faults.Rule {
		return faults.Rule{Name: name, Fault: "cut", Armed: true, Params: map[string]any{"at": at}}
	}
	const play = `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef
>c HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab
>c FIN
>s CLOSE`
	for _, at := range []string{"body:4", "body:-1", "end"} {
		for _, rules := range [][]faults.Rule{{cut("first", "body:2"), cut("x", at)}, {cut("x", at), cut("first", "body:2")}} {
			for name, cut := range map[string]Cut{"whole": Whole, "byte by byte": Bytewise, "at random": Random(9)} {
				told, err := Tell(rules, play, cut)
				if err != nil {
					t.Fatalf("%s, %s: %v", at, name, err)
				}
				if got := strings.Join(told, "\n"); strings.Count(got, "missed") != 1 || !strings.Contains(got, "missed x first ended the direction before its place") {
					t.Errorf("%s behind %s, %s: told\n%s", rules[1].Name, rules[0].Name, name, got)
				}
			}
		}
	}
}

// TestNothingBehindItsPlace: damage to the bytes behind a place misses where the
// message ends at that place, and asks no gate: the next message is its first.
func TestNothingBehindItsPlace(t *testing.T) {
	length := `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab`
	for _, c := range []struct{ at, empty, message string }{
		{"body:2", length, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab~`},
		{"message:40", length, `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab~`},
		{"body:0", `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`, `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n~`},
		{"head", `HTTP/1.1 204 No\r\n\r\n`, `HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n~`},
	} {
		for fault, becomes := range map[string]string{"drop": "", "duplicate": "~~", "corrupt": `\x00`} {
			rule := faults.Rule{Name: "x", Fault: fault, Armed: true, Params: map[string]any{"at": c.at}, Gate: faults.Gate{Times: 1}}
			if rule.Params["bytes"] = 1; fault == "corrupt" {
				rule.Params = map[string]any{"at": c.at, "how": "zero"}
			}
			play := `
s> ` + c.empty + `
>c ` + c.empty + `
s> ` + c.message + `
>c ` + strings.TrimSuffix(c.message, "~") + becomes
			for name, cut := range map[string]Cut{"whole": Whole, "byte by byte": Bytewise, "at random": Random(9)} {
				told, err := Tell([]faults.Rule{rule}, play, cut)
				if err != nil {
					t.Fatalf("%s at %s, %s: %v", fault, c.at, name, err)
				}
				got := strings.Join(told, "\n")
				if missed := strings.Index(got, "missed x position"); missed < 0 || missed > strings.Index(got, "fired x") || strings.Count(got, "fired") != 1 {
					t.Errorf("%s at %s, %s: told\n%s", fault, c.at, name, got)
				}
			}
		}
	}
}

// TestChunkThatNeverCame: a body whose length nobody knew was chunked for the sake of
// a chunk that it turned out not to have. Both is told.
func TestChunkThatNeverCame(t *testing.T) {
	for _, c := range []struct {
		mode, out string
		missed    int
	}{
		{"bad_size", `2\r\nab\r\n0\r\n\r\n`, 1}, {"no_crlf", `2\r\nab\r\n0\r\n\r\n`, 1},
		{"trailer", `2\r\nab\r\n0\r\nX-Crimp: trailer\r\n\r\n`, 0}, {"rechunk", `2\r\nab\r\n0\r\n\r\n`, 0},
	} {
		rule := faults.Rule{Name: "x", Fault: "chunk", Armed: true, Params: map[string]any{"mode": c.mode, "n": 2}}
		told, err := Tell([]faults.Rule{rule}, `
s> HTTP/1.1 200 OK\r\n\r\nab
s> FIN
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n`+c.out+`
>c FIN`, Whole)
		if err != nil {
			t.Fatalf("%s: %v", c.mode, err)
		}
		got := strings.Join(told, "\n")
		if strings.Count(got, "fired x") != 1 || strings.Count(got, "missed x it has no chunk 2") != c.missed {
			t.Errorf("%s: told\n%s", c.mode, got)
		}
	}
	rule := faults.Rule{Name: "x", Fault: "chunk", Armed: true, Params: map[string]any{"mode": "no_crlf"}}
	told, err := Tell([]faults.Rule{rule}, `
s> HTTP/1.1 200 OK\r\n\r\nab
s> FIN
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab0\r\n\r\n
>c FIN`, Whole)
	if got := strings.Join(told, "\n"); err != nil || strings.Contains(got, "missed") {
		t.Errorf("no_crlf: %v, told\n%s", err, got)
	}
}
