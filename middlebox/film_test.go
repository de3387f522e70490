package middlebox

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// film is what was read of a capture.
type film []Chunk

// watch reads a capture until a chunk of that kind has come.
func (f *film) watch(t testing.TB, c *Capture, what string) {
	t.Helper()
	var buf [7]Chunk
	until(t, "a chunk "+what, func() bool {
		for n := c.Next(buf[:]); n > 0; n = c.Next(buf[:]) {
			for _, k := range buf[:n] {
				k.Data = bytes.Clone(k.Data)
				*f = append(*f, k)
			}
		}
		return slices.ContainsFunc(*f, func(k Chunk) bool { return k.What == what })
	})
}

// bytes are all of a side and way, whose places must follow each other.
func (f film) bytes(t testing.TB, side, way string) (all string) {
	t.Helper()
	next := int64(-1)
	for _, k := range f {
		if k.What != "bytes" || k.Side != side || k.Way != way {
			continue
		}
		if next >= 0 && k.Offset != next {
			t.Errorf("%s %s goes on at %d, expected %d", side, way, k.Offset, next)
		}
		if int64(len(k.Data)) != k.Bytes {
			t.Errorf("%d of %d bytes", len(k.Data), k.Bytes)
		}
		next = k.Offset + k.Bytes
		all += string(k.Data)
	}
	return all
}

// plot is what happened, chunks that follow each other on the same way as one.
func (f film) plot() string {
	var lines []string
	for _, k := range f {
		line := strings.TrimSpace(strings.Join([]string{k.What, k.Side, k.Way}, " "))
		switch k.What {
		case "opened":
			line = fmt.Sprintf("%s at %d %d", line, k.Offset, k.Given)
			if k.Stood {
				line += " stood"
			}
		case "fin", "rst":
			line = fmt.Sprintf("%s at %d", line, k.Offset)
		case "fired":
			line = fmt.Sprintf("fired %s %s %s at %d after %d", k.Rule, k.Direction, k.End, k.Offset, k.Bytes)
		}
		if n := len(lines); n == 0 || lines[n-1] != line {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func (f film) wantPlot(t testing.TB, lines ...string) {
	t.Helper()
	if got, want := f.plot(), strings.Join(lines, "\n"); got != want {
		t.Errorf("the capture tells\n%s\nexpected\n%s", got, want)
	}
}
