package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	url, dir := os.Args[1], os.Args[2]
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.DisableGPU, chromedp.Flag("hide-scrollbars", false))
	ac, c1 := chromedp.NewExecAllocator(context.Background(), opts...)
	defer c1()
	ctx, c2 := chromedp.NewContext(ac)
	defer c2()
	pre := ""
	if len(os.Args) > 3 {
		pre = os.Args[3]
	}
	for _, w := range []int64{1300, 800, 390} {
		for _, scheme := range []string{"light", "dark"} {
			h := int64(900)
			var png []byte
			var over string
			err := chromedp.Run(ctx,
				emulation.SetDeviceMetricsOverride(w, h, 1, w < 500),
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
				chromedp.Navigate(url), chromedp.WaitVisible("[role=switch]", chromedp.ByQuery), chromedp.Sleep(1200*time.Millisecond),
				chromedp.Evaluate(pre+`;`, nil), chromedp.Sleep(500*time.Millisecond),
				chromedp.Evaluate(`[document.documentElement.scrollWidth, innerWidth, ...[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth+'/'+e.clientWidth)].join(' ')`, &over),
				chromedp.FullScreenshot(&png, 100))
			fmt.Println(w, scheme, over, err)
			os.WriteFile(fmt.Sprintf("%s/%d-%s.png", dir, w, scheme), png, 0o644)
		}
	}
}
