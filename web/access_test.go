package web

import (
	"context"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Every control has a role and a name in the tree that assistive technology reads.
func TestEveryControlHasRoleAndName(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	p.click(".add")
	p.choose(".rule-form select", "latency")
	p.until("the form is there", `document.getElementById('web-form-params.delay')`)
	p.click(`[aria-label="Watch bytes of web"]`)
	p.until("bytes are watched", `text('.bytes .title') === 'Bytes of web following'`)
	p.do(chromedp.Evaluate(`document.querySelectorAll('details').forEach((d) => { d.open = true })`, nil))
	controls := eval[float64](p, `all('button, select, input, a, summary, [tabindex]').length`)
	var nodes []*accessibility.Node
	p.do(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		nodes, err = accessibility.GetFullAXTree().Do(ctx)
		return err
	}))
	found := 0
	for _, n := range nodes {
		if n.Ignored || !focusable(n) || n.Role == nil || strings.Contains(string(n.Role.Value), "RootWebArea") {
			continue
		}
		found++
		role, name := string(n.Role.Value), ""
		if n.Name != nil {
			name = strings.Trim(string(n.Name.Value), `"`)
		}
		if name == "" || role == `"generic"` {
			t.Errorf("a control with role %s has the name %q (DOM node %d)", role, name, n.BackendDOMNodeID)
		}
	}
	if disabled := eval[float64](p, `all(':disabled').length`); float64(found)+disabled < controls {
		t.Errorf("the tree has %d controls, the page %v", found, controls)
	}
	if n := eval[float64](p, `(() => { const ids = all('[id]').map((e) => e.id); return ids.length - new Set(ids).size })()`); n != 0 {
		t.Errorf("%v ids are there twice", n)
	}
	p.clean()
}

func focusable(n *accessibility.Node) bool {
	for _, property := range n.Properties {
		if property.Name == accessibility.PropertyNameFocusable && string(property.Value.Value) == "true" {
			return true
		}
	}
	return false
}

// The page in both schemes and on a phone: nothing sticks out, and text stands
// out from its ground by WCAG AA (4.5 to 1).
func TestSchemesAndWidths(t *testing.T) {
	b := newPeer(t)
	b.change(busyBox(b))
	p := open(t, b)
	p.click(".add")
	p.choose(".rule-form select", "latency")
	p.look("", "desktop", "laptop", "tablet", "phone", "narrow")
	if moving := eval[float64](p, `document.getAnimations().length`); moving != 0 {
		t.Errorf("%v things move although reduced motion is asked for", moving)
	}
	p.clean()
}

var sizes = map[string][2]int64{"desktop": {1440, 900}, "laptop": {1300, 800}, "tablet": {800, 900}, "phone": {390, 844}, "narrow": {320, 640}}

// look takes the page as it is through both schemes and some sizes.
func (p *page) look(what string, in ...string) {
	p.t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		p.do(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}))
		for _, name := range in {
			p.do(chromedp.EmulateViewport(sizes[name][0], sizes[name][1]))
			p.until("it is drawn, and the lines of bytes fit", `all('.route').length === 2 && all('.bytes pre').every((e) => e.scrollWidth <= e.clientWidth)`)
			if over := eval[float64](p, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
				p.t.Errorf("%s: the page sticks out by %v pixels: %s", name, over, eval[string](p, sticksOut))
			}
			if wide := eval[[]string](p, `all('.scroll').filter((e) => e.scrollWidth > e.clientWidth).map((e) => e.getAttribute('aria-label'))`); len(wide) > 0 {
				p.t.Errorf("%s: to be scrolled sideways: %s", name, strings.Join(wide, ", "))
			}
			if poor := eval[[]string](p, poorContrast); len(poor) > 0 {
				p.t.Errorf("%s, %s: too little contrast:\n%s", scheme, name, strings.Join(poor, "\n"))
			}
			p.do(chromedp.Evaluate(`document.querySelector('.bytes')?.scrollIntoView({ block: 'center' })`, nil))
			p.shoot(strings.TrimPrefix(what+"-"+scheme+"-"+name, "-"))
		}
	}
}

// sticksOut names what is wider than the window.
const sticksOut = `all('body *').filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).slice(0, 5).map((e) => e.tagName + '.' + e.className).join(', ')`

// poorContrast finds text that WCAG AA would not pass: each element with text of
// its own, against the ground it stands on. Disabled controls are exempt.
const poorContrast = `(() => {
	const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
	const known = new Map();
	const rgba = (color) => {
		if (!known.has(color)) known.set(color, paint(color));
		return known.get(color);
	};
	const paint = (color) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = color;
		canvas.fillRect(0, 0, 1, 1);
		return [...canvas.getImageData(0, 0, 1, 1).data];
	};
	const light = ([r, g, b]) => {
		const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
		return 0.2126 * x + 0.7152 * y + 0.0722 * z;
	};
	const ground = (e) => {
		for (; e; e = e.parentElement) {
			const c = rgba(getComputedStyle(e).backgroundColor);
			if (c[3] === 255) return c;
		}
		return [255, 255, 255];
	};
	const bad = new Set();
	for (const e of all('body *')) {
		const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
		if (!own || e.closest(':disabled, .hidden, noscript') || !e.checkVisibility()) continue;
		const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))];
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.add(ratio.toFixed(2) + ' ' + e.tagName + '.' + e.className + ': ' + e.innerText.slice(0, 40));
	}
	return [...bad];
})()`
