package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// The second instrument: wrk as the load, nginx as the origin. Whoever doubts the
// first, which we have written, has here two programs that everybody can run.

// nginxOrigin is the kind of an origin, not of a relay.
const nginxOrigin = "nginx origin"

// originSizes are what it has answers of: GET /N is answered with N bytes, as by ours.
var originSizes = []int{1, 64, 1 << 10}

func startNginxOrigin(dir string) (*process, error) {
	o, err := newProcess(dir, nginxOrigin)
	if err != nil {
		return nil, err
	}
	file, err := o.conf(nginxOriginConf(o.dir, o.addr))
	if err != nil {
		return nil, err
	}
	return o, o.start(nginxCommand(o.dir, file), false)
}

// doneLua prints the figures as they are, where wrk itself would round them:
// times are in microseconds.
const doneLua = `function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\n{"requests":%d,"duration":%d,"mean":%.3f,"p50":%d,"p99":%d,"errors":%d}\n',
    summary.requests, summary.duration, latency.mean, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

// figures are what doneLua prints.
type figures struct {
	Requests, Duration, Mean, P50, P99, Errors float64
}

// readFigures finds them behind what wrk prints by itself.
func readFigures(said []byte) (f figures, err error) {
	said = bytes.TrimSpace(said)
	last := said[bytes.LastIndexByte(said, '\n')+1:]
	switch err := json.Unmarshal(last, &f); {
	case err != nil:
		return f, fmt.Errorf("wrk said %q, want its figures in the last line: %w", said, err)
	case f.Errors > 0:
		return f, fmt.Errorf("wrk counts %v errors: %s", f.Errors, said)
	case f.Requests == 0 || f.Duration == 0:
		return f, fmt.Errorf("wrk got no answer: %s", said)
	}
	return f, nil
}

// sample has what wrk says and what the relay used meanwhile.
func (f figures) sample(used time.Duration) sample {
	const us = 1e-6
	return sample{
		cpu: used.Seconds() / f.Requests, rate: f.Requests / (f.Duration * us),
		mean: f.Mean * us, p50: f.P50 * us, p99: f.P99 * us,
	}
}

// runWrk lets one thread of wrk ask over its connections. It counts from its start to
// its end, connecting included, and so is the relay's time taken. It knows whole
// seconds only.
func runWrk(l load, r *relay, p *plan) (sample, error) {
	script := filepath.Join(r.dir, "done.lua")
	if err := os.WriteFile(script, []byte(doneLua), 0o644); err != nil {
		return sample{}, err
	}
	seconds := int((p.window + time.Second - 1) / time.Second)
	wrk := exec.Command("wrk", "--threads", "1", "--connections", strconv.Itoa(l.n),
		"--duration", fmt.Sprintf("%ds", seconds), "--script", script, fmt.Sprintf("http://%s/%d", r.addr, l.size))
	before, err := cpuOf(r.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	said, err := wrk.CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, said)
	}
	after, err := cpuOf(r.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	f, err := readFigures(said)
	if err != nil {
		return sample{}, err
	}
	return f.sample(after - before), nil
}
