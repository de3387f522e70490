package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"time"
)

// visitor is the demo's client: it asks for the same page over and over on one
// kept-alive connection and tells what it saw, as the user of a damaged
// connection would. It gives up on an answer after patience, so that no fault
// stops it for good.
type visitor struct {
	url      string
	interval time.Duration
	patience time.Duration
	tell     func(sight)
}

// sight is what one request came to.
type sight struct {
	status int
	bytes  int64
	reused bool          // not the connection's first request
	took   time.Duration // until the end of the body, or the error
	err    error
}

// String is the sight in words: "200, 512 bytes, then: unexpected EOF".
func (s sight) String() string {
	where := "a new connection"
	if s.reused {
		where = "the same connection"
	}
	took := s.took.String()
	if s.took == 0 {
		took = "under 1ms"
	}
	switch {
	case s.err != nil && s.status == 0:
		return fmt.Sprintf("GET /  no answer in %s on %s: %s", took, where, complaint(s.err))
	case s.err != nil:
		return fmt.Sprintf("GET /  %d, %d bytes in %s on %s, then: %s", s.status, s.bytes, took, where, complaint(s.err))
	}
	return fmt.Sprintf("GET /  %d, %d bytes in %s on %s", s.status, s.bytes, took, where)
}

func complaint(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return "gave up waiting"
	case errors.Is(err, syscall.ECONNRESET):
		return "connection reset by peer"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "unexpected EOF"
	}
	return reason(err)
}

// visit loops until ctx ends.
func (v visitor) visit(ctx context.Context) {
	transport := &http.Transport{
		Proxy: nil, MaxIdleConnsPerHost: 1, DisableCompression: true,
		DialContext: (&net.Dialer{Timeout: v.patience}).DialContext,
	}
	defer transport.CloseIdleConnections()
	tick := time.NewTicker(v.interval)
	defer tick.Stop()
	for {
		if s := v.look(ctx, transport); ctx.Err() == nil {
			v.tell(s)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look makes one request. The transport is used directly: a client on top would
// follow redirects and hide what was seen.
func (v visitor) look(ctx context.Context, transport *http.Transport) (s sight) {
	ctx, cancel := context.WithTimeout(ctx, v.patience)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { s.reused = info.Reused },
	})
	begun := time.Now()
	defer func() { s.took = time.Since(begun).Round(time.Millisecond) }()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url, nil)
	if err != nil {
		s.err = err
		return s
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		s.err = err
		return s
	}
	defer answer.Body.Close()
	s.status = answer.StatusCode
	s.bytes, s.err = io.Copy(io.Discard, answer.Body)
	return s
}
