package localtest

import (
	"runtime"
	"testing"
)

// verdict is a test that notes what it is told.
type verdict struct {
	testing.TB
	is string
}

func (*verdict) Helper()        {}
func (v *verdict) Skip(...any)  { v.end("skipped") }
func (v *verdict) Fatal(...any) { v.end("failed") }
func (v *verdict) end(is string) {
	v.is = is
	runtime.Goexit()
}

func TestServers(t *testing.T) {
	f := func(url, mustNotSkip, wantURL, wantVerdict string) {
		t.Helper()
		t.Setenv(OpenSearchURL, url)
		t.Setenv(DynamoDBURL, url)
		t.Setenv(MustNotSkip, mustNotSkip)
		for _, server := range []func(testing.TB) string{OpenSearch, DynamoDB} {
			v, got := &verdict{TB: t}, ""
			done := make(chan struct{})
			go func() {
				defer close(done)
				got = server(v)
			}()
			<-done
			if got != wantURL || v.is != wantVerdict {
				t.Errorf("url %q, must not skip %q: got %q, %q, want %q, %q", url, mustNotSkip, got, v.is, wantURL, wantVerdict)
			}
		}
	}
	f("", "", "", "skipped")
	f("", "1", "", "failed")
	f("http://127.0.0.1:1", "", "http://127.0.0.1:1", "")
	f("http://127.0.0.1:1", "1", "http://127.0.0.1:1", "")
}
