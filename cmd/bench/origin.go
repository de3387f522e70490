package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
)

// origin is the server behind a relay. A connection that begins with G speaks
// HTTP: GET /N is answered with N bytes. Any other is an echo.
type origin struct {
	addr string
	l    net.Listener

	mu    sync.Mutex
	conns map[net.Conn]bool
}

func serveOrigin() (*origin, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{addr: l.Addr().String(), l: l, conns: map[net.Conn]bool{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			o.note(c, true)
			go func() {
				serveConn(c)
				c.Close()
				o.note(c, false)
			}()
		}
	}()
	return o, nil
}

func (o *origin) note(c net.Conn, live bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if live {
		o.conns[c] = true
	} else {
		delete(o.conns, c)
	}
}

func (o *origin) at() string { return o.addr }

func (o *origin) stop() {
	o.l.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		c.Close()
	}
}

// serveConn keeps a small buffer: thousands of idle connections are this
// process's, too.
func serveConn(c net.Conn) {
	r := bufio.NewReaderSize(c, 2<<10)
	first, err := r.Peek(1)
	if err != nil {
		return
	}
	if first[0] == 'G' {
		answer(c, r)
		return
	}
	buf := make([]byte, 2<<10)
	for {
		n, err := r.Read(buf)
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
	}
}

// filler is what bodies are made of.
var filler = bytes.Repeat([]byte("0123456789abcde\n"), 256<<10/16)

// answer serves requests until the connection ends.
func answer(c net.Conn, r *bufio.Reader) {
	var out []byte
	for {
		n, err := readRequest(r)
		if err != nil {
			return
		}
		out = append(out[:0], "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: "...)
		out = append(strconv.AppendInt(out, n, 10), "\r\n\r\n"...)
		first := min(n, int64(len(filler)))
		if first <= 4<<10 { // one write
			out = append(out, filler[:first]...)
			n -= first
		}
		if _, err := c.Write(out); err != nil {
			return
		}
		for n > 0 {
			k := min(n, int64(len(filler)))
			if _, err := c.Write(filler[:k]); err != nil {
				return
			}
			n -= k
		}
	}
}

// readRequest reads a head and says how much it asks for.
func readRequest(r *bufio.Reader) (int64, error) {
	n := int64(-1)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0 && n >= 0:
			return n, nil
		case n < 0:
			words := bytes.Fields(line)
			if len(words) != 3 || len(words[1]) < 2 {
				return 0, fmt.Errorf("request line %q", line)
			}
			if n, err = strconv.ParseInt(string(words[1][1:]), 10, 64); err != nil {
				return 0, err
			}
		}
	}
}

// asker makes requests on one connection and reads the answers away.
type asker struct {
	c   net.Conn
	buf []byte
	req []byte
	n   int64 // what req asks for
}

func newAsker(c net.Conn) *asker { return &asker{c: c, buf: make([]byte, 16<<10), n: -1} }

// ask sends the request for n bytes and reads the head of the answer; it gives
// the number of bytes that are still to come.
func (a *asker) ask(n int64) (int64, error) {
	if a.n != n {
		a.n = n
		a.req = fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n", n)
	}
	if _, err := a.c.Write(a.req); err != nil {
		return 0, err
	}
	for have := 0; have < len(a.buf); {
		k, err := a.c.Read(a.buf[have:])
		if err != nil {
			return 0, err
		}
		have += k
		if end := bytes.Index(a.buf[:have], []byte("\r\n\r\n")); end >= 0 {
			if !bytes.HasPrefix(a.buf, []byte("HTTP/1.1 200")) {
				return 0, fmt.Errorf("answered %q", a.buf[:have])
			}
			return n - int64(have-end-4), nil
		}
	}
	return 0, fmt.Errorf("a head of more than %d bytes", len(a.buf))
}

// get makes a request and reads the whole answer.
func (a *asker) get(n int64) error {
	left, err := a.ask(n)
	for err == nil && left > 0 {
		var k int
		k, err = a.c.Read(a.buf[:min(int64(len(a.buf)), left)])
		left -= int64(k)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}
