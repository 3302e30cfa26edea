package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakeaws/fakedynamodb"
	"logsluice/internal/ownbody"
)

const (
	region      = "us-east-1"
	streamName  = "bench"
	indexPrefix = "bench"
)

// services are the servers that a consumer uses.
type services struct {
	kinesis, dynamodb, search string // URLs
	sink                      *sink
	serving                   sync.WaitGroup
	servers                   []*http.Server
}

// startServices starts the servers, with a stream that has the fixture's records.
func startServices(ctx context.Context, shards int, f *fixture) (*services, error) {
	s := &services{sink: newSink(f.events)}
	for url, handler := range map[*string]http.Handler{
		&s.kinesis: fakeaws.NewKinesis(fakeaws.KinesisOptions{}), &s.dynamodb: fakedynamodb.New(fakedynamodb.Options{}), &s.search: s.sink,
	} {
		var err error
		if *url, err = s.serve(ctx, handler); err != nil {
			s.stop()
			return nil, err
		}
	}
	if err := s.put(ctx, shards, f); err != nil {
		s.stop()
		return nil, fmt.Errorf("put the records: %w", err)
	}
	return s, nil
}

// serve serves a handler until the services are stopped, and returns its URL.
func (s *services) serve(ctx context.Context, handler http.Handler) (url string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	s.servers = append(s.servers, server)
	s.serving.Go(func() { _ = server.Serve(listener) }) // http.ErrServerClosed
	return "http://" + listener.Addr().String(), nil
}

func (s *services) client() *kinesis.Client {
	return kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(s.kinesis), Region: region, Credentials: credentials.NewStaticCredentialsProvider("bench", "bench", ""),
		HTTPClient: ownbody.Client(http.DefaultClient),
	})
}

func (s *services) put(ctx context.Context, shards int, f *fixture) error {
	client := s.client()
	name := aws.String(streamName)
	if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(int32(shards))}); err != nil {
		return err
	}
	const batch = 8
	for records := f.records; len(records) > 0; {
		n := min(batch, len(records))
		entries := make([]types.PutRecordsRequestEntry, n)
		for i, r := range records[:n] {
			entries[i] = types.PutRecordsRequestEntry{Data: r.Data, PartitionKey: aws.String(r.PartitionKey)}
		}
		out, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: entries})
		if err != nil {
			return err
		}
		if *out.FailedRecordCount > 0 {
			return fmt.Errorf("%d records were not accepted", *out.FailedRecordCount)
		}
		records = records[n:]
	}
	return nil
}

func (s *services) stop() {
	for _, server := range s.servers {
		server.Close()
	}
	s.serving.Wait()
}
