package sim

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"logsluice/checkpoint"
)

// Each check of the outcomes of documents detects a worker that breaks its promise. A fakeWorker
// sends the requests to OpenSearch and the log lines of such a worker.
func TestChecks(t *testing.T) {
	blocked, healthy := "app-1999-12-31", "app-2000-01-01"
	f := func(name string, broken promise, play func(w fakeWorker)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				timing := storyTiming
				timing.inFlight = 8 << 20
				c := newCluster(1, logsluice, timing, false)
				w := fakeWorker{c, &process{worker: &worker{}, name: "w0", stream: streamName}, "shardId-000000000000"}
				c.holders[w.shard], c.topology[w.shard] = w.process, nil
				play(w)
				if (broken == "") != (c.violations == nil) || broken != "" && c.broken[broken] == 0 {
					t.Errorf("violations %v, want a violation of %q", c.violations, broken)
				}
			})
		})
	}
	// waits makes a document wait while a healthy index shows that this is not an outage.
	waits := func(w fakeWorker, d time.Duration) {
		w.send(blocked, 1, &blocks[0])
		w.pass(d, healthy, 10, nil)
	}
	f("given up in time", "", func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.sendLetter("blocked", blocked, 1)
	})
	f("given up too early", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait/2)
		w.log("index given up", blocked)
	})
	f("given up twice", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.log("index given up", blocked)
	})
	f("taken back without a probe", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.log("index accepts documents again", blocked)
	})
	f("taken back after a probe", "", func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.send(blocked, 2, nil)
		w.log("index accepts documents again", blocked)
	})
	f("probed all the time", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.pass(2*time.Minute, blocked, 10, &blocks[0])
	})
	f("given up in an outage of all", outageKeeps, func(w fakeWorker) {
		w.pass(storyTiming.wait+silence, blocked, 10, &blocks[0])
		w.log("index given up", blocked)
	})
	f("given up while most are blocked", outageKeeps, func(w fakeWorker) {
		for n := range 2 * int(storyTiming.wait/time.Second) {
			w.send(blocked, 1000+3*n, &blocks[0])
			w.send(blocked, 1001+3*n, &blocks[0])
			w.send(healthy, 1002+3*n, nil)
			w.pass(time.Second, "", 0, nil)
		}
		w.log("index given up", blocked)
	})
	f("given up in the flood stage", outageKeeps, func(w fakeWorker) {
		w.send(blocked, 1, &flooded)
		w.pass(storyTiming.wait, healthy, 10, nil)
		w.log("index given up", blocked)
	})
	f("a dead letter of an index that is not given up", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter at the end of its shard", "", func(w fakeWorker) {
		w.closed[w.shard] = time.Now()
		waits(w, endOfShard)
		w.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter too early at the end of its shard", steady, func(w fakeWorker) {
		w.closed[w.shard] = time.Now()
		waits(w, endOfShard/2)
		w.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter at the end of its shard in the flood stage", outageKeeps, func(w fakeWorker) {
		w.closed[w.shard] = time.Now()
		w.send(blocked, 1, &flooded)
		w.pass(2*endOfShard, healthy, 10, nil)
		w.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter of a document that is not at fault", steady, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.sendLetter("index", blocked, 1)
	})
	f("a dead letter of a document that fails", "", func(w fakeWorker) {
		w.send(blocked, 1, &failing)
		w.pass(storyTiming.wait, healthy, 10, nil)
		w.sendLetter("index", blocked, 1)
	})
	f("a dead letter too early of a document that fails", steady, func(w fakeWorker) {
		w.send(blocked, 1, &failing)
		w.pass(storyTiming.wait/2, healthy, 10, nil)
		w.sendLetter("index", blocked, 1)
	})
	f("indexed and a dead letter", exactly, func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.sendLetter("blocked", blocked, 1)
		w.send(blocked, 1, nil)
	})
	f("indexed and a dead letter, read twice", "", func(w fakeWorker) {
		waits(w, storyTiming.wait)
		w.log("index given up", blocked)
		w.sendLetter("blocked", blocked, 1)
		w.leased[w.shard] = time.Now()
		w.send(blocked, 1, nil)
	})
	f("a document that was never put", exactly, func(w fakeWorker) {
		w.sent(w.process, item{index: blocked, id: "x"})
	})
	f("stored while the dead-letter index is not given up", steady, func(w fakeWorker) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.letterStored(w.process, w.sender(w.process), letter{Stage: "parse", Number: "1"})
	})
	gap := func(w fakeWorker, from, to time.Duration) {
		now := w.kinesisClock()
		w.logged(w.process, fmt.Appendf(nil, `{"message":"records expired unread","shard":%q,"gap_from":%q,"gap_to":%q}`, w.shard, now.Add(from).Format(time.RFC3339Nano), now.Add(to).Format(time.RFC3339Nano)))
	}
	f("a gap while nothing has expired", noFalseGap, func(w fakeWorker) { gap(w, -2*time.Minute, -time.Minute) })
	f("a gap of expired records", "", func(w fakeWorker) { gap(w, -2*retention, -retention) })
	f("a gap from before the shard existed", noFalseGap, func(w fakeWorker) {
		w.expireRecords()
		w.appeared[w.shard] = w.kinesisClock()
		gap(w, -2*retention, -retention)
	})
	f("an expired record that is reported for another shard", notAhead, func(w fakeWorker) {
		w.records["other"] = []record{{shard: "other", number: "1", put: time.Now(), arrived: w.kinesisClock(), documents: []string{w.put(healthy, 1)}}}
		w.expireRecords()
		gap(w, -retention-5*time.Minute, -retention)
		w.checkpointed("other", tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("an expired record that is not reported", notAhead, func(w fakeWorker) {
		w.records[w.shard] = []record{{shard: w.shard, number: "1", put: time.Now(), arrived: w.kinesisClock(), documents: []string{w.put(healthy, 1)}}}
		w.expireRecords()
		gap(w, -2*retention, -retention-5*time.Minute)
		w.checkpointed(w.shard, tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("an expired record that is reported", "", func(w fakeWorker) {
		w.records[w.shard] = []record{{shard: w.shard, number: "1", put: time.Now(), arrived: w.kinesisClock(), documents: []string{w.put(healthy, 1)}}}
		w.expireRecords()
		gap(w, -retention-5*time.Minute, -retention)
		w.checkpointed(w.shard, tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("a shard that is not read and not reported", readOrReported, func(w fakeWorker) {
		w.readAt[w.shard] = time.Now()
		time.Sleep(checkpoint.UnreadAfter + mostUnreported + time.Second)
		w.checkUnread()
	})
	f("a shard that is read", "", func(w fakeWorker) {
		w.readAt[w.shard] = time.Now()
		time.Sleep(checkpoint.UnreadAfter)
		w.answers(w.process, "GetRecords", w.shard)
		time.Sleep(checkpoint.UnreadAfter)
		w.checkUnread()
	})
	f("a row of a deleted stream that advances", ownStream, func(w fakeWorker) {
		w.createdAgain = time.Now()
		w.firsts[w.shard] = "5"
		w.author = w.process
		time.Sleep(time.Second)
		w.answers(w.process, "ListShards", "")
		time.Sleep(w.drain + 2*propagation)
		w.checkpointed(w.shard, tableRow{first: "1", checkpoint: "3"}, tableRow{first: "1", checkpoint: "6"})
	})
	f("a row of a deleted stream that advances before the next listing", "", func(w fakeWorker) {
		w.createdAgain = time.Now()
		w.firsts[w.shard] = "5"
		w.author = w.process
		time.Sleep(w.drain + 2*propagation)
		w.checkpointed(w.shard, tableRow{first: "1", checkpoint: "3"}, tableRow{first: "1", checkpoint: "6"})
	})
	f("a row that a worker of another stream writes", ownStream, func(w fakeWorker) {
		w.author = &process{name: "stranger", stream: otherStream}
		w.changed("", nil, map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: firstStart}})
	})
	f("a shard that makes no progress", noWait, func(w fakeWorker) {
		w.records[w.shard] = []record{{shard: w.shard, number: "1", put: time.Now(), documents: []string{w.put(healthy, 1)}}}
		w.pass(2*mostWait, "", 0, nil)
	})
	f("a shard that waits for its own document", "", func(w fakeWorker) {
		w.searchTroubles = []trouble{{event: event{what: blockIndex, forever: true}}}
		w.records[w.shard] = []record{{shard: w.shard, number: "1", put: time.Now(), documents: []string{w.put(w.day(days), 1)}}}
		w.pass(2*mostWait, "", 0, nil)
	})
	f("children that are not read", childrenRead, func(w fakeWorker) {
		w.closed[w.shard] = time.Now()
		w.pass(2*mostEnd, "", 0, nil)
	})
}

// fakeWorker is a worker without a consumer: a test sends its requests and logs its lines.
type fakeWorker struct {
	*cluster
	process *process
	shard   string
}

// put puts the nth document for an index, unless it was put before.
func (w fakeWorker) put(index string, n int) string {
	id := fmt.Sprintf("%0*d", idDigits, n)
	for ; refused(id); n += 1 << 20 {
		id = fmt.Sprintf("%0*d", idDigits, n)
	}
	name := index + "/" + id
	if w.documents[name] == nil {
		w.documents[name] = &document{shard: w.shard}
	}
	return name
}

// send sends a document, which is accepted or rejected.
func (w fakeWorker) send(index string, n int, r *refusal) {
	_, id, _ := cut(w.put(index, n))
	i := item{operation: "create", index: index, id: id}
	w.sent(w.process, i)
	w.outcome(w.process, i, r, r == nil)
}

// pass waits while a number of new documents per second are sent.
func (w fakeWorker) pass(d time.Duration, index string, perSecond int, r *refusal) {
	for begun := time.Now(); time.Since(begun) < d; {
		for range perSecond {
			w.send(index, 10_000+len(w.documents), r)
		}
		time.Sleep(watchPeriod)
		w.checkProgress()
	}
}

// sendLetter sends a dead letter, which is accepted.
func (w fakeWorker) sendLetter(stage, index string, n int) {
	_, id, _ := cut(w.put(index, n))
	i := item{operation: "create", index: deadLetters, id: stage + id, letter: &letter{Stage: stage, Index: index, ID: id}}
	w.sent(w.process, i)
	w.outcome(w.process, i, nil, true)
}

func (w fakeWorker) log(message, index string) {
	w.logged(w.process, slices.Concat([]byte(`{"index":"`), []byte(index), []byte(`","message":"`), []byte(message), []byte(`"}`)))
}
