//go:build race

package middlebox

const raceDetector = true
