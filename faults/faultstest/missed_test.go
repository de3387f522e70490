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
