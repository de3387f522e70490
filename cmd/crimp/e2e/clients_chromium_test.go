package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Chromium as a client: one browser with one page, which came through a box, and
// fetch() from it for each errand. Cross-origin checks are off, so that one page
// may read from every route; what goes over the wire is the same.

var browser struct {
	once sync.Once
	ctx  context.Context
	err  error
}

func findChromium() (string, error) {
	if name := os.Getenv("CRIMP_CHROME"); name != "" {
		return exec.LookPath(name)
	}
	var err error
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		var found string
		if found, err = exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", err
}

func startBrowser() (context.Context, error) {
	found, err := findChromium()
	if err != nil {
		return nil, err
	}
	profile, err := os.MkdirTemp("", "crimp-e2e-chromium")
	if err != nil {
		return nil, err
	}
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(found),
		chromedp.UserDataDir(profile),
		chromedp.NoSandbox, // CI runs as root in a container
		chromedp.DisableGPU,
		chromedp.NoFirstRun,
		chromedp.Flag("no-proxy-server", true),
		chromedp.Flag("disable-web-security", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-component-update", true),
	)...)
	ctx, stop := chromedp.NewContext(alloc)
	atExit(func() { stop(); stopAlloc(); os.RemoveAll(profile) })
	return ctx, chromedp.Run(ctx)
}

// openPage has the browser show a page that came through crimp.
func openPage(t *testing.T, url string) {
	t.Helper()
	browser.once.Do(func() { browser.ctx, browser.err = startBrowser() })
	if browser.err != nil {
		t.Fatalf("chromium: %v", browser.err)
	}
	ctx, cancel := context.WithTimeout(browser.ctx, 60*time.Second)
	defer cancel()
	var shown string
	if err := chromedp.Run(ctx, chromedp.Navigate(url), chromedp.Text("h1", &shown, chromedp.ByQuery)); err != nil || shown != "through crimp" {
		t.Fatalf("chromium shows %q at %s: %v", shown, url, err)
	}
}

// pageOrigin serves the page that the errands start from.
func pageOrigin(t *testing.T) *origin {
	const html = "<!doctype html><title>lab</title><link rel=icon href='data:,'><h1>through crimp</h1>"
	return always(t, answer(html))
}

func chromiumClient(t *testing.T, a errand) string {
	words, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(browser.ctx, 60*time.Second)
	defer cancel()
	var last said
	wait := func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
	if err := chromedp.Run(ctx, chromedp.Evaluate("("+fetchErrand+")("+string(words)+")", &last, wait)); err != nil {
		t.Fatal(err)
	}
	return a.verdict(last.Status, last.Body, last.Waited, last.Failed)
}
