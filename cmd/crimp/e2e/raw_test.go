package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// raw is a TCP connection that a test reads and writes byte by byte. Everything
// that takes longer than patience fails the test, so nothing here hangs.
type raw struct {
	t testing.TB
	*net.TCPConn
}

const patience = 15 * time.Second

func dial(t testing.TB, addr string) *raw {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &raw{t, c.(*net.TCPConn)}
}

// visit connects, says something and reads to the end. A reset may come so soon
// that Go calls the connect itself failed: that is a reset all the same.
func visit(t testing.TB, addr, say string) (string, end) {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, patience)
	if errors.Is(err, syscall.ECONNRESET) {
		return "", rst
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = io.WriteString(c, say)
	return (&raw{t, c.(*net.TCPConn)}).rest()
}

func (r *raw) send(s string) *raw {
	r.t.Helper()
	if _, err := io.WriteString(r, s); err != nil {
		r.t.Fatalf("send: %v", err)
	}
	return r
}

// expect reads exactly as many bytes as want has and compares them.
func (r *raw) expect(want string) *raw {
	r.t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if string(got[:n]) != want {
		r.t.Fatalf("received %s\nexpected %s\n(%v)", clip(got[:n]), clip([]byte(want)), err)
	}
	return r
}

// end is how a stream ended for its receiver.
type end string

const (
	fin  end = "FIN"
	rst  end = "RST"
	open end = "still open"
)

func endOf(err error) end {
	switch {
	case errors.Is(err, io.EOF) || err == nil:
		return fin
	case errors.Is(err, syscall.ECONNRESET):
		return rst
	case errors.Is(err, os.ErrDeadlineExceeded):
		return open
	}
	return end(err.Error())
}

// rest reads until the end, and says which.
func (r *raw) rest() (string, end) {
	var b bytes.Buffer
	_, err := io.Copy(&b, readerOnly{r.TCPConn})
	return b.String(), endOf(err)
}

// restIs checks what comes until the end, and the end.
func (r *raw) restIs(want string, how end) {
	r.t.Helper()
	got, ending := r.rest()
	if got != want || ending != how {
		r.t.Fatalf("received %s, then %s\nexpected %s, then %s", clip([]byte(got)), ending, clip([]byte(want)), how)
	}
}

// silent checks that nothing comes for a moment.
func (r *raw) silent(d time.Duration) {
	r.t.Helper()
	_ = r.SetReadDeadline(time.Now().Add(d))
	b := make([]byte, 1024)
	n, err := r.Read(b)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Fatalf("received %s (%v), expected silence", clip(b[:n]), err)
	}
	_ = r.SetReadDeadline(time.Now().Add(patience))
}

// reset ends the connection with RST.
func (r *raw) reset() {
	_ = r.SetLinger(0)
	r.Close()
}

// readerOnly hides what io.Copy would use to go past Read.
type readerOnly struct{ io.Reader }

func clip(b []byte) string {
	if len(b) > 400 {
		return fmt.Sprintf("%d bytes: %q ... %q", len(b), b[:200], b[len(b)-100:])
	}
	return fmt.Sprintf("%d bytes: %q", len(b), b)
}

// origin is a raw server. handle runs once a connection; what the connections
// were sent is recorded, byte for byte.
type origin struct {
	addr string
	mu   sync.Mutex
	seen []*bytes.Buffer // one a connection
}

func newOrigin(t testing.TB, handle func(c *peer)) *origin {
	t.Helper()
	o := &origin{}
	o.addr = meeting(t, func(c *net.TCPConn) func() {
		rec := &bytes.Buffer{}
		o.mu.Lock()
		o.seen = append(o.seen, rec)
		o.mu.Unlock()
		return func() { handle(&peer{TCPConn: c, in: bufio.NewReader(io.TeeReader(c, lockedWriter{&o.mu, rec}))}) }
	})
	return o
}

// serving is a server that hands each connection to serve, and closes it after;
// unlike an origin it keeps nothing of what it gets.
func serving(t testing.TB, serve func(*net.TCPConn)) string {
	t.Helper()
	return meeting(t, func(c *net.TCPConn) func() { return func() { serve(c) } })
}

// meeting calls meet with each connection in the order in which they are accepted,
// then what it gave, beside all others, and closes the connection after. It says where.
func meeting(t testing.TB, meet func(*net.TCPConn) (serve func())) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var live sync.Map
	var over atomic.Bool
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve := meet(c.(*net.TCPConn))
			live.Store(c, true)
			if over.Load() { // it was accepted as the others were being closed
				c.Close()
			}
			group.Go(func() {
				defer live.Delete(c)
				defer c.Close()
				serve()
			})
		}
	})
	t.Cleanup(func() {
		over.Store(true)
		l.Close()
		live.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		group.Wait()
	})
	return l.Addr().String()
}

// received is all bytes of all connections so far, in the order these were accepted.
func (o *origin) received() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all strings.Builder
	for _, b := range o.seen {
		all.Write(b.Bytes())
	}
	return all.String()
}

type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// peer is a connection as an origin's handler sees it.
type peer struct {
	*net.TCPConn
	in *bufio.Reader
}

func (p *peer) say(s string) { _, _ = io.WriteString(p.TCPConn, s) }

// request reads one request, body included, and returns its head; "" at the end.
func (p *peer) request() string {
	var head strings.Builder
	length, chunked := 0, false
	for {
		line, err := p.in.ReadString('\n')
		head.WriteString(line)
		if err != nil {
			return ""
		}
		trimmed := strings.TrimRight(line, "\r\n")
		if trimmed == "" {
			break
		}
		if name, value, ok := strings.Cut(trimmed, ":"); ok {
			value = strings.TrimSpace(value)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "content-length":
				length, _ = strconv.Atoi(value)
			case "transfer-encoding":
				chunked = value == "chunked"
			case "expect":
				p.say("HTTP/1.1 100 Continue\r\n\r\n")
			}
		}
	}
	if chunked {
		p.chunks()
	} else {
		_, _ = io.CopyN(io.Discard, p.in, int64(length))
	}
	return head.String()
}

func (p *peer) chunks() {
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return
		}
		size, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, err := strconv.ParseInt(size, 16, 64)
		if err != nil {
			return
		}
		if n == 0 {
			break
		}
		_, _ = io.CopyN(io.Discard, p.in, n+2)
	}
	for { // trailers
		line, err := p.in.ReadString('\n')
		if err != nil || strings.TrimSpace(line) == "" {
			return
		}
	}
}

// answering is an origin that answers every request with what reply says of its
// head, keeping the connection until the client ends it.
func answering(t testing.TB, reply func(head string) string) *origin {
	return newOrigin(t, func(p *peer) {
		for head := p.request(); head != ""; head = p.request() {
			p.say(reply(head))
		}
	})
}

// always answers every request alike.
func always(t testing.TB, response string) *origin {
	return answering(t, func(string) string { return response })
}

// ask is a plain request for path.
func ask(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: lab\r\n\r\n" }

// pattern is n bytes in which each place is known by its content, so that a lost,
// doubled or swapped run is seen.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(strconv.FormatInt(1<<28|int64(i), 16)[1:] + "\n")
	}
	return b.String()[:n]
}

func readFull(r *raw, b []byte) (int, error) { return io.ReadFull(r.TCPConn, b) }
