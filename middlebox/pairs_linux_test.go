package middlebox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"crimp/faults"
)

// TestPairsOverSockets: any two kinds of the catalogue armed together, both ways
// where they can be, on a session whose server says as much as it can and whose
// client does not read. What is held stays within its bound; once both are disarmed
// the client gets, where they only delay, every byte in order; and the route serves
// the next one as if nothing had been.
func TestPairsOverSockets(t *testing.T) {
	const bound, routes = 128 << 10, 6
	up := origin(t, flows)
	b, err := New(Config{Loops: 2, Limits: Limits{HeldBytesPerSession: 2 * bound}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Kill)
	var all []Route
	for n := range routes {
		all = append(all, Route{Name: fmt.Sprint("r", n), Listen: "127.0.0.1:0", Upstream: up, Protocol: "http"})
	}
	if err := b.Configure(all, "test"); err != nil {
		t.Fatal(err)
	}
	pairs := make(chan [2]faults.Rule)
	var work sync.WaitGroup
	for n := range routes {
		listen := listenOf(t, b, all[n].Name)
		work.Go(func() {
			for pair := range pairs {
				if err := together(b, all[n].Name, listen, pair, bound); err != nil {
					t.Errorf("%s %v with %s %v: %v", pair[0].Fault, pair[0].Params, pair[1].Fault, pair[1].Params, err)
				}
			}
		})
	}
	kinds := everyKind(t, mayFilter(t, b))
	for i, x := range kinds {
		for j, y := range kinds[i+1:] {
			if raceDetector && j%3 > 0 {
				continue // it is slow there, and package faultstest has them all
			}
			x.Name, y.Name = "x", "y"
			pairs <- [2]faults.Rule{x, y}
		}
	}
	close(pairs)
	work.Wait()
	until(t, "nothing is held", func() bool { return b.Stats().Held == 0 })
}

// everyKind has a rule of each kind, with its defaults or the parameters of its
// first example, for both directions if it can be.
func everyKind(t *testing.T, packets bool) (rules []faults.Rule) {
	t.Helper()
	for _, f := range faults.Catalogue() {
		if f.PresetOf != nil || f.Group == string(faults.Packet) && !packets {
			continue
		}
		for _, params := range append([]faults.FaultExample{{}}, f.Examples...) {
			r, bad := faults.DecodeRule(json.RawMessage(fmt.Sprintf(`{"fault":%q,"params":%s}`, f.Name, orObject(params.Params))), "")
			if bad != nil {
				continue
			}
			r.Armed = true
			if r.Match.Direction = "both"; r.Check("") != nil {
				r.Match.Direction = ""
			}
			rules = append(rules, r)
			break
		}
	}
	if len(rules) < 25 {
		t.Fatalf("%d kinds", len(rules))
	}
	return rules
}

// together arms two rules on a route, has a session suffer them, and says what went
// wrong. What a client's socket says meanwhile is the faults' business.
func together(b *Box, route, listen string, pair [2]faults.Rule, bound int64) error {
	for limit := time.Now().Add(15 * time.Second); statsOf(b, route).Sessions > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			return errors.New("the sessions before are still there")
		}
	}
	for _, r := range pair {
		if _, err := b.SetRule(route, r, Change{}); err != nil {
			return err
		}
	}
	c, err := net.DialTimeout("tcp", listen, 20*time.Millisecond) // it may be refused, or be lost
	if err == nil {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(15 * time.Second))
		_, _ = io.WriteString(c, "GET /flow HTTP/1.1\r\nHost: lab\r\n\r\n")
	}
	time.Sleep(15 * time.Millisecond)
	if r := statsOf(b, route); r.Held > 2*bound+2*(64<<10) { // a buffer each way may be too much
		return fmt.Errorf("%d bytes are held, with a bound of %d each way", r.Held, bound)
	}
	for _, r := range pair {
		if _, err := b.DeleteRule(route, r.Name, Change{}); err != nil {
			return err
		}
	}
	if c != nil && pair[0].Keeps() && pair[1].Keeps() {
		if err := inOrder(c); err != nil {
			return err
		}
	}
	next, err := net.DialTimeout("tcp", listen, 15*time.Second)
	if err != nil {
		return err
	}
	defer next.Close()
	_ = next.SetDeadline(time.Now().Add(15 * time.Second))
	_, _ = io.WriteString(next, request)
	got := make([]byte, len(response))
	if n, err := io.ReadFull(next, got); err != nil || string(got) != response {
		return fmt.Errorf("the next client got %q, %w", got[:n], err)
	}
	return nil
}

func statsOf(b *Box, route string) RouteStats {
	all := b.Stats().Routes
	return all[slices.IndexFunc(all, func(r RouteStats) bool { return r.Route == route })]
}

const flowHead = "HTTP/1.1 200 OK\r\nServer: lab\r\nContent-Length: 1000000000\r\n\r\n"

// flows answers a request for /flow with a body that goes on, each other as answer does.
func flows(c *net.TCPConn) {
	defer c.Close()
	first := make([]byte, 9)
	if _, err := io.ReadFull(c, first); err != nil {
		return
	}
	if string(first) != "GET /flow" {
		_, _ = io.WriteString(c, response)
		_, _ = io.Copy(io.Discard, c)
		return
	}
	if _, err := io.WriteString(c, flowHead); err != nil {
		return
	}
	for {
		if _, err := c.Write(flow); err != nil {
			return
		}
	}
}

// flow is what the flow's body repeats.
var flow = func() []byte {
	b := make([]byte, 1<<20)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}()

// inOrder reads more of the flow than can have been on its way.
func inOrder(c net.Conn) error {
	head := make([]byte, len(flowHead))
	if _, err := io.ReadFull(c, head); err != nil || string(head) != flowHead {
		return fmt.Errorf("%q, %w", head, err)
	}
	buf := make([]byte, 32<<10)
	for off := 0; off < len(flow); off += len(buf) {
		if _, err := io.ReadFull(c, buf); err != nil {
			return fmt.Errorf("after %d bytes of the body: %w", off, err)
		}
		if !bytes.Equal(buf, flow[off:off+len(buf)]) {
			return fmt.Errorf("other bytes after %d of the body", off)
		}
	}
	return nil
}
