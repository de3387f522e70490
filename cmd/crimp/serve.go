package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"crimp/faults"
	"crimp/middlebox"
)

func serveCommand() *cli.Command {
	return &cli.Command{
		Name: "serve", Category: groupRun, Usage: "run a box in the foreground",
		Description: describe(`
Relays the routes of the configuration and of --route, byte for byte while nothing is armed,
and answers the control protocol. A flag wins over its environment variable, that over the
file, the file over the default. SIGHUP reads the file again and puts its routes in force as a
whole, and the token that the token file holds now; if anything is wrong with either, all stays
as it was. Open WebSockets stay, too, with a new token. A seed, control or limits that it says
otherwise wait for the next start. SIGINT and SIGTERM stop accepting, disarm, let live sessions
finish for --drain-timeout, then close; a second one ends at once.

A route listens at LISTEN (ADDRESS:PORT; port 0: any that is free) and relays to UPSTREAM
(HOST:PORT). As a file it is YAML, which "crimp check" judges and "crimp state --yaml" writes:
`+configExample+`
The README has all keys of it.`,
			"crimp serve -c crimp.yaml",
			"crimp serve --route web=127.0.0.1:8080,127.0.0.1:9000,http --seed 42",
			"crimp serve --route db=127.0.0.1:0,10.0.0.5:5432,tcp --addr-file addresses.json"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Aliases: []string{"c"}, Category: groupServe, Usage: "the configuration `FILE` (YAML); - is standard input", EnvVars: []string{"CRIMP_CONFIG"}},
			&cli.StringSliceFlag{Name: "route", Category: groupServe, Usage: "a further `ROUTE`, or one in place of the file's of that name, as " + routeForm + " or NAME=LISTEN,proxy", EnvVars: []string{"CRIMP_ROUTE"}},
			seedFlag("drawn and logged"),
			&cli.StringSliceFlag{Name: "limit", Category: groupServe, Usage: "a limit `NAME=VALUE`, such as held_bytes=512MiB: sessions excess held_bytes held_bytes_per_session linger events exchanges", EnvVars: []string{"CRIMP_LIMIT"}},
			typedFlag("loops", groupServe, "relay with `N` event loops, a core each; by default one on up to two cores, else half the cores", "", []string{"CRIMP_LOOPS"}, parseLoops),
			drainFlag("10s"),
			addrFileFlag(),
			&cli.StringFlag{Name: "control", Category: groupControl, Usage: "listen for control clients and the dashboard on `ADDR`", DefaultText: defaultControl, EnvVars: []string{"CRIMP_CONTROL"}},
			tokenFileFlag(),
			&cli.StringSliceFlag{Name: "origin", Category: groupControl, Usage: "a further `ORIGIN` whose pages may connect", EnvVars: []string{"CRIMP_ORIGIN"}},
			&cli.StringSliceFlag{Name: "host", Category: groupControl, Usage: "a further `NAME` the box may be called by", EnvVars: []string{"CRIMP_HOST"}},
			levelFlag("info"), formatFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			return serve(c)
		},
	}
}

// configExample is a file that check takes, as a test says.
const configExample = `  routes:
  - name: web
    listen: 127.0.0.1:8080
    upstream: 127.0.0.1:9000
    rules:
    - { fault: truncate, match: { path: /api/* }, armed: false }`

const (
	groupControl = "Control"
	groupLog     = "Log (on stderr)"
)

func seedFlag(otherwise string) cli.Flag {
	return typedFlag("seed", groupServe, "the number `N` that all chance comes from: the same one, the same faults; "+otherwise+" if not given", "", []string{"CRIMP_SEED"}, parseSeed)
}

func drainFlag(preset string) cli.Flag {
	return durationFlag("drain-timeout", groupServe, "after the first signal sessions may go on for this `DURATION`", preset, "CRIMP_DRAIN_TIMEOUT")
}

func tokenFileFlag() cli.Flag {
	return &cli.StringFlag{Name: "token-file", Category: groupControl, Usage: "ask for the token in this `FILE`; needed where the address is not loopback", EnvVars: []string{"CRIMP_TOKEN_FILE"}}
}

// parseLoops reads how many loops; more than a machine has cores for is a slip.
func parseLoops(s string) (int, error) {
	n, err := parseWhole(s)
	if err != nil || n < 1 || n > 256 {
		return 0, fmt.Errorf("%q: a number from 1 to 256 was expected", s)
	}
	return int(n), nil
}

func levelFlag(preset string) cli.Flag {
	return typedFlag("log-level", groupLog, "the least `LEVEL` logged: trace, debug, info, warn or error", preset, []string{"CRIMP_LOG_LEVEL"},
		oneOf("trace", "debug", "info", "warn", "error"))
}

func formatFlag() cli.Flag {
	return typedFlag("log-format", groupLog, "the log's `FORMAT`: json, console, or auto: console on a terminal", "auto", []string{"CRIMP_LOG_FORMAT"},
		oneOf("auto", "json", "console"))
}

// gcPercent is how much garbage there may be beside what lives, unless GOGC says. A
// relay in steady state makes none, and new connections, which do, cost 0.85 and 1.06
// times as much in two runs on a busy machine: no difference that shows. But 9000 idle sessions of a tcp route take 1.47 KiB each
// instead of 1.70, of an http route 2.2 instead of 2.3.
const gcPercent = 50

func serve(c *cli.Context) error {
	conf, err := configure(c)
	if err != nil {
		return err
	}
	log := newLog(c)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)

	in, err := startTelling(c, func() (*instance, error) { return start(conf, log) })
	if err != nil {
		return err
	}
	log.Info().Str("control", in.url()).Interface("routes", in.addresses().Routes).Uint64("seed", *conf.Seed).Str("version", build().Version).Msg("ready")
	drain, _ := flagValue[time.Duration](c, "drain-timeout")
	return in.until(signals, drain, func() { reload(c, in, conf) })
}

// until runs the box until a signal, or the control server's failure, ends it.
func (in *instance) until(signals <-chan os.Signal, drain time.Duration, hup func()) error {
	for {
		select {
		case err := <-in.failed:
			in.kill()
			return codef(exitFailed, "control: %v", err)
		case s := <-signals:
			if s == syscall.SIGHUP {
				hup()
				continue
			}
			return in.drain(s, signals, drain)
		}
	}
}

// drain ends the box after the first signal; a second one cuts it short.
func (in *instance) drain(first os.Signal, signals <-chan os.Signal, timeout time.Duration) error {
	in.log.Info().Str("signal", first.String()).Dur("timeout", timeout).Msg("draining")
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- in.close(ctx) }()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				return codef(exitFailed, "close: %v", err)
			}
			in.log.Info().Bool("drained", ctx.Err() == nil).Msg("stopped")
			return nil
		case s := <-signals:
			if s == syscall.SIGHUP {
				continue
			}
			in.kill()
			return codef(exitFailed, "stopped at once by a second signal")
		}
	}
}

// configure reads the file and lays environment and flags over it; cli has
// already put a flag before its environment variable.
func configure(c *cli.Context) (*configuration, error) {
	conf := &configuration{}
	if file := c.String("config"); file != "" {
		var err error
		if conf, err = readConfig(file); err != nil {
			return nil, err
		}
	}
	if seed, given := flagValue[uint64](c, "seed"); given {
		conf.Seed = &seed
	}
	if conf.Seed == nil {
		seed := rand.Uint64N(1 << 48) // a number that JavaScript can hold
		conf.Seed, conf.drawn = &seed, true
	}
	if c.IsSet("control") {
		conf.Control.Listen = c.String("control")
	}
	conf.loops, _ = flagValue[int](c, "loops")
	if conf.Control.Listen == "" {
		conf.Control.Listen = defaultControl
	}
	if c.IsSet("token-file") {
		conf.Control.TokenFile = c.String("token-file")
	}
	conf.Control.Origins = append(conf.Control.Origins, words(c, "origin")...)
	conf.Control.Hosts = append(conf.Control.Hosts, words(c, "host")...)
	if err := overRoutes(conf, words(c, "route")); err != nil {
		return nil, err
	}
	if err := overLimits(conf, words(c, "limit")); err != nil {
		return nil, err
	}
	return conf, conf.judged()
}

// words are the values of a flag that may be repeated. In the environment
// several are told apart by white space, which none of them may contain.
func words(c *cli.Context, name string) []string {
	var out []string
	for _, v := range c.StringSlice(name) {
		out = append(out, strings.Fields(v)...)
	}
	return out
}

// overRoutes lays the routes of the command line over the file's; two of one name
// there are a slip of the hand.
func overRoutes(conf *configuration, given []string) error {
	named := map[string]bool{}
	for _, text := range given {
		r, err := parseRoute(text)
		if err != nil {
			return usagef("--route: %v", err)
		}
		if named[r.Name] {
			return usagef("--route: %q is the name of two routes", r.Name)
		}
		named[r.Name] = true
		i := slices.IndexFunc(conf.Routes, func(old middlebox.Route) bool { return old.Name == r.Name })
		if i >= 0 {
			conf.Routes[i] = r
		} else {
			conf.Routes = append(conf.Routes, r)
		}
	}
	return nil
}

func overLimits(conf *configuration, given []string) error {
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok {
			return usagef("--limit: %q: NAME=VALUE was expected, such as held_bytes=512MiB", text)
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if n, err := parseWhole(value); err == nil {
			raw = fmt.Append(nil, n)
		}
		object := fmt.Appendf(nil, "{%q:%s}", strings.ReplaceAll(name, "-", "_"), raw)
		if fault := faults.DecodeStrict(object, &conf.Limits, ""); fault != nil {
			return usagef("--limit: %s", fault)
		}
	}
	return nil
}

func newLog(c *cli.Context) zerolog.Logger {
	level, _ := flagValue[string](c, "log-level")
	format, _ := flagValue[string](c, "log-format")
	return makeLog(c.App.ErrWriter, level, format)
}

// makeLog logs JSON, or lines for people where a terminal shows them.
func makeLog(w io.Writer, level, format string) zerolog.Logger {
	if format == "console" || format == "auto" && isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly, NoColor: os.Getenv("NO_COLOR") != "" || !isTerminal(w)}
	}
	l, err := zerolog.ParseLevel(level)
	if err != nil {
		l = zerolog.InfoLevel
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger()
}
