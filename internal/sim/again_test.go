package sim

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// Streams and lease tables that are deleted and created again.

// otherStream is a stream without its own lease table.
const otherStream = "other"

// startStranger starts a worker of another stream with the lease table of this one. It must
// end and change nothing. If the table does not exist, the worker would create it.
func (c *cluster) startStranger() {
	ctx := context.Background()
	row, err := c.database().GetItem(ctx, &dynamodb.GetItemInput{TableName: aws.String(tableName),
		Key: map[string]ddbtypes.AttributeValue{"ShardID": &ddbtypes.AttributeValueMemberS{Value: firstStart}}})
	if err != nil || row.Item == nil {
		return
	}
	_, _ = c.admin.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: aws.String(otherStream), ShardCount: aws.Int32(2)}) // unless it exists
	w := &worker{number: -1}
	c.startOn(w, "stranger", otherStream)
	select {
	case <-w.process.ended:
	case <-time.After(time.Minute):
	}
	if !w.process.failed.Load() {
		c.violation(ownStream, "a worker of another stream continues with the lease table of this one")
	}
	c.crash(w.process)
	<-w.process.ended
}

// A stream that is deleted and created again is read from its beginning, by running workers
// and by workers that start later.
func TestStreamCreatedAgain(t *testing.T) {
	for name, running := range map[string]bool{"under a worker": true, "between two workers": false} {
		t.Run(name, func(t *testing.T) {
			newScene(t, storyTiming, 1, func(s scene) {
				s.during(5*time.Second, 0)
				s.split(0)
				s.during(10*time.Second, 0, 1)
				time.Sleep(20 * time.Second)
				w := s.workers[0]
				if !running {
					s.stop(w.process)
				}
				s.createAgain()
				s.during(10*time.Second, 0)
				s.split(0) // now shards with the old ids exist, including finished ones
				s.during(10*time.Second, 0, 1)
				if !running {
					s.start(w, "w0-again")
				}
				time.Sleep(mostWait)
				if n := s.missing(time.Now()); n > 0 {
					t.Errorf("%d records are not read", n)
				}
			})
		})
	}
}

// No records are lost when the lease table is deleted while workers run.
func TestTableDeleted(t *testing.T) {
	newScene(t, storyTiming, 2, func(s scene) {
		s.during(10*time.Second, 0, 1)
		s.deleteTable()
		s.during(20*time.Second, 0, 1)
		if n := s.missing(time.Now().Add(-5 * time.Second)); n > 0 {
			t.Errorf("%d records are not read", n)
		}
	})
}

// When two services for two streams start with one lease table, one continues and the other
// ends.
func TestTwoStreamsAtOnce(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(seed, logsluice, storyTiming, false)
			c.create(2)
			_, err := c.admin.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(otherStream), ShardCount: aws.Int32(2)})
			must(err)
			workers := []*worker{{number: 0}, {number: 1}}
			for i, stream := range []string{streamName, otherStream} {
				time.Sleep(time.Duration(c.hash(i)%3) * time.Millisecond)
				c.startOn(workers[i], stream, stream)
			}
			time.Sleep(warmUp)
			if ours, others := workers[0].process.failed.Load(), workers[1].process.failed.Load(); ours == others {
				t.Errorf("seed %d: both or neither end: %v\n%s", seed, ours, c.last(100))
			}
			c.mu.Lock()
			owners := make(map[string]bool)
			for _, row := range c.rows {
				owners[row.owner] = true
			}
			if len(owners) != 1 || len(c.rows) != 2 {
				t.Errorf("seed %d: %v", seed, c.rows)
			}
			c.mu.Unlock()
			for _, w := range workers {
				c.crash(w.process)
				<-w.process.ended
			}
			time.Sleep(time.Minute)
		})
	}
}

// When the lease table is deleted and a worker of another stream starts before it is created
// again, one of the two services continues and the other ends.
func TestTableDeletedAndStrangerStarts(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			c := newCluster(seed, logsluice, storyTiming, false)
			c.create(2)
			_, err := c.admin.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(otherStream), ShardCount: aws.Int32(2)})
			must(err)
			workers := []*worker{{number: 0}, {number: 1}}
			c.startOn(workers[0], streamName, streamName)
			time.Sleep(warmUp)
			c.deleteTable()
			time.Sleep(time.Duration(seed) * c.sync / 10)
			c.startOn(workers[1], otherStream, otherStream)
			time.Sleep(warmUp)
			if ours, others := workers[0].process.failed.Load(), workers[1].process.failed.Load(); ours == others {
				t.Errorf("seed %d: both or neither end: %v\n%s", seed, ours, c.last(100))
			}
			time.Sleep(warmUp)
			c.mu.Lock()
			owners := make(map[string]bool)
			for _, row := range c.rows {
				owners[row.owner] = true
			}
			if len(owners) != 1 || len(c.rows) != 2 {
				t.Errorf("seed %d: %v\n%s", seed, c.rows, c.last(60))
			}
			c.mu.Unlock()
			for _, w := range workers {
				c.crash(w.process)
				<-w.process.ended
			}
			time.Sleep(time.Minute)
		})
	}
}
