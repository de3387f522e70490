package middlebox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"crimp/faults"
)

// TestExamplesOverSockets plays every example of the catalogue again, over real
// connections: what a play says of bytes and endings is what the peers' sockets
// see, with the seed that plays have. Time is real, so a wait of an hour is only the beginning of one, and plays
// whose point is a longer wait are left to package faultstest.
func TestExamplesOverSockets(t *testing.T) {
	for _, f := range faults.Catalogue() {
		for i, ex := range f.Examples {
			lines, short := playLines(t, ex.Play)
			if !short || f.Group == string(faults.Connect) || f.Group == string(faults.Packet) || strings.Contains(f.Is, " + ") {
				continue // what is done to a session's making, and beneath TCP, has tests of its own
			}
			t.Run(fmt.Sprintf("%s/%d", f.Name, i+1), func(t *testing.T) {
				raw := fmt.Sprintf(`{"fault":%q,"params":%s,"match":%s}`, f.Name, orObject(ex.Params), orObject(ex.Match))
				rule, bad := faults.DecodeRule(json.RawMessage(raw), "")
				if bad != nil {
					t.Fatal(bad)
				}
				rule.Armed = !strings.Contains(ex.Play, "\narm\n")
				playOver(t, rule, lines)
			})
		}
	}
}

// playLine is a line of a play: who, what, or how long.
type playLine struct {
	text, word, rest string
	wait             time.Duration
}

// playLines takes a play apart; short says that its waits can be waited for.
func playLines(t *testing.T, play string) (lines []playLine, short bool) {
	t.Helper()
	var all time.Duration
	for text := range strings.Lines(strings.TrimSpace(play)) {
		l := playLine{text: strings.TrimSpace(text)}
		l.word, l.rest, _ = strings.Cut(l.text, " ")
		if d, found := strings.CutPrefix(l.word, "+"); found {
			wait, err := time.ParseDuration(d)
			if err != nil {
				t.Fatal(err)
			}
			if wait >= 59*time.Minute {
				wait = 20 * time.Millisecond
			}
			all += wait
			l.word, l.wait = "+", wait
		}
		lines = append(lines, l)
	}
	return lines, all <= 1500*time.Millisecond
}

func playOver(t *testing.T, rule faults.Rule, lines []playLine) {
	t.Parallel()
	accepted := make(chan *net.TCPConn, 1)
	b := start(t, Config{Seed: 42}, Route{Protocol: "http", Upstream: origin(t, func(c *net.TCPConn) { accepted <- c })})
	if _, err := b.SetRule("web", rule, Change{}); err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialTimeout("tcp", listenOf(t, b, "web"), 5*time.Second)
	if errors.Is(err, syscall.ECONNRESET) && slices.ContainsFunc(lines, func(l playLine) bool { return l.text == ">c RST" }) {
		return // reset before connect had returned
	} else if err != nil {
		t.Fatal(err)
	}
	client := conn.(*net.TCPConn)
	t.Cleanup(func() { client.Close() })
	var server *net.TCPConn
	select {
	case server = <-accepted:
	case <-time.After(5 * time.Second):
		t.Fatal("the upstream was not dialled")
	}
	client.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { server.Close() })
	server.SetDeadline(time.Now().Add(20 * time.Second))
	for i, l := range lines {
		var err error
		if i > 0 && l.text == ">c RST" && lines[i-1].text == ">c FIN" {
			if err := deaf(client); err != nil {
				t.Fatalf("line %d: %s: %v", i+1, l.text, err)
			}
			continue
		}
		switch l.word {
		case "c>":
			err = utter(client, l.rest)
		case "s>":
			err = utter(server, l.rest)
		case ">c":
			err = hear(client, l.rest)
		case ">s":
			err = hear(server, l.rest)
		case "arm", "disarm":
			_, err = b.Arm("web", rule.Name, l.word == "arm", Change{})
		case "+":
			time.Sleep(l.wait)
		}
		if err != nil {
			t.Fatalf("line %d: %s: %v", i+1, l.text, err)
		}
		if i+1 < len(lines) && strings.HasSuffix(l.word, ">") && !strings.HasPrefix(lines[i+1].word, ">") && lines[i+1].word != l.word {
			time.Sleep(30 * time.Millisecond) // nothing will say that the box has read it
			for range 3 {                     // but it has had its turns since
				b.everywhere(func(*loop) int64 { return 0 })()
			}
		}
	}
}

// utter says bytes, FIN or RST. A peer whose connection was ended may fail to.
func utter(c *net.TCPConn, text string) error {
	switch text {
	case "FIN":
		return c.CloseWrite()
	case "RST":
		if err := c.SetLinger(0); err != nil {
			return err
		}
		return c.Close()
	}
	b, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err == nil {
		_, err = io.WriteString(c, b)
	}
	return err
}

// deaf expects a RST behind a FIN: reading shows the FIN alone, writing fails.
func deaf(c *net.TCPConn) error {
	for range 200 {
		if _, err := c.Write([]byte("?")); err != nil {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return errors.New("it still takes what is written")
}

// hear expects exactly these bytes, or the ending.
func hear(c *net.TCPConn, text string) error {
	if text == "FIN" || text == "CLOSE" || text == "RST" {
		got, err := io.ReadAll(c)
		if reset := errors.Is(err, syscall.ECONNRESET); len(got) > 0 || reset != (text == "RST") || err != nil && !reset {
			return fmt.Errorf("got %q, then %v", got, err)
		}
		return nil
	}
	want, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		return err
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		return fmt.Errorf("got %q, %v", got[:n], err)
	}
	return nil
}
