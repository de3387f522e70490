package web

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// patience is how long the page gets to show what it should. Only a failing test
// ever waits so long.
const patience = 15 * time.Second

// browser is one Chromium for all tests; each test has a tab of its own.
var browser struct {
	once sync.Once
	ctx  context.Context
	err  error
	stop []func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	for i := len(browser.stop) - 1; i >= 0; i-- {
		browser.stop[i]()
	}
	os.Exit(code)
}

// findChrome is the browser to test with: CRIMP_CHROME, or what is on the PATH.
func findChrome() (string, error) {
	if name := os.Getenv("CRIMP_CHROME"); name != "" {
		return exec.LookPath(name)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if found, err := exec.LookPath(name); err == nil {
			return found, nil
		}
	}
	return "", fmt.Errorf(`the page is tested in a real browser and none was found: install one ("apt-get install chromium", "brew install chromium") or name it in CRIMP_CHROME`)
}

func startBrowser() {
	found, err := findChrome()
	if err != nil {
		browser.err = err
		return
	}
	profile, err := os.MkdirTemp("", "crimp-web-test-")
	if err != nil {
		browser.err = err
		return
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(found),
		chromedp.UserDataDir(profile),
		chromedp.NoSandbox, // CI runs as root in a container
		chromedp.DisableGPU,
		chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WindowSize(1440, 900),
	)
	alloc, stopAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(alloc)
	browser.stop = []func(){func() { os.RemoveAll(profile) }, stopAlloc, stop}
	browser.ctx, browser.err = ctx, chromedp.Run(ctx)
}

// page is a tab with the dashboard in it.
type page struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string // exceptions and console errors
}

// newTab opens a tab. Whatever the console complains of fails the test, unless
// the test says it is to be expected.
func newTab(t *testing.T) *page {
	t.Helper()
	browser.once.Do(startBrowser)
	if browser.err != nil {
		t.Fatal(browser.err)
	}
	ctx, cancel := chromedp.NewContext(browser.ctx)
	t.Cleanup(cancel)
	ctx, cancelTime := context.WithTimeout(ctx, 60*time.Second)
	t.Cleanup(cancelTime)
	p := &page{t: t, ctx: ctx}
	p.do(cdppage.BringToFront()) // a tab out of sight draws no frames
	chromedp.ListenTarget(ctx, func(ev any) {
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			p.problem(ev.ExceptionDetails.Error())
		case *runtime.EventConsoleAPICalled:
			if ev.Type == runtime.APITypeError || ev.Type == runtime.APITypeWarning {
				for _, a := range ev.Args {
					p.problem(fmt.Sprintf("console.%s: %s %s", ev.Type, a.Value, a.Description))
				}
			}
		case *log.EventEntryAdded:
			if ev.Entry.Level == log.LevelError || ev.Entry.Level == log.LevelWarning {
				p.problem(fmt.Sprintf("%s: %s %s", ev.Entry.Source, ev.Entry.Text, ev.Entry.URL))
			}
		}
	})
	return p
}

// open goes to the dashboard and waits until it is live.
func open(t *testing.T, b *peer) *page {
	t.Helper()
	p := newTab(t)
	p.do(chromedp.Navigate(b.http.URL + "/"))
	p.until("the page is live", `text('.connection') === 'live' && document.querySelector('[role=switch]') !== null`)
	return p
}

func (p *page) problem(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.problems = append(p.problems, text)
}

// clean fails the test if the page threw or the console complained.
func (p *page) clean() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.problems {
		p.t.Errorf("the browser complains: %s", text)
	}
}

func (p *page) do(actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		p.t.Fatalf("%v", err)
	}
}

// helpers are what the expressions of the tests are written in.
const helpers = `
const all = (css, of = document) => [...of.querySelectorAll(css)];
const text = (css, of = document) => all(css, of).map((e) => e.innerText.replace(/\s+/g, ' ').trim()).join(' | ');
const toggle = (name) => document.querySelector('[role=switch][aria-label="' + name + '"]');
const is = (name, on) => toggle(name)?.getAttribute('aria-checked') === String(on) && toggle(name)?.getAttribute('aria-busy') === 'false';
const rule = (name) => document.querySelector('article[aria-label="' + name + '"]');
`

// eval runs an expression in the page.
func eval[T any](p *page, expression string) T {
	p.t.Helper()
	var v T
	p.do(chromedp.Evaluate("(() => {"+helpers+" return ("+expression+") })()", &v))
	return v
}

// awaitPromise has an expression's promise waited for.
func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// until waits for an expression to become true.
func (p *page) until(what, expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if eval[bool](p, "Boolean("+expression+")") {
			return
		}
	}
	p.clean()
	p.t.Fatalf("not in %s: %s\n  %s\nthe page says:\n%s", patience, what, expression, eval[string](p, "document.body.innerText"))
}

// click presses what a CSS selector finds, with the mouse.
func (p *page) click(css string) {
	p.t.Helper()
	p.until("there is something to click", "document.querySelector("+quoteJS(css)+") && !document.querySelector("+quoteJS(css)+").disabled")
	p.do(chromedp.Click(css, chromedp.ByQuery))
}

// flip presses the switch of a rule: "web truncate".
func (p *page) flip(name string) { p.t.Helper(); p.click(`[role=switch][aria-label="` + name + `"]`) }

// enter presses what a CSS selector finds, with the keyboard: it does not matter
// that what comes meanwhile moves it.
func (p *page) enter(css string) {
	p.t.Helper()
	p.until("there is something to press", "(() => { const e = document.querySelector("+quoteJS(css)+"); e?.focus(); return e && document.activeElement === e })()")
	p.press("\r")
}

// choose picks an option of a select, as a person would have it.
func (p *page) choose(css, value string) {
	p.t.Helper()
	p.until("there is something to choose from", "document.querySelector("+quoteJS(css)+")")
	eval[bool](p, "(() => { const e = document.querySelector("+quoteJS(css)+"); e.value = "+quoteJS(value)+"; for (const type of ['input', 'change']) e.dispatchEvent(new Event(type, { bubbles: true })); return e.value === "+quoteJS(value)+" })()")
}

// write replaces what stands in a field by typing.
func (p *page) write(css, value string) {
	p.t.Helper()
	p.until("there is a field", "document.querySelector("+quoteJS(css)+")")
	p.until("the field takes the focus", "(() => { const e = document.querySelector("+quoteJS(css)+"); e.focus(); e.select(); return document.activeElement === e })()")
	p.press(value)
}

// press types keys to whatever has the focus.
func (p *page) press(keys string) { p.t.Helper(); p.do(chromedp.KeyEvent(keys)) }

// shoot keeps a picture of the page where CRIMP_SHOTS says, for a look.
func (p *page) shoot(name string) {
	p.t.Helper()
	dir := os.Getenv("CRIMP_SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	p.do(cdppage.BringToFront(), chromedp.CaptureScreenshot(&png))
	if err := os.WriteFile(dir+"/"+name+".png", png, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

func quoteJS(s string) string { return "`" + strings.ReplaceAll(s, "`", "\\`") + "`" }

func encodeToken(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
