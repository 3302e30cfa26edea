// Package localtest tells tests where the real servers are that `make test`
// has started for all of them, and stands in where no server can be had.
package localtest

import (
	"os"
	"testing"
)

// Environment variables by which `go run ./local/services` tells what it started.
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

// Skip skips a test, or fails it where nothing may be skipped.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(MustNotSkip) != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Volume skips a test of much data or of long times under -short: `make test` runs those
// with the race detector in `make test-long` only.
func Volume(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("a test of volume, and -short is given")
	}
}
