package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"crimp/control"
	"crimp/faults"
)

// callTimeout bounds one question to a box; a box answers at once, so it only
// matters when something else listens there.
const callTimeout = 15 * time.Second

// withBox runs f with a client of the box that --api names.
func withBox(c *cli.Context, f func(ctx context.Context, box *control.Client) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, func() {
		stop() // the next one ends it at once
		leaveIfBlocked(c.App.Writer)
	})()
	box, err := dial(ctx, c)
	if err == nil {
		defer box.Close()
		err = f(ctx, box)
	}
	if errors.Is(err, context.Canceled) {
		return codef(exitInterrupted, "interrupted")
	}
	return err
}

// leaveIfBlocked ends the program soon after an interrupt if it hangs in writing to
// somebody who does not read, such as a pager: no write can be called off.
func leaveIfBlocked(w io.Writer) {
	time.Sleep(500 * time.Millisecond)
	if o, ok := w.(*output); ok && o.busy.Load() {
		os.Exit(exitInterrupted)
	}
}

// dial connects to the box that --api names, or says what is there instead.
func dial(ctx context.Context, c *cli.Context) (*control.Client, error) {
	api, token, err := boxAt(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	box, err := control.Dial(ctx, api, control.DialOptions{Token: token, Name: "crimp " + c.Command.Name})
	var fault *faults.Error
	if errors.As(err, &fault) && fault.Field == "token" {
		return nil, codef(exitFailed, "%s: %s: set --token or CRIMP_TOKEN", api, fault.Message)
	}
	return box, err // *control.NoBoxError says where nobody answers, and what to do
}

// boxAt is the box that --api names and the token for it.
func boxAt(c *cli.Context) (api, token string, err error) {
	if api, err = apiURL(c.String("api")); err == nil {
		token, err = boxToken(c)
	}
	return api, token, err
}

// call asks one question with the usual patience.
func call(ctx context.Context, box *control.Client, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return box.Call(ctx, method, params, result)
}

// apiURL accepts a URL or host:port and gives the URL without a path.
func apiURL(s string) (string, error) {
	bad := usagef("--api: %q: a URL such as %s, or host:port, was expected", s, defaultAPI)
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" {
		return "", bad
	}
	return u.Scheme + "://" + u.Host, nil
}

// reason is the innermost cause of a failed dial: "connection refused" says more
// than the chain of operations around it.
func reason(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer in %v", callTimeout)
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}
