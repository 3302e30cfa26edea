package localtest

import (
	"runtime"
	"testing"
)

// recorder is a testing.TB that records whether the test was skipped or failed.
type recorder struct {
	testing.TB
	outcome string
}

func (*recorder) Helper()        {}
func (r *recorder) Skip(...any)  { r.end("skipped") }
func (r *recorder) Fatal(...any) { r.end("failed") }
func (r *recorder) end(outcome string) {
	r.outcome = outcome
	runtime.Goexit()
}

func TestServers(t *testing.T) {
	f := func(url, mustNotSkip, wantURL, wantOutcome string) {
		t.Helper()
		t.Setenv(OpenSearchURL, url)
		t.Setenv(DynamoDBURL, url)
		t.Setenv(MustNotSkip, mustNotSkip)
		for _, server := range []func(testing.TB) string{OpenSearch, DynamoDB} {
			r, got := &recorder{TB: t}, ""
			done := make(chan struct{})
			go func() {
				defer close(done)
				got = server(r)
			}()
			<-done
			if got != wantURL || r.outcome != wantOutcome {
				t.Errorf("url %q, must not skip %q: got %q, %q, want %q, %q", url, mustNotSkip, got, r.outcome, wantURL, wantOutcome)
			}
		}
	}
	f("", "", "", "skipped")
	f("", "1", "", "failed")
	f("http://127.0.0.1:1", "", "http://127.0.0.1:1", "")
	f("http://127.0.0.1:1", "1", "http://127.0.0.1:1", "")
}
