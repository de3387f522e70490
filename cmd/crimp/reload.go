package main

import (
	"reflect"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"crimp/control"
)

// reload puts the file's routes in force again, and what its token file holds; the
// flags still win over it. What else it says now, beside what the box was started
// with, waits for the next start; so does another token file.
func reload(c *cli.Context, in *instance, started *configuration) {
	conf, token, err := again(c)
	if err == nil {
		err = in.box.Configure(conf.Routes, "SIGHUP")
	}
	if err != nil {
		in.log.Error().Err(err).Msg("not reloaded: the old configuration stays")
		return
	}
	if conf.Control.TokenFile == started.Control.TokenFile && in.server.SetToken(token) {
		in.log.Info().Msg("the token is another one: it is asked of every request from now on; open WebSockets stay")
	}
	if keys := conf.settled(started); len(keys) > 0 {
		in.log.Warn().Strs("keys", keys).Msg("these were changed, and hold from the next start on")
	}
	in.log.Info().Interface("routes", in.addresses().Routes).Msg("reloaded")
}

// again reads what a box was started from a second time.
func again(c *cli.Context) (conf *configuration, token string, err error) {
	if c.String("config") == "-" { // a configuration without routes is what it would seem to be now
		return nil, "", usagef("--config -: standard input was read at the start, and cannot be read again")
	}
	if conf, err = configure(c); err != nil {
		return nil, "", err
	}
	token, err = conf.token()
	return conf, token, err
}

// settled is what conf says other than the configuration a box was started from,
// of that which holds until it is started anew.
func (conf *configuration) settled(from *configuration) (keys []string) {
	if !conf.drawn && *conf.Seed != *from.Seed {
		keys = append(keys, "seed")
	}
	keys = append(keys, differing("control", written(conf.Control), written(from.Control))...)
	return append(keys, differing("limits", conf.Limits.WithDefaults(), from.Limits.WithDefaults())...)
}

// written is s in the one way of writing it: neither order nor repetition of its
// lists has a meaning, and an empty one is none.
func written(s control.Settings) control.Settings {
	for _, list := range []*[]string{&s.Origins, &s.Hosts} {
		*list = slices.Compact(slices.Sorted(slices.Values(*list)))
	}
	return s
}

// differing names the keys in which two objects differ.
func differing[T any](object string, x, y T) (keys []string) {
	a, b := reflect.ValueOf(x), reflect.ValueOf(y)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
			keys = append(keys, object+"."+name)
		}
	}
	return keys
}
