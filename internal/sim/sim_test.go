package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/big"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/klauspost/compress/gzip"
	"pgregory.net/rapid"
)

// TestStories: the number of stories, and the shrinking of failures.

const (
	warmUp         = 10 * time.Second // before the first event
	settleTimeout  = 5 * time.Minute  // until everything must have its outcome
	lettersTimeout = 15 * time.Minute // until documents that are rejected forever must be dead letters
	idDigits       = 56
	historyLines   = 600 // lines of history that a failure shows
)

var storyTiming = timing{lease: 6 * time.Second, sync: time.Second, poll: 500 * time.Millisecond,
	drain:     2 * time.Second, // less than the sleep of a KCL reader
	pageBytes: 2_000,           // a few rows
	inFlight:  96 << 10,        // a few records
	wait:      90 * time.Second}

// seedsVariable is the environment variable for the number of stories in a test run, starting with
// the seed in -rapid.seed.
const seedsVariable = "LOGSLUICE_SEEDS"

// TestStories plays random stories. rapid shrinks a failure to a short story. The failure shows
// the seed, the story and its history.
func TestStories(t *testing.T) {
	seeds, base := 20, uint64(1)
	if seed := flag.Lookup("rapid.seed").Value.String(); seed != "0" {
		n, err := strconv.ParseUint(seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		base, seeds = n, 1
	}
	if s := os.Getenv(seedsVariable); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%s: %v", seedsVariable, err)
		}
		seeds = n
	}
	set(t, "rapid.checks", "1")
	set(t, "rapid.nofailfile", "true")
	begun := time.Now()
	counts := make(map[eventKind]int)
	// The story does not determine the interleaving of goroutines. If a failure cannot be
	// reproduced, this is its history.
	var found string
	for played := range seeds {
		set(t, "rapid.seed", fmt.Sprint(base+uint64(played)))
		rapid.Check(t, func(rt *rapid.T) {
			s := drawStory(rt)
			for _, e := range s.events {
				counts[e.what]++
			}
			c := play(t, s, logsluice)
			if c.violations != nil {
				found = fmt.Sprintf("%s\n%s\n%s", s, c.last(historyLines), strings.Join(c.violations, "\n"))
				rt.Fatalf("%s", found)
			}
		})
		if t.Failed() {
			t.Fatalf("%s\nrun this story again with -run TestStories -rapid.seed=%d", found, base+uint64(played))
		}
	}
	t.Logf("%d stories in %s, with events of each kind: %v", seeds, time.Since(begun).Round(time.Second), counts)
}

func set(t *testing.T, name, value string) {
	t.Helper()
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

// play plays a story in its own bubble.
func play(t *testing.T, s story, sys system) (c *cluster) {
	defer func() {
		// The bubble has goroutines that never end. The violations list them.
		if reason := recover(); reason != nil {
			c.violations = append(c.violations, fmt.Sprint(reason))
		}
	}()
	synctest.Test(t, func(*testing.T) {
		timing := storyTiming
		if s.roomy {
			timing.inFlight = 8 << 20
		}
		timing.hasStore = s.store
		c = newCluster(s.seed, sys, timing, s.latest)
		c.play(s)
		if left := leftOver(); left != "" {
			c.violation(goroutinesEnd, "goroutines are left over:\n%s", left)
		}
	})
	return c
}

// leftOver returns the stacks of the other goroutines in this bubble.
func leftOver() string {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	var left []string
	for i, stack := range strings.Split(string(all), "\n\n") {
		if i > 0 && strings.Contains(stack, "synctest bubble") && !strings.Contains(stack, "synctest.Run(") &&
			!strings.Contains(stack, "testingSynctestTest(") {
			left = append(left, stack)
		}
	}
	return strings.Join(left, "\n\n")
}

func (c *cluster) play(s story) {
	c.create(s.shards)
	for i := range s.workers {
		w := &worker{number: i, skew: s.skews[i]}
		c.workers = append(c.workers, w)
		c.start(w, fmt.Sprintf("w%d", i))
	}
	time.Sleep(warmUp / 2) // "latest" is settled
	p := newProducer(c, s.seed)
	producing, stopProducing := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	producers.Go(func() { p.run(producing) })
	watching, stopWatching := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	watchers.Go(func() { c.monitor(watching) })
	time.Sleep(warmUp / 2)
	var later sync.WaitGroup
	for _, e := range s.events {
		time.Sleep(e.after)
		c.apply(e, &later)
	}
	later.Wait()
	p.slow.Store(true)
	c.awaitTroubles()
	stopProducing()
	producers.Wait()
	c.endTroubles()
	c.restartFailed()
	c.awaitLetters(p)
	c.awaitOutcomes()
	stopWatching()
	watchers.Wait()
	c.expire()
	for _, w := range c.workers {
		c.stop(w.process)
	}
	time.Sleep(time.Minute) // for late calls
}

// awaitTroubles waits until the troubles have passed, while records are put.
func (c *cluster) awaitTroubles() {
	c.mu.Lock()
	var last time.Time
	for _, t := range slices.Concat(c.searchTroubles, c.trouble) {
		last = later(last, t.until)
	}
	c.mu.Unlock()
	time.Sleep(time.Until(last))
}

// endTroubles ends all troubles that are not permanent.
func (c *cluster) endTroubles() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.slowedAt = now
	for _, t := range c.trouble {
		if kinds[t.what].refusesReads {
			c.slowedAt = now.Add(mostPause) // until then the shard need not be retried
		}
	}
	c.trouble = slices.DeleteFunc(c.trouble, func(t trouble) bool { return !t.forever })
	for i := range c.searchTroubles {
		if c.searchTroubles[i].until.After(now) {
			c.searchTroubles[i].until = now
		}
	}
	c.add("the trouble is over")
}

// awaitLetters waits until all documents that are rejected forever are dead letters. It puts
// other documents, which show that there is no outage.
func (c *cluster) awaitLetters(p *producer) {
	missing := func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, records := range c.records {
			for _, r := range records {
				for _, t := range c.trouble {
					for _, name := range r.documents {
						index, id, _ := cut(name)
						if c.refuses(t, item{index: index, id: id}) != nil && c.unsettled(record{shard: r.shard, documents: []string{name}, arrived: r.arrived}) != "" {
							return name
						}
					}
				}
			}
		}
		return ""
	}
	p.healthy = true
	for deadline := time.Now().Add(lettersTimeout); missing() != ""; time.Sleep(p.pause()) {
		if time.Now().After(deadline) {
			c.violation(allDone, "document %s is rejected forever but not a dead letter after %s", missing(), lettersTimeout)
			return
		}
		c.restartFailed()
		p.put()
	}
}

// awaitOutcomes waits until all documents have their outcome.
func (c *cluster) awaitOutcomes() {
	for deadline := time.Now().Add(settleTimeout); ; time.Sleep(time.Second) {
		c.restartFailed()
		missing := c.unfinishedWork()
		if missing == "" {
			break
		}
		if time.Now().After(deadline) {
			c.violation(allDone, "no rest after %s: %s", settleTimeout, missing)
			return
		}
	}
	if more := c.unexpected(); more != "" {
		c.violation(exactly, "%s", more)
	}
}

// expireRecords advances Kinesis' clock by more than the retention: unread records are lost.
func (c *cluster) expireRecords() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift.Add(int64(retention + time.Minute))
	c.add("records and closed shards expire")
}

// expire advances the time by the retention: the rows of closed shards must be deleted.
func (c *cluster) expire() {
	c.expireRecords()
	time.Sleep(10*c.sync + 2*c.lease)
	c.mu.Lock()
	defer c.mu.Unlock()
	for shard, row := range c.rows {
		if _, exists := c.topology[shard]; row.checkpoint != shardEnd && (row.checkpoint != "" || !exists) {
			continue // for people to see
		}
		if !c.isListed(shard) {
			c.violated(swept, "the row of %s, which has expired, still exists", shard)
		}
	}
}

// restartFailed starts new processes for those that could not start.
func (c *cluster) restartFailed() {
	for _, w := range c.workers {
		c.mu.Lock()
		failed := w.process.failed.Load() && !w.down
		c.mu.Unlock()
		if failed {
			c.start(w, c.newName(w))
		}
	}
}

// newName returns a name that no process had before, like that of an ECS task.
func (c *cluster) newName(w *worker) string {
	return fmt.Sprintf("w%d-%d", w.number, time.Since(c.begun).Milliseconds())
}

// apply applies an event.
func (c *cluster) apply(e event, later *sync.WaitGroup) {
	c.add("EVENT %s (worker %d, shard %d, lasting %s, %d %%)", e.what, e.worker, e.shard, e.lasting, e.percent)
	w := c.workers[e.worker]
	c.mu.Lock()
	if !kinds[e.what].ofOpenSearch {
		c.slowedAt = time.Now()
	}
	c.mu.Unlock()
	switch e.what {
	case crash, stop:
		c.mu.Lock()
		p, down := w.process, w.down
		w.down = true
		c.mu.Unlock()
		if down {
			return
		}
		if e.what == crash {
			c.crash(p)
		}
		later.Go(func() {
			if e.what == stop {
				c.stop(p)
			} else {
				<-p.ended
			}
			time.Sleep(e.lasting)
			name := p.name
			if e.percent%2 == 0 {
				name = c.newName(w)
			}
			c.start(w, name)
		})
	case split:
		c.split(e.shard)
	case merge:
		c.merge(e.shard)
	case deleteRow:
		c.deleteRow(e.shard)
	case createStreamAgain:
		c.createAgain()
	case passRetention:
		c.expireRecords()
	case startStranger:
		c.startStranger()
	case deleteTable:
		// If no worker has noticed the deletion, the next one that starts creates the table as
		// at its first start. If it starts at the latest record, earlier records are lost.
		if c.position.String() == "TRIM_HORIZON" {
			c.deleteTable()
		}
	default:
		if e.what == missShards {
			e.percent = 100
		}
		c.mu.Lock()
		t := trouble{event: e, until: time.Now().Add(e.lasting)}
		if e.what == denyReads {
			shards := slices.Sorted(maps.Keys(c.topology))
			t.only = shards[e.shard%len(shards)]
		}
		c.trouble = append(c.trouble, t)
		if kinds[e.what].ofOpenSearch {
			c.searchTroubles = append(c.searchTroubles, t)
		}
		c.mu.Unlock()
	}
}

func (c *cluster) create(shards int) {
	_, err := c.admin.CreateStream(context.Background(), &kinesis.CreateStreamInput{StreamName: aws.String(streamName), ShardCount: aws.Int32(int32(shards))})
	must(err)
	c.updateTopology()
}

// updateTopology records the shards of the stream, and returns the open ones by hash key.
func (c *cluster) updateTopology() (open []types.Shard) {
	out, err := c.admin.ListShards(context.Background(), &kinesis.ListShardsInput{StreamName: aws.String(streamName)})
	must(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.updateTopologyLocked(out.Shards)
}

// updateTopologyLocked is like updateTopology. c.mu must be held.
func (c *cluster) updateTopologyLocked(shards []types.Shard) (open []types.Shard) {
	for _, s := range shards {
		if _, known := c.topology[*s.ShardId]; !known {
			c.appeared[*s.ShardId] = c.kinesisClock()
			c.readAt[*s.ShardId], c.created[*s.ShardId] = time.Now(), time.Now()
		}
		c.firsts[*s.ShardId] = *s.SequenceNumberRange.StartingSequenceNumber
		parents := []string{}
		for _, parent := range []*string{s.ParentShardId, s.AdjacentParentShardId} {
			if parent != nil {
				parents = append(parents, *parent)
			}
		}
		c.topology[*s.ShardId] = parents
		for _, parent := range parents {
			if c.closed[parent].IsZero() {
				c.closed[parent] = time.Now()
				c.expires[parent] = c.kinesisClock().Add(retention)
			}
		}
		if s.SequenceNumberRange.EndingSequenceNumber == nil {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, func(a, b types.Shard) int {
		return number(a.HashKeyRange.StartingHashKey).Cmp(number(b.HashKeyRange.StartingHashKey))
	})
	return open
}

func number(s *string) *big.Int {
	n, ok := new(big.Int).SetString(*s, 10)
	if !ok {
		panic("not a hash key: " + *s)
	}
	return n
}

// createAgain deletes the stream and creates it with the same number of shards. Unread records
// of the old stream are lost.
func (c *cluster) createAgain() {
	ctx, name := context.Background(), aws.String(streamName)
	c.mu.Lock() // so that no record is put
	defer c.mu.Unlock()
	out, err := c.admin.DescribeStreamSummary(ctx, &kinesis.DescribeStreamSummaryInput{StreamName: name})
	must(err)
	_, err = c.admin.DeleteStream(ctx, &kinesis.DeleteStreamInput{StreamName: name})
	must(err)
	_, err = c.admin.CreateStream(ctx, &kinesis.CreateStreamInput{StreamName: name, ShardCount: out.StreamDescriptionSummary.OpenShardCount})
	must(err)
	c.createdAgain = time.Now()
	for _, records := range c.records {
		c.former = append(c.former, records...)
	}
	for _, d := range c.documents {
		d.former = true
	}
	clear(c.records)
	clear(c.settled)
	clear(c.topology)
	clear(c.closed)
	clear(c.expires)
	clear(c.next)
	clear(c.moved)
	listed, err := c.admin.ListShards(ctx, &kinesis.ListShardsInput{StreamName: name})
	must(err)
	c.updateTopologyLocked(listed.Shards)
}

// deleteTable deletes the lease table like a person would.
func (c *cluster) deleteTable() {
	_, err := c.database().DeleteTable(context.Background(), &dynamodb.DeleteTableInput{TableName: aws.String(tableName)})
	if errors.As(err, new(*ddbtypes.ResourceNotFoundException)) {
		return
	}
	must(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tableDeleted = true
	for shard, row := range c.rows { // including those of a deleted stream
		c.byHand[shard] = time.Now()
		if holder := c.holders[shard]; holder != nil && row.owner == holder.name {
			c.heldBefore[shard] = term{holder, row.epoch}
		}
	}
	clear(c.rows)
	clear(c.renewed)
	for shard := range c.topology {
		c.byHand[shard] = time.Now()
	}
}

func (c *cluster) split(pick int) {
	open := c.updateTopology()
	shard := open[pick%len(open)]
	first, last := number(shard.HashKeyRange.StartingHashKey), number(shard.HashKeyRange.EndingHashKey)
	middle := first.Add(first, last)
	_, err := c.admin.SplitShard(context.Background(), &kinesis.SplitShardInput{StreamName: aws.String(streamName), ShardToSplit: shard.ShardId,
		NewStartingHashKey: aws.String(middle.Rsh(middle, 1).String())})
	must(err)
	c.updateTopology()
}

func (c *cluster) merge(pick int) {
	open := c.updateTopology()
	if len(open) < 2 {
		return
	}
	i := pick % (len(open) - 1)
	_, err := c.admin.MergeShards(context.Background(), &kinesis.MergeShardsInput{StreamName: aws.String(streamName),
		ShardToMerge: open[i].ShardId, AdjacentShardToMerge: open[i+1].ShardId})
	must(err)
	c.updateTopology()
}

func (c *cluster) deleteRow(pick int) {
	c.mu.Lock()
	rows := slices.Sorted(maps.Keys(c.rows))
	c.mu.Unlock()
	if len(rows) > 0 {
		c.adminDelete(rows[pick%len(rows)])
	}
}

// producer puts records.
type producer struct {
	cluster *cluster
	rng     *rand.Rand
	ids     int
	healthy bool        // puts nothing for the index that rejects forever
	slow    atomic.Bool // puts records slowly
	packed  bytes.Buffer
	gzip    *gzip.Writer
}

func newProducer(c *cluster, seed uint64) *producer {
	p := &producer{cluster: c, rng: rand.New(rand.NewPCG(seed, 1))}
	p.gzip = gzip.NewWriter(&p.packed)
	return p
}

func (p *producer) run(ctx context.Context) {
	for ctx.Err() == nil {
		p.put()
		time.Sleep(p.pause())
	}
}

func (p *producer) pause() time.Duration {
	most := 400
	if p.slow.Load() {
		most = 1200
	}
	return time.Duration(p.rng.IntN(most)) * time.Millisecond
}

// logEvent is an event of a record.
type logEvent struct {
	ID        string `json:"id"`
	Timestamp int64  `json:"timestamp"`
	Message   string `json:"message"`
}

// event returns an event from some hours ago.
func (p *producer) event(hours int) logEvent {
	p.ids++
	at := time.Now().Add(-time.Duration(hours) * time.Hour)
	return logEvent{fmt.Sprintf("%0*d", idDigits, p.ids), at.UnixMilli(), fmt.Sprintf("line %d", p.ids)}
}

// document returns the document of an event.
func (e logEvent) document() string {
	return prefix + "-" + time.UnixMilli(e.Timestamp).UTC().Format(time.DateOnly) + "/" + e.ID
}

// put puts one record into any shard.
func (p *producer) put() {
	hours := days * 24
	if p.healthy {
		hours -= 25
	}
	var events []logEvent
	for range 1 + p.rng.IntN(3) {
		events = append(events, p.event(p.rng.IntN(hours)))
	}
	p.putRecord(events, p.rng.IntN(40) == 0, nil)
}

// putRecord puts a record into the shard of a hash key, or into any shard if that is nil, and
// records its expected documents. A poison record cannot be decoded.
func (p *producer) putRecord(events []logEvent, poison bool, hashKey *string) {
	body, err := json.Marshal(map[string]any{"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "/ecs", "logStream": "task",
		"subscriptionFilters": []string{"all"}, "logEvents": events})
	must(err)
	p.packed.Reset()
	p.gzip.Reset(&p.packed)
	_, _ = p.gzip.Write(body)
	must(p.gzip.Close())
	data := slices.Clone(p.packed.Bytes())
	r := record{poison: poison, put: time.Now()}
	if poison {
		data = data[:len(data)/2]
	} else {
		for _, e := range events {
			r.documents = append(r.documents, e.document())
		}
	}
	c := p.cluster
	// The lock is held so that no worker can checkpoint a record before it is recorded here.
	c.mu.Lock()
	defer c.mu.Unlock()
	out, err := c.admin.PutRecord(context.Background(), &kinesis.PutRecordInput{StreamName: aws.String(streamName),
		PartitionKey: aws.String(fmt.Sprint(p.rng.Uint64())), ExplicitHashKey: hashKey, Data: data})
	must(err)
	r.number, r.shard, r.arrived = *out.SequenceNumber, *out.ShardId, c.kinesisClock()
	for _, name := range r.documents {
		c.documents[name] = &document{shard: *out.ShardId}
	}
	c.records[*out.ShardId] = append(c.records[*out.ShardId], r)
}
