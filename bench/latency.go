package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/loggen"
)

const (
	latencyShards = 4
	// shardRate is how many bytes per second a shard accepts. The limit of 1000 records per
	// second is not reached, because CloudWatch's records have kilobytes.
	shardRate = 1e6
	// loadFor is how long each load lasts.
	loadFor = time.Minute
	// capacityEvents are the events of each round that warms up and measures OpenSearch.
	capacityEvents, capacityRounds = 250_000, 4
	// primers is the number of records that are put first, so that each shard gets some.
	primers = 64
)

var loads = []float64{0.01, 0.5}

// latency measures the time from the put of a record until a real OpenSearch acknowledges its
// last document.
func latency(ctx context.Context, program string, s settings) (err error) {
	mapper, err := newMapper(defaultSchema)
	if err != nil {
		return err
	}
	server, err := startServer(ctx, s, defaultSchema)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	f := newFixture(capacityEvents)
	bodies, err := newBodies(f, mapper)
	if err != nil {
		return err
	}
	searchRate := 0.0 // bytes of records per second
	for range capacityRounds {
		p, err := server.measure(ctx, contender{start: func(ctx context.Context) (*attempt, error) {
			return startLoader(ctx, server, bodies), nil
		}}, f.events)
		if err != nil {
			return fmt.Errorf("measure OpenSearch's capacity: %w", err)
		}
		searchRate = float64(f.packed) / p.took.wall.Seconds()
	}
	capacity, of := latencyShards*shardRate, "the stream's"
	if searchRate < capacity {
		capacity, of = searchRate, "OpenSearch's, which is lower than the stream's"
	}
	fmt.Printf("\n%d shards accept %.1f MB/s of records, OpenSearch on this machine %.1f MB/s: load is a share of %s capacity\n",
		latencyShards, latencyShards*shardRate/1e6, searchRate/1e6, of)
	if err := server.empty(ctx); err != nil {
		return err
	}

	services, err := startServices(ctx, latencyShards, &fixture{})
	if err != nil {
		return err
	}
	defer services.stop()
	acks := &acknowledgements{search: server.node.URL, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bulkConnections}}, pending: make(map[string]*pending)}
	url, err := services.serve(ctx, acks)
	if err != nil {
		return err
	}
	worker, err := startWorker(program, s, services, url)
	if err != nil {
		return err
	}
	defer func() {
		_, stopped := worker.stop()
		err = errors.Join(err, stopped)
	}()

	put := &putter{client: services.client(), records: loggen.New(loggen.Options{Seed: 1}), acks: acks}
	// The first records wait until leases and indices exist, so they do not count.
	for range primers {
		if _, err := put.one(ctx); err != nil {
			return err
		}
	}
	if err := acks.await(ctx, worker); err != nil {
		return err
	}
	acks.times()

	fmt.Printf("\n%-6s %10s %10s  %s\n", "load", "events/s", "records", "ms from put to acknowledged: p50, p99, max; of a bulk request: p50, p99, max")
	for _, load := range loads {
		events := put.events
		if err := put.steadily(ctx, load*capacity); err != nil {
			return err
		}
		if err := acks.await(ctx, worker); err != nil {
			return err
		}
		took, answers := acks.times()
		fmt.Printf("%4.0f %% %10.0f %10d  %d; %d\n", load*100, float64(put.events-events)/loadFor.Seconds(), len(took), spread(took), spread(answers))
	}
	return server.check(ctx, put.events)
}

// spread returns the median, the 99th percentile and the maximum in milliseconds.
func spread(of []time.Duration) []int64 {
	slices.Sort(of)
	return []int64{of[len(of)/2].Milliseconds(), of[len(of)*99/100].Milliseconds(), of[len(of)-1].Milliseconds()}
}

// putter puts one record after the other.
type putter struct {
	client  *kinesis.Client
	records *loggen.Generator
	acks    *acknowledgements
	events  int
}

func (p *putter) one(ctx context.Context) (size int, err error) {
	r, _ := p.records.Next() // endless
	if !r.Control {
		p.events += len(r.Events)
		p.acks.expect(r)
	}
	_, err = p.client.PutRecord(ctx, &kinesis.PutRecordInput{StreamName: aws.String(streamName), Data: r.Data, PartitionKey: aws.String(r.PartitionKey)})
	if err != nil {
		err = fmt.Errorf("put a record: %w", err)
	}
	return len(r.Data), err
}

// steadily puts records at a rate in bytes per second, for loadFor.
func (p *putter) steadily(ctx context.Context, rate float64) error {
	began, size := time.Now(), 0
	for time.Since(began) < loadFor {
		n, err := p.one(ctx)
		if err != nil {
			return err
		}
		size += n
		due := time.Duration(float64(size) / rate * float64(time.Second))
		if err := pause(ctx, time.Until(began.Add(due))); err != nil {
			return err
		}
	}
	return nil
}

// await waits until all documents are acknowledged.
func (a *acknowledgements) await(ctx context.Context, worker *process) error {
	for deadline := time.Now().Add(runTimeout); ; {
		n, err := a.waiting()
		switch {
		case err != nil || n == 0:
			return err
		case worker.hasExited():
			return fmt.Errorf("the worker ended early: see %s", worker.log)
		case time.Now().After(deadline):
			return fmt.Errorf("%d documents are not acknowledged after %s", n, runTimeout)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}
