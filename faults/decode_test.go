package faults

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A small world with everything that strict decoding meets.
type inner struct {
	At    Position `json:"at"`
	Wait  Duration `json:"wait" max:"1m"`
	Size  Size     `json:"size"`
	Share Percent  `json:"share"`
	End   Ending   `json:"end" enum:"fin,rst"`
}

type base struct {
	ID string `json:"id"`
}

type outer struct {
	base
	Public `json:"-"`
	Embedded
	Name    string            `json:"name" required:"true"`
	Port    uint16            `json:"port"`
	Count   int               `json:"count" min:"1" max:"10"`
	Ratio   float64           `json:"ratio"`
	On      bool              `json:"on"`
	Maybe   *int              `json:"maybe"`
	List    []inner           `json:"list"`
	Pair    [2]int            `json:"pair"`
	Map     map[string]*inner `json:"map"`
	Any     any               `json:"any"`
	Raw     json.RawMessage   `json:"raw"`
	When    time.Time         `json:"when"`
	Since   string            `json:"since" accept:"number"`
	Hidden  int               `json:"-"`
	Plain   int
	private int //lint:ignore U1000 the decoder must pass over it
}

type Public struct{ Skipped int }
type Embedded struct {
	Deep int `json:"deep"`
}

func TestDecodeStrict(t *testing.T) {
	o := outer{Count: 5, Ratio: 1}
	raw := ` { "name": "a\u00e9\n", "port": 8080, "count": 10, "on": true, "maybe": 3, "deep": 4, "id": "e", "Plain": 6, "since": 120,
	  "list": [ {"at": "body:50%", "wait": "250ms", "size": 4096, "share": 0.5, "end": "RST"}, {"size": "64KiB"} ],
	  "pair": [1, 2], "map": {"x": {"wait": "1s"}, "y": null}, "any": {"a": [1, "b", null, true, 9007199254740993]},
	  "raw": {"k" : 1 }, "when": "2025-01-02T03:04:05Z", "ratio": null } `
	if err := DecodeStrict([]byte(raw), &o, ""); err != nil {
		t.Fatal(err)
	}
	three := 3
	want := outer{Name: "aé\n", Port: 8080, Count: 10, Ratio: 1, On: true, Maybe: &three, base: base{"e"}, Embedded: Embedded{4}, Plain: 6, Since: "120",
		List: []inner{{At: Position{Kind: BodyPercent, Percent: 50}, Wait: Duration(250 * time.Millisecond), Size: 4096, Share: 0.5, End: Rst}, {Size: 65536}},
		Pair: [2]int{1, 2}, Map: map[string]*inner{"x": {Wait: Duration(time.Second)}, "y": nil},
		Any: map[string]any{"a": []any{1.0, "b", nil, true, json.Number("9007199254740993")}},
		Raw: json.RawMessage(`{"k" : 1 }`), When: time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v\nwant %+v", o, want)
	}
}

// Each row: what is wrong, and the whole error: path and words.
func TestDecodeStrictRefuses(t *testing.T) {
	for raw, want := range map[string]string{
		`{"name": "a", "prot": 1}`:                   `f.prot: unknown key "prot"; did you mean "port"?`,
		`{"name": "a", "list": [{}, {"att": 1}]}`:    `f.list[1].att: unknown key "att"; did you mean "at"?`,
		`{"name": "a", "Name": "b"}`:                 `f.Name: unknown key "Name"; did you mean "name"?`,
		`{"name": "a", "Hidden": 1}`:                 `f.Hidden: unknown key "Hidden"`,
		`{"name": "a", "port": 1, "port": 2}`:        `f.port: given twice`,
		`{"name": "a", "any": {"x": {"y":1,"y":2}}}`: `f.any.x.y: given twice`,
		`{"name": 7}`:                                     `f.name: expected a string, got number 7`,
		`{"name": "a", "port": "80"}`:                     `f.port: expected a whole number from 0, got string "80"`,
		`{"name": "a", "port": 70000}`:                    `f.port: expected a whole number from 0, got number 70000`,
		`{"name": "a", "port": -1}`:                       `f.port: expected a whole number from 0, got number -1`,
		`{"name": "a", "count": 11}`:                      `f.count: expected 1 to 10, got 11`,
		`{"name": "a", "count": 1.5}`:                     `f.count: expected a whole number, got number 1.5`,
		`{"name": "a", "on": "true"}`:                     `f.on: expected true or false, got string "true"`,
		`{"name": "a", "maybe": {}}`:                      `f.maybe: expected a whole number, got an object`,
		`{"name": "a", "ratio": []}`:                      `f.ratio: expected a number, got a list`,
		`{"name": "a", "list": {}}`:                       `f.list: expected a list, got an object`,
		`{"name": "a", "list": [{}, null]}`:               `f.list[1]: expected an item, got nothing`,
		`{"name": "a", "list": [1]}`:                      `f.list[0]: expected an object, got number 1`,
		`{"name": "a", "list": [{"wait": 250}]}`:          `f.list[0].wait: expected a duration such as 250ms, got number 250: a bare number does not say its unit`,
		`{"name": "a", "list": [{"wait": "250"}]}`:        `f.list[0].wait: expected a duration such as 250ms, got 250: a bare number does not say its unit`,
		`{"name": "a", "list": [{"wait": "2m"}]}`:         `f.list[0].wait: expected at most 1m, got 2m`,
		`{"name": "a", "list": [{"at": 7}]}`:              `f.list[0].at: expected a position such as body:50%, got number 7`,
		`{"name": "a", "list": [{"end": "stall"}]}`:       `f.list[0].end: expected one of fin, rst, got "stall"`,
		`{"name": "a", "list": [{"end": 1}]}`:             `f.list[0].end: expected one of fin, close, rst, stall, got number 1`,
		`{"name": "a", "map": {"k": {"size": []}}}`:       `f.map.k.size: expected a size such as 4096, 64KiB or 1MB, got a list`,
		`{"name": "a", "pair": [1]}`:                      `f.pair: expected a list of 2, got 1`,
		`{"name": "a", "when": "now"}`:                    `f.when: parsing time`,
		`{"name": "a", "since": []}`:                      `f.since: expected a string, got a list`,
		`{}`:                                              `f.name: is required`,
		`{"name": null}`:                                  `f.name: is required`,
		`[]`:                                              `f: expected an object, got a list`,
		``:                                                `f: expected JSON, got nothing`,
		`{"name": "a",}`:                                  `f: not JSON: `,
		"{\n\"name\": \"a\" x}":                           `(line 2, column 13)`,
		`{"name": "a"} {}`:                                `f: not JSON: `,
		strings.Repeat("[", 70) + strings.Repeat("]", 70): `nested deeper than 64`,
	} {
		var o outer
		err := DecodeStrict([]byte(raw), &o, "f")
		if err == nil || err.Code != Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", raw, err, want)
		}
	}
	var o outer
	if err := DecodeStrict([]byte(`{"list": [{"at": "x"}]}`), &o, ""); err == nil || err.Field != "list[0].at" {
		t.Error("without a prefix:", err)
	}
}

// A type that decodes itself is given its own JSON and path; one that merely
// embeds such a type is not mistaken for it.
func TestDecodeStrictHooks(t *testing.T) {
	declareProbe(t)
	var route struct {
		Rules []Rule `json:"rules"`
	}
	err := DecodeStrict([]byte(`{"rules": [{"fault": "probe", "params": {"need": 1}}, {"fault": "probe", "params": {"need": 1, "dely": "1s"}}]}`), &route, "routes[0]")
	if err == nil || err.Field != "routes[0].rules[1].params.dely" {
		t.Fatal(err)
	}
	var state struct {
		Rule
		Hits int `json:"hits"`
	}
	if err := DecodeStrict([]byte(`{"name": "r", "fault": "probe", "armed": true, "hits": 3}`), &state, ""); err != nil || state.Hits != 3 || !state.Armed || state.Name != "r" {
		t.Error(err, state)
	}
}

// Strict decoding into any agrees with encoding/json on what is JSON and on its
// value; nothing makes it panic.
func FuzzDecodeStrict(f *testing.F) {
	for _, s := range []string{`{"name":"a","list":[{"at":"body:50%"}]}`, `{"a":1,"a":2}`, `[1,2.5e3,"x\u0000",null]`, `{"map":{"k":null}}`, "nul", `"\ud800"`, `{"any":[[[]]]}`, ` 1 `} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var o outer
		if err := DecodeStrict(raw, &o, "f"); err != nil && (err.Code != Invalid || err.Message == "") {
			t.Errorf("%q: %#v", raw, err)
		}
		var got, want any
		err := DecodeStrict(raw, &got, "")
		theirs := json.Unmarshal(raw, &want)
		if err == nil && theirs != nil && !strings.Contains(theirs.Error(), "number") {
			t.Fatalf("%q is taken, encoding/json says %v", raw, theirs)
		}
		if err != nil && theirs == nil && !strings.Contains(err.Message, "twice") && !strings.Contains(err.Message, "deeper") {
			t.Fatalf("%q is refused: %v", raw, err)
		}
		if err == nil && theirs == nil && !strings.ContainsAny(string(raw), "0123456789") && !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %v, want %v", raw, got, want)
		}
	})
}
