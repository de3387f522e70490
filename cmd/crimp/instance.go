package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"crimp/control"
	"crimp/faults"
	"crimp/middlebox"
	"crimp/web"
)

// instance is a box with its control server, as serve and demo run it.
type instance struct {
	box      *middlebox.Box
	server   *control.Server
	listener net.Listener
	log      zerolog.Logger
	failed   chan error  // the control server gave up
	draining atomic.Bool // no longer ready
}

// controlField is what an error about the control address is about.
const controlField = "control.listen"

// start makes a box of a configuration. Every address is bound before it
// returns, or none: an error changed nothing.
func start(conf *configuration, log zerolog.Logger) (*instance, error) {
	token, err := conf.token()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", conf.Control.Listen)
	if err != nil {
		return nil, faults.Errorf(faults.Bind, controlField, "%s: %s", conf.Control.Listen, reason(err))
	}
	box, err := middlebox.New(middlebox.Config{Seed: *conf.Seed, Limits: conf.Limits, Loops: conf.loops, Log: log, Forbidden: []string{listener.Addr().String()}})
	if err != nil {
		listener.Close()
		return nil, codef(exitStart, "%v", err)
	}
	box.Emit(middlebox.Event{Type: "box.started", Data: startedData{build().Version, *conf.Seed, conf.file}})
	if err := box.Configure(conf.Routes, "configuration"); err != nil {
		box.Kill()
		listener.Close()
		return nil, startError(err)
	}
	in := &instance{box: box, listener: listener, log: log, failed: make(chan error, 1)}
	in.server = control.NewServer(control.Options{
		Box: box, Token: token, Origins: conf.Control.Origins, Hosts: conf.Control.Hosts,
		Version: build().Version, Page: web.Handler(), Metrics: metrics(box), Ready: in.ready, Log: log,
	})
	go func() {
		if err := in.server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			in.failed <- err
		}
	}()
	return in, nil
}

// startError tells what is wrong with the configuration (exit 2) from what is
// wrong with this machine at this time (exit 3).
func startError(err error) error {
	var fault *faults.Error
	if errors.As(err, &fault) && (fault.Code == faults.Invalid || fault.Code == faults.NotFound) {
		return err
	}
	return &codedError{exitStart, err}
}

// ready is what /readyz asks: the routes listen from start on, until a signal.
func (in *instance) ready() error {
	if in.draining.Load() {
		return errors.New("draining")
	}
	return nil
}

// close drains until ctx ends, then closes. The control server goes last, and
// has a moment of its own: whoever watches sees how it ended.
func (in *instance) close(ctx context.Context) error {
	in.draining.Store(true)
	err := in.box.Close(ctx)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = in.server.Shutdown(last) // who does not go in time is cut off
	return err
}

func (in *instance) kill() {
	in.box.Kill()
	in.listener.Close()
}

// url is where the dashboard and the control protocol are.
func (in *instance) url() string { return "http://" + reachable(in.listener.Addr().String()) }

// reachable turns an address to listen on into one to connect to.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port)
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && (isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd()))
}
