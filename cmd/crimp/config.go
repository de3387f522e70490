package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

// configuration is what `serve` starts from: the file's objects, over which the
// environment and then the flags were laid.
type configuration struct {
	control.Configuration

	file  string // where it was read from
	doc   *document
	wrong *faults.Error // with the file, by itself
	loops int           // 0: as many as fit the machine
	drawn bool          // Seed is: nobody gave one
}

const defaultControl = "127.0.0.1:27467"

// textKeys are the values of a file that are text whatever they look like.
var textKeys = regexp.MustCompile(`^(routes\[\d+\]\.(name|listen|upstream|protocol|mode|on_dial_error|rules\[\d+\]\.(name|fault))|control\.(listen|token_file|(origins|hosts)\[\d+\]))$`)

// readConfig reads a file; "-" is standard input. Only what cannot be read at all is
// an error here: what is wrong in it waits for judged, which knows what was laid
// over it.
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
	conf := &configuration{file: name, doc: doc}
	conf.wrong = doc.wrong.Then(faults.DecodeStrict(doc.json, &conf.Configuration, ""))
	return conf, nil
}

// judged is all that is wrong with the configuration, each with its place in the
// file if there is one: file:line:column, and an excerpt.
func (conf *configuration) judged() error {
	wrong := conf.wrong.Then(conf.check())
	switch {
	case wrong == nil:
		return nil
	case conf.doc == nil:
		return usagef("%s", wrong)
	}
	return conf.doc.list(wrong)
}

func readFile(file string) (source []byte, name string, err error) {
	if file == "-" {
		source, err = io.ReadAll(io.LimitReader(os.Stdin, maxFile+1))
		return source, "stdin", err
	}
	if source, err = os.ReadFile(file); err != nil {
		return nil, "", usagef("%s: %v", file, bare(err))
	}
	return source, filepath.Clean(file), nil
}

// check judges what decoding cannot: all that would fail later without touching
// a socket. What needs one (is the port free?) only `serve` can say.
func (conf *configuration) check() *faults.Error {
	at := cmp.Or(conf.Control.Listen, defaultControl)
	errs := checkAddress(at, "control.listen")
	if errs == nil && !isLoopback(at) && conf.Control.TokenFile == "" {
		errs = faults.Errorf(faults.Invalid, "control.listen", "%s is not a loopback address: control.token_file or --token-file is needed", at)
	}
	return errs.And(conf.Control.Check("control")).And(conf.Limits.Check("limits")).And(middlebox.CheckRoutes(conf.Routes, at))
}

// checkAddress wants host:port to listen on.
func checkAddress(s, field string) *faults.Error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return faults.Errorf(faults.Invalid, field, "%q: host:port was expected, such as 127.0.0.1:8080", s)
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
	if err := middlebox.CheckRoute(r, ""); err != nil {
		return r, fmt.Errorf("%q: %s", s, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return r, nil
}

// token is what the box asks for; empty: nothing.
func (conf *configuration) token() (string, error) {
	if conf.Control.TokenFile == "" {
		return "", nil
	}
	return readToken(conf.Control.TokenFile)
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
