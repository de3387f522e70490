package e2e

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// ws is a WebSocket client of a few lines (RFC 6455), so that the control
// protocol is seen by somebody other than the library that serves it.
type ws struct {
	*raw
	in   *bufio.Reader
	next int
	// aside keeps notifications that came while an answer was awaited.
	aside []note
}

type note struct {
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
}

// upgrade asks for a WebSocket with the fields given added, and returns the
// status of the answer; the connection only if it is 101.
func upgrade(t testing.TB, b *box, fields ...string) (int, *ws) {
	t.Helper()
	host := strings.TrimPrefix(b.api, "http://")
	r := dial(t, host)
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	request := "GET /v1/ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
		base64.StdEncoding.EncodeToString(key) + "\r\n"
	named := map[string]bool{}
	for _, f := range fields {
		name, _, _ := strings.Cut(f, ":")
		named[name] = true
		request += f + "\r\n"
	}
	if !named["Host"] {
		request += "Host: " + host + "\r\n"
	}
	if !named["Sec-WebSocket-Protocol"] {
		request += "Sec-WebSocket-Protocol: crimp.v1\r\n"
	}
	r.send(request + "\r\n")
	in := bufio.NewReader(r)
	resp, err := http.ReadResponse(in, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatalf("upgrade: %v", err)
	}
	if resp.StatusCode != 101 {
		return resp.StatusCode, nil
	}
	if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "crimp.v1" {
		t.Errorf("subprotocol %q, expected crimp.v1", got)
	}
	return 101, &ws{raw: r, in: in}
}

func (b *box) ws(t testing.TB) *ws {
	t.Helper()
	status, w := upgrade(t, b)
	if status != 101 {
		t.Fatalf("upgrade answered %d", status)
	}
	return w
}

// frame writes one masked frame.
func (w *ws) frame(opcode byte, payload []byte) error {
	head := []byte{0x80 | opcode, 0x80}
	switch n := len(payload); {
	case n < 126:
		head[1] |= byte(n)
	case n < 1<<16:
		head[1] |= 126
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] |= 127
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	out := append(head, mask...)
	for i, c := range payload {
		out = append(out, c^mask[i%4])
	}
	_, err := w.Write(out)
	return err
}

// closed is how the other side ended a WebSocket.
type closed struct{ code int }

func (c closed) Error() string { return fmt.Sprintf("closed with %d", c.code) }

// message reads the next text, answering pings.
func (w *ws) message() ([]byte, error) {
	var text []byte
	for {
		var head [2]byte
		if _, err := io.ReadFull(w.in, head[:]); err != nil {
			return nil, err
		}
		n := uint64(head[1] & 0x7f)
		switch n {
		case 126:
			var b [2]byte
			if _, err := io.ReadFull(w.in, b[:]); err != nil {
				return nil, err
			}
			n = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			if _, err := io.ReadFull(w.in, b[:]); err != nil {
				return nil, err
			}
			n = binary.BigEndian.Uint64(b[:])
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return nil, err
		}
		switch head[0] & 0x0f {
		case 8:
			code := 1005
			if n >= 2 {
				code = int(binary.BigEndian.Uint16(payload))
			}
			return nil, closed{code}
		case 9:
			if err := w.frame(10, payload); err != nil {
				return nil, err
			}
		case 0, 1:
			text = append(text, payload...)
			if head[0]&0x80 != 0 {
				return text, nil
			}
		}
	}
}

// call is one request and its answer; notifications in between are put aside.
func (w *ws) call(method string, p params, into any) error {
	w.next++
	if p == nil {
		p = params{}
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": w.next, "method": method, "params": p})
	if err != nil {
		return err
	}
	_ = w.SetDeadline(time.Now().Add(patience))
	if err := w.frame(1, body); err != nil {
		return err
	}
	for {
		text, err := w.message()
		if err != nil {
			return err
		}
		var n note
		if json.Unmarshal(text, &n) == nil && n.Method != "" {
			w.aside = append(w.aside, n)
			continue
		}
		return decodeAnswer(text, into)
	}
}

func (w *ws) must(method string, p params, into any) {
	w.t.Helper()
	if err := w.call(method, p, into); err != nil {
		w.t.Fatalf("%s %v: %v", method, p, err)
	}
}

// notified waits for the next notification that f wants.
func (w *ws) notified(what string, f func(n note) bool) note {
	w.t.Helper()
	_ = w.SetDeadline(time.Now().Add(patience))
	for {
		for len(w.aside) > 0 {
			n := w.aside[0]
			w.aside = w.aside[1:]
			if f(n) {
				return n
			}
		}
		text, err := w.message()
		if err != nil {
			w.t.Fatalf("waiting for %s: %v", what, err)
		}
		var n note
		if err := json.Unmarshal(text, &n); err != nil {
			w.t.Fatalf("waiting for %s: %s", what, text)
		}
		w.aside = append(w.aside, n)
	}
}

func asRPC(err error) (*rpcError, bool) {
	var e *rpcError
	return e, errors.As(err, &e)
}
