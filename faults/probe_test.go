package faults

import "testing"

// probe is a kind with a parameter of every type, for tests of what is made of
// declarations. It does nothing.
type probe struct {
	At     Position   `json:"at" help:"where"`
	Need   int        `json:"need" help:"how many" min:"-5" max:"100" required:"true"`
	Delay  Duration   `json:"delay" help:"how long" max:"1h"`
	Size   Size       `json:"size" help:"how big" min:"1" max:"1MiB"`
	Rate   Rate       `json:"rate" help:"how fast"`
	Share  Percent    `json:"share" help:"how often" max:"50%"`
	Bytes  ByteString `json:"bytes" help:"which bytes"`
	Mode   string     `json:"mode" help:"which way" enum:"plain,half_way"`
	Value  string     `json:"value" help:"what"`
	Ratio  float64    `json:"ratio" help:"a | b" min:"0" max:"1"`
	Race   bool       `json:"race" help:"whether"`
	CloseA Duration   `json:"close_after" help:"when it closes"`
	End    Ending     `json:"end" help:"how it ends" enum:"fin,rst"`
	Other  Other      `json:"other" help:"what the other side gets"`
	Then   Then       `json:"then" help:"what follows"`
}

var probeDefaults = probe{At: Position{Kind: Now}, Size: 1, Mode: "plain", End: Fin}

// declareProbe registers the kind for the length of a test.
func declareProbe(t *testing.T) {
	t.Helper()
	Declare(Kind[probe]{
		Name: "probe", Summary: "does nothing", Client: "nothing", Group: Bytes, Defaults: probeDefaults,
		Check: func(p probe) *Error {
			if p.Delay > 0 && p.Race {
				return Errorf(Invalid, "race", "not with delay")
			}
			return nil
		},
		Here: func(probe, *Writer) {},
		Presets: []Preset{
			{Name: "soft-probe", Summary: "a probe | soft", Params: `{"at":"body:50%","need":3,"close_after":"2s"}`,
				Match: `{"reused":true,"path":"/a"}`, Gate: `{"times":2}`, Words: []string{"feather"}},
		},
		Examples: []Example{{Title: "nothing happens", Params: `{"need":1,"bytes":"text:it's\\r\\n"}`, Match: `{"path":"/*"}`, Play: "s> x\n>c x"}},
		Words:    []string{"stethoscope"},
	})
	t.Cleanup(func() {
		delete(kinds, "probe")
		delete(presets, "soft_probe")
		delete(presetOf, "soft_probe")
	})
}
