package fakeaws

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"golang.org/x/sync/errgroup"
)

// Producers put records while readers follow the shards through reshards. Every record is read
// once, and records of one key in the order of their puts, parents first.
func TestConcurrentPutsAndGets(t *testing.T) {
	onBoth(t, KinesisOptions{NoReadLimits: true}, func(t *testing.T, _ *Kinesis, client *kinesis.Client) {
		const producers, rounds, perRound = 4, 120, 5
		ctx, name := t.Context(), aws.String("a")
		if _, err := client.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(2)}); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := make(map[string][]string) // data by key
		total := 0
		ends := make(map[string]chan struct{})
		// ended is closed when a shard has been read.
		ended := func(shardID string) chan struct{} {
			mu.Lock()
			defer mu.Unlock()
			if ends[shardID] == nil {
				ends[shardID] = make(chan struct{})
			}
			return ends[shardID]
		}

		group, ctx := errgroup.WithContext(ctx)
		producing, stop := context.WithCancel(ctx)
		defer stop()
		// read follows a shard to its end, or until all records are read.
		var read func(shardID string) error
		read = func(shardID string) error {
			defer close(ended(shardID))
			it, err := client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: &shardID, ShardIteratorType: "TRIM_HORIZON"})
			if err != nil {
				return err
			}
			previous := ""
			for next := it.ShardIterator; next != nil; {
				out, err := client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next, Limit: aws.Int32(7)})
				if err != nil {
					return err
				}
				mu.Lock()
				for _, r := range out.Records {
					if *r.SequenceNumber <= previous {
						t.Errorf("%s comes after %s in %s", *r.SequenceNumber, previous, shardID)
					}
					previous = *r.SequenceNumber
					got[*r.PartitionKey] = append(got[*r.PartitionKey], string(r.Data))
					total++
				}
				done := total >= producers*rounds*perRound
				mu.Unlock()
				for _, c := range out.ChildShards {
					if c.ParentShards[0] != shardID {
						continue // the other parent's reader continues with it
					}
					group.Go(func() error {
						for _, parent := range c.ParentShards {
							<-ended(parent)
						}
						return read(*c.ShardId)
					})
				}
				if done && len(out.Records) == 0 && producing.Err() != nil {
					return nil
				}
				next = out.NextShardIterator
			}
			return nil
		}
		for i := range 2 {
			group.Go(func() error { return read(*id(i)) })
		}
		var puts sync.WaitGroup
		for p := range producers {
			puts.Add(1)
			group.Go(func() error {
				defer puts.Done()
				for round := range rounds {
					if p == 0 && round%8 == 0 { // the other producers continue
						n := []int32{3, 5, 4, 2}[round/8%4]
						if _, err := client.UpdateShardCount(ctx, &kinesis.UpdateShardCountInput{StreamName: name, TargetShardCount: &n, ScalingType: types.ScalingTypeUniformScaling}); err != nil {
							return err
						}
					}
					var list []types.PutRecordsRequestEntry
					for i := range perRound {
						list = append(list, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("producer", p)), Data: fmt.Appendf(nil, "%d-%05d", p, round*perRound+i)})
					}
					if _, err := client.PutRecords(ctx, &kinesis.PutRecordsInput{StreamName: name, Records: list}); err != nil {
						return err
					}
				}
				return nil
			})
		}
		group.Go(func() error {
			defer stop()
			puts.Wait()
			return nil
		})
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if total != producers*rounds*perRound {
			t.Errorf("%d records came, want %d", total, producers*rounds*perRound)
		}
		for p := range producers {
			records := got[fmt.Sprint("producer", p)]
			for i, data := range records {
				if want := fmt.Sprintf("%d-%05d", p, i); data != want {
					t.Fatalf("producer %d: record %d is %s", p, i, data)
				}
			}
		}
	})
}

// A shard does not close while a record is put into it. Readers that are at its end would miss
// the record.
func TestShardClosesBetweenPuts(t *testing.T) {
	var (
		k      *Kinesis
		client *kinesis.Client
		group  errgroup.Group
		armed  atomic.Bool
	)
	name, closed := aws.String("a"), make(chan struct{})
	k = NewKinesis(KinesisOptions{Clock: func() time.Time {
		if armed.Load() {
			// The clock is read during a put, while the shard is locked.
			sh := k.streams[*name].shards[0]
			if sh.mu.TryLock() {
				sh.mu.Unlock()
			} else if armed.Swap(false) {
				group.Go(func() error {
					defer close(closed)
					_, err := client.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: name, ShardToSplit: id(0), NewStartingHashKey: aws.String("1000")})
					return err
				})
				select {
				case <-closed:
					t.Error("the shard was split during a put")
				case <-time.After(100 * time.Millisecond):
				}
			}
		}
		return time.Now()
	}})
	client = newClient("http://kinesis.invalid", RoundTripper(k))
	if _, err := client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	armed.Store(true)
	out, err := client.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: name, PartitionKey: name, Data: []byte("x")})
	if err != nil {
		t.Fatal(err)
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if end := sequenceNumber(k.streams[*name].shards[0].end); armed.Load() || *out.ShardId != *id(0) || *out.SequenceNumber >= end {
		t.Errorf("put into %s at %s, which ends at %s", *out.ShardId, *out.SequenceNumber, end)
	}
}
