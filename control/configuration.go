package control

import "crimp/middlebox"

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
