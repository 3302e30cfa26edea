package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"logsluice/local/feed"
)

// env returns the environment with which run and other commands use the demo's servers.
func (p *parts) env() []string {
	env := []string{
		"STREAM_NAME=" + streamName,
		"APPLICATION_NAME=logsluice-demo",
		"OPENSEARCH_URL=" + p.openSearchURL,
		"INDEX_PREFIX=" + p.prefix,
		"EVENT_MAX_AGE=0", // the events have the same times in each demo
		"EVENT_MAX_AHEAD=0",
		"AWS_REGION=" + region,
		"AWS_ENDPOINT_URL_KINESIS=" + p.kinesisURL,
		"AWS_ENDPOINT_URL_DYNAMODB=" + p.dynamoDBURL,
	}
	if !p.external || os.Getenv("OPENSEARCH_SIGV4") == "" {
		env = append(env, "AWS_ACCESS_KEY_ID=demo", "AWS_SECRET_ACCESS_KEY=demo",
			"AWS_ENDPOINT_URL_STS="+p.accountURL, "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS="+p.accountURL)
	}
	return env
}

// writeEnv writes the environment to a shell script that only this user can read.
func (p *parts) writeEnv() (file string, err error) {
	file = filepath.Join(p.cache, "demo.env")
	var text strings.Builder
	for _, variable := range p.env() {
		name, value, _ := strings.Cut(variable, "=")
		fmt.Fprintf(&text, "export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	_ = os.Remove(file) // an existing file would keep its mode
	p.closers = append(p.closers, func() error { return os.Remove(file) })
	return file, os.WriteFile(file, []byte(text.String()), 0o600)
}

// keepRunning puts new events until ctx ends, and shows the progress of indexing.
func keepRunning(ctx context.Context, p *parts, w *workers, seed uint64, made int) error {
	file, err := p.writeEnv()
	if err != nil {
		return err
	}
	binary := filepath.Join(p.cache, "logsluice")
	fmt.Printf(`
Everything keeps running, with new input, until Ctrl-C.
  OpenSearch  %s (indices %s-*)
  DynamoDB    %s (lease table logsluice-demo)
  Kinesis     %s (stream %s)
`, p.shownURL, p.prefix, p.dynamoDBURL, p.kinesisURL, streamName)
	for _, one := range w.list {
		fmt.Printf("  %s    http://%s/metrics\n", one.name, one.metrics)
	}
	fmt.Printf(`Try in another terminal:
  . %s
  %s leases --watch
  %s doctor
  %s setup --dry-run
  curl -s "$OPENSEARCH_URL/$INDEX_PREFIX-*/_search?q=message:timeout&pretty"

`, file, binary, binary, binary)

	const perSecond = 100
	var trickled atomic.Int64
	progress := startProgress(ctx, func() int { return made + int(trickled.Load()) }, w)
	err = feed.Trickle(ctx, p.kinesis, streamName, seed, perSecond, func(events int) { trickled.Store(int64(events)) })
	progress.stop()
	fmt.Println("Stopping.")
	return err
}
