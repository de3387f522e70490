package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	stdlog "log"
	"mime"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"github.com/rs/zerolog"

	"crimp/faults"
	"crimp/middlebox"
)

// maxConns bounds the WebSockets at once.
const maxConns = 1000

// Options of a Server. Box is needed; everything else has a zero value that
// works.
type Options struct {
	Box     Box
	Token   string       // the first one, see SetToken; empty: none is asked for, and the address must be loopback
	Origins []string     // pages that may speak to it besides its own: http://lab:8000
	Hosts   []string     // names it may be called by besides loopback ones: lab, lab:27467
	Version string       // told by hello
	Page    http.Handler // GET /; nil: a line of text
	Metrics http.Handler // GET /metrics; nil: 404
	Ready   func() error // asked by /readyz; nil: ready as soon as it serves
	Log     zerolog.Logger
}

// Server lets control clients at a Box. Make it with NewServer.
type Server struct {
	o     Options
	box   Box
	log   zerolog.Logger
	http  *http.Server
	watch func(since int64) cursor
	ttls  ttls
	timing

	token    atomic.Pointer[string] // Options.Token, or what SetToken has said since
	lastConn atomic.Int64
	conning  sync.WaitGroup
	ctx      context.Context // ends with Shutdown: waits over POST end with it
	cancel   context.CancelFunc

	mu      sync.Mutex
	addr    net.Addr
	conns   map[*conn]struct{}
	closing bool
}

// NewServer makes a server of o. It does nothing until Serve.
func NewServer(o Options) *Server {
	s := &Server{o: o, box: o.Box, log: o.Log, timing: usual, conns: map[*conn]struct{}{}}
	s.watch = func(since int64) cursor { return s.box.Watch(since) }
	s.token.Store(&o.Token)
	s.ttls.srv = s
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.http = &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          stdlog.New(debugLog{o.Log}, "", 0),
	}
	return s
}

// debugLog takes what net/http has to say about strangers' requests.
type debugLog struct{ log zerolog.Logger }

func (d debugLog) Write(b []byte) (int, error) {
	d.log.Debug().Msg(string(b))
	return len(b), nil
}

// Serve accepts control clients from l until Shutdown, and then returns nil.
// It refuses a listener that other machines can reach without a token.
func (s *Server) Serve(l net.Listener) error {
	if err := CheckAddr(l.Addr().String(), *s.token.Load()); err != nil {
		l.Close()
		return err
	}
	s.mu.Lock()
	s.addr = l.Addr()
	s.mu.Unlock()
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown stops accepting, closes every WebSocket with 1001 after what is
// queued for it, ends waits and leases, and returns when all of it is over; or,
// with an error, when ctx is, having cut what was left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for c := range s.conns {
		c.stream.close(websocket.CloseGoingAway, "crimp is shutting down", true)
	}
	s.mu.Unlock()
	s.cancel()
	err := s.http.Shutdown(ctx)
	gone := make(chan struct{})
	go func() {
		s.conning.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-ctx.Done():
		s.mu.Lock()
		for c := range s.conns {
			c.stream.ws.NetConn().Close()
		}
		s.mu.Unlock()
		s.http.Close()
		<-gone
		err = ctx.Err()
	}
	s.ttls.close()
	return err
}

// enter registers a WebSocket, unless there are too many or it is too late:
// then it says what an HTTP client is told.
func (s *Server) enter(c *conn) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return "crimp is shutting down"
	case len(s.conns) >= maxConns:
		return "too many control clients"
	}
	if c != nil {
		s.conns[c] = struct{}{}
		s.conning.Add(1)
	}
	return ""
}

func (s *Server) leave(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.conning.Done()
}

// listenHost is the host of the address that is served.
func (s *Server) listenHost() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addr == nil {
		return ""
	}
	return hostOnly(s.addr.String())
}

// handler is what the server answers, for tests and for Serve. The page and the
// two probes need no token: the page is the same for everybody, and asks for it;
// probes (a container's health check, say) have none to give.
func (s *Server) handler() http.Handler {
	page, metrics := s.o.Page, s.o.Metrics
	if page == nil {
		page = http.HandlerFunc(noPage)
	}
	if metrics == nil {
		metrics = http.NotFoundHandler()
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.open(page))
	mux.Handle("/healthz", s.open(get(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })))
	mux.Handle("/readyz", s.open(get(s.serveReady)))
	mux.Handle("/metrics", s.guarded(metrics))
	mux.Handle("/v1/state", s.guarded(get(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.box.State()) })))
	mux.Handle("/v1/schema.json", s.guarded(get(serveSchema)))
	mux.Handle("/v1/rpc", s.guarded(http.HandlerFunc(s.serveRPC)))
	mux.Handle("/v1/ws", s.guarded(http.HandlerFunc(s.serveWS)))
	mux.Handle("/v1/", s.guarded(http.HandlerFunc(noSuchPath)))
	return mux
}

// open lets a request in without a token, guarded only with it.
func (s *Server) open(h http.Handler) http.Handler    { return s.door(h, false) }
func (s *Server) guarded(h http.Handler) http.Handler { return s.door(h, true) }

func (s *Server) door(h http.Handler, token bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if no := s.admit(r, token); no != nil {
			if no.status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Bearer realm="crimp"`)
			}
			s.log.Warn().Str("remote", r.RemoteAddr).Str("path", r.URL.Path).Int("status", no.status).Msg(no.text)
			http.Error(w, no.text, no.status)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// get answers GET and HEAD alone.
func get(h http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed: "+r.URL.Path+" answers GET", http.StatusMethodNotAllowed)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		h(w, r)
	})
}

func noPage(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		noSuchPath(w, r)
		return
	}
	io.WriteString(w, "crimp: the control protocol "+Protocol+" is at /v1/ws and /v1/rpc, its schema at /v1/schema.json\n")
}

func noSuchPath(w http.ResponseWriter, r *http.Request) {
	paths := []string{"/v1/ws", "/v1/rpc", "/v1/state", "/v1/schema.json", "/healthz", "/readyz", "/metrics"}
	http.Error(w, "not found: "+quote(r.URL.Path)+faults.Hint(r.URL.Path, paths), http.StatusNotFound)
}

func (s *Server) serveReady(w http.ResponseWriter, _ *http.Request) {
	if s.o.Ready != nil {
		if err := s.o.Ready(); err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	io.WriteString(w, "ready\n")
}

func writeJSON(w http.ResponseWriter, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, b)
}

func writeBody(w http.ResponseWriter, b []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(b, '\n'))
}

// serveRPC carries out one call. Whatever it comes to is HTTP 200: other
// statuses mean that no call was read.
func (s *Server) serveRPC(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "method not allowed: /v1/rpc answers POST", http.StatusMethodNotAllowed)
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		http.Error(w, "unsupported media type "+quote(r.Header.Get("Content-Type"))+": expected Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	body, err := readBody(w, r)
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		http.Error(w, "request body over 1 MiB", http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the request body could not be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	q, failed := decodeRequest(body)
	if failed != nil {
		writeBody(w, encodeReply(q.id, nil, failed))
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	answer := s.dispatch(&call{ctx: ctx, srv: s, who: "POST from " + r.RemoteAddr}, q)
	if q.id == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	writeBody(w, answer)
}

// readBody reads a bounded body in bounded time. The deadline is lifted again:
// left standing, it would end a long wait.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Now().Add(30 * time.Second))
	defer control.SetReadDeadline(time.Time{})
	return io.ReadAll(http.MaxBytesReader(w, r.Body, maxMessage))
}

var upgrader = websocket.Upgrader{
	HandshakeTimeout: 10 * time.Second,
	ReadBufferSize:   4096,
	WriteBufferSize:  4096,
	WriteBufferPool:  &sync.Pool{},
	Subprotocols:     []string{Protocol},
	CheckOrigin:      func(*http.Request) bool { return true }, // admit has
	Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
		http.Error(w, reason.Error(), status)
	},
}

// serveWS makes a WebSocket of the request and stays with it to its end.
func (s *Server) serveWS(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "upgrade required: /v1/ws is a WebSocket; for single calls POST /v1/rpc", http.StatusUpgradeRequired)
		return
	}
	offered := slices.DeleteFunc(websocket.Subprotocols(r), func(p string) bool { return len(p) > len(bearerPrefix) && p[:len(bearerPrefix)] == bearerPrefix })
	if len(offered) > 0 && !slices.Contains(offered, Protocol) {
		http.Error(w, "bad request: the subprotocol here is "+Protocol+", offered is "+quote(offered[0]), http.StatusBadRequest)
		return
	}
	if full := s.enter(nil); full != "" {
		http.Error(w, "service unavailable: "+full, http.StatusServiceUnavailable)
		return
	}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has answered
	}
	s.serve(ws)
}

var (
	_ Box    = (*middlebox.Box)(nil)
	_ cursor = (*middlebox.Watch)(nil)
	_ error  = (*faults.Error)(nil)
)
