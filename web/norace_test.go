//go:build !race

package web

import "time"

// loadEvery is how often each client sends a batch.
const loadEvery = 28 * time.Millisecond // 9,000 exchanges a second
