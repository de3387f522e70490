package control

import (
	"fmt"
	"net/url"
	"strings"

	"crimp/faults"
	"crimp/middlebox"
)

// Configuration is the configuration file: what a box is started from, and what its
// state is written as. The schema is made of it, and a file is decoded into it.
type Configuration struct {
	Seed    *uint64           `json:"seed,omitempty" help:"of every random draw; drawn at start, and logged, if not given"`
	Control Settings          `json:"control,omitzero"`
	Limits  middlebox.Limits  `json:"limits,omitzero"`
	Routes  []middlebox.Route `json:"routes,omitempty"`
}

// Settings are where and to whom a box answers.
type Settings struct {
	Listen    string   `json:"listen,omitempty" help:"the control address; 127.0.0.1:27467 if not given"`
	TokenFile string   `json:"token_file,omitempty" help:"holds the token; needed where the address is not loopback"`
	Origins   []string `json:"origins,omitempty" help:"pages that may speak to it besides its own"`
	Hosts     []string `json:"hosts,omitempty" help:"names it may be called by besides loopback ones"`
}

// Check says what is wrong with the lists, which nobody would ever match; field is what
// the settings are called.
func (s Settings) Check(field string) (errs *faults.Error) {
	for i, o := range s.Origins {
		u, err := url.Parse(strings.TrimSuffix(o, "/"))
		whole := err == nil && u.Scheme != "" && u.Host != "" && u.User == nil && u.Path+u.RawQuery+u.Fragment == ""
		if !whole && o != "null" { // said by pages that come from no server
			errs = errs.And(faults.Errorf(faults.Invalid, fmt.Sprintf("%s.origins[%d]", field, i), "expected SCHEME://HOST[:PORT] such as http://lab:8000, got %q", o))
		}
	}
	for i, h := range s.Hosts {
		if h == "" || strings.ContainsAny(h, "/@?# \t") {
			errs = errs.And(faults.Errorf(faults.Invalid, fmt.Sprintf("%s.hosts[%d]", field, i), "expected a name or an address such as lab or 10.0.0.5, got %q", h))
		}
	}
	return errs
}
