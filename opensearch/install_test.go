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

// installer is as a worker has it.
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
		if err := installer(client, doctor.Access{}, zerolog.Nop()).Install(t.Context(), someTemplate); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != opensearch.InstallTimeout+retryMin || client.requests != 4 {
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
					t.Errorf("no %q in %s", word, lines[i])
				}
			}
		}
	})
}

// While something else keeps a worker from installing, OpenSearch is asked, and that it does
// not answer is logged once, by whichever finds it.
func TestAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		i := installer(ailing{time.Now()}, doctor.Access{URL: "https://host", Setting: searchSetting}, zerolog.New(&log))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if i.IsWaiting() {
			t.Error("it waits before it has asked")
		}
		i.Ask(ctx)
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

// Nothing is installed before it was checked, each time, and an error that is final ends it.
func TestInstallChecks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := &hanging{requests: 1} // and answers
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

// A template that is missing or differs is an error.
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

// answering is an OpenSearch that has one answer.
type answering string

func (a answering) Stream(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(string(a)))}, nil
}
