package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	opensearchgo "github.com/opensearch-project/opensearch-go/v4"

	"logsluice/local"
	"logsluice/local/inspect"
	"logsluice/opensearch"
)

// server is a real OpenSearch.
type server struct {
	node   *local.OpenSearch
	client *opensearchgo.Client
}

// heap is enough for the loader's concurrent requests. With half of it, OpenSearch refuses some
// of them because of memory pressure.
const heap = "4g"

// startServer starts OpenSearch with the index template of a built-in schema.
func startServer(ctx context.Context, s settings, builtIn string) (*server, error) {
	documents, err := documentsOf(builtIn)
	if err != nil {
		return nil, err
	}
	v, err := startPlainServer(ctx, s)
	if err != nil {
		return nil, err
	}
	template, err := documents.Template()
	if err == nil {
		_, _, err = opensearch.EnsureTemplate(ctx, v.client, template)
	}
	if err != nil {
		return nil, errors.Join(err, v.stop())
	}
	return v, nil
}

// startPlainServer starts OpenSearch without index templates.
func startPlainServer(ctx context.Context, s settings) (*server, error) {
	node, err := local.StartOpenSearch(ctx, local.Options{Cache: s.cache, Log: os.Stdout, Heap: heap})
	if err != nil {
		return nil, err
	}
	client, err := opensearch.NewClient(opensearch.ClientConfig{URL: node.URL, Connections: bulkConnections})
	if err != nil {
		return nil, errors.Join(err, node.Stop())
	}
	return &server{node: node, client: client}, nil
}

func (v *server) stop() error { return errors.Join(v.client.Close(), v.node.Stop()) }

// indices matches the indices of the documents.
const indices = indexPrefix + "-*"

func (v *server) empty(ctx context.Context) error {
	return inspect.Ask(ctx, v.client, http.MethodDelete, "/"+indices, "", nil)
}

// documents returns how many documents were indexed since the indices were created.
func (v *server) documents(ctx context.Context) (int, error) {
	var stats indicesStats
	err := inspect.Ask(ctx, v.client, http.MethodGet, "/"+indices+"/_stats/indexing", "", &stats)
	return stats.All.Primaries.Indexing.Total, err
}

type indicesStats struct {
	All struct {
		Primaries struct {
			Indexing struct {
				Total int `json:"index_total"`
			}
			Merges struct{ Current int }
		}
	} `json:"_all"`
}

// settle waits until all documents are on disk and no merge runs.
func (v *server) settle(ctx context.Context) error {
	if err := inspect.Ask(ctx, v.client, http.MethodPost, "/"+indices+"/_flush?wait_if_ongoing=true", "", nil); err != nil {
		return err
	}
	for {
		var stats indicesStats
		if err := inspect.Ask(ctx, v.client, http.MethodGet, "/"+indices+"/_stats/merge", "", &stats); err != nil {
			return err
		}
		if stats.All.Primaries.Merges.Current == 0 {
			return nil
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}

// cpu returns the CPU time of the OpenSearch process since its start.
func (v *server) cpu(ctx context.Context) (time.Duration, error) {
	var stats struct {
		Nodes map[string]struct {
			Process struct {
				CPU struct {
					Total int64 `json:"total_in_millis"`
				}
			}
		}
	}
	if err := inspect.Ask(ctx, v.client, http.MethodGet, "/_nodes/stats/process", "", &stats); err != nil {
		return 0, err
	}
	for _, node := range stats.Nodes {
		return time.Duration(node.Process.CPU.Total) * time.Millisecond, nil
	}
	return 0, errors.New("OpenSearch reports no node's CPU time")
}

// check returns an error unless all documents can be found.
func (v *server) check(ctx context.Context, want int) error {
	got, err := inspect.Count(ctx, v.client, indices)
	if err == nil && got != want {
		err = fmt.Errorf("%w: %d documents of %d events", errMissing, got, want)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
