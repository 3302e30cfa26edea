// Package localtest has helpers for tests: the addresses of the real servers that `make test`
// starts, and small fakes.
package localtest

import (
	"os"
	"testing"
)

// Environment variables that `go run ./local/services` sets for its command.
const (
	OpenSearchURL = "LOGSLUICE_TEST_OPENSEARCH_URL"
	DynamoDBURL   = "LOGSLUICE_TEST_DYNAMODB_URL"
	// MustNotSkip turns a skipped test into a failed one.
	MustNotSkip = "LOGSLUICE_TEST_MUST_NOT_SKIP"
)

// OpenSearch returns the URL of a real OpenSearch, or skips the test.
func OpenSearch(t testing.TB) string { return server(t, "OpenSearch", OpenSearchURL) }

// DynamoDB returns the URL of a real DynamoDB Local, or skips the test.
func DynamoDB(t testing.TB) string { return server(t, "DynamoDB Local", DynamoDBURL) }

func server(t testing.TB, name, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url == "" {
		Skip(t, "needs a real "+name+": run `make test`")
	}
	return url
}

// Skip skips a test, or fails it if MustNotSkip is set.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(MustNotSkip) != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// IsLong reports whether `make test-long` runs the tests.
func IsLong() bool { return os.Getenv("LOGSLUICE_LONG") != "" }

// Long skips a test that only `make test-long` runs.
func Long(t testing.TB) {
	t.Helper()
	if !IsLong() {
		t.Skip("takes long: make test-long runs it")
	}
}

// Volume skips a test with much data or long times under -short. With the race detector, only
// `make test-long` runs those.
func Volume(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a test of volume: run it without -short")
	}
}
