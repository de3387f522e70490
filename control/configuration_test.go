package control

import "testing"

// An origin or a host that no request can have is a slip of the hand.
func TestSettings(t *testing.T) {
	for _, right := range []Settings{
		{},
		{Origins: []string{"http://lab", "https://lab:8443", "http://lab:8000/", "HTTP://LAB", "http://[fd00::7]:80", "chrome-extension://abc", "null"}},
		{Hosts: []string{"lab", "lab:27467", "lab.example.", "10.0.0.5", "fd00::7", "[fd00::7]:80"}},
	} {
		if err := right.Check("control"); err != nil {
			t.Errorf("%+v: %v", right, err)
		}
	}
	for wrong, want := range map[string]string{
		"lab:8000":        `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got "lab:8000"`,
		"lab":             `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got "lab"`,
		"http://lab/page": `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got "http://lab/page"`,
		"http://a@lab":    `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got "http://a@lab"`,
		"*":               `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got "*"`,
		"":                `control.origins[0]: expected SCHEME://HOST[:PORT] such as http://lab:8000, got ""`,
	} {
		if err := (Settings{Origins: []string{wrong}}).Check("control"); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", wrong, err, want)
		}
	}
	for _, wrong := range []string{"", "http://lab", "lab/", "a b"} {
		if err := (Settings{Hosts: []string{"lab", wrong}}).Check("control"); err == nil || err.Field != "control.hosts[1]" {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}
