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
	// shardTakes is what Kinesis lets into a shard in a second, in bytes. Its 1000
	// records are not reached first: CloudWatch's have kilobytes.
	shardTakes = 1e6
	// loadFor is how long each load is kept up.
	loadFor = time.Minute
	// capacityEvents are what OpenSearch is warmed up and measured with, some times.
	capacityEvents, capacityRounds = 250_000, 4
	// primers are records that are put first: some to each shard.
	primers = 64
)

var loads = []float64{0.01, 0.5}

// latency measures the time from the put of a record to the acknowledgement of
// its last document by a real OpenSearch.
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
	takes := 0.0 // bytes of records a second
	for range capacityRounds {
		p, err := server.measure(ctx, contender{start: func(ctx context.Context) (*attempt, error) {
			return startLoader(ctx, server, bodies), nil
		}}, f.events)
		if err != nil {
			return fmt.Errorf("measure what OpenSearch takes: %w", err)
		}
		takes = float64(f.packed) / p.took.wall.Seconds()
	}
	capacity, of := latencyShards*shardTakes, "the stream's"
	if takes < capacity {
		capacity, of = takes, "OpenSearch's, which is lower than the stream's"
	}
	fmt.Printf("\n%d shards take %.1f MB/s of records, OpenSearch on this machine %.1f MB/s: load is a share of %s capacity\n",
		latencyShards, latencyShards*shardTakes/1e6, takes/1e6, of)
	if err := server.empty(ctx); err != nil {
		return err
	}

	services, err := startServices(ctx, latencyShards, &fixture{})
	if err != nil {
		return err
	}
	defer services.stop()
	acks := &acknowledgements{search: server.node.URL, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: bulkConnections}}, flights: make(map[string]*flight)}
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
	// What is put first finds no leases and no index.
	for range primers {
		if _, err := put.one(ctx); err != nil {
			return err
		}
	}
	if err := acks.await(ctx, worker); err != nil {
		return err
	}
	acks.take()

	fmt.Printf("\n%-6s %10s %10s  %s\n", "load", "events/s", "records", "ms from put to acknowledged: p50, p99, max; of a bulk request: p50, p99, max")
	for _, load := range loads {
		events := put.events
		if err := put.steadily(ctx, load*capacity); err != nil {
			return err
		}
		if err := acks.await(ctx, worker); err != nil {
			return err
		}
		took, answers := acks.take()
		fmt.Printf("%4.0f %% %10.0f %10d  %d; %d\n", load*100, float64(put.events-events)/loadFor.Seconds(), len(took), spread(took), spread(answers))
	}
	return server.check(ctx, put.events)
}

// spread is the median, the 99th percentile and the maximum, in milliseconds.
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

// steadily puts so many bytes a second.
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

// await waits until all is acknowledged.
func (a *acknowledgements) await(ctx context.Context, worker *process) error {
	for patient := time.Now().Add(patience); ; {
		n, err := a.waiting()
		switch {
		case err != nil || n == 0:
			return err
		case worker.hasExited():
			return fmt.Errorf("it ended early: see %s", worker.log)
		case time.Now().After(patient):
			return fmt.Errorf("%d documents are not acknowledged after %s", n, patience)
		}
		if err := pause(ctx, pollEvery); err != nil {
			return err
		}
	}
}
