package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/doctor"
	"logsluice/internal/fakeaccount"
	"logsluice/internal/fakeaws"
	"logsluice/local"
	"logsluice/local/feed"
	"logsluice/opensearch"
)

const (
	region     = "us-east-1"
	streamName = "demo"
	shards     = 4
)

// parts are the servers that the workers use.
type parts struct {
	openSearchURL string
	shownURL      string // the same without credentials
	dynamoDBURL   string
	kinesisURL    string
	accountURL    string // of STS and CloudWatch Logs, for doctor
	prefix        string // of the indices
	external      bool   // OpenSearch is the user's
	cache         string
	logs          string // folder of the workers' logs
	search        opensearch.Client
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
	p.logs = filepath.Join(s.cache, "demo-logs")
	if err = os.MkdirAll(p.logs, 0o750); err != nil {
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
	if err := p.startAccount(ctx); err != nil {
		return p, err
	}
	return p, p.startKinesis(ctx)
}

// startAccount serves STS and CloudWatch Logs for doctor, with a log group whose subscription
// filter points at the stream.
func (p *parts) startAccount(ctx context.Context) error {
	logs := fakeaccount.NewLogs()
	logs.Group("/ecs/demo", map[string]any{
		"filterName": "logsluice", "filterPattern": "", "logGroupName": "/ecs/demo", "distribution": "Random",
		"destinationArn": "arn:aws:kinesis:" + region + ":" + fakeaccount.ID + ":stream/" + streamName,
		"roleArn":        "arn:aws:iam::" + fakeaccount.ID + ":role/cloudwatch-logs",
	})
	sts := &fakeaccount.STS{Key: "demo", ARN: "arn:aws:sts::" + fakeaccount.ID + ":assumed-role/demo/task"}
	url, err := p.serve(ctx, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "" {
			logs.ServeHTTP(w, r)
			return
		}
		sts.ServeHTTP(w, r)
	}))
	p.accountURL = url
	return err
}

// serve serves a handler on a free port and returns its URL.
func (p *parts) serve(ctx context.Context, handler http.Handler) (url string, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // http.ErrServerClosed
	p.closers = append(p.closers, func() error {
		defer serving.Wait()
		return server.Close()
	})
	return "http://" + listener.Addr().String(), nil
}

func (p *parts) startOpenSearch(ctx context.Context, s settings) error {
	p.openSearchURL = s.openSearchURL
	if s.openSearchURL != "" {
		switch address, err := opensearch.ParseAddress(s.openSearchURL); {
		case err != nil:
			return fmt.Errorf("OPENSEARCH_URL: %w", err)
		case address.IsDashboards():
			return fmt.Errorf("OPENSEARCH_URL: %q is the address of OpenSearch Dashboards: leave out %s", address.URL, address.URL.Path)
		default:
			p.shownURL = address.URL.String()
		}
		// A new prefix, so that indices of an earlier demo are not touched.
		p.external = true
		p.prefix = "logsluice-demo-" + time.Now().UTC().Format("20060102-150405")
	} else {
		server, err := local.StartOpenSearch(ctx, local.Options{Cache: s.cache, Log: os.Stdout})
		if err != nil {
			return err
		}
		p.openSearchURL, p.shownURL = server.URL, server.URL
		p.closers = append(p.closers, server.Stop)
	}
	client, err := opensearch.NewClient(opensearch.ClientConfig{
		URL:          p.openSearchURL,
		Username:     os.Getenv("OPENSEARCH_USERNAME"),
		Password:     os.Getenv("OPENSEARCH_PASSWORD"),
		PasswordFile: os.Getenv("OPENSEARCH_PASSWORD_FILE"),
		CAFile:       os.Getenv("OPENSEARCH_CA_FILE"),
		Connections:  1,
	})
	var wrong *opensearch.ConfigError
	if errors.As(err, &wrong) && wrong.Field == "CAFile" {
		return fmt.Errorf("OPENSEARCH_CA_FILE: %w", wrong.Err)
	}
	if err != nil {
		return err
	}
	p.search = client
	p.closers = append(p.closers, client.Close)
	if p.external && os.Getenv("OPENSEARCH_SIGV4") == "" { // the demo itself does not sign
		return p.reach(ctx)
	}
	return nil
}

// reach checks the connection to the user's OpenSearch, so that a wrong address or password
// ends the demo immediately.
func (p *parts) reach(ctx context.Context) error {
	const soon = 4 * time.Second
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	server, err := opensearch.Describe(ctx, p.search)
	if err != nil {
		access := doctor.Access{URL: p.shownURL, Setting: "OPENSEARCH_URL"}
		return fmt.Errorf("OpenSearch at %s cannot be used: %w: %s", p.shownURL, err, cmp.Or(access.Remedy(err), "correct OPENSEARCH_URL"))
	}
	fmt.Printf("using %s %s at %s\n", server.Distribution, server.Version, p.shownURL)
	return nil
}

// startKinesis serves the stream.
func (p *parts) startKinesis(ctx context.Context) (err error) {
	if p.kinesisURL, err = p.serve(ctx, fakeaws.NewKinesis(fakeaws.KinesisOptions{})); err != nil {
		return err
	}
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
