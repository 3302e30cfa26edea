package main

import (
	"context"
	"fmt"
	"time"

	"logsluice/internal/loggen"
)

// keepRunning trickles new input in until ctx ends.
func keepRunning(ctx context.Context, p *parts, w *workers, producer *producer) error {
	fmt.Printf(`
Everything goes on, with new input, until Ctrl-C.
  OpenSearch  %s   (indices %s-*)
  DynamoDB    %s   (lease table logsluice-demo)
  Kinesis     %s   (stream %s)
`, p.openSearchURL, p.prefix, p.dynamoDBURL, p.kinesisURL, streamName)
	for _, one := range w.list {
		fmt.Printf("  %s    http://%s/metrics\n", one.name, one.metrics)
	}
	fmt.Printf("Try:\n  curl -s '%s/%s-*/_search?q=message:timeout&size=3&sort=@timestamp:desc&filter_path=hits.hits._source&pretty'\n", p.openSearchURL, p.prefix)

	generator := loggen.New(loggen.Options{Seed: producer.settings.seed + 1, Start: time.Now(), Span: 24 * time.Hour, Events: 10_000_000})
	for {
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			fmt.Println()
			return nil
		}
		record, more := generator.Next()
		if !more {
			return nil
		}
		if err := producer.put(ctx, []loggen.Record{record}); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
