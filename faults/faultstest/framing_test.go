package faultstest

import (
	"testing"
	"time"

	"crimp/faults"
	"crimp/faults/wire"
)

// framed is how a receiver finds messages in what it got.
type framed struct {
	messages int
	broken   string // why not all of it is messages, empty if it is
}

// frames reads got as a receiver does that follows RFC 9112.
func frames(d wire.Direction, got []byte) (f framed) {
	pair := wire.NewPair(func(s wire.Segment) {
		if s.End && (s.Head.Request || s.Head.Status >= 200) {
			f.messages++
		}
	})
	pair.Feed(d, got)
	if reason, opaque := pair.Opaque(d); opaque {
		f.broken = reason
	} else if pair.InMessage(d) {
		f.broken = "a message is cut off"
	}
	return f
}

var bodies = []string{
	"Content-Length: 12\r\n\r\nhello, world",
	"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nT: v\r\n\r\n",
	"A: b\r\nContent-Length: 0\r\n\r\n",
}

// TestDisarmKeepsFraming: a rule that leaves the framing of messages whole when
// it is armed throughout does so too when it is disarmed at any byte of one:
// what cannot stop half-way is finished. The exchange after it is clean.
func TestDisarmKeepsFraming(t *testing.T) {
	for nth, rule := range everyRule(t) {
		rule.Match = faults.Match{Direction: rule.Match.Direction}
		for _, body := range bodies {
			exchange := [2]string{
				wire.Upstream:   "POST /a HTTP/1.1\r\nHost: a\r\nServer: b\r\nExpect: 100-continue\r\n" + body,
				wire.Downstream: "HTTP/1.1 200 OK\r\nHost: a\r\nServer: b\r\nExpect: 100-continue\r\n" + body,
			}
			whole, ok := exchanged(t, rule, exchange, -1, 0)
			if !ok {
				continue // it ended the session
			}
			for d := range exchange {
				for at := nth % 11; at < len(exchange[d]); at += 11 { // over the rules, at every byte
					got, ok := exchanged(t, rule, exchange, at, wire.Direction(d))
					for way := range got {
						if ok && whole[way].broken == "" && got[way].broken != "" {
							t.Fatalf("%s %v, body %q, disarmed before byte %d of what goes %v: what goes %v is %s", rule.Fault, rule.Params, body, at, wire.Direction(d), wire.Direction(way), got[way].broken)
						}
					}
				}
			}
		}
	}
}

// exchanged has one exchange take place, the rule being disarmed before a byte of
// one direction (-1: after it), and says how each receiver reads what it got.
func exchanged(t *testing.T, rule faults.Rule, exchange [2]string, at int, dir wire.Direction) (got [2]framed, ok bool) {
	t.Helper()
	off := compile(t, nil)
	tr := NewTraffic(compile(t, off, rule), 1, Whole, 1, 0)
	for _, d := range []wire.Direction{wire.Upstream, wire.Downstream} {
		sent := []byte(exchange[d])
		for i := range sent {
			if i == at && d == dir {
				tr.Swap(off)
			}
			tr.in[d].bytes = append(tr.in[d].bytes, sent[i])
			tr.read()
		}
	}
	tr.Pass(time.Minute)
	tr.Swap(off)
	tr.collect()
	if tr.Ended {
		return got, false
	}
	if err := tr.Probe(); err != nil {
		t.Fatalf("%s %v, %q, disarmed before byte %d %v: %v", rule.Fault, rule.Params, exchange, at, dir, err)
	}
	for d := range got {
		got[d] = frames(wire.Direction(d), tr.Got[d])
	}
	return got, true
}
