package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"crimp/faults"
	"crimp/middlebox"
)

// configuration is what `serve` starts from: the file's objects, over which the
// environment and then the flags were laid.
type configuration struct {
	Seed    *uint64           `json:"seed"` // nil: drawn at start, and said
	Control controlSettings   `json:"control"`
	Limits  middlebox.Limits  `json:"limits"`
	Routes  []middlebox.Route `json:"routes"`

	file  string // where it was read from
	loops int    // 0: as many as fit the machine
	drawn bool   // Seed is: nobody gave one
}

// controlSettings is where and to whom a box answers.
type controlSettings struct {
	Listen    string   `json:"listen"`     // default 127.0.0.1:27467
	TokenFile string   `json:"token_file"` // holds the token; needed where the address is not loopback
	Origins   []string `json:"origins"`    // further origins whose pages may connect
	Hosts     []string `json:"hosts"`      // further names the box may be called by
}

const defaultControl = "127.0.0.1:27467"

// textKeys are the values of a file that are text whatever they look like.
var textKeys = regexp.MustCompile(`^(routes\[\d+\]\.(name|listen|upstream|protocol|mode|on_dial_error|rules\[\d+\]\.(name|fault))|control\.(listen|token_file|(origins|hosts)\[\d+\]))$`)

// readConfig reads and judges a file; "-" is standard input. Every error has its
// place: file:line:column, and an excerpt.
func readConfig(file string) (*configuration, error) {
	source, name, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return decodeConfig(name, source)
}

func decodeConfig(name string, source []byte) (*configuration, error) {
	doc, err := parseYAML(name, source, textKeys.MatchString)
	if err != nil {
		return nil, err
	}
	conf := &configuration{file: name}
	fault := faults.DecodeStrict(doc.json, conf, "")
	if fault == nil {
		fault = conf.check()
	}
	if fault != nil {
		return nil, doc.at(fault)
	}
	return conf, nil
}

func readFile(file string) (source []byte, name string, err error) {
	if file == "-" {
		source, err = io.ReadAll(io.LimitReader(os.Stdin, maxFile+1))
		return source, "stdin", err
	}
	source, err = os.ReadFile(file)
	var at *os.PathError
	if errors.As(err, &at) {
		return nil, "", usagef("%s: %v", file, at.Err)
	}
	return source, filepath.Clean(file), err
}

// check judges what decoding cannot: all that would fail later without touching
// a socket. What needs one (is the port free?) only `serve` can say.
func (conf *configuration) check() *faults.Error {
	if l := conf.Control.Listen; l != "" {
		if err := checkAddress(l, "control.listen", true); err != nil {
			return err
		}
		if !isLoopback(l) && conf.Control.TokenFile == "" {
			return faults.Errorf(faults.Invalid, "control.listen", "%s is not a loopback address: control.token_file or --token-file is needed", l)
		}
	}
	if err := conf.Limits.Check("limits"); err != nil {
		return err
	}
	for i, r := range conf.Routes {
		if err := checkRoute(r, fmt.Sprintf("routes[%d]", i)); err != nil {
			return err
		}
	}
	control := conf.Control.Listen
	if control == "" {
		control = defaultControl
	}
	err, _ := middlebox.CheckRoutes(conf.Routes, control).(*faults.Error) // it gives no other
	return err
}

// settled is what conf says other than the configuration a box was started from,
// of that which holds until it is started anew.
func (conf *configuration) settled(from *configuration) (keys []string) {
	if !conf.drawn && *conf.Seed != *from.Seed {
		keys = append(keys, "seed")
	}
	if !reflect.DeepEqual(conf.Control, from.Control) {
		keys = append(keys, "control")
	}
	if conf.Limits != from.Limits {
		keys = append(keys, "limits")
	}
	return keys
}

var routeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func checkRoute(r middlebox.Route, at string) *faults.Error {
	if !routeName.MatchString(r.Name) {
		return faults.Errorf(faults.Invalid, at+".name", "%q: up to 64 letters, digits, - and _ were expected", r.Name)
	}
	if err := checkAddress(r.Listen, at+".listen", true); err != nil {
		return err
	}
	if r.Upstream != "" || r.Mode != "proxy" {
		if err := checkAddress(r.Upstream, at+".upstream", false); err != nil {
			return err
		}
	}
	for _, choice := range []struct {
		field, value string
		among        []string
	}{
		{"protocol", r.Protocol, []string{"auto", "http", "tcp"}},
		{"mode", r.Mode, []string{"forward", "proxy"}},
		{"on_dial_error", r.OnDialError, []string{"rst", "fin", "502"}},
	} {
		if choice.value != "" && !slices.Contains(choice.among, choice.value) {
			return faults.Errorf(faults.Invalid, at+"."+choice.field, "%q: one of %s was expected%s",
				choice.value, strings.Join(choice.among, ", "), didYouMean(choice.value, choice.among, ""))
		}
	}
	return nil
}

// checkAddress wants host:port; port 0 only to listen on.
func checkAddress(s, field string, listen bool) *faults.Error {
	bad := func() *faults.Error {
		return faults.Errorf(faults.Invalid, field, "%q: host:port was expected, such as 127.0.0.1:8080", s)
	}
	if s == "" {
		return faults.Errorf(faults.Invalid, field, "is missing: host:port was expected, such as 127.0.0.1:8080")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return bad()
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || (n == 0 && !listen) || (host == "" && !listen) {
		return bad()
	}
	return nil
}

func isLoopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// routeForm is how a route is written in one word: a proxy's clients say its
// upstream, unless all it hears is for the next proxy.
const routeForm = "NAME=LISTEN,UPSTREAM[,http|tcp|proxy]"

// parseRoute reads NAME=LISTEN,UPSTREAM[,http|tcp|proxy] or NAME=LISTEN,proxy.
func parseRoute(s string) (middlebox.Route, error) {
	bad := fmt.Errorf("%q: %s or NAME=LISTEN,proxy was expected, such as web=127.0.0.1:8080,127.0.0.1:9000", s, routeForm)
	name, rest, ok := strings.Cut(s, "=")
	parts := strings.Split(rest, ",")
	if !ok || name == "" || len(parts) < 2 || len(parts) > 3 {
		return middlebox.Route{}, bad
	}
	r := middlebox.Route{Name: name, Listen: parts[0], Upstream: parts[1]}
	switch last := parts[len(parts)-1]; {
	case last == "proxy":
		if r.Mode = last; len(parts) == 2 {
			r.Upstream = ""
		}
	case len(parts) == 3:
		r.Protocol = last
	}
	if err := checkRoute(r, ""); err != nil {
		return r, fmt.Errorf("%q: %s: %s", s, strings.TrimPrefix(err.Field, "."), err.Message)
	}
	return r, nil
}

// readToken reads a token file: one line, the white space around it not counted.
func readToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return "", usagef("token file: %v", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", usagef("token file: %s: one line with one token was expected", file)
	}
	return token, nil
}
