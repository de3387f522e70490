package web

import (
	"testing"
	"time"
)

func TestPageLoadsClean(t *testing.T) {
	b := newPeer(t)
	p := open(t, b)
	p.until("the five presets are there", `all('[role=switch]').length === 5`)
	if got := eval[string](p, `text('.facts')`); got != "version v0.0.0-test seed 18446744073709551615" {
		t.Errorf("the header says %q", got)
	}
	p.shoot("empty")
	p.clean()
}

func ago(d time.Duration) string { return time.Now().Add(-d).Format(time.RFC3339Nano) }

func TestRulesShow(t *testing.T) {
	b := newPeer(t)
	b.change(func() {
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
			{"id": "web/7", "route": "web", "client": "[::1]:50124", "upstream": "127.0.0.1:9000", "protocol": "http", "opened": ago(9 * time.Second), "bytes": object{"upstream": 412, "downstream": 2_048}, "held": object{"upstream": 0, "downstream": 0}, "exchanges": 4, "outcome": "stalled", "rules": []any{"slow-api"}},
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
	})
	p := open(t, b)
	p.shoot("full")
	p.clean()
}
