package opensearch_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
	"logsluice/opensearch"
)

const (
	searchSetting = "OPENSEARCH_URL (--opensearch-url)"
	retryMin      = 100 * time.Millisecond
)

var someTemplate = opensearch.Template{Name: "a", Bodies: [][]byte{[]byte(`{"version":1}`)}}

// installer returns an Installer configured as in a worker.
func installer(client opensearch.Client, access doctor.Access, log zerolog.Logger) *opensearch.Installer {
	return &opensearch.Installer{
		Client: client,
		Check: func(ctx context.Context) error {
			_, err := doctor.CheckTargets(ctx, client, nil)
			return err
		},
		Final:    func(error) bool { return false },
		Found:    access.Found,
		Remedy:   access.Remedy,
		RetryMin: retryMin,
		RetryMax: 10 * time.Second,
		Log:      log,
	}
}

// hanging is an OpenSearch that does not respond to its first request.
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

// A request for an index template that hangs does not delay the start forever.
func TestTemplateRequestHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		client := &hanging{}
		if err := installer(client, doctor.Access{}, zerolog.Nop()).Install(t.Context(), someTemplate); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != opensearch.InstallTimeout+retryMin || client.requests != 4 {
			t.Errorf("the template is in place after %s and %d requests", took, client.requests)
		}
	})
}

// ailing is an OpenSearch that is unreachable for two minutes, then refuses requests for
// two minutes, and then has no templates.
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

// While the templates cannot be installed, one line is logged per change of the cause,
// with doctor's remedy, and one when it is over.
func TestInstallRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		access := doctor.Access{URL: "https://host", Setting: searchSetting}
		if err := installer(ailing{time.Now()}, access, zerolog.New(&log)).Install(t.Context(), someTemplate); err != nil {
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
					t.Errorf("%q is missing in %s", word, lines[i])
				}
			}
		}
	})
}

// While something else keeps a worker from installing, OpenSearch is checked. That it
// does not respond is logged once, by Probe or Install.
func TestProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		i := installer(ailing{time.Now()}, doctor.Access{URL: "https://host", Setting: searchSetting}, zerolog.New(&log))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if i.IsWaiting() {
			t.Error("it is waiting before its first request")
		}
		i.Probe(ctx)
		if !i.IsWaiting() || strings.Count(log.String(), "\n") != 1 {
			t.Errorf("waiting %v: %s", i.IsWaiting(), log.String())
		}
		if err := i.Install(t.Context(), someTemplate); err != nil || i.IsWaiting() {
			t.Errorf("waiting %v: %v", i.IsWaiting(), err)
		}
		if n := strings.Count(log.String(), "connection refused"); n != 1 {
			t.Errorf("%d lines: %s", n, log.String())
		}
	})
}

// Check is called before each attempt to install, and a final error ends the attempts.
func TestInstallChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &hanging{requests: 1} // responds
		i := installer(client, doctor.Access{}, zerolog.Nop())
		refused, checks := errors.New("refused"), 0
		i.Check = func(context.Context) error {
			if checks++; checks < 3 {
				return io.ErrUnexpectedEOF
			}
			return refused
		}
		i.Final = func(err error) bool { return errors.Is(err, refused) }
		if err := i.Install(t.Context(), someTemplate); !errors.Is(err, refused) || checks != 3 || client.requests != 1 {
			t.Errorf("%d checks and %d requests: %v", checks, client.requests-1, err)
		}
	})
}

// A missing or different template is an error.
func TestCheckTemplates(t *testing.T) {
	f := func(answer string, want bool) {
		t.Helper()
		err := opensearch.CheckTemplates(t.Context(), answering(answer), someTemplate)
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "index template a is missing or was changed") {
			t.Errorf("%s: %v", answer, err)
		}
	}
	f(`{"index_templates":[]}`, false)
	f(`{"index_templates":[{"name":"a","index_template":{"version":0}}]}`, false)
	f(`{"index_templates":[{"name":"a","index_template":{"version":1}}]}`, true)
	f(`{"index_templates":[{"name":"a","index_template":{"version":2}}]}`, true)
}

// answering is an OpenSearch with one response.
type answering string

func (a answering) Stream(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}
