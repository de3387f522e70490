package control

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"

	"crimp/faults"
)

// DialOptions of a Client. The zero value is an anonymous client without a token.
type DialOptions struct {
	Token string // empty: none, which a box without one wants
	Name  string // said in hello: events name it as who changed something
}

// NoBoxError says that nothing answers at an address.
type NoBoxError struct {
	URL string
	Err error // why: what the system said
}

// Error says what to do about it, too.
func (e *NoBoxError) Error() string {
	why := e.Err.Error()
	var number syscall.Errno
	if errors.As(e.Err, &number) {
		why = number.Error()
	}
	return fmt.Sprintf("no crimp at %s (%s): start \"crimp serve\" or set CRIMP_API", e.URL, why)
}

// Unwrap is the system's reason.
func (e *NoBoxError) Unwrap() error { return e.Err }

// ErrClosed is what calls get on a client that is closed, or whose connection
// ended without a reason.
var ErrClosed = errors.New("the connection to crimp is closed")

// Client speaks crimp.v1 over a WebSocket. Its methods may be called from
// several goroutines. Errors of the box are *faults.Error. When the connection
// ends, every call under way and every later one fails, subscriptions close,
// and the leases it holds are over; it does not connect again.
type Client struct {
	// Info is what the box said in its hello.
	Info HelloResult

	ws     *websocket.Conn
	sendMu sync.Mutex // one writer at a time

	mu     sync.Mutex
	last   int64
	calls  map[int64]*pending
	subs   map[int64]receiver
	err    error         // why it ended
	closed chan struct{} // closed when it ended
	work   sync.WaitGroup
}

// pending is a call under way.
type pending struct {
	reply  chan response
	onTake func(json.RawMessage) // runs before any later message is read
}

// Dial connects to the box whose control address is base (http://host:port, or
// ws), and says hello. What it starts ends with Close.
func Dial(ctx context.Context, base string, o DialOptions) (*Client, error) {
	u, err := socketURL(base)
	if err != nil {
		return nil, err
	}
	dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second, Subprotocols: []string{Protocol}}
	header := http.Header{}
	if o.Token != "" {
		header.Set("Authorization", "Bearer "+o.Token)
	}
	ws, resp, err := dialer.DialContext(ctx, u, header)
	if err != nil {
		return nil, dialError(base, resp, err)
	}
	c := &Client{ws: ws, calls: map[int64]*pending{}, subs: map[int64]receiver{}, closed: make(chan struct{})}
	c.work.Go(c.read)
	if err := c.Call(ctx, "hello", HelloParams{Client: o.Name}, &c.Info); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// socketURL is the WebSocket of a control address.
func socketURL(base string) (string, error) {
	u, err := url.Parse(base)
	schemes := map[string]string{"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
	if err != nil || u.Host == "" || schemes[u.Scheme] == "" {
		return "", faults.Errorf(faults.Invalid, "api", "%q; expected a URL such as http://127.0.0.1:27467", base)
	}
	u.Scheme = schemes[u.Scheme]
	u.Path = strings.TrimSuffix(strings.TrimSuffix(u.Path, "/"), "/v1/ws") + "/v1/ws"
	u.RawQuery, u.Fragment = "", ""
	return u.String(), nil
}

// dialError makes a handshake that failed into a sentence.
func dialError(base string, resp *http.Response, err error) error {
	if resp == nil {
		return &NoBoxError{URL: base, Err: err}
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
	said := strings.TrimSpace(string(text))
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return faults.Errorf(faults.Forbidden, "token", "%s", said)
	case http.StatusForbidden:
		return faults.Errorf(faults.Forbidden, "", "%s", said)
	}
	return &NoBoxError{URL: base, Err: fmt.Errorf("it answers %s", resp.Status)}
}

// BearerProtocol is the second subprotocol with which a browser brings a token.
func BearerProtocol(token string) string {
	return bearerPrefix + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// Call calls a method and decodes its result, unless result is nil. It fails
// with a *faults.Error if the box says no; with ctx's error if that ends first:
// the call may have been carried out then.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	raw, err := c.call(ctx, method, params, nil)
	if err != nil || result == nil {
		return err
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("the result of %s cannot be read: %w", method, err)
	}
	return nil
}

func (c *Client) call(ctx context.Context, method string, params any, onTake func(json.RawMessage)) (json.RawMessage, error) {
	p := &pending{reply: make(chan response, 1), onTake: onTake}
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return nil, c.err
	}
	c.last++
	id := c.last
	c.calls[id] = p
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.calls, id)
		c.mu.Unlock()
	}()

	m := map[string]any{"jsonrpc": "2.0", "id": id, "method": method}
	if params != nil {
		m["params"] = params
	}
	data, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("the parameters of %s cannot be encoded: %w", method, err)
	}
	if err := c.send(data); err != nil {
		return nil, err
	}
	select {
	case r := <-p.reply:
		if r.Error != nil {
			return nil, r.Error.back()
		}
		return r.Result, nil
	case <-c.closed:
		return nil, c.why()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Client) send(data []byte) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.ws.SetWriteDeadline(time.Now().Add(usual.write))
	if err := c.ws.WriteMessage(websocket.TextMessage, data); err != nil {
		c.end(fmt.Errorf("the connection to crimp broke: %w", err))
		return c.why()
	}
	return nil
}

// read takes messages until the connection ends. The server pings, so silence
// means that it is gone.
func (c *Client) read() {
	alive := func() { c.ws.SetReadDeadline(time.Now().Add(usual.read)) }
	pong := c.ws.PingHandler()
	c.ws.SetPingHandler(func(text string) error { alive(); return pong(text) })
	for {
		alive()
		_, data, err := c.ws.ReadMessage()
		var said *websocket.CloseError
		switch {
		case errors.As(err, &said) && said.Text != "" && said.Code != websocket.CloseAbnormalClosure:
			c.end(fmt.Errorf("crimp closed the connection: %s", said.Text))
			return
		case err != nil:
			c.end(fmt.Errorf("%w: %w", ErrClosed, err))
			return
		}
		c.take(data)
	}
}

// take hands a message to whom it is for. What it does not know it ignores: a
// later server may say more.
func (c *Client) take(data []byte) {
	var m struct {
		response
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if json.Unmarshal(data, &m) != nil {
		return
	}
	if m.Method != "" {
		c.notice(m.Method, m.Params)
		return
	}
	id, err := strconv.ParseInt(string(m.ID), 10, 64)
	if err != nil {
		return
	}
	c.mu.Lock()
	p := c.calls[id]
	c.mu.Unlock()
	if p == nil {
		return
	}
	if p.onTake != nil && m.Error == nil {
		p.onTake(m.Result)
	}
	select {
	case p.reply <- m.response:
	default: // a second answer to the same call
	}
}

// end ends the client, once, for a reason.
func (c *Client) end(err error) {
	c.mu.Lock()
	first := c.err == nil
	var subs []receiver
	if first {
		c.err = err
		close(c.closed)
		for id, s := range c.subs {
			subs = append(subs, s)
			delete(c.subs, id)
		}
	}
	c.mu.Unlock()
	for _, s := range subs {
		s.stop()
	}
	if first {
		c.ws.Close()
	}
}

// why is the reason it ended for.
func (c *Client) why() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.closed }

// parting is how long Close waits for the box to say that it has heard.
const parting = time.Second

// Close ends the connection, and with it the leases that are tied to it: they are
// over when it returns, unless the box takes more than a second to say so. It
// returns when everything Dial and Subscribe started has ended.
func (c *Client) Close() error {
	goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
	if c.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(parting)) == nil {
		select {
		case <-c.closed:
		case <-time.After(parting):
		}
	}
	c.end(ErrClosed)
	c.work.Wait()
	return nil
}
