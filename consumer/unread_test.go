package consumer

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
)

// unreadMetric returns the metric of unread shards.
func unreadMetric(t *testing.T, b *lagCollector) (n int) {
	t.Helper()
	for _, s := range b.states() {
		if s.Unread() {
			n++
		}
	}
	return n
}

// The lag of a shard that is throttled or does not respond grows, and after a while the worker
// is not ready.
func TestUnreadShard(t *testing.T) {
	f := func(name string, fault fakeaws.Fault) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				r := run(t, func(r *testWorker) {
					f := func(call fakeaws.Call) fakeaws.Fault {
						if strings.HasPrefix(call.Operation, "Get") && call.Shard() == heldShard {
							return fault
						}
						return fakeaws.Fault{}
					}
					r.faults.Store(&f)
				})
				time.Sleep(checkpoint.UnreadAfter - time.Minute)
				if err := r.Ready(t.Context()); err != nil {
					t.Errorf("for a short time: %v", err)
				}
				time.Sleep(3 * time.Minute)
				if err := r.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "1 shards are not read, "+heldShard) {
					t.Errorf("for a long time: %v", err)
				}
				age := time.Since(begun).Seconds()
				if lag := lagOf(t, r.lag, heldShard); lag < age-2 || lag > age+2 {
					t.Errorf("after %vs the lag is %v", age, lag)
				}
				if lag := lagOf(t, r.lag, "shardId-000000000001"); lag != 3600 {
					t.Errorf("the lag of the other shard is %v", lag)
				}
				if n := unreadMetric(t, r.lag); n != 1 {
					t.Errorf("%d shards are unread", n)
				}
				r.faults.Store(nil)
				time.Sleep(maxPause)
				if err := r.Ready(t.Context()); err != nil || unreadMetric(t, r.lag) != 0 {
					t.Errorf("after: %v", err)
				}
			})
		})
	}
	f("throttled", fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "Rate exceeded"}})
	f("hanging", fakeaws.Fault{Delay: fakeaws.Hang})
}

// A held shard without answers is logged once per period. A shard whose records wait for
// OpenSearch is not.
func TestHeldShardWithoutAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(*testWorker) {})
		time.Sleep(10 * time.Second)
		for range maxFetches { // other answers remain in memory
			r.stream.fetchTokens <- struct{}{}
		}
		time.Sleep(checkpoint.UnreadAfter + 10*time.Second)
		lines := r.log.containing("shard is not read")
		if len(lines) != 2 || !strings.Contains(lines[0], `"held":true`) || !strings.Contains(lines[0], `"unread_for":"5m`) {
			t.Errorf("%d lines for two shards: %s", len(lines), lines)
		}
		if err := r.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "2 shards are not read") {
			t.Errorf("ready: %v", err)
		}
		time.Sleep(checkpoint.UnreadAfter)
		if lines := r.log.containing("shard is not read"); len(lines) != 4 {
			t.Errorf("%d lines in two periods: %s", len(lines), lines)
		}
		r.shards.mu.Lock()
		for _, known := range r.shards.byID {
			known.lag.marks.add("1", 1)
		}
		r.shards.mu.Unlock()
		time.Sleep(2 * checkpoint.UnreadAfter)
		if lines := r.log.containing("shard is not read"); len(lines) != 4 {
			t.Errorf("%d lines, with those of shards that wait for OpenSearch: %s", len(lines), lines[4:])
		}
		if err := r.Ready(t.Context()); err != nil {
			t.Errorf("while they wait for OpenSearch: %v", err)
		}
		for range maxFetches {
			<-r.stream.fetchTokens
		}
	})
}

// A worker that starts far behind reports the lag before it has read anything.
func TestStartFarBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(r *testWorker) {
			f := func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{Delay: time.Second} }
			r.faults.Store(&f)
			if err := r.table.Open(t.Context(), checkpoint.Stream{Name: "s"}, r.stream.list); err != nil {
				t.Fatal(err)
			}
			_, err := dynamodb.NewFromConfig(r.aws).PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String("leases"), Item: map[string]types.AttributeValue{
				"ShardID":     &types.AttributeValueMemberS{Value: heldShard},
				"ReadThrough": &types.AttributeValueMemberN{Value: num(time.Now().Add(-10 * time.Minute).UnixMilli())},
			}})
			if err != nil {
				t.Fatal(err)
			}
		})
		time.Sleep(6500 * time.Millisecond) // the table is read, but no shard
		if n, err := testutil.GatherAndCount(registered(r.lag), "logsluice_lag_seconds"); n != 2 || err != nil {
			t.Errorf("%d lags, %v", n, err)
		}
		if lag := lagOf(t, r.lag, heldShard); lag < 600 || lag > 610 {
			t.Errorf("the lag is %v", lag)
		}
	})
}

// The row has the time up to which a shard is read: the time of the last answer while nothing
// is pending, otherwise the arrival of the last record that has an outcome.
func TestReadThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(*testWorker) {})
		client := dynamodb.NewFromConfig(r.aws)
		through := func() time.Time {
			t.Helper()
			out, err := client.GetItem(t.Context(), &dynamodb.GetItemInput{TableName: aws.String("leases"), Key: map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: heldShard}}})
			if err != nil {
				t.Fatal(err)
			}
			n, _ := out.Item["ReadThrough"].(*types.AttributeValueMemberN)
			if n == nil {
				return time.Time{}
			}
			return milliseconds(n.Value)
		}
		near := func(what string, got, want time.Time) {
			t.Helper()
			if d := want.Sub(got); d < 0 || d > 10*time.Second { // a renewal, and a read
				t.Errorf("%s: read through %s, want %s", what, got, want)
			}
		}
		time.Sleep(time.Minute)
		near("idle", through(), time.Now().Add(-time.Hour)) // an hour behind, as Kinesis reports
		time.Sleep(time.Minute)
		near("idle", through(), time.Now().Add(-time.Hour))
		put := time.Now()
		for i := range 20 { // for both shards; their documents are not accepted
			if _, err := kinesis.NewFromConfig(r.aws).PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String(num(int64(i))), Data: []byte("x")}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		near("a record waits for its outcome", through(), put.Add(-time.Hour))
	})
}

func num(n int64) string { return strconv.FormatInt(n, 10) }

func milliseconds(s string) time.Time {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.UnixMilli(n)
}

// A lease table that was deleted and cannot be created again is reported once. The failed calls
// have sampled lines.
func TestTableCannotBeRecreated(t *testing.T) {
	runScenario(t, 24*time.Hour, 24*time.Hour, func(s *scenario) {
		s.start()
		time.Sleep(time.Minute)
		deny := func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "CreateTable" {
				fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "No."}
			}
			return fault
		}
		s.faults.Store(&deny)
		if _, err := dynamodb.NewFromConfig(s.aws).DeleteTable(s.Context(), &dynamodb.DeleteTableInput{TableName: aws.String("leases")}); err != nil {
			s.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if n := len(s.log.containing("the lease table was deleted")); n != 1 {
			s.Errorf("%d lines", n)
		}
		s.faults.Store(nil)
		time.Sleep(time.Minute)
	})
}

// The shards that are unread for this worker, and those that it logs.
func TestUnreadShards(t *testing.T) {
	f := func(what string, unread, logged bool, change func(s *shardState)) {
		t.Helper()
		s := shardState{ReadStatus: checkpoint.ReadStatus{Shard: "one", Unanswered: checkpoint.UnreadAfter, Reports: true}}
		change(&s)
		var log strings.Builder
		c := &Consumer{cfg: Config{Log: zerolog.New(&log)}, shards: new(shards)}
		c.lag = newLagCollector(c.shards, func() []checkpoint.ReadStatus { return []checkpoint.ReadStatus{s.ReadStatus} })
		if s.Lease != nil && s.waitsForOpenSearch {
			marks := &watermark{}
			marks.add("1", 1)
			c.shards.setWatermark(s.Shard, s.Lease, marks)
		}
		for range 2 {
			c.reportUnread()
		}
		lines := strings.Count(log.String(), "shard is not read")
		if err := c.checkUnread(); (err != nil) != unread || logged != (lines == 1) || lines > 1 {
			t.Errorf("%s: %v, log: %s", what, err, log.String())
		}
	}
	f("for a long time", true, true, func(*shardState) {})
	f("for a shorter time", false, false, func(s *shardState) { s.Unanswered -= time.Second })
	f("held", true, true, func(s *shardState) { s.Lease = &checkpoint.Lease{} })
	f("held, while OpenSearch is away", false, false, func(s *shardState) { s.Lease, s.waitsForOpenSearch = &checkpoint.Lease{}, true })
	f("waiting for a parent", false, false, func(s *shardState) { s.WaitsForParent = true })
	f("another worker's", false, false, func(s *shardState) { s.HeldByOther = true })
	f("failing", true, false, func(s *shardState) { s.Failing = true })
	f("reported by another worker", true, false, func(s *shardState) { s.Reports = false })

	c := &Consumer{lag: newLagCollector(new(shards), func() []checkpoint.ReadStatus {
		return []checkpoint.ReadStatus{
			{Shard: "one", Unanswered: 2 * checkpoint.UnreadAfter}, {Shard: "two", Unanswered: 3 * checkpoint.UnreadAfter}, {Shard: "three", Unanswered: checkpoint.UnreadAfter},
		}
	})}
	if err := c.checkUnread(); err == nil || !strings.Contains(err.Error(), "3 shards are not read, two for 15m0s") {
		t.Error(err)
	}
}
