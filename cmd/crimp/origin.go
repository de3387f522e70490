package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// The demo's own origin: a small HTTP server on loopback whose every answer has
// a known length, so that what a fault takes away can be counted.

// originBody is what GET / answers: exactly 1024 bytes in numbered lines.
var originBody = func() string {
	var b strings.Builder
	for line := 1; b.Len() < 1024; line++ {
		fmt.Fprintf(&b, "%02d the quick brown fox jumps over the lazy dog, and back again.\n", line)
	}
	return b.String()[:1023] + "\n"
}()

const (
	originBig   = 1 << 20         // bytes of /big
	originQuiet = 5 * time.Second // an idle connection is closed then; ends a dumb proxy's hang
)

// startOrigin listens on a free loopback port and serves until stop is called.
func startOrigin(log zerolog.Logger) (address string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{
		Handler: originHandler(), IdleTimeout: originQuiet, ReadHeaderTimeout: originQuiet,
		ErrorLog: stdLog(log), // peers that are cut off are the point here, not errors
	}
	go func() { _ = server.Serve(l) }()
	return l.Addr().String(), func() { server.Close() }, nil
}

func originHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(len(originBody)))
		_, _ = io.WriteString(w, originBody)
	})
	mux.HandleFunc("GET /big", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Content-Length", strconv.Itoa(originBig))
		for range originBig / len(originBody) {
			if _, err := io.WriteString(w, originBody); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("GET /chunked", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Trailer", "X-Lines")
		for n := range 4 {
			_, _ = io.WriteString(w, originBody[n*256:(n+1)*256])
			_ = http.NewResponseController(w).Flush() // one chunk each
		}
		w.Header().Set("X-Lines", strconv.Itoa(strings.Count(originBody, "\n")))
	})
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(time.Second):
			w.Header().Set("Content-Length", "5")
			_, _ = io.WriteString(w, "done\n")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, originBig))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	return mux
}
