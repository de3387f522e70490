package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestEveryFileIsServedAsWhatItIs(t *testing.T) {
	for path, want := range map[string]string{
		"/":                        "text/html; charset=utf-8",
		"/index.html":              "text/html; charset=utf-8",
		"/style.css":               "text/css; charset=utf-8",
		"/icon.svg":                "image/svg+xml",
		"/app/main.js":             "text/javascript; charset=utf-8",
		"/vendor/preact.mjs":       "text/javascript; charset=utf-8",
		"/vendor/htm.LICENSE.txt":  "text/plain; charset=utf-8",
		"/vendor/preact-hooks.mjs": "text/javascript; charset=utf-8",
	} {
		r := get(t, "GET", path, nil)
		if got := r.Header.Get("Content-Type"); r.StatusCode != 200 || got != want {
			t.Errorf("GET %s: %d as %q; want 200 as %q", path, r.StatusCode, got, want)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("GET %s: %s is %q, want %q", path, name, got, want)
			}
		}
		tag := r.Header.Get("ETag")
		if again := get(t, "GET", path, http.Header{"If-None-Match": {tag}}); tag == "" || again.StatusCode != http.StatusNotModified {
			t.Errorf("GET %s with its own ETag %s: %d, want 304", path, tag, again.StatusCode)
		}
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/app/", 404},
		{"GET", "/app/store.test.mjs", 404}, // tests stay out of the binary
		{"GET", "/web.go", 404},
		{"GET", "/../web.go", 404},
		{"GET", "/v1/ws", 404},
		{"HEAD", "/", 200},
		{"POST", "/", 405},
		{"DELETE", "/style.css", 405},
	} {
		r := get(t, c.method, c.path, nil)
		if r.StatusCode != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, r.StatusCode, c.want)
		}
		if !strings.HasPrefix(r.Header.Get("Content-Security-Policy"), "default-src 'none'; ") {
			t.Errorf("%s %s goes without the policy", c.method, c.path)
		}
	}
}

// The policy lets in our files, our socket and the one import map. That the page
// runs under it is for the browser tests to show.
func TestPolicy(t *testing.T) {
	index, err := os.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	inline := regexp.MustCompile(`(?s)<script type="importmap">(.*?)</script>`).FindSubmatch(index)
	sum := sha256.Sum256(inline[1])
	policy := get(t, "GET", "/", nil).Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'", "style-src 'self'",
		"connect-src 'self'", "img-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	} {
		if !strings.Contains("; "+policy+";", "; "+want+";") {
			t.Errorf("the policy lacks %q:\n%s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("the policy allows something unsafe:\n%s", policy)
	}
	if n := len(regexp.MustCompile(`<script|<style|style=| on[a-z]+=`).FindAll(index, -1)); n != 2 {
		t.Errorf("index.html has %d things that run or style; only the import map and app/main.js are wanted", n)
	}
}

// The page works with no network: nothing in it names another host.
func TestOffline(t *testing.T) {
	elsewhere := regexp.MustCompile(`(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}`)
	fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if d.IsDir() || filepath.Ext(name) == ".txt" {
			return err
		}
		content, _ := fs.ReadFile(files, name)
		for _, found := range elsewhere.FindAllString(string(content), -1) {
			if !strings.HasSuffix(found, "www.w3.org") { // the names of SVG and MathML, not addresses
				t.Errorf("%s names %s", name, found)
			}
		}
		return err
	})
}

// VENDOR.md and the folder agree, byte for byte.
func TestVendored(t *testing.T) {
	list, err := os.ReadFile("VENDOR.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `(vendor/[^`]+)` \\| [a-z]+, `[^`]+` \\| \\d+\\.\\d+\\.\\d+ \\| (MIT|Apache-2.0) \\| `([0-9a-f]{64})` \\|$")
	listed := map[string]string{}
	for _, m := range row.FindAllStringSubmatch(string(list), -1) {
		listed[m[1]] = m[3]
	}
	found, err := filepath.Glob("vendor/*")
	if err != nil || len(found) == 0 {
		t.Fatalf("nothing in vendor/: %v", err)
	}
	for _, name := range found {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Errorf("%s: %v (folders below vendor/ are left out of module archives: keep it flat)", name, err)
			continue
		}
		sum := sha256.Sum256(content)
		if got := hex.EncodeToString(sum[:]); got != listed[filepath.ToSlash(name)] {
			t.Errorf("%s has SHA-256 %s; VENDOR.md says %q", name, got, listed[filepath.ToSlash(name)])
		}
		delete(listed, filepath.ToSlash(name))
	}
	if len(listed) > 0 {
		t.Error("in VENDOR.md but not in vendor/:", fmt.Sprint(listed))
	}
}

func TestLoadRefusesWhatCannotBeServed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"index.html": "<p>no import map</p>"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := load(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "importmap") {
		t.Errorf("without an import map: %v", err)
	}
	os.WriteFile(filepath.Join(dir, "photo.gif"), nil, 0o644)
	if _, _, err := load(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), ".gif") {
		t.Errorf("with a type not in the table: %v", err)
	}
}
