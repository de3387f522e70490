package faults

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"crimp/faults/wire"
)

// facts of the sixth session's second exchange, as engines fill them in.
func someFacts() Facts {
	h := headOf("GET /api/users?page=2 HTTP/1.1\r\nHost: Shop.example.com:8080\r\nAccept: text/html\r\nAccept: text/plain\r\n\r\n")
	return Facts{Session: 6, Client: netip.MustParseAddrPort("10.1.2.3:40000"), Exchange: 2, Reused: true, Idle: 3 * time.Second,
		HasRequest: true, Request: h, Status: 503}
}

// headOf is the head the tokenizer makes of a request that begins with these bytes.
func headOf(s string) *wire.Head {
	var h *wire.Head
	p := wire.NewPair(func(s wire.Segment) {
		if s.Head != nil {
			h = s.Head
		}
	})
	p.Feed(wire.Upstream, []byte(s))
	return h
}

// Each row: a match as a command line gives it, and what it says of someFacts.
func TestMatchAnswers(t *testing.T) {
	for words, want := range map[string]string{
		"":                         "yes",
		"session=6":                "yes",
		"session=1-5":              "no session",
		"session=3n":               "yes",
		"client=10.1.2.3":          "yes",
		"client=10.0.0.0/8":        "yes",
		"client=10.1.2.3:40000":    "yes",
		"client=10.1.2.3:1":        "no client",
		"client=::1":               "no client",
		"client=::ffff:10.1.2.3":   "yes",
		"exchange=2-":              "yes",
		"exchange=1":               "no exchange",
		"reused=true":              "yes",
		"reused=false":             "no reused",
		"idle=2s-":                 "yes",
		"idle=-1s":                 "no idle",
		"method=GET":               "yes",
		"method=get":               "yes",
		"method=P*":                "no method",
		"path=/api/*":              "yes",
		"path=/api/users":          "yes",
		"path=/API/*":              "no path",
		"path=*page=2":             "no path", // the query is not part of it
		"host=shop.example.com":    "yes",
		"host=*.Example.com":       "yes",
		"host=*.example.com:8080":  "yes",
		"host=*:80":                "no host",
		"host=example.com":         "no host",
		"header=accept:text/plain": "yes",
		"header=Accept:text/*":     "yes",
		"header=Accept:TEXT/*":     "no header",
		"header=Cookie:*":          "no header",
		"status=5xx":               "yes",
		"status=503":               "yes",
		"status=200-299":           "no status",
		"status=200 path=/x method=POST session=9": "no session", // the first in the fixed order
		"status=200 path=/x method=POST":           "no method",
		"direction=both status=5xx":                "yes",
	} {
		m, err := ParseMatch(strings.Fields(words))
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		c, err := m.Compile("match")
		if err != nil {
			t.Errorf("%s: %v", words, err)
			continue
		}
		f := someFacts()
		answer, key := c.Ask(&f)
		if got := strings.TrimSpace(answer.String() + " " + key); got != want {
			t.Errorf("%s: %s, want %s", words, got, want)
		}
	}
}

// What is not known yet is not yet, unless another key says no already.
func TestMatchBeforeAllIsKnown(t *testing.T) {
	line := "POST /a HTTP/1.1\r\n" // a field is known when the next line begins: it might have been folded
	for _, row := range []struct{ head, words, want string }{
		{"", "method=POST", "not yet method"},
		{"", "exchange=1 method=POST", "not yet exchange"},
		{line, "method=POST", "yes"},
		{line, "path=/b", "no path"},
		{line, "host=a", "not yet host"},
		{line, "header=A:b", "not yet header"},
		{line, "status=200", "not yet status"},
		{line, "path=/b status=200 host=a", "no path"},
		{line + "Host: a\r\nX", "host=a", "yes"},
		{line + "Host: a\r\nX", "host=b", "no host"},
		{line + "A: b\r\nX", "header=A:b", "yes"},
		{line + "A: c\r\nX", "header=A:b", "not yet header"}, // a second A may come
		{line + "A: c\r\n\r\n", "header=A:b", "no header"},
		{line + "A: c\r\n\r\n", "host=*", "no host"},
		{"GET http://u@b:80/p HTTP/1.1\r\n", "host=b path=/p", "yes"}, // the absolute form wins over Host
		{"GET http://b?q HTTP/1.1\r\n", "host=b path=/", "yes"},
		{"CONNECT b:443 HTTP/1.1\r\n", "host=b:443", "yes"},
		{"CONNECT b:443 HTTP/1.1\r\n", "path=/*", "no path"},
		{"OPTIONS * HTTP/1.1\r\n", "path=*", "yes"},
		{line + "Host: [::1]:80\r\nX", "host=::1", "yes"},
		{line + "Host: [::1]:80\r\nX", "host=[::1]:80", "yes"},
		{line + "Host: [::1]\r\nX", "host=[::2]", "no host"},
	} {
		m, err := ParseMatch(strings.Fields(row.words))
		if err != nil {
			t.Errorf("%s: %v", row.words, err)
			continue
		}
		c, _ := m.Compile("")
		f := Facts{HasRequest: true}
		if row.head != "" {
			f.Exchange, f.Request = 1, headOf(row.head)
		}
		answer, key := c.Ask(&f)
		if got := strings.TrimSpace(answer.String() + " " + key); got != row.want {
			t.Errorf("%q asked for %s: %s, want %s", row.head, row.words, got, row.want)
		}
	}
}

// Without a request, now or later, keys that need one say no.
func TestMatchOutsideAnyExchange(t *testing.T) {
	for key, words := range map[string]string{
		"exchange": "exchange=1-", "reused": "reused=false", "idle": "idle=0s-", "method": "method=*", "host": "host=*", "path": "path=*", "header": "header=A:*", "status": "status=-999",
	} {
		m, err := ParseMatch([]string{words})
		if err != nil {
			t.Fatal(err)
		}
		c, _ := m.Compile("")
		if answer, no := c.Ask(&Facts{Session: 1}); answer != No || no != key || !c.HTTPKeys() || c.HTTPKey() != key {
			t.Errorf("%s: %v %q", words, answer, no)
		}
	}
	m, _ := Match{Session: "1", Client: "::1"}.Compile("")
	if m.HTTPKeys() || m.HTTPKey() != "" {
		t.Error("session and client are known without an exchange")
	}
}

func TestMatchNearMiss(t *testing.T) {
	for words, want := range map[string]string{
		"path=/apis/*":                             "(path): path /api/users is not /apis/*",
		"path=/apis/* method=GET":                  "(path): method matched, path /api/users is not /apis/*",
		"path=/apis/* method=POST":                 "", // two keys: not near
		"path=/api/*":                              "", // a match
		"status=404 header=Accept:text/*":          "(status): header matched, status 503 is not 404",
		"path=/api/* status=200-299":               "(status): path matched, status 503 is not 200-299",
		"method=GET path=/api/* client=10.0.0.0/8": "",
		"method=PUT path=/api/* client=10.0.0.0/8": "(method): client and path matched, method GET is not PUT",
		"session=7- exchange=2n reused=true":       "(session): exchange and reused matched, session 6 is not 7-",
		"exchange=3n":                              "(exchange): exchange 2 is not 3n",
		"reused=false":                             "(reused): reused true is not false",
		"idle=5s-":                                 "(idle): idle 3s is not 5s-",
		"client=10.2.0.0/16":                       "(client): client 10.1.2.3:40000 is not 10.2.0.0/16",
		"host=*.example.org":                       "(host): host Shop.example.com:8080 is not *.example.org",
		"header=Accept:text/plain header=x-y:z":    "(header): header x-y none is not z",
		"header=accept:image/* header=host:*":      "(header): header accept text/html is not image/*",
		"header=accept:* header=host:* path=/":     "(path): header matched, path /api/users is not /",
	} {
		m, err := ParseMatch(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		c, _ := m.Compile("")
		f := someFacts()
		if got := string(c.Explain(nil, &f)); got != want {
			t.Errorf("%s: near miss %q, want %q", words, got, want)
		}
		if f.Status = 0; c.NeedsStatus() && c.Near(&f) != "" {
			t.Errorf("%s: near before the status is known", words)
		}
	}
}

func TestMatchOfASession(t *testing.T) {
	m, err := Match{Session: "2-", Client: "10.0.0.0/8", Path: "/x"}.Compile("")
	if err != nil {
		t.Fatal(err)
	}
	f := Facts{Session: 2, Client: netip.MustParseAddrPort("10.0.0.1:5")}
	if a, _ := m.Session(&f); a != Yes {
		t.Error("the path is not the session's")
	}
	f.Session = 1
	if a, key := m.Session(&f); a != No || key != "session" {
		t.Error(a, key)
	}
}

func TestMatchPredicates(t *testing.T) {
	for words, want := range map[string]struct{ down, up, status, interim bool }{
		"":                   {down: true},
		"direction=upstream": {up: true},
		"direction=both":     {down: true, up: true},
		"status=5xx":         {down: true, status: true},
		"status=1xx":         {down: true, status: true, interim: true},
		"status=103":         {down: true, status: true, interim: true},
		"status=100-299":     {down: true, status: true, interim: true},
		"host=a":             {down: true},
		"header=A:b":         {down: true},
		"path=/":             {down: true},
	} {
		m, err := ParseMatch(strings.Fields(words))
		if err != nil {
			t.Fatal(words, err)
		}
		c, _ := m.Compile("")
		got := want
		got.down, got.up = c.Directions()
		got.status, got.interim = c.NeedsStatus(), c.WantsInterim()
		if got != want {
			t.Errorf("%s: %+v, want %+v", words, got, want)
		}
	}
}

// Wrong matches are refused with the field they are about.
func TestMatchesThatAreNone(t *testing.T) {
	for word, want := range map[string]string{
		"direction=down":     `match.direction: expected one of downstream, upstream, both, got "down"; did you mean "downstream"?`,
		"session=0":          "match.session: expected a number from 1",
		"session=x":          "match.session: expected a number or range",
		"exchange=0-3":       "match.exchange: expected a number from 1",
		"exchange=5-2":       "match.exchange: expected a range that goes up",
		"client=localhost":   "match.client: expected an address, address:port or CIDR",
		"client=10.0.0.1/40": "match.client: expected",
		"client=10.0.0.1:0":  "match.client: expected",
		"reused=maybe":       "match.reused: expected true or false",
		"idle=2s":            "match.idle: expected a range of durations such as 2s-",
		"method=GET,POST":    "match.method: expected a method",
		"host=http://a":      "match.host: expected a host",
		"path=api/*":         "match.path: expected a glob that starts with /",
		"header=A":           "match.header: expected header=NAME:GLOB",
		"header=a b:c":       "match.header.a b: expected the name of a field",
		"status=abc":         "match.status: expected a status such as 404",
		"pth=/":              `match.pth: unknown key; did you mean "path"?`,
		"path":               "match: expected KEY=VALUE",
		"path=":              "match.path: expected a value",
	} {
		if _, err := ParseMatch([]string{word}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", word, err, want)
		}
	}
	if _, err := ParseMatch([]string{"path=/a", "path=/b"}); err == nil || err.Field != "match.path" {
		t.Error(err)
	}
	if _, err := (Match{Header: map[string]string{"A": "x", "a": "y"}}).Compile("m"); err == nil || err.Field != "m.header.a" {
		t.Error(err)
	}
}

func TestMatchWordsRoundTrip(t *testing.T) {
	words := []string{"direction=both", "session=2-5", "client=::1", "exchange=3n", "reused=true", "idle=1s-", "method=GET", "host=a:*", "path=/a b", "header=A:b: c", "header=B:*", "status=5xx"}
	m, err := ParseMatch(words)
	if err != nil || !reflect.DeepEqual(m.Words(), words) {
		t.Errorf("%v %q", err, m)
	}
	if len(MatchKeys) != reflect.TypeFor[Match]().NumField() {
		t.Error("MatchKeys lacks a key")
	}
	for i, key := range MatchKeys {
		if f := reflect.TypeFor[Match]().Field(i); !strings.HasPrefix(f.Tag.Get("json"), key+",") {
			t.Errorf("MatchKeys: %s stands where the struct has %s", key, f.Name)
		}
	}
}

func TestMatchLaidUnder(t *testing.T) {
	yes, no := true, false
	under := Match{Reused: &yes, Path: "/a", Header: map[string]string{"Accept": "x", "Via": "y"}}
	over := Match{Reused: &no, Status: "5xx", Header: map[string]string{"accept": "z"}}
	got := under.With(over)
	want := Match{Reused: &no, Path: "/a", Status: "5xx", Header: map[string]string{"accept": "z", "via": "y"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if !reflect.DeepEqual(under.With(Match{}), under) || !reflect.DeepEqual(Match{}.With(under).Path, "/a") {
		t.Error("nothing laid over changes something")
	}
}

func TestMatchDecodes(t *testing.T) {
	var m Match
	raw := `{"session": 3, "exchange": "2-", "status": 404, "reused": "true", "header": {"A": "b"}}`
	if err := DecodeStrict([]byte(raw), &m, "match"); err != nil {
		t.Fatal(err)
	}
	if got := m.String(); got != "session=3 exchange=2- reused=true header=A:b status=404" {
		t.Error(got)
	}
	for raw, want := range map[string]string{
		`{"direction": "dwn"}`: "match.direction: expected one of",
		`{"pth": "/"}`:         `match.pth: unknown key "pth"; did you mean "path"?`,
		`{"header": {"A": 1}}`: "match.header.A: expected a string, got number 1",
		`{"reused": "yes"}`:    "match.reused: expected true or false",
		`{"path": 1}`:          "match.path: expected a string, got number 1",
	} {
		if err := DecodeStrict([]byte(raw), &m, "match"); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func TestAskingAllocatesNothing(t *testing.T) {
	m, err := ParseMatch(strings.Fields("session=1- client=10.0.0.0/8 exchange=2n reused=true idle=1s- method=GET host=*.example.com:8080 path=/api/* header=accept:text/plain status=5xx"))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := m.Compile("")
	m.Status = "2xx"
	near, _ := m.Compile("")
	text := make([]byte, 0, 200)
	f := someFacts()
	if n := testing.AllocsPerRun(100, func() {
		if a, key := c.Ask(&f); a != Yes {
			t.Fatal(a, key)
		}
		near.Explain(text[:0], &f)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRequestHeadIsAHead(t *testing.T) {
	got := RequestHead("PUT", "/a?b", "x:1")
	want := headOf("PUT /a?b HTTP/1.1\r\nHost: x:1\r\n\r\n")
	if string(got.Method()) != "PUT" || string(got.Target()) != "/a?b" || string(got.Value(got.Find("host"))) != "x:1" || string(got.StartLine()) != string(want.StartLine()) ||
		!reflect.DeepEqual(got.Fields, want.Fields) || got.Word != want.Word || !got.Complete {
		t.Errorf("%+v\n%+v", got, want)
	}
	if RequestHead("GET", "/", "").Find("Host") != -1 {
		t.Error("a host from nowhere")
	}
}
