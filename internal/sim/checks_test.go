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

// Each check of the outcomes of documents detects a worker that breaks its promise. The plots
// are the requests to OpenSearch and the log lines of such a worker.
func TestChecks(t *testing.T) {
	blocked, healthy := "app-1999-12-31", "app-2000-01-01"
	f := func(name string, broken promise, play func(p plot)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				timing := storyTiming
				timing.inFlight = 8 << 20
				c := newCluster(1, logsluice, timing, false)
				p := plot{c, &life{worker: &worker{}, name: "w0", stream: streamName}, "shardId-000000000000"}
				c.holders[p.shard], c.topology[p.shard] = p.life, nil
				play(p)
				if (broken == "") != (c.violations == nil) || broken != "" && c.broken[broken] == 0 {
					t.Errorf("violations %v, want a violation of %q", c.violations, broken)
				}
			})
		})
	}
	// waits makes a document wait while a healthy index shows that this is not an outage.
	waits := func(p plot, d time.Duration) {
		p.send(blocked, 1, &blocks[0])
		p.pass(d, healthy, 10, nil)
	}
	f("given up in time", "", func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.sendLetter("blocked", blocked, 1)
	})
	f("given up too early", steady, func(p plot) {
		waits(p, storyTiming.wait/2)
		p.log("index given up", blocked)
	})
	f("given up twice", steady, func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.log("index given up", blocked)
	})
	f("taken back without a probe", steady, func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.log("index accepts documents again", blocked)
	})
	f("taken back after a probe", "", func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.send(blocked, 2, nil)
		p.log("index accepts documents again", blocked)
	})
	f("probed all the time", steady, func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.pass(2*time.Minute, blocked, 10, &blocks[0])
	})
	f("given up in an outage of all", outageKeeps, func(p plot) {
		p.pass(storyTiming.wait+silence, blocked, 10, &blocks[0])
		p.log("index given up", blocked)
	})
	f("given up while most are blocked", outageKeeps, func(p plot) {
		for n := range 2 * int(storyTiming.wait/time.Second) {
			p.send(blocked, 1000+3*n, &blocks[0])
			p.send(blocked, 1001+3*n, &blocks[0])
			p.send(healthy, 1002+3*n, nil)
			p.pass(time.Second, "", 0, nil)
		}
		p.log("index given up", blocked)
	})
	f("given up in the flood stage", outageKeeps, func(p plot) {
		p.send(blocked, 1, &flooded)
		p.pass(storyTiming.wait, healthy, 10, nil)
		p.log("index given up", blocked)
	})
	f("a dead letter of an index that is not given up", steady, func(p plot) {
		waits(p, storyTiming.wait)
		p.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter at the end of its shard", "", func(p plot) {
		p.closed[p.shard] = time.Now()
		waits(p, endOfShard)
		p.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter too early at the end of its shard", steady, func(p plot) {
		p.closed[p.shard] = time.Now()
		waits(p, endOfShard/2)
		p.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter at the end of its shard in the flood stage", outageKeeps, func(p plot) {
		p.closed[p.shard] = time.Now()
		p.send(blocked, 1, &flooded)
		p.pass(2*endOfShard, healthy, 10, nil)
		p.sendLetter("blocked", blocked, 1)
	})
	f("a dead letter of a document that is not at fault", steady, func(p plot) {
		waits(p, storyTiming.wait)
		p.sendLetter("index", blocked, 1)
	})
	f("a dead letter of a document that fails", "", func(p plot) {
		p.send(blocked, 1, &failing)
		p.pass(storyTiming.wait, healthy, 10, nil)
		p.sendLetter("index", blocked, 1)
	})
	f("a dead letter too early of a document that fails", steady, func(p plot) {
		p.send(blocked, 1, &failing)
		p.pass(storyTiming.wait/2, healthy, 10, nil)
		p.sendLetter("index", blocked, 1)
	})
	f("indexed and a dead letter", exactly, func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.sendLetter("blocked", blocked, 1)
		p.send(blocked, 1, nil)
	})
	f("indexed and a dead letter, read twice", "", func(p plot) {
		waits(p, storyTiming.wait)
		p.log("index given up", blocked)
		p.sendLetter("blocked", blocked, 1)
		p.leased[p.shard] = time.Now()
		p.send(blocked, 1, nil)
	})
	f("a document that was never put", exactly, func(p plot) {
		p.sent(p.life, item{index: blocked, id: "x"})
	})
	f("stored while the dead-letter index is not given up", steady, func(p plot) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.letterStored(p.life, p.sender(p.life), letter{Stage: "parse", Number: "1"})
	})
	gap := func(p plot, from, to time.Duration) {
		now := p.kinesisClock()
		p.logged(p.life, fmt.Appendf(nil, `{"message":"records expired unread","shard":%q,"gap_from":%q,"gap_to":%q}`, p.shard, now.Add(from).Format(time.RFC3339Nano), now.Add(to).Format(time.RFC3339Nano)))
	}
	f("a gap while nothing has expired", noFalseGap, func(p plot) { gap(p, -2*time.Minute, -time.Minute) })
	f("a gap of expired records", "", func(p plot) { gap(p, -2*retention, -retention) })
	f("a gap from before the shard existed", noFalseGap, func(p plot) {
		p.expireRecords()
		p.appeared[p.shard] = p.kinesisClock()
		gap(p, -2*retention, -retention)
	})
	f("an expired record that is reported for another shard", notAhead, func(p plot) {
		p.records["other"] = []record{{shard: "other", number: "1", put: time.Now(), arrived: p.kinesisClock(), documents: []string{p.put(healthy, 1)}}}
		p.expireRecords()
		gap(p, -retention-5*time.Minute, -retention)
		p.checkpointed("other", tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("an expired record that is not reported", notAhead, func(p plot) {
		p.records[p.shard] = []record{{shard: p.shard, number: "1", put: time.Now(), arrived: p.kinesisClock(), documents: []string{p.put(healthy, 1)}}}
		p.expireRecords()
		gap(p, -2*retention, -retention-5*time.Minute)
		p.checkpointed(p.shard, tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("an expired record that is reported", "", func(p plot) {
		p.records[p.shard] = []record{{shard: p.shard, number: "1", put: time.Now(), arrived: p.kinesisClock(), documents: []string{p.put(healthy, 1)}}}
		p.expireRecords()
		gap(p, -retention-5*time.Minute, -retention)
		p.checkpointed(p.shard, tableRow{}, tableRow{checkpoint: "1", owner: "w"})
	})
	f("a shard that is not read and not reported", readOrReported, func(p plot) {
		p.readAt[p.shard] = time.Now()
		time.Sleep(checkpoint.UnreadAfter + mostUnreported + time.Second)
		p.checkUnread()
	})
	f("a shard that is read", "", func(p plot) {
		p.readAt[p.shard] = time.Now()
		time.Sleep(checkpoint.UnreadAfter)
		p.answers(p.life, "GetRecords", p.shard)
		time.Sleep(checkpoint.UnreadAfter)
		p.checkUnread()
	})
	f("a row of a deleted stream that advances", ownStream, func(p plot) {
		p.createdAgain = time.Now()
		p.firsts[p.shard] = "5"
		p.author = p.life
		time.Sleep(time.Second)
		p.answers(p.life, "ListShards", "")
		time.Sleep(p.drain + 2*propagation)
		p.checkpointed(p.shard, tableRow{first: "1", checkpoint: "3"}, tableRow{first: "1", checkpoint: "6"})
	})
	f("a row of a deleted stream that advances before the next listing", "", func(p plot) {
		p.createdAgain = time.Now()
		p.firsts[p.shard] = "5"
		p.author = p.life
		time.Sleep(p.drain + 2*propagation)
		p.checkpointed(p.shard, tableRow{first: "1", checkpoint: "3"}, tableRow{first: "1", checkpoint: "6"})
	})
	f("a row that a worker of another stream writes", ownStream, func(p plot) {
		p.author = &life{name: "stranger", stream: otherStream}
		p.changed("", nil, map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: firstStart}})
	})
	f("a shard that makes no progress", noWait, func(p plot) {
		p.records[p.shard] = []record{{shard: p.shard, number: "1", put: time.Now(), documents: []string{p.put(healthy, 1)}}}
		p.pass(2*mostWait, "", 0, nil)
	})
	f("a shard that waits for its own document", "", func(p plot) {
		p.searchTroubles = []trouble{{event: event{what: blockIndex, forever: true}}}
		p.records[p.shard] = []record{{shard: p.shard, number: "1", put: time.Now(), documents: []string{p.put(p.day(days), 1)}}}
		p.pass(2*mostWait, "", 0, nil)
	})
	f("children that are not read", childrenRead, func(p plot) {
		p.closed[p.shard] = time.Now()
		p.pass(2*mostEnd, "", 0, nil)
	})
}

// plot is the behavior of a worker as seen by OpenSearch and the log.
type plot struct {
	*cluster
	life  *life
	shard string
}

// put puts the nth document for an index, unless it was put before.
func (p plot) put(index string, n int) string {
	id := fmt.Sprintf("%0*d", idDigits, n)
	for ; refused(id); n += 1 << 20 {
		id = fmt.Sprintf("%0*d", idDigits, n)
	}
	name := index + "/" + id
	if p.documents[name] == nil {
		p.documents[name] = &document{shard: p.shard}
	}
	return name
}

// send sends a document, which is accepted or rejected.
func (p plot) send(index string, n int, r *refusal) {
	_, id, _ := cut(p.put(index, n))
	i := item{operation: "create", index: index, id: id}
	p.sent(p.life, i)
	p.outcome(p.life, i, r, r == nil)
}

// pass waits while a number of new documents per second are sent.
func (p plot) pass(d time.Duration, index string, perSecond int, r *refusal) {
	for begun := time.Now(); time.Since(begun) < d; {
		for range perSecond {
			p.send(index, 10_000+len(p.documents), r)
		}
		time.Sleep(watchPeriod)
		p.checkProgress()
	}
}

// sendLetter sends a dead letter, which is accepted.
func (p plot) sendLetter(stage, index string, n int) {
	_, id, _ := cut(p.put(index, n))
	i := item{operation: "create", index: deadLetters, id: stage + id, letter: &letter{Stage: stage, Index: index, ID: id}}
	p.sent(p.life, i)
	p.outcome(p.life, i, nil, true)
}

func (p plot) log(message, index string) {
	p.logged(p.life, slices.Concat([]byte(`{"index":"`), []byte(index), []byte(`","message":"`), []byte(message), []byte(`"}`)))
}
