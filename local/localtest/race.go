//go:build race

package localtest

// RaceDetector reports whether the tests run with the race detector.
const RaceDetector = true
