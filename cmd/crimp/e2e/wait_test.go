package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

type waited struct {
	Events []event `json:"events"`
	Seq    int64   `json:"seq"`
}

// arm; act; wait never races: wait with a rule looks back to its last arming.
func TestWaitFindsWhatFiredBefore(t *testing.T) {
	body := pattern(1024)
	b := newBench(t, body)
	r := b.warm(t)
	b.arm("web", params{"fault": "truncate", "params": params{"end": "rst"}})
	r.send(ask("/now"))
	half := b.full[:len(b.full)-512]
	r.restIs(half, rst)

	var w waited
	b.must("wait", params{"type": "fault.fired", "rule": "truncate"}, &w)
	if len(w.Events) != 1 {
		t.Fatalf("%d events, expected 1", len(w.Events))
	}
	e := w.Events[0]
	if e.Type != "fault.fired" || e.Route != "web" || e.Rule != "truncate" || e.Session != "web/1" || e.Exchange != "web/1/2" {
		t.Errorf("fired: %+v", e)
	}
	stream := float64(len(b.full) + len(half))
	for name, want := range map[string]any{
		"direction": "downstream", "offset": stream, "message_offset": float64(len(half)),
		"at": "body:512", "end": "rst", "bytes": stream,
	} {
		if e.Data[name] != want {
			t.Errorf("fault.fired says %s = %v, expected %v", name, e.Data[name], want)
		}
	}
	// A reset waits for what was said before it.
	if e.Data["acked"] != stream {
		t.Errorf("acked = %v, expected %v", e.Data["acked"], stream)
	}

	// From now on, nothing fired: the time-out says how far it got and what nearly matched.
	b.disarm("web", "truncate")
	b.arm("web", params{"fault": "truncate", "match": params{"path": "/api/*"}, "name": "api"})
	b.warm(t).send(ask("/apis/x")).expect(b.full)
	err := b.call("wait", params{"type": "fault.fired", "rule": "api", "count": 3, "timeout": "50ms"}, nil)
	e2, ok := asRPC(err)
	if !ok || e2.Code != -32004 || e2.Data.Code != "timeout" {
		t.Fatalf("wait: %v, expected a timeout", err)
	}
	for _, part := range []string{"0 of 3 fault.fired for api", "near miss: GET /apis/x (path): path /apis/x is not /api/*"} {
		if !strings.Contains(e2.Message, part) {
			t.Errorf("the time-out says %q, expected %q in it", e2.Message, part)
		}
	}
	// And one that comes while waiting.
	go func() {
		time.Sleep(30 * time.Millisecond)
		r := dial(t, b.addr)
		r.send(ask("/api/y"))
		r.rest()
	}()
	b.must("wait", params{"type": "fault.fired", "rule": "api"}, &w)
	if len(w.Events) != 1 || w.Events[0].Exchange == "" {
		t.Errorf("waited for %+v", w.Events)
	}
}

func TestWaitFromTheShell(t *testing.T) {
	b := newBench(t, pattern(1024))
	wantOK(t, crimp(t, b.box, "wait", "ready"))
	wantOK(t, crimp(t, b.box, "arm", "web", "truncate", "--times", "1"))
	r := b.warm0(t)
	r.rest()
	wantOK(t, crimp(t, b.box, "wait", "fault.fired", "--rule", "truncate"))
	got := crimp(t, b.box, "wait", "fault.fired", "--rule", "truncate", "--count", "3", "--timeout", "50ms")
	if got.code != 4 || !strings.Contains(got.stderr, "wait: 1 of 3 fault.fired for truncate in 50ms") {
		t.Errorf("exit %d, %q", got.code, got.stderr)
	}
}

// warm0 asks on a fresh connection without expecting anything.
func (b *bench) warm0(t testing.TB) *raw { return dial(t, b.addr).send(ask("/first")) }

// crimp arm ... -- CMD: the rule lives while CMD runs.
func TestArmAroundACommand(t *testing.T) {
	b := newBench(t, pattern(1024))
	gone := func() {
		t.Helper()
		if rule, there := b.rule("web", "truncate"); there {
			t.Errorf("the rule outlived its command: %+v", rule)
		}
	}
	cases := []struct {
		name string
		cmd  []string
		code int
	}{
		{"the command's code is ours", []string{"sh", "-c", `curl -s -o /dev/null "$CRIMP_URL_WEB/"`}, 18},
		{"success, and it fired", []string{"sh", "-c", `curl -s "$CRIMP_URL_WEB/" >/dev/null; test -n "$CRIMP_API"`}, 0},
		{"success, but it never fired", []string{"true"}, 1},
		{"any other code", []string{"sh", "-c", "exit 7"}, 7},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := crimp(t, b.box, append([]string{"arm", "web", "truncate", "--"}, c.cmd...)...)
			if got.code != c.code {
				t.Errorf("exit %d, expected %d\n%s%s", got.code, c.code, got.stdout, got.stderr)
			}
			gone()
		})
	}
	b.warm(t)
	got := crimp(t, b.box, "arm", "web", "truncate", "--", filepath.Join(t.TempDir(), "no-such-command"))
	if got.code == 0 {
		t.Errorf("a command that cannot start: exit 0")
	}
	gone()
}

// Nobody is left to end the lease but the box itself.
func TestALeaseEndsWithSIGKILL(t *testing.T) {
	b := newBench(t, pattern(1024))
	cmd := exec.Command(program, "arm", "web", "truncate", "--", "sleep", "60")
	cmd.Env = environment("CRIMP_API=" + b.api)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that sleep can be ended too
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }()
	b.eventually("an armed rule", func() error {
		if rule, there := b.rule("web", "truncate"); !there || !rule.Armed {
			return errNotYet
		}
		return nil
	})
	b.warm0(t).restIs(b.full[:len(b.full)-512], fin)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	b.eventually("the end of the lease", func() error {
		if _, there := b.rule("web", "truncate"); there {
			return errNotYet
		}
		return nil
	})
	b.warm(t)
}

type notYet string

func (n notYet) Error() string { return string(n) }

const errNotYet = notYet("not yet")

func TestLeasesAndTTL(t *testing.T) {
	b := newBench(t, pattern(1024))
	w := b.ws(t)
	w.must("rule.set", params{"route": "web", "lease": "client", "rule": params{"fault": "truncate"}}, nil)
	b.warm0(t).restIs(b.full[:len(b.full)-512], fin)
	w.Close()
	b.eventually("the end of the lease", func() error {
		if _, there := b.rule("web", "truncate"); there {
			return errNotYet
		}
		return nil
	})
	err := b.call("rule.set", params{"route": "web", "lease": "client", "rule": params{"fault": "truncate"}}, nil)
	if e, ok := asRPC(err); !ok || e.Data.Code != "invalid" || e.Data.Field != "lease" {
		t.Errorf("a lease over POST: %v, expected invalid", err)
	}
	b.must("rule.set", params{"route": "web", "ttl": "150ms", "rule": params{"fault": "truncate"}}, nil)
	b.eventually("disarmed by its ttl", func() error {
		if rule, _ := b.rule("web", "truncate"); rule.Armed {
			return errNotYet
		}
		return nil
	})
	b.warm(t)
}

// A subscriber starts from a snapshot, and every later change follows in order.
func TestSubscribe(t *testing.T) {
	b := newBench(t, pattern(1024))
	w := b.ws(t)
	var sub struct {
		Sub   int64    `json:"sub"`
		Seq   int64    `json:"seq"`
		State boxState `json:"state"`
	}
	w.must("subscribe", nil, &sub)
	if len(sub.State.Routes) != 1 || sub.State.Seq != sub.Seq {
		t.Fatalf("the snapshot: %+v", sub)
	}
	b.arm("web", params{"fault": "truncate"})
	b.warm0(t).rest()
	b.disarm("web", "truncate")
	var types []string
	last := float64(sub.Seq)
	w.notified("rule.disarmed", func(n note) bool {
		if n.Method != "event" {
			return false
		}
		seq, _ := n.Params["seq"].(float64)
		if seq != last+1 {
			t.Errorf("event %v follows %v", seq, last)
		}
		last = seq
		typ, _ := n.Params["type"].(string)
		types = append(types, typ)
		return typ == "rule.disarmed"
	})
	all := strings.Join(types, " ")
	for _, want := range []string{"rule.armed", "session.opened", "exchange.started", "fault.fired"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s among %s", want, all)
		}
	}
	var list struct {
		Items    []json.RawMessage `json:"items"`
		Complete bool              `json:"complete"`
	}
	b.must("event.list", params{"type": "fault.fired"}, &list)
	if len(list.Items) != 1 || !list.Complete {
		t.Errorf("%d fault.fired in the journal (complete: %v), expected 1", len(list.Items), list.Complete)
	}
}

func TestPanicReleaseRevert(t *testing.T) {
	b := newBench(t, pattern(1024))
	b.arm("web", params{"fault": "truncate"})
	if got := wantOK(t, crimp(t, b.box, "panic", "--why", "smoke")); !strings.Contains(got.stdout, "1 rule disarmed") {
		t.Errorf("panic said %q", got.stdout)
	}
	b.warm(t)
	err := b.call("rule.arm", params{"route": "web", "name": "truncate"}, nil)
	if e, ok := asRPC(err); !ok || e.Code != -32005 || !strings.Contains(e.Message, "smoke") {
		t.Errorf("arming after panic: %v, expected forbidden with the reason", err)
	}
	if got := crimp(t, b.box, "arm", "web", "reset"); got.code != 1 {
		t.Errorf("arm after panic: exit %d, expected 1", got.code)
	}
	wantOK(t, crimp(t, b.box, "release", "--rearm"))
	b.warm0(t).restIs(b.full[:len(b.full)-512], fin)
	wantOK(t, crimp(t, b.box, "revert"))
	if _, there := b.rule("web", "truncate"); there {
		t.Error("revert left a rule that the configuration does not have")
	}
	b.warm(t)
}
