package e2e

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// One lot of traffic, and each key of match and gate over the real API at once:
// which exchanges have each rule's mark on their answer, and what the rule says of
// the one it nearly hit.
func TestEveryKeyOfMatchAndGate(t *testing.T) {
	// Sessions and their requests; the pause is before the third of the first.
	traffic := []struct {
		from     string
		requests []string
	}{
		{"127.0.0.1", []string{
			"GET /a HTTP/1.1\r\nHost: lab\r\n\r\n",
			"GET /api/x HTTP/1.1\r\nHost: lab\r\nAccept: text/html\r\n\r\n",
			"POST /api/y HTTP/1.1\r\nHost: lab\r\nContent-Length: 2\r\n\r\nhi",
			"GET /api/z?q=1 HTTP/1.1\r\nHost: Shop.example.com:8080\r\nAccept: image/png\r\n\r\n",
		}},
		{"127.0.0.2", []string{"GET /api/x HTTP/1.1\r\nHost: lab\r\n\r\n", "GET /a HTTP/1.1\r\nHost: lab\r\n\r\n"}},
		{"127.0.0.1", []string{"GET /a HTTP/1.1\r\nHost: lab\r\n\r\n"}},
	}
	rows := []struct {
		match, gate params
		marks       string // an x for each exchange that is hit, in their order
		near        string
	}{
		{params{}, nil, "xxxx xx x", ""},
		{params{"session": "2"}, nil, ".... xx .", "GET /a (session): session 3 is not 2"},
		{params{"session": "2-"}, nil, ".... xx x", "GET /api/z?q=1 (session): session 1 is not 2-"},
		{params{"session": "2n"}, nil, ".... xx .", "GET /a (session): session 3 is not 2n"},
		{params{"exchange": 1}, nil, "x... x. x", "GET /a (exchange): exchange 2 is not 1"},
		{params{"exchange": "3n"}, nil, "..x. .. .", "GET /a (exchange): exchange 1 is not 3n"},
		{params{"exchange": "2-3"}, nil, ".xx. .x .", "GET /a (exchange): exchange 1 is not 2-3"},
		{params{"reused": true}, nil, ".xxx .x .", "GET /a (reused): reused false is not true"},
		{params{"reused": false}, nil, "x... x. x", "GET /a (reused): reused true is not false"},
		{params{"idle": "700ms-"}, nil, "..x. .. .", "GET /a (idle): idle of a first exchange is not 700ms-"},
		{params{"method": "post"}, nil, "..x. .. .", "GET /a (method): method GET is not post"},
		{params{"path": "/api/*"}, nil, ".xxx x. .", "GET /a (path): path /a is not /api/*"},
		{params{"host": "*.example.com"}, nil, "...x .. .", "GET /a (host): host lab is not *.example.com"},
		{params{"host": "shop.example.com:8080"}, nil, "...x .. .", "GET /a (host): host lab is not shop.example.com:8080"},
		{params{"header": params{"accept": "text/*"}}, nil, ".x.. .. .", "GET /a (header): header accept none is not text/*"},
		{params{"status": "5xx"}, nil, "..x. .. .", "GET /a (status): status 200 is not 5xx"},
		{params{"status": "200-299", "path": "/api/*"}, nil, ".x.x x. .", "POST /api/y (status): path matched, status 503 is not 200-299"},
		{params{"status": "5xx", "path": "/api/*"}, nil, "..x. .. .", "GET /api/x (status): path matched, status 200 is not 5xx"},
		{params{"client": "127.0.0.2"}, nil, ".... xx .", "GET /a (client): client 127.0.0.1:PORT is not 127.0.0.2"},
		{params{"client": "127.0.0.0/31"}, nil, "xxxx .. x", "GET /a (client): client 127.0.0.2:PORT is not 127.0.0.0/31"},
		{params{"client": "127.0.0.0/30", "reused": true, "method": "GET", "path": "/a"}, nil, ".... .x .", "GET /a (reused): client, method and path matched, reused false is not true"},
		{params{"path": "/api/*"}, params{"skip": 1, "every": 2}, "...x .. .", "GET /a (path): path /a is not /api/*"},
		{params{"path": "/api/*"}, params{"times": 2}, ".xx. .. .", "GET /a (path): path /a is not /api/*"},
		{params{"path": "/api/*"}, params{"probability": 0}, ".... .. .", "GET /a (path): path /a is not /api/*"},
		{params{}, params{"every": 3}, "..x. .x .", ""},
	}
	o := answering(t, func(head string) string {
		if strings.HasPrefix(head, "POST") {
			return "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
		}
		return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	})
	b := serve(t, "--route", "web=127.0.0.1:0,"+o.addr+",http")
	for i, row := range rows {
		rule := params{"name": fmt.Sprint("r", i), "fault": "field", "params": params{"name": fmt.Sprintf("Mark-%d-", i), "mode": "add", "value": "x"}, "match": row.match}
		if row.gate != nil {
			rule["gate"] = row.gate
		}
		b.arm("web", rule)
	}

	marks := make([]string, len(rows))
	var ports []string
	for n, session := range traffic {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(session.from)}, Timeout: patience}
		conn, err := dialer.Dial("tcp", b.routes["web"])
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ports = append(ports, conn.LocalAddr().String()[len(session.from):])
		r := &raw{t, conn.(*net.TCPConn)}
		_ = r.SetDeadline(time.Now().Add(patience))
		in := bufio.NewReader(r)
		for i := range marks {
			if n > 0 {
				marks[i] += " "
			}
		}
		for x, request := range session.requests {
			if n == 0 && x == 2 {
				time.Sleep(800 * time.Millisecond)
			}
			r.send(request)
			var head string
			for !strings.HasSuffix(head, "\r\n\r\n") {
				line, err := in.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				head += line
			}
			for i := range marks {
				if strings.Contains(head, fmt.Sprintf("Mark-%d-:", i)) {
					marks[i] += "x"
				} else {
					marks[i] += "."
				}
			}
		}
	}
	for i, row := range rows {
		s, _ := b.rule("web", fmt.Sprint("r", i))
		near := s.NearMiss
		for _, port := range ports {
			near = strings.ReplaceAll(near, port+" ", ":PORT ")
		}
		if marks[i] != row.marks || near != row.near || int(s.Hits) != strings.Count(row.marks, "x") {
			t.Errorf("%v %v: hit %q (%d), near miss %q\nexpected %q, %q", row.match, row.gate, marks[i], s.Hits, near, row.marks, row.near)
		}
	}
}
