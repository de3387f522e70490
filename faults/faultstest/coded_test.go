package faultstest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

func zip(t *testing.T, plain string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, plain)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func unzip(coded string) string {
	r, err := gzip.NewReader(strings.NewReader(coded))
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestRewriteZipped: a zipped body is looked into and zipped again, however it is
// framed and cut; what cannot be looked into arrives as it was sent, and the event
// says why.
func TestRewriteZipped(t *testing.T) {
	page := strings.Repeat("a cat and another ", 500)
	noise := make([]byte, 3<<19)
	for i, r := 0, rand.New(rand.NewPCG(1, 1)); i < len(noise); i++ {
		noise[i] = byte(r.Uint32())
	}
	zipped, bomb, large := zip(t, page), zip(t, strings.Repeat("cat", 4<<20)), zip(t, string(noise))
	byLength := func(b string) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(b), b) }
	tigers := map[string]any{"find": "text:cat", "with": "text:tiger"}
	for _, tt := range []struct {
		name   string
		params map[string]any
		answer string
		want   string // decoded; empty: as it came
		missed string
	}{
		{"of a length", tigers, byLength(zipped), strings.ReplaceAll(page, "cat", "tiger"), ""},
		{"of chunks", tigers, fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n", zipped[:5], len(zipped)-5, zipped[5:]), strings.ReplaceAll(page, "cat", "tiger"), ""},
		{"until the close", tigers, "\r\n" + zipped, strings.ReplaceAll(page, "cat", "tiger"), ""},
		{"around", map[string]any{"prefix": "text:<", "suffix": "text:>"}, byLength(zipped), "<" + page + ">", ""},
		{"around nothing", map[string]any{"prefix": "text:<", "suffix": "text:>"}, byLength(""), "<>", ""},
		{"nothing to find: not a byte is another", map[string]any{"find": "text:dog"}, byLength(zipped), "", ""},
		{"no gzip", tigers, byLength("a cat"), "", "its body is not the gzip it says it is"},
		{"cut short", tigers, byLength(zipped[:len(zipped)-1]), "", "its body is not the gzip it says it is"},
		{"a bomb", tigers, byLength(bomb), "", "its body decodes to more than 1 MiB"},
		{"large", tigers, byLength(large), "", "its body is larger than 1 MiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rule := faults.Rule{Fault: "rewrite", Params: tt.params, Armed: true}
			cuts := []Cut{Whole, Random(1), Random(2)}
			if len(tt.answer) < 10_000 {
				cuts = append(cuts, Bytewise)
			}
			for i, cut := range cuts {
				tr := newTraffic(compile(t, nil, rule), 1, cut, 1, 0, 0)
				tr.in[wire.Upstream].bytes = []byte("GET / HTTP/1.1\r\n\r\n")
				tr.in[wire.Downstream].bytes = []byte("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n" + tt.answer)
				tr.read()
				tr.in[wire.Downstream].fin = true
				tr.read()
				tr.Pass(time.Second)
				data, want := carried(tr.Got[wire.Downstream]), tt.want
				if want == "" {
					want = carried([]byte("HTTP/1.1 200 OK\r\n" + tt.answer))
				} else {
					data = unzip(data)
				}
				if data != want {
					t.Fatalf("cut %d: %d bytes, want %d: %.80q", i, len(data), len(want), data)
				}
				told := strings.Join(tr.told, "\n")
				if fired := strings.Contains(told, "fired"); fired != (tt.missed == "") || !strings.Contains(told, tt.missed) {
					t.Errorf("cut %d: told\n%s", i, told)
				}
			}
		})
	}
}

// TestRewriteZippedDisarmed: what was kept of a zipped body goes out at once.
func TestRewriteZippedDisarmed(t *testing.T) {
	play(t, []faults.Rule{{Name: "r", Fault: "rewrite", Params: map[string]any{"suffix": "text:!"}}}, `
s> HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd
>c HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n
disarm
>c 4\r\nabcd\r\n
s> \r\n0\r\n\r\n
>c 0\r\n\r\n`)
}

// TestKeptIsHeld: what a stage keeps itself counts as held, on its own direction alone
// and no longer than it keeps it; where it comes to more than may be held it goes on as
// it came, and so it does when the box says that there is no room.
func TestKeptIsHeld(t *testing.T) {
	const most = 4096
	coded := "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n"
	plain := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, head string
		rule       faults.Rule
	}{
		{"a coded body", coded, faults.Rule{Fault: "rewrite", Params: map[string]any{"find": "text:a", "with": "text:b"}}},
		{"the end of a body", plain, faults.Rule{Fault: "cut", Params: map[string]any{"at": "body:-1000000"}}},
		{"what is to be lost", plain, faults.Rule{Fault: "unread_close", Params: map[string]any{"at": "end"}}},
	} {
		for _, cramped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, cramped %v", c.name, cramped), func(t *testing.T) {
				c.rule.Armed = true
				now := time.Unix(0, 0)
				e := faults.NewEngine(now, faults.Options{Route: "web", Session: 1, Protocol: faults.HTTP, Held: most, Plan: compile(t, nil, c.rule)})
				var got []byte
				var missed string
				step := func(in faults.Input) {
					for _, a := range e.Step(now, in) {
						switch {
						case a.Op == faults.OpSend && a.Dir == wire.Downstream:
							got = append(got, a.Data...)
						case a.Op == faults.OpNote && a.Note.Kind == faults.NoteMissed:
							missed += a.Note.Word + ": " + a.Note.Text
						}
					}
				}
				step(faults.Input{Kind: faults.InOpen})
				step(faults.Input{Kind: faults.InDialed})
				step(faults.Input{Kind: faults.InBytes, Dir: wire.Upstream, Data: []byte("GET / HTTP/1.1\r\n\r\n")})
				sent := []byte(c.head)
				step(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: []byte(c.head)})
				base, _ := e.HeldBytes()
				chunk := []byte("64\r\n" + strings.Repeat("x", 100) + "\r\n")
				for n := 1; n <= 60; n++ {
					if cramped && n == 10 {
						step(faults.Input{Kind: faults.InCramped, Dir: wire.Downstream})
					}
					if d := e.Demand(wire.Downstream); d.Mode == faults.Hold {
						t.Fatalf("after %d chunks the server is left unread", n)
					}
					sent = append(sent, chunk...)
					step(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: chunk})
					down, up := e.HeldBytes()
					if up != 0 || down > most {
						t.Fatalf("after %d chunks %d and %d bytes are held", n, down, up)
					}
					if want := base + 100*n; n < 10 && (down < want || !e.Keeps(wire.Downstream) || e.Keeps(wire.Upstream)) {
						t.Fatalf("after %d chunks %d bytes are held, want %d", n, down, want)
					}
				}
				last := []byte("0\r\n\r\n")
				sent = append(sent, last...)
				step(faults.Input{Kind: faults.InBytes, Dir: wire.Downstream, Data: last})
				if down, _ := e.HeldBytes(); down != 0 || e.Keeps(wire.Downstream) {
					t.Errorf("%d bytes are still held", down)
				}
				if carried(got) != carried(sent) { // chunks may be others
					t.Errorf("%d bytes came, not as they were sent: %d", len(got), len(sent))
				}
				if missed != "held: more than may be held" {
					t.Errorf("missed by %q", missed)
				}
			})
		}
	}
}
