package main

import (
	"slices"
	"testing"
)

// What a file says in another way has not changed.
func TestSettled(t *testing.T) {
	const started = "seed: 7\ncontrol: { origins: [http://a, http://b] }\nlimits: { sessions: 9 }\n"
	for _, test := range []struct {
		name, before, after string
		want                []string
	}{
		{"the same", started, started, nil},
		{"a default said", "", "limits: { sessions: 20000, excess: rst, held_bytes: 1GiB, linger: 30s }", nil},
		{"a default no longer said", "limits: { events: 100000 }", "", nil},
		{"an empty list said", "", "control: { origins: [], hosts: [] }", nil},
		{"an empty list no longer said", "control: { origins: [] }", "control: {}", nil},
		{"another order, and one twice", started, "seed: 7\ncontrol: { origins: [http://b, http://a, http://b] }\nlimits: { sessions: 9 }", nil},
		{"another size of the same bytes", "limits: { held_bytes: 1MiB }", "limits: { held_bytes: 1024KiB }", nil},
		{"routes, which do not wait", "", "routes: [ { name: web, listen: '127.0.0.1:0', upstream: '127.0.0.1:9' } ]", nil},
		{"no seed any more", started, "control: { origins: [http://a, http://b] }\nlimits: { sessions: 9 }", nil},
		{"one of each", started, "seed: 8\ncontrol: { origins: [http://a] }\nlimits: { sessions: 10 }", []string{"seed", "control.origins", "limits.sessions"}},
		{"all of one", "", "control: { listen: '127.0.0.1:1', token_file: t, hosts: [lab] }", []string{"control.listen", "control.token_file", "control.hosts"}},
	} {
		if got := configured(t, test.after).settled(configured(t, test.before)); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// configured is what serve makes of a file.
func configured(t *testing.T, file string) *configuration {
	t.Helper()
	conf, err := decodeConfig("crimp.yaml", []byte(file))
	if err != nil || conf.wrong != nil {
		t.Fatalf("%s: %v %v", file, err, conf.wrong)
	}
	if conf.drawn = conf.Seed == nil; conf.drawn {
		conf.Seed = new(uint64)
	}
	return conf
}
