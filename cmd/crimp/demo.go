package main

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
)

const demoListen = "127.0.0.1:8080"

func demoCommand() *cli.Command {
	return &cli.Command{
		Name: "demo", Category: groupRun, Usage: "a box with an origin, a client and the headline faults ready: look here first",
		Description: describe(`
Needs no network and nothing installed. A built-in origin answers on a route "web", a client
asks it for a page every second on one kept-alive connection, and the five headline faults stand
ready, disarmed, as rules of their own names: arm one with a click on the dashboard or with
"crimp arm web NAME" and see what the client makes of it. The origin has / (1024 bytes),
/big (1 MiB), /chunked, /slow and /echo. Where a port is taken another is used, and said.`,
			"crimp demo",
			"crimp demo --quiet-client",
			"crimp demo --listen 127.0.0.1:0 --control 127.0.0.1:0 --addr-file addresses.json"),
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "listen", Category: groupDemo, Usage: "the route's `ADDR`", Value: demoListen, EnvVars: []string{"CRIMP_DEMO_LISTEN"}},
			&cli.BoolFlag{Name: "quiet-client", Category: groupDemo, Usage: "the client does not tell what it saw", DisableDefaultText: true},
			durationFlag("client-interval", groupDemo, "one request each `DURATION`; 0s: no client", "1s"),
			seedFlag("drawn"),
			addrFileFlag(),
			drainFlag("1s"),
			&cli.StringFlag{Name: "control", Category: groupControl, Usage: "listen for control clients and the dashboard on `ADDR`", Value: defaultControl, EnvVars: []string{"CRIMP_CONTROL"}},
			tokenFileFlag(),
			levelFlag("warn"), formatFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := wantArgs(c, 0, 0); err != nil {
				return err
			}
			return demo(c)
		},
	}
}

func demo(c *cli.Context) error {
	log := newLog(c)
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	origin, stopOrigin, err := startOrigin(log)
	if err != nil {
		return codef(exitStart, "origin: %v", err)
	}
	defer stopOrigin()
	in, err := startTelling(c, func() (*instance, error) { return startDemo(c, origin, log) })
	if err != nil {
		return err
	}
	web := in.addresses().Routes["web"]
	introduce(c, in.url(), web)

	ctx, leave := context.WithCancel(context.Background())
	var visits sync.WaitGroup
	if interval, _ := flagValue[time.Duration](c, "client-interval"); interval > 0 {
		v := visitor{url: "http://" + web + "/", interval: interval, patience: 3 * time.Second, tell: func(s sight) {
			if !c.Bool("quiet-client") {
				fmt.Fprintf(c.App.Writer, "%s  client: %s\n", time.Now().Format(time.TimeOnly), s)
			}
		}}
		visits.Go(func() { v.visit(ctx) })
	}
	drain, _ := flagValue[time.Duration](c, "drain-timeout")
	// The client leaves as soon as a signal comes, else it would be drained for.
	stopping := make(chan os.Signal, 4)
	go func() {
		for s := range signals {
			leave()
			stopping <- s
		}
	}()
	err = in.until(stopping, drain, func() {})
	leave()
	visits.Wait()
	return err
}

// asFlags names a key by the flag it came from: there is no file.
var asFlags = strings.NewReplacer("routes[0].", "--", "control.token_file", "--token-file", controlField, "--control")

// startDemo starts the box; where an address is taken it takes another.
func startDemo(c *cli.Context, origin string, log zerolog.Logger) (*instance, error) {
	seed, given := flagValue[uint64](c, "seed")
	if !given {
		seed = rand.Uint64N(1 << 48)
	}
	conf := &configuration{}
	conf.Seed, conf.Control = &seed, control.Settings{Listen: c.String("control"), TokenFile: c.String("token-file")}
	conf.Routes = []middlebox.Route{{Name: "web", Listen: c.String("listen"), Upstream: origin, Protocol: "http", Rules: headline()}}
	if fault := conf.check(); fault != nil {
		for _, e := range fault.All() {
			e.Field = asFlags.Replace(e.Field)
		}
		return nil, usagef("%s", fault)
	}
	for {
		in, err := start(conf, log)
		var fault *faults.Error
		if !errors.As(err, &fault) || fault.Code != faults.Bind {
			return in, err
		}
		taken := &conf.Routes[0].Listen
		if fault.Field == controlField {
			taken = &conf.Control.Listen
		}
		host, port, _ := net.SplitHostPort(*taken)
		if port == "0" {
			fault.Field = asFlags.Replace(fault.Field)
			return in, err
		}
		fmt.Fprintf(c.App.ErrWriter, "%s; using another port\n", fault.Message)
		*taken = net.JoinHostPort(host, "0")
	}
}

// headline are the five faults shown first, disarmed.
func headline() []faults.Rule {
	var rules []faults.Rule
	for _, f := range faults.Catalogue() {
		if f.Headline {
			rules = append(rules, faults.Rule{Name: f.Name, Fault: f.Name})
		}
	}
	return rules
}

// introduce prints what the README shows: where to look, and what to type next.
func introduce(c *cli.Context, control, web string) {
	api := ""
	if control != defaultAPI {
		api = " --api " + control
	}
	fmt.Fprintf(c.App.Writer, "dashboard %s   web http://%s -> built-in origin\n", control, web)
	fmt.Fprintf(c.App.Writer, "next: open the dashboard and click a switch, or type in a second terminal: %s arm web truncate%s\n", program(), api)
}

// program is how this binary was called, to be typed again: a name that is on the
// PATH, a path, or "go run", which leaves nothing behind to call.
func program() string {
	called := os.Args[0]
	switch {
	case strings.Contains(called, "go-build"):
		return "go run ./cmd/crimp"
	case strings.ContainsRune(called, os.PathSeparator):
		return called
	}
	return "crimp"
}

// stdLog gives the standard library a logger at debug level.
func stdLog(log zerolog.Logger) *stdlog.Logger {
	return stdlog.New(debugWriter{log}, "", 0)
}

type debugWriter struct{ log zerolog.Logger }

func (w debugWriter) Write(p []byte) (int, error) {
	w.log.Debug().Msg(string(p))
	return len(p), nil
}
