package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
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
		if err := ensureTemplates(t.Context(), client, &searchStart{log: zerolog.Nop()}, []indexTemplate{{"a", [][]byte{[]byte(`{"version":1}`)}, func(time.Time) []string { return nil }, func(time.Time) ([]doctor.Target, error) { return nil, nil }}}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != templateTimeout+retryMin || client.requests != 4 {
			t.Errorf("the template is in place after %s and %d requests", took, client.requests)
		}
	})
}

// ailing is an OpenSearch that is away for two minutes, then refuses for two minutes, and then
// has no templates.
type ailing struct{ since time.Time }

func (a ailing) Stream(r *http.Request) (*http.Response, error) {
	answer := func(status int) (*http.Response, error) {
		return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("{}"))}, nil
	}
	switch age := time.Since(a.since); {
	case age < 2*time.Minute:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	case age < 4*time.Minute:
		return answer(http.StatusUnauthorized)
	case r.Method == http.MethodGet:
		return answer(http.StatusNotFound)
	}
	return answer(http.StatusOK)
}

// While OpenSearch cannot have the templates, a line says so when the cause changes, with
// the remedy that doctor has, and one when it is over.
func TestTemplatesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		templates := []indexTemplate{{"a", [][]byte{[]byte(`{"version":1}`)}, func(time.Time) []string { return nil }, func(time.Time) ([]doctor.Target, error) { return nil, nil }}}
		access := doctor.Access{URL: "https://host", Setting: searchSetting}
		if err := ensureTemplates(t.Context(), ailing{time.Now()}, &searchStart{access: access, log: zerolog.New(&log)}, templates); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for line := range strings.Lines(log.String()) {
			if !strings.Contains(line, "index template installed") {
				lines = append(lines, line)
			}
		}
		want := [][]string{
			{`"level":"error"`, "connection refused", "check that it is running", `"remedy":"`, searchSetting, `"longest_pause":"10s"`, "run logsluice doctor"},
			{`"level":"error"`, "Unauthorized", "set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD", `"longest_pause":"10s"`},
			{`"level":"info"`, "OpenSearch has the index templates"},
		}
		if len(lines) != len(want) {
			t.Fatalf("%q", lines)
		}
		for i, words := range want {
			for _, word := range words {
				if !strings.Contains(lines[i], word) {
					t.Errorf("no %q in %s", word, lines[i])
				}
			}
		}
	})
}

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
			return doctor.Targets("ours", []byte(`{"priority":100}`), "ours-1")
		}
		domain := &others{name: "a"}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			watchConcerns(ctx, domain, []indexTemplate{{targets: targets}}, zerolog.New(domain))
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
