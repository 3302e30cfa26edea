package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"logsluice/mapping"
	"logsluice/mapping/schema"
	"logsluice/opensearch"
	"logsluice/opensearch/assets"
	"logsluice/subscription"
)

// A loader that only posts prepared requests.

// The defaults of logsluice, which the loader uses too.
const (
	bulkBytes       = 8 << 20
	bulkDocuments   = 20_000
	bulkConnections = 8
)

// Built-in schemas.
const (
	plainSchema   = "plain"
	defaultSchema = schema.Default // of run
)

// documentsOf returns the documents of a built-in schema.
func documentsOf(builtIn string) (assets.Documents, error) {
	s, err := schema.BuiltIn(builtIn)
	return assets.Documents{Naming: schema.Naming{Prefix: indexPrefix, Zone: time.UTC}, Schema: s}, err
}

func newMapper(builtIn string) (*mapping.Mapper, error) {
	d, err := documentsOf(builtIn)
	if err != nil {
		return nil, err
	}
	return mapping.New(mapping.Config{Naming: d.Naming, Schema: d.Schema})
}

// encoder writes the documents of an envelope, as mapping.Mapper does.
type encoder interface {
	AppendAll(dst []byte, envelope *subscription.Envelope) []byte
}

// newBodies returns bulk requests with a fixture's documents.
func newBodies(f *fixture, to encoder) ([][]byte, error) {
	decoder := subscription.NewDecoder(64 << 20)
	var bodies [][]byte
	var body, document []byte
	documents := 0
	for _, r := range f.records {
		_, err := decoder.Decode(r.Data, func(envelope *subscription.Envelope) {
			document = to.AppendAll(document[:0], envelope)
			if len(body)+len(document) > bulkBytes || documents+len(envelope.Events) > bulkDocuments {
				bodies, body, documents = append(bodies, body), make([]byte, 0, bulkBytes), 0
			}
			body = append(body, document...)
			documents += len(envelope.Events)
		})
		if err != nil {
			return nil, fmt.Errorf("create bulk requests: %w", err)
		}
	}
	return append(bodies, body), nil
}

// load posts bulk requests, with the maximum concurrency of logsluice.
func load(ctx context.Context, v *server, bodies [][]byte) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bulkConnections)
	for _, body := range bodies {
		group.Go(func() error { return v.post(ctx, body) })
	}
	return group.Wait()
}

// post sends a bulk request, and fails unless all documents are accepted.
func (v *server) post(ctx context.Context, body []byte) error {
	answer, err := v.bulk(ctx, body)
	if err == nil && !bytes.Contains(answer, []byte(`"errors":false`)) {
		err = fmt.Errorf("bulk request: %.300s", answer)
	}
	return err
}

// bulk sends a bulk request with the options of logsluice.
func (v *server) bulk(ctx context.Context, body []byte) (answer []byte, err error) {
	req, err := opensearch.NewBulkRequest(ctx, opensearch.ItemsOnly, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := v.client.Stream(req)
	if err != nil {
		return nil, fmt.Errorf("bulk request: %w", err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", resp.Status, answer)
	}
	if err != nil {
		return nil, fmt.Errorf("bulk request: %w", err)
	}
	return answer, nil
}
