//go:build race

package cli

// raceDetector reports whether the tests run with the race detector.
const raceDetector = true
