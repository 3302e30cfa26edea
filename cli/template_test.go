package cli

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
)

// domainWithTemplate is a domain that has a template of another application. Its name changes.
// It also records the log.
type domainWithTemplate struct {
	mu   sync.Mutex
	name string
	log  strings.Builder
}

func (d *domainWithTemplate) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(line)
}

func (d *domainWithTemplate) rename(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.name = name
}

func (d *domainWithTemplate) warnings() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Count(d.log.String(), string(doctor.Overridden))
}

func (d *domainWithTemplate) Stream(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.name == "":
		return nil, io.ErrUnexpectedEOF
	case r.URL.Path == "/_index_template":
		return answer(http.StatusOK, `{"index_templates":[{"name":"`+d.name+`","index_template":{"index_patterns":["*"],"priority":300}}]}`)
	case r.Method == http.MethodPost:
		return answer(http.StatusOK, `{}`)
	}
	return answer(http.StatusNotFound, `{}`)
}

// A concern is logged once while it stays the same, even if the domain cannot be reached in
// between.
func TestWatchConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := func(time.Time) ([]doctor.Target, error) {
			return []doctor.Target{{Name: "ours-1", Template: "ours", Priority: 100}}, nil
		}
		domain := &domainWithTemplate{name: "a"}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			watchConcerns(ctx, domain, targets, zerolog.New(domain))
		}()
		f := func(name string, want int) {
			t.Helper()
			domain.rename(name)
			time.Sleep(concernPeriod)
			synctest.Wait()
			if n := domain.warnings(); n != want {
				t.Errorf("%q: %d lines, want %d", name, n, want)
			}
		}
		synctest.Wait()
		f("a", 1)
		f("", 1)
		f("a", 1)
		f("b", 2)
		f("b", 2)
		f("a", 3)
		cancel()
		<-done
	})
}
