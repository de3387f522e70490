package faults

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Parameters come as JSON values, as text from a command line, or as a program's
// own values; it is all the same.
func TestParamsInEveryForm(t *testing.T) {
	want := probeDefaults
	want.At, want.Need, want.Delay, want.Size, want.Rate = Position{Kind: BodyAt, N: 3}, 10, Duration(250*time.Millisecond), 2048, 1e7
	want.Share, want.Mode, want.Value, want.Ratio, want.Race = 0.25, "half_way", "12", 0.5, false
	want.CloseA, want.End, want.Other, want.Then = Duration(time.Second), Rst, OtherKeep, ThenFin
	for name, params := range map[string]map[string]any{
		"json": {"at": "body:3", "need": 10.0, "delay": "250ms", "size": 2048.0, "rate": "10MB/s", "share": 0.25, "mode": "half-way", "value": 12.0,
			"ratio": 0.5, "race": false, "close_after": "1s", "end": "rst", "other": "keep", "then": "fin"},
		"text": {"at": "body:3", "need": "10", "delay": "250ms", "size": "2KiB", "rate": "10MB/s", "share": "25%", "mode": "HALF_WAY", "value": "12",
			"ratio": "0.5", "race": "false", "close-after": "1s", "end": "RST", "other": "keep", "then": "fin"},
		"own": {"at": Position{Kind: BodyAt, N: 3}, "need": 10, "delay": Duration(250 * time.Millisecond), "size": Size(2048), "rate": Rate(1e7), "share": Percent(0.25),
			"mode": "half_way", "value": json.Number("12"), "ratio": float32(0.5), "race": nil, "Close_After": "1s", "end": Rst, "other": OtherKeep, "then": ThenFin},
	} {
		got, err := decodeParams("probe", probeDefaults, params, "params")
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v\n%+v", name, err, got, want)
		}
	}
}

func TestParamsRefused(t *testing.T) {
	for _, row := range []struct {
		key   string
		value any
		want  string
	}{
		{"dely", "1s", `params.dely: probe has no parameter "dely"; did you mean "delay"; it has at, need, delay`},
		{"delay", 250.0, "params.delay: expected a duration such as 250ms, got number 250: a bare number does not say its unit"},
		{"delay", "250", "params.delay: expected a duration such as 250ms, got 250: a bare number does not say its unit"},
		{"delay", "2h", "params.delay: expected at most 1h, got 2h"},
		{"size", 0.0, "params.size: expected 1 to 1MiB, got 0"},
		{"size", "2MiB", "params.size: expected 1 to 1MiB, got 2MiB"},
		{"size", "huge", "params.size: expected a size such as 4096, 64KiB or 1MB"},
		{"rate", "10", "params.rate: expected a rate such as 10MB/s"},
		{"share", "60%", "params.share: expected at most 50%, got 60%"},
		{"need", "ten", `params.need: expected a whole number, got string "ten"`},
		{"need", 1.5, "params.need: expected a whole number, got number 1.5"},
		{"need", "0x10", `params.need: expected a whole number, got string "0x10"`},
		{"ratio", "0x1p-2", "params.ratio: expected a number"},
		{"need", -6, "params.need: expected -5 to 100, got -6"},
		{"mode", "quarter", `params.mode: expected one of plain, half_way, got "quarter"`},
		{"at", "bodi:3", `params.at: unknown position "bodi:3"; did you mean "body:3"?`},
		{"at", 3, "params.at: expected a position such as body:50%, got number 3"},
		{"end", "stall", `params.end: expected one of fin, rst, got "stall"`},
		{"end", "", `params.end: expected one of fin, rst, got ""`},
		{"bytes", "hello", `params.bytes: expected text:..., hex:... or random:N, got "hello"`},
		{"race", "maybe", `params.race: expected true or false, got string "maybe"`},
		{"race", 1, "params.race: expected true or false, got number 1"},
		{"value", []string{"a"}, "params.value: expected a string, got a list"},
		{"ratio", "NaN", "params.ratio: expected a number"},
		{"value", func() {}, "params.value: json:"},
	} {
		_, err := decodeParams("probe", probeDefaults, map[string]any{"need": 1, row.key: row.value}, "params")
		if err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s=%v: %v\nwant %s", row.key, row.value, err, row.want)
		}
	}
	if _, err := decodeParams("probe", probeDefaults, nil, "params"); err == nil || err.Error() != "params.need: probe needs it" {
		t.Error(err)
	}
	if _, err := decodeParams("probe", probeDefaults, map[string]any{"need": nil}, ""); err == nil || err.Field != "need" {
		t.Error(err)
	}
	if _, err := decodeParams("probe", probeDefaults, map[string]any{"need": 1, "close-after": "1s", "close_after": "2s"}, "p"); err == nil || err.Message != "given twice: '-' and '_' are the same" {
		t.Error(err)
	}
}

func TestParamsDescribed(t *testing.T) {
	params := describe("probe", probeDefaults)
	byName := map[string]Param{}
	for _, p := range params {
		byName[p.Name] = p
	}
	for name, want := range map[string]Param{
		"at":    {Name: "at", Type: "position", Help: "where", Default: "now"},
		"need":  {Name: "need", Type: "int", Help: "how many", Min: "-5", Max: "100", Required: true},
		"delay": {Name: "delay", Type: "duration", Help: "how long", Default: "0s", Max: "1h"},
		"size":  {Name: "size", Type: "size", Help: "how big", Default: "1", Min: "1", Max: "1MiB"},
		"rate":  {Name: "rate", Type: "rate", Help: "how fast", Default: "0B/s"},
		"share": {Name: "share", Type: "percent", Help: "how often", Default: "0%", Max: "50%"},
		"bytes": {Name: "bytes", Type: "bytes", Help: "which bytes", Default: ""},
		"mode":  {Name: "mode", Type: "string", Help: "which way", Default: "plain", Enum: []string{"plain", "half_way"}},
		"ratio": {Name: "ratio", Type: "number", Help: "a | b", Default: 0.0, Min: "0", Max: "1"},
		"race":  {Name: "race", Type: "bool", Help: "whether", Default: false},
		"end":   {Name: "end", Type: "string", Help: "how it ends", Default: "fin", Enum: []string{"fin", "rst"}},
		"other": {Name: "other", Type: "string", Help: "what the other side gets", Default: "close", Enum: otherWords},
		"then":  {Name: "then", Type: "string", Help: "what follows", Default: "keep", Enum: thenWords},
	} {
		if got := byName[name]; !reflect.DeepEqual(got, want) {
			t.Errorf("%+v\nwant %+v", got, want)
		}
	}
	if len(params) != reflect.TypeFor[probe]().NumField() || params[0].Name != "at" {
		t.Error("parameters are not in the order of the struct")
	}
}

// A declaration that lacks something does not start.
func TestDeclarationsThatPanic(t *testing.T) {
	type noHelp struct {
		A int `json:"a"`
	}
	type noName struct {
		A int `help:"a"`
	}
	type twice struct {
		A int `json:"a_b" help:"a"`
		B int `json:"a-b" help:"b"`
	}
	type badType struct {
		A []int `json:"a" help:"a"`
	}
	type badLimit struct {
		A Duration `json:"a" help:"a" max:"10"`
	}
	type outside struct {
		A int `json:"a" help:"a" min:"1"`
	}
	type badEnum struct {
		A string `json:"a" help:"a" enum:"x,y"`
	}
	for name, f := range map[string]func(){
		"has no help":             func() { describe("k", noHelp{}) },
		"has no json name":        func() { describe("k", noName{}) },
		"of its own":              func() { describe("k", twice{}) },
		"type that parameters":    func() { describe("k", badType{}) },
		"does not fit":            func() { describe("k", badLimit{}) },
		"default outside its":     func() { describe("k", outside{}) },
		"expected one of x, y":    func() { describe("k", badEnum{}) },
		"parameters are a struct": func() { describe("k", 3) },
		"exactly one of Here":     func() { Declare(Kind[probe]{Name: "k", Defaults: probeDefaults}) },
		"an example are needed":   func() { Declare(Kind[probe]{Name: "k", Defaults: probeDefaults, Here: func(probe, *Writer) {}}) },
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, name) {
					t.Errorf("want a panic that says %q, got %q", name, got)
				}
			}()
			f()
		}()
	}
	declareProbe(t)
	defer func() {
		if got, _ := recover().(string); got != "faults: probe is declared twice" {
			t.Error(got)
		}
	}()
	declareProbe(t)
}

func TestPositionOf(t *testing.T) {
	if at, ok := positionOf(probeDefaults); !ok || at.Kind != Now {
		t.Error(at, ok)
	}
	if _, ok := positionOf(struct{ At int }{}); ok {
		t.Error("an int is no position")
	}
	if _, ok := positionOf(struct{ Where Position }{}); ok {
		t.Error("only At is the place")
	}
}

func TestJoin(t *testing.T) {
	for _, row := range [][3]string{{"params", "at", "params.at"}, {"", "at", "at"}, {"params", "", "params"}, {"rules", "[1].at", "rules[1].at"}} {
		if got := join(row[0], row[1]); got != row[2] {
			t.Error(got)
		}
	}
}
