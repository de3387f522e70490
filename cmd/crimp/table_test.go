package main

import (
	"strings"
	"testing"
	"time"

	"crimp/faults"
	"crimp/middlebox"
)

func TestTable(t *testing.T) {
	tab := table{gaps: []string{" "}}
	tab.add("a", "b", "c")
	tab.add("aaa", "é", "")
	tab.add("x\x1b[31m\n", "\xff")
	var b strings.Builder
	tab.print(&b)
	want := "a                 b     c\naaa               é\n" + `x\u001b[31m\u000a \xff` + "\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestExchangeRow(t *testing.T) {
	size := func(n int64) *int64 { return &n }
	for _, test := range []struct {
		x    middlebox.ExchangeItem
		want string
	}{
		{middlebox.ExchangeItem{ID: "web/7/1", Request: middlebox.Request{Method: "GET", Target: "/"}, Outcome: "cut",
			Response: middlebox.Response{Status: 200, Declared: size(1024), Sent: 512, End: "fin"},
			Rules:    []middlebox.Fired{{Rule: "truncate", At: "body:512"}}},
			"web/7/1 GET / 200  512 of 1024 bytes, FIN   truncate at body:512"},
		{middlebox.ExchangeItem{ID: "web/1/2", Request: middlebox.Request{Method: "GET", Target: "/x"}, Outcome: "ok",
			Response: middlebox.Response{Status: 200, Declared: size(3), Sent: 3, End: "whole"}},
			"web/1/2 GET /x 200  3 bytes"},
		{middlebox.ExchangeItem{ID: "web/1/3", Request: middlebox.Request{Method: "POST", Target: "/y"}, Outcome: "open"},
			"web/1/3 POST /y -  0 bytes, open"},
		{middlebox.ExchangeItem{ID: "web/1/4", Request: middlebox.Request{Method: "GET", Target: "/z"}, Outcome: "rst",
			Response: middlebox.Response{Status: 200, Sent: 10, End: "rst"}, Odd: []string{"pipelined"}},
			"web/1/4 GET /z 200  10 bytes, RST   pipelined"},
	} {
		tab := table{gaps: []string{" ", "  ", "   "}}
		tab.add(exchangeRow(test.x)...)
		var b strings.Builder
		tab.print(&b)
		if got := strings.TrimSuffix(b.String(), "\n"); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestRuleRow(t *testing.T) {
	until := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	r := middlebox.RuleState{Rule: faults.Rule{Name: "t", Armed: true}, Route: "web", Summary: "cut at body:50%, fin", Hits: 1,
		Misses: map[string]int64{"path": 3, "gate:skip": 1}, NearMiss: "GET /x (path)", Expires: &until, Lease: "ci", Why: "test"}
	want := "web/t armed cut at body:50%, fin fired once, missed by gate:skip 1 path 3; near miss: GET /x (path), until 03:04:05, leased to ci, armed because test"
	if got := strings.Join(ruleRow(r), " "); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRows(t *testing.T) {
	for text, holds := range map[string][]int{"3": {3}, "2-5": {2, 5}, "4-": {4, 1000}, "0": {0}} {
		r, err := parseRows(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range holds {
			if !r.holds(n) {
				t.Errorf("%s does not hold %d", text, n)
			}
		}
		if r.holds(1) || text != "4-" && r.holds(6) {
			t.Errorf("%s holds too much", text)
		}
	}
	for _, text := range []string{"", "x", "-3", "5-2", "1.5", "3n", "1-2-3"} {
		if _, err := parseRows(text); err == nil {
			t.Errorf("%q is a range of rows", text)
		}
	}
}

func TestNames(t *testing.T) {
	for route, want := range map[string]string{"web": "CRIMP_URL_WEB", "my-api_2": "CRIMP_URL_MY_API_2"} {
		if got := urlVariable(route); got != want {
			t.Errorf("%s: %s, want %s", route, got, want)
		}
	}
	for listen, want := range map[string]string{
		"127.0.0.1:80": "127.0.0.1:80", "0.0.0.0:80": "127.0.0.1:80", ":80": "127.0.0.1:80", "[::]:80": "[::1]:80", "[::1]:80": "[::1]:80",
	} {
		if got := reachable(listen); got != want {
			t.Errorf("%s: %s, want %s", listen, got, want)
		}
	}
	for api, want := range map[string]string{
		"127.0.0.1:1": "http://127.0.0.1:1", "http://h:1/": "http://h:1", "https://h": "https://h",
	} {
		if got, err := apiURL(api); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", api, got, err, want)
		}
	}
	for _, api := range []string{"", "ftp://h", "http://", "http://u:p@h", "http://h/?q=1"} {
		if _, err := apiURL(api); err == nil {
			t.Errorf("%q is an address", api)
		}
	}
}

// What is armed is what is said to be; what the fault has and this box cannot do follows with its reason.
func TestArmedSaysWhatIsLeftOut(t *testing.T) {
	done := middlebox.Changed{Rule: middlebox.RuleState{Route: "web", Summary: "latency delay 200ms", Without: "packet_loss, which needs X"}, Sessions: 1}
	done.Rule.Name = "slow-3g"
	const want = "armed web/slow-3g: latency delay 200ms; in force on 1 live session\nwithout packet_loss, which needs X"
	if got := armed(done); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if row := strings.Join(ruleRow(done.Rule), " "); !strings.Contains(row, "fired 0 times, without packet_loss, which needs X") {
		t.Errorf("as a row: %q", row)
	}
}
