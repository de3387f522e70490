// Package web is the dashboard: static files that speak the public control
// protocol and nothing else. There is no endpoint made for it; whatever the page
// can do, a program can do.
//
// The page is hand-written ES modules over a vendored Preact (VENDOR.md), served
// as they are: what is in this folder is what the browser runs, with no build
// step between. Reading order: index.html, app/main.js (wiring), app/feed.js
// (how the page keeps up with the box), app/store.js (what it knows), then the
// components, one a file.
package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Listed by extension so that tests and VENDOR.md stay out of the binary.
//
//go:embed index.html style.css icon.svg app/*.js vendor/*.mjs vendor/*.txt
var files embed.FS

// contentTypes is our own table: the system's may say text/plain for .js (a
// Windows registry does, once some editor has touched it), and with nosniff that
// leaves a blank page.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".txt":  "text/plain; charset=utf-8",
}

// asset is one file, ready to be served.
type asset struct {
	content     []byte
	contentType string
	etag        string
}

// Handler serves the page at "/" and its files beside it, by GET and HEAD. It
// keeps no state, needs no token (the page asks for it and sends it with the
// protocol) and never answers under /v1/.
func Handler() http.Handler {
	assets, policy, err := load(files)
	if err != nil {
		// The files are compiled in: this is a broken build, not a run-time error.
		panic("web: " + err.Error())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), policy)
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the dashboard's files are read by GET or HEAD", http.StatusMethodNotAllowed)
			return
		}
		a, ok := assets[r.URL.Path]
		if !ok {
			http.Error(w, "no such file in the dashboard", http.StatusNotFound)
			return
		}
		w.Header().Set("Content-Type", a.contentType)
		w.Header().Set("ETag", a.etag)
		// Kept, but asked about each time: a new binary must not meet old modules.
		w.Header().Set("Cache-Control", "no-cache")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(a.content))
	})
}

// load reads every file once and derives the policy from index.html.
func load(from fs.FS) (map[string]asset, string, error) {
	assets := map[string]asset{}
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		kind, ok := contentTypes[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type for %q in contentTypes", name, path.Ext(name))
		}
		// An embedded file has no modification time; its content is its version.
		sum := sha256.Sum256(content)
		assets["/"+name] = asset{content, kind, `"` + hex.EncodeToString(sum[:12]) + `"`}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	index, ok := assets["/index.html"]
	if !ok {
		return nil, "", fmt.Errorf("index.html is missing")
	}
	assets["/"] = index
	importMap, err := between(string(index.content), `<script type="importmap">`, `</script>`)
	if err != nil {
		return nil, "", fmt.Errorf("index.html: %w", err)
	}
	return assets, contentPolicy(importMap), nil
}

// contentPolicy allows this page its own files and its own socket. The import map
// has to stand in the page itself, so it is let in by its hash; nothing else
// inline runs, and nothing is fetched from anywhere else.
func contentPolicy(importMap string) string {
	sum := sha256.Sum256([]byte(importMap))
	return strings.Join([]string{
		"default-src 'none'",
		"script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'",
		"style-src 'self'",
		"img-src 'self'",
		"connect-src 'self'", // the WebSocket of the same host and port included
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
		"trusted-types 'none'",
	}, "; ")
}

// secure sets what every answer carries, errors too.
func secure(h http.Header, policy string) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer") // the token may be in the fragment
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

// between is the text after the first open up to the next end.
func between(s, open, end string) (string, error) {
	_, rest, found := strings.Cut(s, open)
	if !found {
		return "", fmt.Errorf("no %s", open)
	}
	text, _, found := strings.Cut(rest, end)
	if !found {
		return "", fmt.Errorf("no %s after %s", end, open)
	}
	return text, nil
}
