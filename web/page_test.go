package web

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

func TestPageLoadsClean(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.until("the five presets are there", `all('[role=switch]').length === 5`)
	if got := eval[string](p, `text('.facts')`); got != "version v0.0.0-test seed 18446744073709551615" {
		t.Errorf("the header says %q", got)
	}
	p.until("it says what to do next", `text('.empty').includes('curl http://127.0.0.1:8080/')`)
	p.shoot("empty")
	p.clean()
}

// A switch stays where it was, and says what is being done, until the box has
// confirmed it.
func TestToggleIsPendingUntilConfirmed(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	confirm := b.hold("rule.set")
	p.flip("web truncate")
	p.until("it is pending", `toggle('web truncate').getAttribute('aria-busy') === 'true' && text('.switch.busy .word') === 'arming…'`)
	if on := eval[string](p, `toggle('web truncate').getAttribute('aria-checked')`); on != "false" {
		t.Errorf("shown as armed before the box said so: aria-checked=%s", on)
	}
	p.flip("web truncate") // pressing again meanwhile asks for nothing
	p.shoot("pending")
	confirm()
	p.until("it is on", `is('web truncate', true) && text('.rule-status', rule('web truncate')) === '0 hits in force on 2 sessions'`)
	if n := b.asked("rule.set"); n != 1 {
		t.Errorf("rule.set was called %d times, want 1", n)
	}
	p.until("it is told to who cannot see it", `text('[role=status].hidden') !== '' || document.querySelector('p.hidden[role=status]').textContent.startsWith('web truncate: armed')`)

	// Now it is a rule: it is armed and disarmed by name, by keyboard too.
	p.do(chromedp.Focus(`[role=switch][aria-label="web truncate"]`, chromedp.ByQuery))
	p.press(" ")
	p.until("it is off", `is('web truncate', false)`)
	p.press(kb.Enter)
	p.until("it is on again", `is('web truncate', true)`)
	if n := b.asked("rule.arm"); n != 1 {
		t.Errorf("rule.arm was called %d times, want 1", n)
	}
	p.clean()
}

func TestRefusedToggleReturnsAndSaysWhy(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	b.refuse("rule.set", "invalid", "rule.fault", "reset needs an http route; \"web\" is tcp")
	p.flip("web reset")
	p.until("the reason stands at the switch", `text('[role=alert]', rule('web reset')).startsWith('reset needs an http route')`)
	p.until("the switch is off", `is('web reset', false)`)
	p.flip("web reset")
	p.until("the next try succeeds and the reason goes", `is('web reset', true) && text('[role=alert]', rule('web reset')) === ''`)
	p.clean()
}

// What others do shows without a reload.
func TestEventsShow(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	b.change(func() {
		b.setRule("web", object{"name": "truncate", "fault": "truncate", "armed": true})
	})
	p.until("another client's arming shows", `is('web truncate', true)`)
	b.emit("session.opened", object{"route": "web", "session": "web/1", "data": object{"id": "web/1", "route": "web", "client": "127.0.0.1:50122", "upstream": "127.0.0.1:9000",
		"protocol": "http", "opened": ago(0), "bytes": object{"upstream": 0, "downstream": 0}, "exchanges": 0, "outcome": "open"}})
	p.until("the session is in the table", `text('.sessions tbody').includes('web/1 127.0.0.1:50122')`)
	b.emit("fault.fired", object{"route": "web", "session": "web/1", "exchange": "web/1/1", "rule": "truncate",
		"data": object{"fault": "truncate", "direction": "downstream", "at": "body:512", "bytes": 734, "end": "fin", "acked": 734}})
	p.until("the hit is counted", `text('.rule-status', rule('web truncate')).startsWith('1 hit ')`)
	p.until("it is in force on the session that came", `text('.rule-status', rule('web truncate')) === '1 hit in force on 1 session'`)
	p.until("the log tells it", `text('.about-fault').includes('truncate at body:512 · downstream · FIN · 734 B out before it')`)
	b.emit("exchange.finished", object{"route": "web", "session": "web/1", "exchange": "web/1/1", "data": object{"id": "web/1/1", "route": "web", "session": "web/1", "client": "127.0.0.1:50122",
		"request": object{"method": "GET", "target": "/", "bytes": 0, "delivered": "whole"}, "response": object{"status": 200, "declared": 1024, "sent": 512, "end": "fin"},
		"rules": []any{object{"rule": "truncate", "fault": "truncate", "at": "body:512"}}, "started": ago(0), "finished": ago(0), "outcome": "cut"}})
	p.until("the exchange is in its table", `text('.exchanges tbody').includes('GET / 200 512 of 1,024 B cut fin truncate at body:512')`)
	b.emit("session.closed", object{"route": "web", "session": "web/1", "data": object{"id": "web/1", "route": "web", "client": "127.0.0.1:50122", "upstream": "127.0.0.1:9000", "protocol": "http",
		"opened": ago(time.Second), "closed": ago(0), "bytes": object{"upstream": 78, "downstream": 734}, "exchanges": 1, "outcome": "cut", "ended": object{"client": "fin", "server": "close"}, "rules": []any{"truncate"}}})
	p.until("how it ended shows", `text('.sessions tr.closed').includes('client fin, server close')`)
	b.change(func() { b.deleteRule("web", "truncate") })
	p.until("the rule is gone, the preset stays", `is('web truncate', false) && text('.tools', rule('web truncate')) === 'Adjust Copy command'`)
	p.clean()
}

func TestLogFollowsUntilScrolledAway(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	miss := func(n int) {
		for range n {
			b.emit("rule.missed", object{"route": "web", "rule": "cut", "data": object{"fault": "cut", "at": "body:9", "reason": "the body has 4 bytes"}})
		}
	}
	atEnd := `(() => { const e = document.querySelector('.entries'); return e.scrollHeight - e.scrollTop - e.clientHeight < 24 && e.scrollTop > 0 })()`
	miss(40)
	p.until("it follows", `all('.entry').length === 40 && `+atEnd)
	p.do(chromedp.Evaluate(`document.querySelector('.entries').scrollTop = 100`, nil))
	p.until("it stopped following", `text('.log .n') === 'paused here'`)
	miss(3)
	p.until("it says how many came since", `text('.pill').startsWith('3 new')`)
	if top := eval[float64](p, `document.querySelector('.entries').scrollTop`); top != 100 {
		t.Errorf("the log moved under the reader's eyes to %v", top)
	}
	p.click(".pill")
	p.until("it follows again", `document.querySelector('.pill') === null && `+atEnd)
	p.click(".chip:nth-child(2)") // rule
	p.until("its type can be hidden", `all('.entry').length === 0 && document.querySelector('.chip:nth-child(2)').getAttribute('aria-pressed') === 'false'`)
	p.clean()
}

func TestPanic(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.flip("web truncate")
	p.until("it is on", `is('web truncate', true) && text('.armed-count') === '1 rule armed'`)
	p.click(".panic")
	p.until("everything is off and it says who", `text('.banner.off').includes('Everything is off') && text('.banner.off').includes('By dashboard, “the button on the page”')`)
	p.until("nothing can be armed", `toggle('web truncate').disabled && is('web truncate', false) && text('.armed-count').startsWith('nothing armed')`)
	p.shoot("panic")
	p.do(chromedp.Click(`//button[.="Release"]`, chromedp.BySearch))
	p.until("arming is allowed again", `document.querySelector('.banner') === null && !toggle('web truncate').disabled`)

	// 0 twice does it too, but not once, and not in a field.
	p.flip("web truncate")
	p.until("it is on", `is('web truncate', true)`)
	p.click(".add")
	p.choose(".rule-form select", "latency")
	p.write("[id='web-form-params.delay']", "00")
	p.do(chromedp.Evaluate(`document.activeElement.blur()`, nil))
	p.press("0")
	p.until("once only warns", `text('.panic') === 'Press 0 again'`)
	if n := b.asked("panic"); n != 1 {
		t.Errorf("panic was called %d times by now, want 1", n)
	}
	p.press("0")
	p.until("twice does it", `text('.banner.off').includes('0 pressed twice') && is('web truncate', false)`)
	p.clean()
}

func TestResync(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	b.change(func() {
		b.seq += 5000
		b.routes[0]["rules"] = []any{object{"name": "late", "fault": "latency", "armed": true, "route": "web", "rev": 9, "hits": 77, "spent": false, "summary": "latency 1s"}}
		b.routes = append(b.routes, route("db", "127.0.0.1:5432", "127.0.0.1:5433", "tcp"))
	})
	b.resync()
	p.until("the page is as the snapshot", `is('web late', true) && text('.rule-status', rule('web late')).startsWith('77 hits') && text('.route h2').includes('db')`)
	b.emit("fault.fired", object{"route": "web", "rule": "late", "data": object{"fault": "latency"}})
	p.until("and goes on from it", `text('.rule-status', rule('web late')).startsWith('78 hits')`)
	b.emit("rule.missed", object{"route": "web", "rule": "late", "seq": 9000, "data": object{"fault": "latency"}})
	p.until("the log says what it does not have", `/^[\d,]+ events before this one/.test(text('.gap'))`)
	p.clean()
}

// The box goes away and comes back as another process: the page says so and
// resumes, and what it shows then is the new box's.
func TestReconnectsAfterRestart(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.flip("web truncate")
	p.until("it is on", `is('web truncate', true)`)
	b.stop()
	p.until("it says that it is stale", `text('.connection') === 'reconnecting' && text('.banner.gone').startsWith('The box does not answer.')`)
	p.until("nothing can be pressed", `toggle('web truncate').disabled && document.querySelector('.panic').disabled`)
	p.shoot("stale")
	b.change(func() {
		b.seq = 3
		b.items = map[string][]object{}
		b.routes = []object{route("api", "127.0.0.1:8081", "127.0.0.1:9001", "http")}
	})
	b.restart("two")
	p.until("it is live with the new box", `text('.connection') === 'live' && text('.route h2') === 'api http' && document.querySelector('.banner') === null`)
	p.flip("api truncate")
	p.until("it works", `is('api truncate', true) && all('.entry').length === 1`)
}

func TestTokenIsAskedFor(t *testing.T) {
	b := newPeer(t)
	b.token = "sécret/+"
	p := newTab(t)
	p.do(chromedp.Navigate(b.http.URL + "/"))
	p.until("it asks", `text('h1') === 'This box wants a token'`)
	p.shoot("token")
	p.write("#token", "wrong"+kb.Enter)
	p.until("a wrong one is refused", `text('#token-error') === 'that token was refused'`)
	p.write("#token", b.token+kb.Enter)
	p.until("the right one opens", `text('.connection') === 'live'`)
	p.do(chromedp.Reload())
	p.until("a reload does not ask again", `text('.connection') === 'live'`)

	other := newTab(t)
	other.do(chromedp.Navigate(b.http.URL + "/#token=" + "s%C3%A9cret%2F%2B"))
	other.until("the fragment opens too, and is gone", `text('.connection') === 'live' && !location.href.includes('token')`)
	other.clean()
}

func TestFormMakesARule(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.click(".add")
	p.until("the fault is asked for first", `document.activeElement.id === 'web-form-fault'`)
	p.choose(".rule-form select", "latency")
	p.until("its parameters are the fields", `text('.rule-form > .fields .field label') === 'fault | delay required | burst | both | name'`)
	b.refuse("rule.set", "invalid", "rule.params.delay", "is required: a duration such as 250ms")
	p.click(".rule-form .primary")
	p.until("the box's error stands at its field", `text('[id="web-form-params.delay-help"]').startsWith('is required') && document.getElementById('web-form-params.delay').getAttribute('aria-invalid') === 'true'`)
	p.until("and is where one goes on", `document.activeElement.id === 'web-form-params.delay'`)
	p.shoot("form")
	p.write("[id='web-form-params.delay']", "250ms")
	p.click("details:nth-of-type(1) summary")
	p.write("[id='web-form-match.path']", "/api/*")
	p.click(".rule-form .primary")
	p.until("the rule stands among the others, armed", `is('web latency', true) && document.querySelector('.rule-form') === null && text('.scope', rule('web latency')) === 'path /api/*'`)
	var made object
	b.change(func() { made = b.rule("web", "latency") })
	if got := fmt.Sprint(made["params"], made["match"], made["gate"]); got != "map[delay:250ms] map[path:/api/*] <nil>" {
		t.Errorf("the box was told %s", got)
	}

	// Adjusting starts from what is there and goes to the same rule.
	p.click(`[aria-label="Adjust web latency"]`)
	p.until("what is there stands in the form", `document.getElementById('web-form-params.delay').value === '250ms' && document.getElementById('web-form-match.path').value === '/api/*'`)
	p.choose("[id='web-form-params.both']", "true")
	p.click(".rule-form .acts button:nth-child(2)")
	p.until("it is saved, not armed", `is('web latency', false) && document.querySelector('.rule-form') === null`)
	b.change(func() { made = b.rule("web", "latency") })
	if got := fmt.Sprint(made["params"]); got != "map[both:true delay:250ms]" {
		t.Errorf("the box was told %s", got)
	}
	p.click(`[aria-label="Remove web latency"]`)
	p.until("it can be removed", `rule('web latency') === null`)

	p.click(".add")
	p.until("the form has the focus", `document.activeElement.closest('.rule-form')`)
	p.press(kb.Escape)
	p.until("Escape closes the form and goes back to where one was", `document.querySelector('.rule-form') === null && document.activeElement.className === 'add'`)
	p.clean()
}

// A call with several mistakes is told all of them: at the fields they name, in the
// folded parts too, and the rest in one list.
func TestFormTellsAllMistakes(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.click(".add")
	p.choose(".rule-form select", "latency")
	b.refuse("rule.set", "invalid", "ttl", "expected a duration", [2]string{"rule.params.delay", "is required"}, [2]string{"rule.params.foo", "latency has no parameter foo"},
		[2]string{"rule.match.header.A b", "A b is no name"}, [2]string{"rule.match.header.C d", "C d is no name"}, [2]string{"if_rev", "it was changed meanwhile"}, [2]string{"rule.fault", "not on this route"})
	p.do(chromedp.Focus("[id='web-form-name']", chromedp.ByQuery))
	p.press(kb.Enter)
	p.until("those of no field stand in one list", `text('.rule-form [role=alert]') === '7 mistakes, marked at fault, delay, header, ttl rule.params.foo: latency has no parameter foo if_rev: it was changed meanwhile'`)
	for field, want := range map[string]string{"fault": "not on this route", "params.delay": "is required", "match.header": "A b is no name | C d is no name", "ttl": "expected a duration"} {
		id := "web-form-" + field
		p.until("it stands at "+field, `(() => { const e = document.getElementById('`+id+`'); return e.checkVisibility() && e.getAttribute('aria-invalid') === 'true' && e.getAttribute('aria-describedby').endsWith('`+id+`-help') })() && text('[id="`+id+`-help"] p') === '`+want+`'`)
	}
	if n := eval[float64](p, `all('[aria-invalid=true]').length`); n != 4 {
		t.Errorf("%v fields are marked, want 4", n)
	}
	p.until("the first of them has the focus", `document.activeElement.id === 'web-form-fault'`)
	p.until("it is told to who cannot see it", `document.querySelector('p.hidden[role=status]').textContent === 'Failed: 7 mistakes, the first: expected a duration'`)
	p.shoot("mistakes-all")

	b.refuse("rule.set", "invalid", "rule.match.path", "no such pattern", [2]string{"ttl", "expected a duration"})
	release := b.hold("rule.set")
	p.click(".rule-form .primary")
	p.write("[id='web-form-params.delay']", "1s")
	release()
	p.until("the next answer takes their place", `all('[aria-invalid=true]').map((e) => e.id).join() === 'web-form-match.path,web-form-ttl'`)
	p.until("who went on meanwhile is left alone", `document.activeElement.id === 'web-form-params.delay'`)

	// A switch has no fields: its rule tells them all.
	b.refuse("rule.set", "invalid", "rule.match.path", "no such pattern", [2]string{"rule.gate.times", "expected a number"})
	p.flip("web reset")
	p.until("all stand at the switch", `text('[role=alert] li', rule('web reset')) === 'rule.match.path: no such pattern | rule.gate.times: expected a number'`)
	p.clean()
}

func TestSessionsAreActedOn(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	b.refuse("session.act", "not_found", "id", "no live session \"web/6\"")
	p.click(`[aria-label="rst web/6"]`)
	p.until("a refusal stands in its row", `text('.sessions [role=alert]') === 'no live session "web/6"'`)
	p.click(`[aria-label="fin web/6"]`)
	p.until("the next try clears it", `text('.sessions [role=alert]') === ''`)
	p.until("a stalled one can be resumed", `document.querySelector('[aria-label="resume web/7"]') && !document.querySelector('[aria-label="stall web/7"]')`)
	if n := b.asked("session.act"); n != 2 {
		t.Errorf("session.act was called %d times, want 2", n)
	}
	p.clean()
}

// busyBox fills a peer with something of everything.
func busyBox(b *peer) func() {
	return func() {
		now := time.Now().Format(time.RFC3339Nano)
		web := b.routes[0]
		web["sessions"], web["sessions_total"], web["exchanges"], web["failed"] = 2, 7, 1204, 1
		web["bytes"] = object{"upstream": 33_870, "downstream": 1_234_567}
		web["rules"] = []any{
			object{"name": "truncate", "fault": "truncate", "armed": true, "route": "web", "rev": 4, "hits": 3, "spent": false, "summary": "cut at body:50%, fin"},
			object{"name": "slow-api", "fault": "latency", "params": object{"delay": "250ms"}, "match": object{"path": "/api/*", "exchange": "2-"}, "gate": object{"times": 10, "probability": "30%"},
				"armed": true, "route": "web", "rev": 5, "hits": 1, "spent": false, "summary": "latency 250ms", "lease": "go test", "near_miss": "GET /apis/x (path)", "why": "issue 12",
				"expires": time.Now().Add(90 * time.Second).Format(time.RFC3339Nano)},
		}
		b.routes = append(b.routes, route("db", "127.0.0.1:5432", "db.lab:5432", "tcp"))
		b.items["session.list"] = []object{
			{"id": "web/6", "route": "web", "client": "127.0.0.1:50122", "upstream": "127.0.0.1:9000", "protocol": "http", "opened": ago(4 * time.Minute), "bytes": object{"upstream": 33_000, "downstream": 1_200_000}, "held": object{"upstream": 0, "downstream": 0}, "exchanges": 1199, "outcome": "open"},
			{"id": "web/7", "route": "web", "client": "[::1]:50124", "upstream": "127.0.0.1:9000", "protocol": "http", "opened": ago(9 * time.Second), "bytes": object{"upstream": 412, "downstream": 2_048}, "held": object{"upstream": 0, "downstream": 0}, "exchanges": 4, "outcome": "stalled", "rules": []any{"slow-api"}, "odd": []any{"more than two persistent connections"}},
			{"id": "web/5", "route": "web", "client": "127.0.0.1:50100", "upstream": "127.0.0.1:9000", "protocol": "http", "opened": ago(8 * time.Second), "closed": now, "bytes": object{"upstream": 78, "downstream": 734}, "held": object{"upstream": 0, "downstream": 0}, "exchanges": 1, "outcome": "cut", "ended": object{"client": "fin", "server": "close"}, "cause": "fault", "rules": []any{"truncate"}},
		}
		exchange := func(id, method, target string, status int, declared any, sent int, end, outcome string, rules ...any) object {
			return object{"id": id, "route": "web", "session": "web/6", "client": "127.0.0.1:50122", "started": now, "finished": now, "outcome": outcome, "rules": rules,
				"request": object{"method": method, "target": target, "bytes": 0, "delivered": "whole"}, "response": object{"status": status, "declared": declared, "sent": sent, "end": end}}
		}
		odd := exchange("web/7/4", "POST", "/api/orders?customer=4711&page=2&sort=created_at&direction=descending&include=lines", 201, nil, 88, "whole", "ok")
		odd["odd"] = []any{"a request after Connection: close"}
		b.items["exchange.list"] = []object{exchange("web/6/1198", "GET", "/", 200, 1024, 1024, "whole", "ok"), exchange("web/5/1", "GET", "/index.html", 200, 1024, 512, "fin", "cut", object{"rule": "truncate", "fault": "truncate", "at": "body:512"}), odd}
		b.tell("box.started", object{"data": object{"version": "v0.0.0-test", "seed": 42, "config": "lab.yaml"}})
		b.tell("control.joined", object{"data": object{"client": "ws/1", "name": "dashboard", "remote": "127.0.0.1:50001"}})
		b.tell("session.opened", object{"route": "web", "session": "web/5", "data": b.items["session.list"][2]})
		b.tell("rule.armed", object{"route": "web", "rule": "truncate", "data": object{"rule": web["rules"].([]any)[0], "who": "dashboard", "sessions": 2}})
		b.tell("fault.fired", object{"route": "web", "rule": "truncate", "session": "web/5", "exchange": "web/5/1", "data": object{"fault": "truncate", "direction": "downstream", "offset": 734, "message_offset": 734, "part": "body", "at": "body:512", "bytes": 734, "end": "fin", "acked": 734}})
		b.tell("session.closed", object{"route": "web", "session": "web/5", "data": b.items["session.list"][2]})
		b.tell("session.failed", object{"route": "db", "session": "db/1", "data": object{"client": "127.0.0.1:4", "upstream": "db.lab:5432", "error": "connection refused"}})
	}
}

func ago(d time.Duration) string { return time.Now().Add(-d).Format(time.RFC3339Nano) }
