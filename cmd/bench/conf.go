package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// How each relay is set up: as its distribution does, but for limits on time
// and number that would end a measurement. HAProxy has a thread for each core, nginx a
// worker, crimp a loop for every two: their own defaults, unless their name here says
// otherwise.

const (
	haproxyTCP  = "haproxy tcp"
	haproxyHTTP = "haproxy http"
	haproxyOne  = "haproxy tcp, 1 thread"
	haproxyWeb1 = "haproxy http, 1 thread"
	nginxTCP    = "nginx stream"
	nginxHTTP   = "nginx http"
	plainCopy   = "io.Copy"
	plainBuffer = "io.Copy, by its buffer"
	plainPieces = "io.Copy, a write a KiB"
	crimpTCP    = "crimp tcp"
	crimpHTTP   = "crimp http"
	crimpTwo    = "crimp tcp, 2 loops"
	crimpRule   = "crimp http, no match" // one armed rule, for other requests
	crimpZero   = "crimp latency 0"
	crimpCut    = "crimp cut far away"
	crimpFast   = "crimp bandwidth 10 GB/s"
	crimpSlice  = "crimp slice 1 KiB"
	crimpLate   = "crimp latency 20 ms"
)

// crimpRules are the rules of crimp's kinds, in the words of its configuration.
var crimpRules = map[string]struct{ protocol, rule string }{
	crimpTCP:   {"tcp", ""},
	crimpHTTP:  {"http", ""},
	crimpTwo:   {"tcp", ""},
	crimpRule:  {"http", `{name: elsewhere, fault: cut, params: {at: "body:50%"}, match: {path: /elsewhere/*}, armed: true}`},
	crimpZero:  {"tcp", `{name: zero, fault: latency, params: {delay: 0s}, armed: true}`},
	crimpFast:  {"tcp", `{name: fast, fault: bandwidth, params: {rate: 10GB/s}, armed: true}`},
	crimpSlice: {"tcp", `{name: slice, fault: slice, params: {size: 1KiB}, armed: true}`},
	crimpLate:  {"tcp", `{name: late, fault: latency, params: {delay: 20ms}, armed: true}`},
	crimpCut:   {"tcp", `{name: far, fault: cut, params: {at: "byte:1000000000000"}, armed: true}`},
}

func confOf(kind, listen, upstream, dir string) (text string, found bool) {
	switch kind {
	case haproxyTCP, haproxyHTTP:
		return haproxyConf(strings.TrimPrefix(kind, "haproxy "), listen, upstream), true
	case haproxyOne, haproxyWeb1:
		mode := strings.TrimSuffix(strings.TrimPrefix(kind, "haproxy "), ", 1 thread")
		return "global\n  nbthread 1\n" + haproxyConf(mode, listen, upstream), true
	case nginxTCP:
		return nginxConf(dir, "auto", fmt.Sprintf("stream {\n  server { listen %s backlog=4096; proxy_timeout 1h; proxy_pass %s; }\n}\n", listen, upstream)), true
	case nginxHTTP:
		return nginxConf(dir, "auto", nginxHTTPBlock(listen, upstream)), true
	case toxiproxy, toxiproxySlicer:
		return toxiproxyConf(listen, upstream), true
	case plainCopy, plainBuffer, plainPieces:
		return "", true
	}
	c, found := crimpRules[kind]
	text = fmt.Sprintf("control: {listen: \"127.0.0.1:0\"}\nroutes:\n  - name: web\n    listen: %s\n    upstream: %s\n    protocol: %s\n", listen, upstream, c.protocol)
	if c.rule != "" {
		text += "    rules:\n      - " + c.rule + "\n"
	}
	return text, found
}

func haproxyConf(mode, listen, upstream string) string {
	return fmt.Sprintf(`defaults
  mode %s
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
frontend in
  bind %s backlog 4096
  default_backend out
backend out
  server origin %s
`, mode, listen, upstream)
}

func nginxConf(dir, workers, block string) string {
	load := "" // where the stream module is a file of its own
	for _, at := range []string{"/usr/lib/nginx/modules", "/usr/lib64/nginx/modules"} {
		if found, _ := filepath.Glob(at + "/ngx_stream_module.so"); len(found) > 0 {
			load = "load_module " + found[0] + ";\n"
		}
	}
	return load + "daemon off;\nworker_processes " + workers + ";\npid " + dir +
		"/pid;\nevents { worker_connections 19500; }\n" + block
}

// nginxHTTPCommon says nothing of what it does, and keeps connections for ever.
const nginxHTTPCommon = `  access_log off;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
`

// nginxHTTPBlock keeps connections to the origin, as HAProxy does by itself, and
// no answer in a file.
func nginxHTTPBlock(listen, upstream string) string {
	return fmt.Sprintf(`http {
%s  upstream origin { server %s; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 1h; }
  server {
    listen %s backlog=4096;
    location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_read_timeout 1h; proxy_max_temp_file_size 0; }
  }
}
`, nginxHTTPCommon, upstream, listen)
}

// nginxOriginConf has one worker, which answers from memory.
func nginxOriginConf(dir, listen string) string {
	var answers strings.Builder
	for _, n := range originSizes {
		fmt.Fprintf(&answers, "    location = /%d { return 200 \"%s\"; }\n", n, filler[:n])
	}
	return nginxConf(dir, "1", fmt.Sprintf("http {\n%s  server {\n    listen %s backlog=4096;\n%s  }\n}\n", nginxHTTPCommon, listen, answers.String()))
}
