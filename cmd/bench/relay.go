package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// relay is one that takes part: its processes, and an origin of its own, so that
// the ports of closed connections of one are not missing to another.
type relay struct {
	*process
	origin server
	api    string // of Toxiproxy
}

// server is an origin: this process, or nginx.
type server interface {
	at() string
	stop()
}

// startRelay starts a relay of a kind for a load, and waits until it relays.
func startRelay(dir, kind string, p *plan, l load) (*relay, error) {
	o, err := startOrigin(dir, l)
	if err != nil {
		return nil, err
	}
	r := &relay{origin: o}
	if r.process, err = newProcess(dir, kind); err == nil {
		var cmd *exec.Cmd
		if cmd, err = r.command(p); err == nil {
			err = r.start(cmd, l.user)
		}
		if err == nil && kind == toxiproxySlicer {
			if err = slicer(r.api); err != nil {
				r.process.stop()
			}
		}
	}
	if err != nil {
		o.stop()
		return nil, err
	}
	return r, nil
}

func startOrigin(dir string, l load) (server, error) {
	if l.nginx {
		return startNginxOrigin(dir)
	}
	return serveOrigin()
}

// command is how a relay is started: all but the plain one from a file each.
func (r *relay) command(p *plan) (*exec.Cmd, error) {
	text, found := confOf(r.kind, r.addr, r.origin.at(), r.dir)
	if !found {
		return nil, fmt.Errorf("no relay is called %q", r.kind)
	}
	file, err := r.conf(text)
	if err != nil {
		return nil, err
	}
	program, _, _ := strings.Cut(r.kind, " ")
	switch program {
	case "crimp":
		args := append([]string{"serve", "-c", file, "--log-level", "warn"}, p.args...)
		if r.kind == crimpTwo {
			args = append(args, "--loops", "2")
		}
		return exec.Command(p.crimp, args...), nil
	case "haproxy":
		return exec.Command(find("haproxy"), "-db", "-f", file), nil
	case "nginx":
		return nginxCommand(r.dir, file), nil
	case "toxiproxy":
		if r.api, err = freeAddr(); err != nil {
			return nil, err
		}
		return toxiproxyCommand(p.toxiproxy, r.api, file)
	}
	return copyCommand(r.kind, r.addr, r.origin.at())
}

func nginxCommand(dir, file string) *exec.Cmd {
	return exec.Command(find("nginx"), "-p", dir, "-e", "stderr", "-c", file)
}

func (r *relay) stop() {
	r.process.stop()
	r.origin.stop()
}
