//go:build race

package web

import "time"

// loadEvery: the race detector makes the box ten times as slow, and the page is
// what is looked at.
const loadEvery = 8 * 14 * time.Millisecond // 2,300 exchanges a second
