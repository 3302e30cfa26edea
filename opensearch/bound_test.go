package opensearch

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
)

// A response that never ends, also after decompression, is an error that names the
// request, and takes bounded memory.
func TestEndlessResponse(t *testing.T) {
	const most = maxAnswer + 1<<20
	answers := map[string]struct{ begin, text string }{
		"a string":  {`{"version":{"number":"`, "x"},
		"space":     {"", " "},
		"an answer": {"{}", " "}, // whose end is not awaited
	}
	calls := map[string]func(context.Context, Client) error{ // the ways to read responses
		"describe": func(ctx context.Context, c Client) error { _, err := Describe(ctx, c); return err },
		"template": func(ctx context.Context, c Client) error {
			_, err := TemplateChanges(ctx, c, Template{Name: "name", Bodies: [][]byte{[]byte("{}")}})
			return err
		},
	}
	for name, a := range answers {
		text := []byte(a.begin + strings.Repeat(a.text, most/len(a.text)))
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		for encoding, body := range map[string][]byte{"identity": text, "gzip": packed.Bytes()} {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", encoding)
				_, _ = w.Write(body)
			}))
			client, err := NewClient(ClientConfig{URL: server.URL})
			if err != nil {
				t.Fatal(err)
			}
			for doing, call := range calls {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				err := call(t.Context(), client)
				runtime.ReadMemStats(&after)
				if long := err != nil && strings.Contains(err.Error(), "the maximum that is read"); long == (name == "an answer") {
					t.Errorf("%s in %s, %s: %v", name, encoding, doing, err)
				}
				if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 256 {
					t.Errorf("%s in %s, %s: %d MiB were allocated", name, encoding, doing, n)
				}
			}
			client.Close()
			server.Close()
		}
	}
}

// A response with exactly the maximum number of bytes is read completely.
func TestBounded(t *testing.T) {
	f := func(size int, whole bool) {
		t.Helper()
		var got bytes.Buffer
		n, err := got.ReadFrom(Bounded(io.NopCloser(strings.NewReader(strings.Repeat("x", size))), 10))
		if (err == nil) != whole || n > 10 {
			t.Errorf("of %d bytes %d are read: %v", size, n, err)
		}
	}
	f(9, true)
	f(10, true)
	f(11, false)
}
