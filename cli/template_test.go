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

// others is a domain that has a template of others, by a name that changes, and the log
// of who asks it.
type others struct {
	mu   sync.Mutex
	name string
	log  strings.Builder
}

func (o *others) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(line)
}

func (o *others) rename(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.name = name
}

func (o *others) told() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Count(o.log.String(), string(doctor.Overridden))
}

func (o *others) Stream(r *http.Request) (*http.Response, error) {
	answer := func(status int, body string) (*http.Response, error) {
		return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.name == "":
		return nil, io.ErrUnexpectedEOF
	case r.URL.Path == "/_index_template":
		return answer(http.StatusOK, `{"index_templates":[{"name":"`+o.name+`","index_template":{"index_patterns":["*"],"priority":300}}]}`)
	case r.Method == http.MethodPost:
		return answer(http.StatusOK, `{}`)
	}
	return answer(http.StatusNotFound, `{}`)
}

// What is wrong is logged once while it stays the same, whether the domain can be asked
// in between or not.
func TestWatchConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		targets := func(time.Time) ([]doctor.Target, error) {
			return []doctor.Target{{Name: "ours-1", Template: "ours", Priority: 100}}, nil
		}
		domain := &others{name: "a"}
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
			if n := domain.told(); n != want {
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
