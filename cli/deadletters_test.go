package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"logsluice/doctor"
)

// indexAnswers is an OpenSearch that answers each request with the next of its answers. It
// hangs at an empty one.
type indexAnswers struct {
	began time.Time
	next  []string // status and body
	asked []time.Duration
}

func (a *indexAnswers) Stream(r *http.Request) (*http.Response, error) {
	n := len(a.asked)
	a.asked = append(a.asked, time.Since(a.began))
	if r.Method != http.MethodPut || r.URL.Path != "/p-dead-letter" {
		return nil, fmt.Errorf("%s %s", r.Method, r.URL)
	}
	answer := a.next[min(n, len(a.next)-1)]
	if answer == "" {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	code, body, _ := strings.Cut(answer, " ")
	status, err := strconv.Atoi(code)
	return &http.Response{Status: code, StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, err
}

// Creation is tried until the index exists, with growing pauses. Each failure is logged as an
// error with its remedy.
func TestEnsureDeadLetterIndex(t *testing.T) {
	const (
		created    = `200 {"acknowledged":true}`
		exists     = `400 {"error":{"type":"resource_already_exists_exception","reason":"index [p-dead-letter/x] already exists"}}`
		manyShards = `400 {"error":{"type":"validation_exception","reason":"this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open"}}`
		forbidden  = `403 {"error":{"type":"security_exception","reason":"no permissions for [indices:admin/create]"}}`
		byIAM      = `403 {"Message":"User: x is not authorized to perform: es:ESHttpPut"}`
		blocked    = `403 {"error":{"type":"cluster_block_exception","reason":"blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];"}}`
		alias      = `400 {"error":{"type":"invalid_index_name_exception","reason":"Invalid index name [p-dead-letter], already exists as alias"}}`
	)
	f := func(next []string, took []time.Duration, lines ...string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
			defer cancel()
			var log bytes.Buffer
			a := &indexAnswers{began: time.Now(), next: next}
			ensureDeadLetterIndex(ctx, a, doctor.Access{Setting: searchSetting}, "p", zerolog.New(&log))
			if !slices.Equal(a.asked, took) {
				t.Errorf("asked after %v, want %v", a.asked, took)
			}
			logged := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
			if log.Len() == 0 {
				logged = nil
			}
			if len(logged) != len(lines) {
				t.Fatalf("%d lines, want %d: %s", len(logged), len(lines), log.String())
			}
			for i, want := range lines {
				if !strings.Contains(logged[i], want) {
					t.Errorf("%s\nwant %s", logged[i], want)
				}
			}
		})
	}
	const first = 10 * time.Second
	at := func(seconds ...int) (times []time.Duration) {
		for _, s := range seconds {
			times = append(times, time.Duration(s)*time.Second)
		}
		return times
	}
	f([]string{created}, at(0), "dead-letter index created")
	f([]string{exists}, at(0))
	f([]string{manyShards, exists}, at(0, 10), "delete old indices (logsluice setup installs a lifecycle policy), add nodes, or raise cluster.max_shards_per_node")
	f([]string{forbidden, created}, at(0, 10), "allow it for p-* (docs/permissions-opensearch.md)", "created")
	f([]string{byIAM, created}, at(0, 10), "give the user the role that a worker needs", "created")
	f([]string{blocked, created}, at(0, 10), "remove the block of the cluster", "created")
	f([]string{"", created}, []time.Duration{0, indexTimeout + first}, "does not answer in time", "created")
	f([]string{"503 {}", "503 {}", "503 {}", "503 {}", "503 {}", "503 {}", "503 {}", "503 {}", created},
		at(0, 10, 30, 70, 150, 310, 630, 1230, 1830), slices.Concat(slices.Repeat([]string{"the dead-letter index cannot be created"}, 8), []string{"created"})...)
	f([]string{alias}, at(0), "remove that alias or data stream, or the template, and restart a worker")
}

// It ends with the worker, both in a pause and in a request.
func TestEnsureDeadLetterIndex_Stopped(t *testing.T) {
	f := func(answer string, logged int) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			var log bytes.Buffer
			a := &indexAnswers{began: time.Now(), next: []string{answer}}
			ensureDeadLetterIndex(ctx, a, doctor.Access{Setting: searchSetting}, "p", zerolog.New(&log))
			if took := time.Since(a.began); took != time.Second || strings.Count(log.String(), "\n") != logged {
				t.Errorf("ended after %s: %s", took, log.String())
			}
		})
	}
	f("503 {}", 1)
	f("", 0)
}
