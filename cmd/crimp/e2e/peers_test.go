package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Real servers. Each serves the same: /small (1,024 bytes), /large (300,000 bytes),
// /empty, /chunked and takes a body at /echo, answering with its length or itself.

// servers starts them all and returns their addresses by name.
func servers(t testing.TB) map[string]string {
	t.Helper()
	return map[string]string{"nginx": nginx(t), "go": goServer(t), "python": script(t, "python3", pythonServer), "node": script(t, "node", nodeServer)}
}

var small, large = pattern(1024), pattern(300_000)

// nginx starts the real one on free loopback ports with its own folder and
// configuration, and returns the address it serves on. Files can be added to
// the folder "www" of extra[0].
func nginx(t testing.TB, extra ...string) string {
	t.Helper()
	dir := t.TempDir()
	www := filepath.Join(dir, "www")
	if len(extra) > 0 {
		www = extra[0]
	}
	for name, text := range map[string]string{"small": small, "large": large, "empty": ""} {
		if err := os.MkdirAll(www, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(www, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	addr, echo := freeAddr(t), freeAddr(t)
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`
daemon off; master_process off; %s worker_processes 1; pid %[2]s/pid; error_log stderr warn;
events { worker_connections 512; }
http {
	access_log off; sendfile on; tcp_nodelay on; keepalive_timeout 60; keepalive_requests 100000;
	client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
	server {
		listen %[3]s; root %[4]s; default_type text/plain;
		location /chunked { ssi on; ssi_types *; chunked_transfer_encoding on; alias %[4]s/small; }
		location /echo { client_max_body_size 64m; proxy_pass http://%[5]s; }
	}
	server { listen %[5]s; location / { return 200 "taken\n"; } }
}`, user, dir, addr, www, echo)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	path := "/usr/sbin/nginx"
	if found, err := exec.LookPath("nginx"); err == nil {
		path = found
	}
	daemon(t, exec.Command(path, "-e", "stderr", "-p", dir, "-c", file))
	listening(t, addr)
	listening(t, echo)
	return addr
}

// daemon runs a server until the test ends.
func daemon(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	var log lockedBuffer
	cmd.Env, cmd.Stderr = environment(), &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() && log.String() != "" {
			t.Logf("%s said:\n%s", cmd.Path, tail(log.String(), 2000))
		}
	})
}

func listening(t testing.TB, addr string) {
	t.Helper()
	eventually(t, "a listener on "+addr, func() error {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return err
	})
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func goServer(t testing.TB) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/small", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, small) })
	mux.HandleFunc("/large", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		io.WriteString(w, large)
	})
	mux.HandleFunc("/empty", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/chunked", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Check")
		for i := range 4 {
			io.WriteString(w, small[i*256:(i+1)*256])
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Check", "whole")
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%d %v", len(body), r.Trailer)
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

// script starts a server program that prints its port first.
func script(t testing.TB, program, text string) string {
	t.Helper()
	flag := map[string]string{"python3": "-c", "node": "-e"}[program]
	cmd := exec.Command(program, flag, text)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	daemon(t, cmd)
	var port int
	if _, err := fmt.Fscan(out, &port); err != nil {
		t.Fatalf("%s did not say its port: %v", program, err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

const pythonServer = `
import http.server, sys
def pattern(n): return "".join("%07x\n" % i for i in range(n // 8 + 1))[:n].encode()
SMALL, LARGE = pattern(1024), pattern(300000)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-LENGTH", str(len(body)))
        self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    def do_GET(self):
        if self.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for i in range(4): self.wfile.write(b"100;part=%d\r\n" % i + SMALL[i*256:(i+1)*256] + b"\r\n")
            self.wfile.write(b"0\r\nX-Check: whole\r\n\r\n")
        else: self.answer(200, {"/small": SMALL, "/large": LARGE}.get(self.path, b""))
    do_HEAD = do_GET
    def do_POST(self):
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while True:
                n = int(self.rfile.readline().split(b";")[0], 16)
                if n == 0: break
                body += self.rfile.read(n); self.rfile.readline()
            while self.rfile.readline().strip(): pass
        else: body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(200, b"%d" % len(body))
s = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(s.server_port, flush=True)
s.serve_forever()
`

const nodeServer = `
const http = require('http');
let text = ''; for (let i = 0; text.length < 300000; i++) text += i.toString(16).padStart(7, '0') + '\n';
const small = text.slice(0, 1024), large = text.slice(0, 300000);
const s = http.createServer((req, res) => {
  if (req.url === '/small') res.end(small);
  else if (req.url === '/large') { res.setHeader('Content-Length', large.length); res.end(large); }
  else if (req.url === '/chunked') {
    res.writeHead(200, {Trailer: 'X-Check'});
    for (let i = 0; i < 4; i++) res.write(small.slice(i * 256, (i + 1) * 256));
    res.addTrailers({'X-Check': 'whole'}); res.end();
  } else {
    let n = 0; req.on('data', d => n += d.length); req.on('end', () => res.end(String(n)));
  }
});
s.on('upgrade', (req, socket, head) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n');
  socket.write(head); socket.on('data', d => socket.write(d)); socket.on('end', () => socket.end());
});
s.keepAliveTimeout = 60000;
s.listen(0, '127.0.0.1', () => console.log(s.address().port));
`
