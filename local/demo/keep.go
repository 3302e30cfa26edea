package main

import (
	"context"
	"fmt"

	"logsluice/local/feed"
)

// keepRunning trickles new input in until ctx ends.
func keepRunning(ctx context.Context, p *parts, w *workers, seed uint64) error {
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

	const perSecond = 100
	err := feed.Trickle(ctx, p.kinesis, streamName, seed, perSecond)
	fmt.Println()
	return err
}
