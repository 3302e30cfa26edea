package main

import (
	"context"
	"fmt"
	"hash/maphash"
	"math/big"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/internal/loggen"
	"logsluice/local/feed"
)

// producer puts generated records into the stream, as CloudWatch Logs does, and keeps the
// expected documents.
type producer struct {
	client   *kinesis.Client
	settings settings
	hash     maphash.Seed

	mu       sync.Mutex
	produced produced
}

// produced counts the records and events put, and has the expected document for each event id.
type produced struct {
	records, controls, events int
	expected                  map[string]fingerprint
}

// fingerprint has the day of a document's index and a hash of its message.
type fingerprint struct {
	day     string
	message uint64
}

func newProducer(client *kinesis.Client, s settings) *producer {
	return &producer{client: client, settings: s, hash: maphash.MakeSeed(), produced: produced{expected: make(map[string]fingerprint, s.events)}}
}

func (p *producer) counts() produced {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.produced
}

// putBatch is the number of records per request.
const putBatch = 4

// run puts all records, evenly over the time, and reshards the stream halfway.
func (p *producer) run(ctx context.Context) error {
	// Always two days: from noon of the first to noon of the second.
	start := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	generator := loggen.New(loggen.Options{Seed: p.settings.seed, Start: start, Span: 24 * time.Hour, Events: p.settings.events})
	began, resharded := time.Now(), false
	for more := true; more; {
		var batch []loggen.Record
		for len(batch) < putBatch && more {
			var r loggen.Record
			if r, more = generator.Next(); more {
				batch = append(batch, r)
			}
		}
		p.remember(batch)
		if err := feed.Put(ctx, p.client, streamName, batch); err != nil {
			return err
		}
		done := float64(p.counts().events) / float64(p.settings.events)
		if !resharded && done >= 0.5 {
			if err := p.reshard(ctx); err != nil {
				return fmt.Errorf("reshard: %w", err)
			}
			resharded = true
		}
		select {
		case <-time.After(time.Until(began.Add(time.Duration(done * float64(p.settings.over))))):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (p *producer) remember(batch []loggen.Record) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range batch {
		p.produced.records++
		if r.Control {
			p.produced.controls++
			continue
		}
		p.produced.events += len(r.Events)
		for _, e := range r.Events {
			p.produced.expected[e.ID] = fingerprint{
				day:     time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly),
				message: maphash.String(p.hash, e.Message),
			}
		}
	}
}

// reshard splits two shards and merges two others.
func (p *producer) reshard(ctx context.Context) error {
	open, err := p.openShards(ctx)
	if err != nil {
		return err
	}
	if len(open) < 4 {
		return fmt.Errorf("the stream has %d open shards, want 4", len(open))
	}
	for _, shard := range open[:2] {
		low, _ := new(big.Int).SetString(*shard.HashKeyRange.StartingHashKey, 10)
		high, _ := new(big.Int).SetString(*shard.HashKeyRange.EndingHashKey, 10)
		middle := low.Add(low, high).Rsh(low, 1)
		if _, err := p.client.SplitShard(ctx, &kinesis.SplitShardInput{
			StreamName: aws.String(streamName), ShardToSplit: shard.ShardId, NewStartingHashKey: aws.String(middle.String())}); err != nil {
			return err
		}
	}
	_, err = p.client.MergeShards(ctx, &kinesis.MergeShardsInput{
		StreamName: aws.String(streamName), ShardToMerge: open[2].ShardId, AdjacentShardToMerge: open[3].ShardId})
	return err
}

// openShards lists the open shards, in the order of their hash keys.
func (p *producer) openShards(ctx context.Context) ([]types.Shard, error) {
	out, err := p.client.ListShards(ctx, &kinesis.ListShardsInput{StreamName: aws.String(streamName)})
	if err != nil {
		return nil, err
	}
	open := slices.DeleteFunc(out.Shards, func(s types.Shard) bool { return s.SequenceNumberRange.EndingSequenceNumber != nil })
	slices.SortFunc(open, func(a, b types.Shard) int {
		x, _ := new(big.Int).SetString(*a.HashKeyRange.StartingHashKey, 10)
		y, _ := new(big.Int).SetString(*b.HashKeyRange.StartingHashKey, 10)
		return x.Cmp(y)
	})
	return open, nil
}
