package faults

import (
	"bytes"
	"strings"

	"crimp/faults/wire"
)

// hop_by_hop is how an intermediary treats what is meant for one hop alone.
//
// `blind` passes all of it on, as crimp does anyway and as the relay of "HTTP: The
// Definitive Guide" section 4.5.5 does; `proxy_connection` is then what becomes of
// that field in requests: `translate` makes Connection of it, the trick by which
// one smart proxy works and two with a blind one between them hang (4.5.6).
// `echo` is the answer that only a broken origin gives (hpagent#1):
// HTTP/1.0 with `Proxy-Connection: keep-alive` in place of Connection, on which
// http.client, requests, Node, undici and Chromium persist. A chunked answer
// misses it: HTTP/1.0 has no chunks.
//
// `correct` is RFC 9110 section 7.6 and RFC 9112 section 9.3: Connection and the
// fields it names, Keep-Alive, Proxy-Connection, TE and Upgrade end here,
// Transfer-Encoding too and is said anew with chunks of its own, without
// extensions; own Connection and Via are said; the version is its own (of a
// request without Host it stays). What an HTTP/1.0 peer says of persistence is not
// trusted: such a client gets its answer without chunks, Connection: close, and
// FIN behind it. Content-Length and Host stay even if Connection names them: that
// would be an attack. Host says what an absolute target names (RFC 9112 section
// 3.2.2). A tunnel is left alone. On a route that is a proxy (turn.go) the server's
// connection may end by itself; elsewhere a session's two end together.
type hopByHop struct {
	Mode            string `json:"mode" help:"all fields pass, or those of the hop end here" enum:"blind,correct"`
	ProxyConnection string `json:"proxy_connection" help:"of blind: Proxy-Connection passes, becomes Connection, is taken away, or stands in the answer" enum:"forward,translate,strip,echo"`
}

var _ = Declare(Kind[hopByHop]{
	Name:     "hop_by_hop",
	Summary:  "hop-by-hop fields pass as they came, or end here as they should",
	Client:   "by `blind` the far end's Connection and Keep-Alive taken for the near one's; by `correct` only what is meant for it",
	Group:    Message,
	HTTP:     true,
	Defaults: hopByHop{Mode: "blind", ProxyConnection: "forward"},
	Words:    []string{"connection_header", "proxy_connection", "via", "rfc7230"},
	Grain:    func(hopByHop) Grain { return WholeHead },
	Scope: func(p hopByHop) Scope {
		if p.ProxyConnection == "echo" {
			return Scope{Fixed: true}
		}
		return Scope{Direction: "both"}
	},
	Check: func(p hopByHop) *Error {
		if p.Mode == "correct" && p.ProxyConnection != "forward" {
			return Errorf(Invalid, "proxy_connection", "mode correct always ends it here, got %q", p.ProxyConnection)
		}
		return nil
	},
	New: func(p hopByHop) Stage {
		if p.Mode == "correct" {
			return &correctHop{}
		}
		return &blindHop{how: p.ProxyConnection}
	},
	Presets: []Preset{
		{Name: "proxy-connection-echo", Summary: "an HTTP/1.0 answer with Proxy-Connection: keep-alive", Client: "a promise in a field that means nothing to it: Python, Node and Chromium keep the connection for it",
			Params: `{"mode":"blind","proxy_connection":"echo"}`,
			Examples: []Example{{Title: "HTTP/1.0, and a promise in the wrong field", Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n

s> HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.0 200 OK\r\nContent-Length: 2\r\nProxy-Connection: keep-alive\r\n\r\nhi`}}},
	},
	Examples: []Example{
		{Title: "the trick that fails with two", Params: `{"proxy_connection":"translate"}`, Play: `
c> GET http://a/ HTTP/1.0\r\nHost: a\r\nProxy-Connection: Keep-Alive\r\n\r\n
>s GET http://a/ HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n
s> HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n
>c HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n`},
		{Title: "the answer of a broken origin", Params: `{"proxy_connection":"echo"}`, Play: `
c> GET / HTTP/1.1\r\n\r\n
>s GET / HTTP/1.1\r\n\r\n
s> HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.0 200 OK\r\nContent-Length: 2\r\nProxy-Connection: keep-alive\r\n\r\nhi`},
		{Title: "correct: what is of the hop ends here", Params: `{"mode":"correct"}`, Play: `
c> GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nX: y\r\n\r\n
>s GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=9\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n`},
		{Title: "correct: no persistence with a client of HTTP/1.0, and no chunks", Params: `{"mode":"correct"}`, Play: `
c> GET / HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\n\r\n
>s GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nVia: 1.0 crimp\r\n\r\n
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n
>c HTTP/1.1 200 OK\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\nabc
>c FIN
>s CLOSE`},
		{Title: "correct: the server's close is said by ourselves, and kept", Params: `{"mode":"correct"}`, Play: `
c> GET / HTTP/1.1\r\nHost: a\r\n\r\n
>s GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n
s> HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi
>c HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\nVia: 1.1 crimp\r\n\r\nhi
>c FIN
>s CLOSE`},
		{Title: "correct: disarmed in mid-answer, its chunks go on to the last", Params: `{"mode":"correct"}`, Play: `
s> HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x\r\nab
>c HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\nVia: 1.1 crimp\r\n\r\n5\r\nab
disarm
s> cde\r\n0\r\n\r\n
>c cde\r\n0\r\n\r\n`},
	},
})

// blindHop touches Proxy-Connection alone.
type blindHop struct {
	how  string
	off  bool
	said bool
}

func (b *blindHop) Segment(s wire.Segment, w *Writer) {
	if s.Start && b.how == "echo" && s.Head.Framing == wire.ByChunks {
		b.off = true
		w.Miss(Miss{missFraming, "it is chunked, which HTTP/1.0 has not"})
	}
	request := w.Dir() == wire.Upstream
	switch {
	case b.off:
		w.Send(s)
	case b.how == "echo":
		b.echo(s, w)
	case b.how == "strip" && ownField(s, "Proxy-Connection") && w.Fire():
		w.Omit(s)
	case b.how == "translate" && request && ownField(s, "Proxy-Connection") && w.Fire():
		w.Replace(s, append([]byte("Connection"), s.Data[len("Proxy-Connection"):]...))
	default:
		w.Send(s)
	}
}

// echo makes an answer that of an old origin.
func (b *blindHop) echo(s wire.Segment, w *Writer) {
	switch {
	case s.Part == wire.StartLine && ownLine(s) && w.Fire():
		w.Replace(s, append([]byte("HTTP/1.0"), s.Data[len("HTTP/1.0"):]...))
	case (ownField(s, "Connection") || ownField(s, "Keep-Alive") || ownField(s, "Proxy-Connection")) && w.Fire():
		w.Omit(s)
	case headEnds(s) && !b.said && w.Fire():
		b.said = true
		w.Insert([]byte("Proxy-Connection: keep-alive\r\n"))
		w.Send(s)
	default:
		w.Send(s)
	}
}

// correctHop is an intermediary as it should be, for one message.
type correctHop struct {
	asked, on bool
	said      bool     // own fields
	to        *chunker // chunks anew
	bare      bool     // chunked no more, for a client of HTTP/1.0
	kept      bool     // chunks and their field stay as a rule before made them
	close     bool     // the client's connection ends behind the message, and the server's with it
	over      bool     // the server's does
	host      string   // what the target names, in a request with an absolute one
	hosted    bool     // it was said
}

func (c *correctHop) Segment(s wire.Segment, w *Writer) {
	if !c.asked && s.Message > 0 {
		c.asked = true
		c.begin(s, w)
	}
	switch {
	case !c.on || made(s), c.kept && ownField(s, "Transfer-Encoding"):
		w.Send(s)
	case s.Part == wire.StartLine && ownLine(s):
		c.version(s, w)
	case s.Part == wire.Field && ownLine(s) && ofHop(s):
		w.Omit(s)
	case c.host != "" && ownField(s, "Host"):
		c.hostField(s, w)
	case headEnds(s) && !c.said:
		c.said = true
		c.fields(s, w)
		c.body(s, w)
	default:
		c.body(s, w)
	}
}

func (c *correctHop) begin(s wire.Segment, w *Writer) {
	h := s.Head
	if headless(s) || !h.Complete || h.Framing == wire.Tunnel || h.Framing == wire.Undecided {
		w.Miss(Miss{missFraming, "it is no message whose framing can be said anew"})
		return
	}
	x := w.Exchange()
	old := receiver10(s, x)
	if h.Request {
		authority, _, _ := splitAbsolute(h.Target())
		c.host = string(authority)
	} else {
		c.over = h.Minor == 0 || h.Close
		c.close = old || x != nil && (x.Head.Close || lists(&x.Head, "Proxy-Connection", "close")) || c.over && !w.Parts()
	}
	if c.on = c.fire(w); !c.on {
		return
	}
	if h.Framing != wire.ByChunks {
		return
	}
	if c.kept = w.Reframed(remade, damaged, resaid) != (Miss{}); c.kept {
		return
	}
	w.Reframes(resaid)
	if c.bare = old && !h.Request; c.bare {
		w.Reframes(remade)
	} else {
		c.to = &chunker{size: 1 << 62, length: true}
	}
}

// version is the intermediary's own (RFC 9112 section 2.3).
func (c *correctHop) version(s wire.Segment, w *Writer) {
	h := s.Head
	i := 0
	if h.Request {
		i = 2
	}
	if h.Minor == 1 || h.Request && h.Find("Host") < 0 && c.host == "" {
		w.Send(s)
		return
	}
	line := bytes.Clone(s.Data)
	line[h.Word[i][1]-1] = '1'
	w.Replace(s, line)
}

// hostField says whom the target names, whatever the client's Host says (RFC 9112
// section 3.2.2).
func (c *correctHop) hostField(s wire.Segment, w *Writer) {
	switch {
	case c.hosted:
		w.Omit(s)
	case equalFold(s.Head.Value(s.Index-1), c.host):
		w.Send(s)
	default:
		w.Replace(s, changed(s, "", c.host))
	}
	c.hosted = true
}

// fields are what an intermediary says for itself.
func (c *correctHop) fields(s wire.Segment, w *Writer) {
	h := s.Head
	out := ""
	if c.to != nil { // other codings, such as gzip, are not ours to take away
		var codings []string
		for i := range h.Fields {
			if equalFold(h.Name(i), "Transfer-Encoding") {
				codings = append(codings, string(h.Value(i)))
			}
		}
		out = "Transfer-Encoding: " + strings.Join(codings, ", ") + "\r\n"
	}
	persist := "keep-alive"
	if c.close || !h.Request && h.Framing == wire.UntilClose || h.Request && (h.Minor == 0 || h.Close || lists(h, "Proxy-Connection", "close")) {
		persist = "close"
	}
	via := "1.1"
	if h.Minor == 0 {
		via = "1.0"
	}
	if !h.Request {
		w.Told(persist == "close")
	}
	if c.host != "" && !c.hosted {
		out += "Host: " + c.host + "\r\n"
	}
	w.Insert([]byte(out + "Connection: " + persist + "\r\nVia: " + via + " crimp\r\n"))
}

// body passes what follows the fields, and ends what is to end.
func (c *correctHop) body(s wire.Segment, w *Writer) {
	switch {
	case c.to != nil:
		c.to.segment(s, w.Send)
	case c.bare && (s.Part == wire.ChunkSize || s.Part == wire.ChunkEnd || s.Part == wire.Trailer || s.Part == wire.MessageEnd):
		w.Omit(s)
	default:
		w.Send(s)
	}
	switch {
	case !s.End || s.Head.Request || s.Head.Framing == wire.UntilClose:
	case c.close || c.over && !w.Parts():
		w.FireBehind()
		w.End(Fin, OtherClose)
	default:
		w.Part(c.over)
	}
}

// fire asks the gate. Where the connection is to end, that is told with it.
func (c *correctHop) fire(w *Writer) bool {
	if c.close {
		return w.FireAs()
	}
	return w.Fire()
}

// ofHop says that a field is meant for one hop alone.
func ofHop(s wire.Segment) bool {
	name := string(s.Head.Name(s.Index - 1))
	for _, hop := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Upgrade", "Transfer-Encoding"} {
		if strings.EqualFold(name, hop) {
			return true
		}
	}
	return lists(s.Head, "Connection", name) && !strings.EqualFold(name, "Content-Length") && !strings.EqualFold(name, "Host")
}

// Unfinished: a body whose chunks are ours, or that has none any more, stays so.
func (c *correctHop) Unfinished() bool { return c.to != nil || c.bare }
