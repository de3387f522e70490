package faults

import (
	"strings"
	"testing"
	"time"
)

func TestPositions(t *testing.T) {
	for text, want := range map[string]Position{
		"":                     {},
		"now":                  {Kind: Now},
		"byte:0":               {Kind: ByteN},
		"byte:4096":            {Kind: ByteN, N: 4096},
		"next:10":              {Kind: Next, N: 10},
		"after:1.5s":           {Kind: After, D: 1500 * time.Millisecond},
		"after:0s":             {Kind: After},
		"idle:100ms":           {Kind: Idle, D: 100 * time.Millisecond},
		"start":                {Kind: MsgStart},
		"message:11":           {Kind: MsgByte, N: 11},
		"start_line":           {Kind: StartLineMid},
		"field:2":              {Kind: FieldMid, N: 2},
		"field:Content-Length": {Kind: FieldMid, Name: "Content-Length"},
		"field:7up":            {Kind: FieldMid, Name: "7up"},
		"field_name:1":         {Kind: FieldNameMid, N: 1},
		"head_end":             {Kind: HeadEndAt},
		"head":                 {Kind: HeadAt},
		"body:0":               {Kind: BodyAt},
		"body:512":             {Kind: BodyAt, N: 512},
		"body:-1":              {Kind: BodyFromEnd, N: 1},
		"body:50%":             {Kind: BodyPercent, Percent: 50},
		"body:0.1%":            {Kind: BodyPercent, Percent: 0.1},
		"body:100%":            {Kind: BodyPercent, Percent: 100},
		"chunk:1":              {Kind: ChunkAt, N: 1},
		"chunk_size:2":         {Kind: ChunkSizeMid, N: 2},
		"chunk_data:3":         {Kind: ChunkDataMid, N: 3},
		"last_chunk":           {Kind: LastChunkAt},
		"end":                  {Kind: MsgEnd},
	} {
		got, err := ParsePosition(text)
		if err != nil || got != want {
			t.Errorf("%q is %+v (%v), want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%q is written as %q", text, got)
		}
		if text != "" && !strings.Contains(Forms, strings.Split(text, ":")[0]) {
			t.Errorf("Forms does not list %q", text)
		}
	}
}

// Some positions may be written in more ways than one.
func TestPositionsWrittenOtherwise(t *testing.T) {
	for text, want := range map[string]string{
		"next:0": "now", "start-line": "start_line", "Chunk-Data:1": "chunk_data:1", "body:050%": "body:50%", "after:60s": "after:1m",
	} {
		if got, err := ParsePosition(text); err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", text, got, err, want)
		}
	}
}

func TestPositionsThatAreNone(t *testing.T) {
	for text, says := range map[string]string{
		"bdy:50%":                   `did you mean "body:50%"?`,
		"headend":                   `did you mean "head_end"?`,
		"nonsense":                  Forms,
		"now:1":                     "now alone",
		"byte":                      "byte:N",
		"byte:":                     "byte:N",
		"byte:-1":                   "bytes from 0",
		"byte:1e3":                  "bytes from 0",
		"byte:64KiB":                "bytes from 0",
		"byte:99999999999999999999": "bytes from 0",
		"next:x":                    "next:N",
		"after:5":                   "duration such as 2s",
		"idle:0s":                   "more than 0s",
		"message:":                  "message:N",
		"field:0":                   "counted from 1",
		"field:-1":                  "counted from 1",
		"field:":                    "name of a field",
		"field:a b":                 "name of a field",
		"field_name:X":              "counted from 1",
		"body:":                     "N, -N (before the end, N from 1) or P%",
		"body:-0":                   "N from 1",
		"body:101%":                 "0% to 100%",
		"body:-5%":                  "0% to 100%",
		"body:NaN%":                 "0% to 100%",
		"chunk:0":                   "counted from 1",
		"end:1":                     "end alone",
		" now":                      "unknown position",
	} {
		got, err := ParsePosition(text)
		if err == nil || !strings.Contains(err.Error(), says) || got != (Position{}) {
			t.Errorf("%q is %+v, %v; want an error that says %q", text, got, err, says)
		}
	}
}

func TestPositionScopeAndGrain(t *testing.T) {
	for text, want := range map[string]struct {
		stream bool
		grain  Grain
	}{
		"": {true, Fragment}, "now": {true, Fragment}, "byte:1": {true, Fragment}, "next:1": {true, Fragment}, "after:1s": {true, Fragment}, "idle:1s": {true, Fragment},
		"start": {false, Fragment}, "message:3": {false, Fragment}, "start_line": {false, Line}, "field:1": {false, Line}, "field:A": {false, Line}, "field_name:1": {false, Line},
		"head_end": {false, Fragment}, "head": {false, Fragment}, "body:1": {false, Fragment}, "body:-1": {false, Fragment}, "body:1%": {false, Fragment},
		"chunk:1": {false, Fragment}, "chunk_size:1": {false, Line}, "chunk_data:1": {false, Fragment}, "last_chunk": {false, Fragment}, "end": {false, Fragment},
	} {
		p, err := ParsePosition(text)
		if err != nil || p.IsStream() != want.stream || p.Grain() != want.grain {
			t.Errorf("%q: stream %v, grain %v (%v)", text, p.IsStream(), p.Grain(), err)
		}
	}
}

func TestBodyPercentRoundsDown(t *testing.T) {
	for _, row := range []struct {
		percent float64
		n, want int64
	}{{50, 1024, 512}, {50, 7, 3}, {0, 9, 0}, {100, 9, 9}, {0.1, 1000, 1}, {0.1, 999, 0}, {33.3, 10, 3}, {100, 1 << 60, 1 << 60}} {
		if got := (Position{Kind: BodyPercent, Percent: row.percent}).Of(row.n); got != row.want {
			t.Errorf("%v%% of %d is %d, want %d", row.percent, row.n, got, row.want)
		}
	}
}

// What parses is written so that it parses to the same again.
func FuzzParsePosition(f *testing.F) {
	for _, s := range []string{"now", "byte:1", "body:50%", "body:-3", "field:Host", "idle:1s", "next:0", "body:0.0000001%", "after:9223372036.8s", "field:%41"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePosition(s)
		if err != nil {
			return
		}
		again, err := ParsePosition(p.String())
		if err != nil || again != p {
			t.Errorf("%q is %+v, written %q, read as %+v (%v)", s, p, p, again, err)
		}
		if p.Percent < 0 || p.Percent > 100 || p.N < 0 || p.D < 0 {
			t.Errorf("%q is out of bounds: %+v", s, p)
		}
	})
}
