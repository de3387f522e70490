package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The peers of the storm: two servers, and clients of several tempers.

// bodyOf is the body that belongs to a name: no other has it.
func bodyOf(name string, size int) []byte {
	line := []byte(fmt.Sprintf("%s %08x\n", name, crc32.ChecksumIEEE([]byte(name))))
	return bytes.Repeat(line, size/len(line)+1)[:size]
}

// chaosWeb answers GET /NAME/SIZE/FORM with NAME's body, framed as FORM says, and
// POST with the length and sum of what it got.
func chaosWeb(t *testing.T) string {
	return serving(t, func(c *net.TCPConn) {
		in := bufio.NewReaderSize(c, 1024)
		for {
			_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
			req, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			sum := crc32.NewIEEE()
			n, err := io.Copy(sum, req.Body)
			if err != nil {
				return
			}
			words := strings.Split(req.URL.Path, "/")
			if req.Method == "POST" || len(words) != 4 {
				answer := fmt.Sprintf("%d %08x", n, sum.Sum32())
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(answer), answer)
				continue
			}
			size, _ := strconv.Atoi(words[2])
			if size > 1<<20 || !sayFramed(c, words[3], bodyOf(words[1], size)) {
				return
			}
		}
	})
}

// sayFramed says a body; false: the connection ends with it.
func sayFramed(c net.Conn, form string, body []byte) bool {
	switch form {
	case "chunked":
		var b bytes.Buffer
		b.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for rest := body; len(rest) > 0; {
			n := min(len(rest), 1000)
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\n\r\n")
		_, err := c.Write(b.Bytes())
		return err == nil
	case "close":
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s", body)
		return false
	}
	_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return err == nil
}

// chaosRaw sends back what it gets, and FIN for FIN.
func chaosRaw(t *testing.T) string {
	return serving(t, func(c *net.TCPConn) {
		b := make([]byte, 4096)
		for {
			_ = c.SetDeadline(time.Now().Add(30 * time.Second))
			n, err := c.Read(b)
			if n > 0 {
				if _, err := c.Write(b[:n]); err != nil {
					return
				}
			}
			if err != nil {
				_ = c.CloseWrite()
				return
			}
		}
	})
}

// The tempers of a client. Only of those before slams it is asked what they saw.
const (
	gentle = iota
	slow   // sends in small pieces, and reads late
	halves // says FIN behind its last request
	slams  // resets at some moment
	leaves // closes without having read
	babble // sends garbage
	tempers
)

// patient is for how long a client waits for the next byte while the storm goes
// on. Operators stall sessions and faults do, for a moment; a box that hangs does
// for ever.
const patient = 20 * time.Second

// Read and Write give each byte its time.
func (v *visitor) Read(b []byte) (int, error) {
	if v.temper < slams {
		_ = v.SetReadDeadline(time.Now().Add(v.s.patience()))
	}
	return v.TCPConn.Read(b)
}

func (v *visitor) Write(b []byte) (int, error) {
	if v.temper < slams {
		_ = v.SetWriteDeadline(time.Now().Add(v.s.patience()))
	}
	return v.TCPConn.Write(b)
}

func (s *storm) patience() time.Duration {
	if s.over.Load() {
		return goHome
	}
	return patient
}

// client makes session after session.
func (s *storm) client(r *rand.Rand) {
	for !s.over.Load() {
		route := []string{"web", "auto", "raw"}[r.IntN(3)]
		c, err := net.DialTimeout("tcp", s.b.routes[route], patient)
		if err != nil { // a rule says so: nobody listens
			time.Sleep(5 * time.Millisecond)
			continue
		}
		s.clients.Add(1)
		_ = c.SetDeadline(time.Now().Add(patient))
		s.visitors.Store(c, true)
		temper := gentle
		if r.IntN(2) == 0 {
			temper = r.IntN(tempers)
		}
		v := &visitor{s, r, c.(*net.TCPConn), temper, c.LocalAddr().String()}
		switch {
		case temper == babble:
			_, _ = c.Write(garbage(r))
			_, _ = io.CopyN(io.Discard, c, int64(r.IntN(500)))
		case route == "raw":
			v.stream()
		default:
			v.exchanges()
		}
		if temper >= slams && r.IntN(2) == 0 {
			_ = v.SetLinger(0)
		}
		s.visitors.Delete(c)
		c.Close()
		time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
	}
}

// visitor is a client on its session.
type visitor struct {
	s *storm
	r *rand.Rand
	*net.TCPConn
	temper int
	addr   string
}

// say writes, in the client's manner.
func (v *visitor) say(b []byte) error {
	if v.temper == slow {
		for len(b) > 20 && v.r.IntN(30) > 0 {
			n := 1 + v.r.IntN(len(b)/8+1)
			if _, err := v.Write(b[:n]); err != nil {
				return err
			}
			b = b[n:]
			time.Sleep(time.Duration(v.r.IntN(1000)) * time.Microsecond)
		}
	}
	_, err := v.Write(b)
	return err
}

// rude leaves the session in the middle, if that is the client's temper.
func (v *visitor) rude() bool {
	if v.temper < slams || v.r.IntN(3) > 0 {
		return false
	}
	_, _ = io.CopyN(io.Discard, v, int64(v.r.IntN(3000)))
	return true
}

func (v *visitor) exchanges() {
	in := bufio.NewReaderSize(v, 2048)
	most := 1 + v.r.IntN(5)
	for i := range most {
		name := fmt.Sprintf("%s-%d", v.addr, i)
		size, form := v.r.IntN(10_000), []string{"length", "chunked", "close"}[min(v.r.IntN(9)/4, 2)]
		if v.r.IntN(10) == 0 {
			size *= 50
		}
		ask, want := fmt.Sprintf("GET /%s/%d/%s HTTP/1.1\r\nHost: lab\r\n\r\n", name, size, form), bodyOf(name, size)
		if v.r.IntN(4) == 0 {
			form = "length"
			ask = fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: lab\r\nContent-Length: %d\r\n\r\n%s", name, size, want)
			want = []byte(fmt.Sprintf("%d %08x", size, crc32.ChecksumIEEE(want)))
		}
		if err := v.say([]byte(ask)); err != nil {
			v.tell("request %d: %v", i+1, err)
			return
		}
		if v.temper == halves && i == most-1 {
			_ = v.CloseWrite()
		}
		if v.temper == slow {
			time.Sleep(time.Duration(v.r.IntN(30)) * time.Millisecond)
		}
		if v.rude() || !v.answered(in, i+1, want) || form == "close" {
			return
		}
	}
}

// answered reads an answer and compares it; false: nothing more is to be had.
func (v *visitor) answered(in *bufio.Reader, n int, want []byte) bool {
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		v.tell("exchange %d: no answer: %v", n, err)
		return false
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || !bytes.Equal(got, want) {
		v.tell("exchange %d: %d, %d bytes of %d (%v)", n, resp.StatusCode, len(got), len(want), err)
		return false
	}
	v.s.exact.Add(1)
	return true
}

// stream sends a stream, ends it, and compares what comes back.
func (v *visitor) stream() {
	want := bodyOf(v.addr, 1+v.r.IntN(30_000))
	if v.r.IntN(10) == 0 {
		want = bodyOf(v.addr, 300_000+v.r.IntN(700_000))
	}
	said := make(chan error, 1)
	go func() {
		err := v.say(want)
		if err == nil && v.temper < slams {
			err = v.CloseWrite()
		}
		said <- err
	}()
	if v.rude() {
		_ = v.SetDeadline(time.Now())
		<-said
		return
	}
	if v.temper >= slams {
		_ = v.SetReadDeadline(time.Now().Add(100 * time.Millisecond)) // there is no FIN to wait for
	}
	got, err := io.ReadAll(v)
	if err != nil {
		_ = v.SetDeadline(time.Now())
	}
	if sayErr := <-said; err == nil {
		err = sayErr
	}
	if err != nil || !bytes.Equal(got, want) {
		v.tell("a stream: %d bytes of %d (%v)", len(got), len(want), err)
		return
	}
	v.s.exact.Add(1)
}

// tell reports what was not as it must be, unless it was the client's own doing.
func (v *visitor) tell(format string, args ...any) {
	if v.temper < slams {
		v.s.strange(v.addr, format, args...)
	}
}
