package cli

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
)

// hanging is an OpenSearch that does not answer its first request.
type hanging struct{ requests int }

func (h *hanging) Stream(r *http.Request) (*http.Response, error) {
	if h.requests++; h.requests == 1 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	status := http.StatusOK
	if r.Method == http.MethodGet {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("{}"))}, nil
}

// A request for an index template that hangs does not hold up the start for ever.
func TestTemplateRequestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		client := &hanging{}
		if err := ensureTemplates(t.Context(), client, []indexTemplate{{"a", [][]byte{[]byte(`{"version":1}`)}, func(time.Time) []string { return nil }, func(time.Time) ([]doctor.Target, error) { return nil, nil }}}, zerolog.Nop()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != templateTimeout+retryMin || client.requests != 4 {
			t.Errorf("the template is in place after %s and %d requests", took, client.requests)
		}
	})
}
