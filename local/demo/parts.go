package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/domain"
	"logsluice/internal/fakeaws"
	"logsluice/local"
	"logsluice/local/feed"
)

const (
	region     = "us-east-1"
	streamName = "demo"
	shards     = 4
)

// parts are what the workers talk to.
type parts struct {
	openSearchURL string
	dynamoDBURL   string
	kinesisURL    string
	prefix        string // of the indices
	own           bool   // OpenSearch is the person's own
	cache         string
	logs          string // folder of the workers' logs
	search        domain.Client
	kinesis       *kinesis.Client
	closers       []func() error
}

func startParts(ctx context.Context, s settings) (p *parts, err error) {
	p = &parts{cache: s.cache, prefix: "demo"}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.stop())
		}
	}()
	if p.logs, err = os.MkdirTemp("", "logsluice-demo-"); err != nil {
		return p, err
	}
	if err := p.startOpenSearch(ctx, s); err != nil {
		return p, err
	}
	dynamo, err := local.StartDynamoDB(ctx, local.Options{Cache: s.cache, Log: os.Stdout})
	if err != nil {
		return p, err
	}
	p.dynamoDBURL = dynamo.URL
	p.closers = append(p.closers, dynamo.Stop)
	return p, p.startKinesis(ctx)
}

func (p *parts) startOpenSearch(ctx context.Context, s settings) error {
	p.openSearchURL = s.openSearchURL
	if s.openSearchURL != "" {
		// Indices of a demo before are left alone.
		p.own = true
		p.prefix = "logsluice-demo-" + time.Now().UTC().Format("20060102-150405")
	} else {
		server, err := local.StartOpenSearch(ctx, local.Options{Cache: s.cache, Log: os.Stdout})
		if err != nil {
			return err
		}
		p.openSearchURL = server.URL
		p.closers = append(p.closers, server.Stop)
	}
	client, err := domain.NewClient(domain.ClientConfig{
		URL:         p.openSearchURL,
		Username:    os.Getenv("OPENSEARCH_USERNAME"),
		Password:    os.Getenv("OPENSEARCH_PASSWORD"),
		CAFile:      os.Getenv("OPENSEARCH_CA_FILE"),
		Connections: 1,
	})
	if err != nil {
		return err
	}
	p.search = client
	p.closers = append(p.closers, client.Close)
	return nil
}

// startKinesis serves the stream on a socket of its own.
func (p *parts) startKinesis(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: fakeaws.NewKinesis(fakeaws.KinesisOptions{}), ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // http.ErrServerClosed
	p.closers = append(p.closers, func() error {
		defer serving.Wait()
		return server.Close()
	})
	p.kinesisURL = "http://" + listener.Addr().String()
	p.kinesis = kinesis.New(kinesis.Options{
		BaseEndpoint: aws.String(p.kinesisURL),
		Region:       region,
		Credentials:  credentials.NewStaticCredentialsProvider("demo", "demo", ""),
	})
	return feed.EnsureStream(ctx, p.kinesis, streamName, shards)
}

func (p *parts) stop() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	return errors.Join(errs...)
}
