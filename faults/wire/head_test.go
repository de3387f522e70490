package wire

import "testing"

// seen is the head of the first message of a stream as its HeadEnd has it.
func seen(t *testing.T, dir Direction, in string) *Head {
	t.Helper()
	var h *Head
	p := NewPair(func(s Segment) {
		if s.Part == HeadEnd && s.Last {
			h = s.Head
		}
	})
	p.Feed(dir, []byte(in))
	if h == nil || !h.Complete {
		t.Fatalf("%q: no complete head", in)
	}
	return h
}

func TestHeadOfARequest(t *testing.T) {
	in := "POST /a?b HTTP/1.0\r\nHost: c\r\nX-Empty:\r\nx-two:  d e \t\r\nX-Two: f\r\n\r\n"
	h := seen(t, Upstream, in)
	if !h.Request || string(h.Method()) != "POST" || string(h.Target()) != "/a?b" || h.Minor != 0 || h.Status != 0 {
		t.Errorf("request %v, method %q, target %q, minor %d, status %d", h.Request, h.Method(), h.Target(), h.Minor, h.Status)
	}
	if v := h.Raw[h.Word[2][0]:h.Word[2][1]]; string(v) != "HTTP/1.0" {
		t.Errorf("version %q", v)
	}
	if string(h.Raw) != in || string(h.StartLine()) != "POST /a?b HTTP/1.0" || h.StartEnd != h.StartStop+2 {
		t.Errorf("raw %q, start line %q", h.Raw, h.StartLine())
	}
	for _, c := range []struct {
		name string
		want int
	}{{"host", 0}, {"X-EMPTY", 1}, {"X-Two", 2}, {"X-Tw", -1}, {"X-Twos", -1}, {"", -1}} {
		if got := h.Find(c.name); got != c.want {
			t.Errorf("Find(%q) is %d, want %d", c.name, got, c.want)
		}
	}
}

func TestHeadOfAResponse(t *testing.T) {
	for _, c := range []struct {
		line, version, code, reason string
		status, minor               int
	}{
		{"HTTP/1.1 404 Not Found", "HTTP/1.1", "404", "Not Found", 404, 1},
		{"HTTP/1.0 200 ", "HTTP/1.0", "200", "", 200, 0},
		{"HTTP/1.1 200", "HTTP/1.1", "200", "", 200, 1},
	} {
		h := seen(t, Downstream, c.line+"\r\nContent-Length: 0\r\n\r\n")
		word := func(i int) string { return string(h.Raw[h.Word[i][0]:h.Word[i][1]]) }
		if h.Request || h.Status != c.status || h.Minor != c.minor || word(0) != c.version || word(1) != c.code || word(2) != c.reason {
			t.Errorf("%q: status %d, minor %d, words %q %q %q", c.line, h.Status, h.Minor, word(0), word(1), word(2))
		}
		if h.Method() != nil || h.Target() != nil || string(h.StartLine()) != c.line {
			t.Errorf("%q: method %q, target %q, start line %q", c.line, h.Method(), h.Target(), h.StartLine())
		}
	}
}

// Where names and values are, also in lines that are not quite fields.
func TestFieldLines(t *testing.T) {
	for _, c := range []struct{ line, name, value string }{
		{"A: b\r\n", "A", "b"},
		{"A:b\n", "A", "b"},
		{"A:\r\n", "A", ""},
		{"A: \t \r\n", "A", ""},
		{"A: \t b: c \t\r\n", "A", "b: c"},
		{"A : b\r\n", "A ", "b"},
		{"A: b\r\n  c \r\n", "A", "b\r\n  c"},
		{"A:\r\n b\r\n", "A", "b"},
		{"A:\r\n \r\n", "A", ""},
		{"A\r\n", "", "A"},
		{"A\r\n b: c\r\n", "", "A\r\n b: c"},
		{": b\r\n", "", "b"},
	} {
		h := seen(t, Upstream, get+"X: y\r\n"+c.line+"Z: z\r\n\r\n")
		if len(h.Fields) != 3 {
			t.Fatalf("%q: %d fields", c.line, len(h.Fields))
		}
		l := h.Fields[1]
		if string(h.Name(1)) != c.name || string(h.Value(1)) != c.value || string(h.Raw[l.Start:l.End]) != c.line {
			t.Errorf("%q: name %q, value %q, line %q", c.line, h.Name(1), h.Value(1), h.Raw[l.Start:l.End])
		}
		if !(l.Start <= l.Colon && l.Colon <= l.Value && l.Value <= l.Stop && l.Stop <= l.End) {
			t.Errorf("%q: out of order: %+v", c.line, l)
		}
	}
}

// A head can be asked at any time about what has been seen of it.
func TestHeadInTheMaking(t *testing.T) {
	p := NewPair(func(Segment) {})
	p.Feed(Upstream, []byte("GET /a HTTP/1.1\r"))
	h := p.Message(Upstream)
	if h == nil || h.Method() != nil || h.Target() != nil || len(h.StartLine()) != 0 || string(h.Raw) != "GET /a HTTP/1.1\r" {
		t.Fatalf("before the line end: %+v", h)
	}
	p.Feed(Upstream, []byte("\nHost: b\r\n"))
	if string(h.Method()) != "GET" || string(h.Target()) != "/a" || h.Find("host") != -1 || h.Complete {
		t.Errorf("before the next line: %+v", h)
	}
	p.Feed(Upstream, []byte("X"))
	if i := h.Find("host"); i != 0 || string(h.Value(i)) != "b" {
		t.Errorf("in the next line: %+v", h)
	}
}

func TestMethodOf(t *testing.T) {
	for name, want := range map[string]Method{"HEAD": MethodHead, "CONNECT": MethodConnect, "GET": MethodOther, "head": MethodOther, "": MethodOther} {
		if got := MethodOf([]byte(name)); got != want {
			t.Errorf("%q: %v, want %v", name, got, want)
		}
	}
}

// What Connection lists is known with the blank line, whatever frames the message.
func TestConnection(t *testing.T) {
	for _, c := range []struct {
		fields           string
		close, keepAlive bool
	}{
		{"", false, false},
		{"Connection: close\r\n", true, false},
		{"CONNECTION:\tKeep-Alive \r\n", false, true},
		{"Connection: te, Close\r\nConnection: keep-alive\r\n", true, true},
		{"Connection: te,\r\n close\r\n", true, false},
		{"Connection: closed\r\nX-Connection: close\r\n", false, false},
		{"Connection : close\r\n", false, false},
	} {
		for _, method := range []Method{MethodOther, MethodHead} {
			var h *Head
			p := NewPair(func(s Segment) { h = s.Head })
			p.Expect(method)
			p.Feed(Downstream, []byte(reply+c.fields+"Content-Length: 0\r\n\r\n"))
			if h.Close != c.close || h.KeepAlive != c.keepAlive {
				t.Errorf("%q: close %v, keep-alive %v", c.fields, h.Close, h.KeepAlive)
			}
		}
	}
}
