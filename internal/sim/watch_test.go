package sim

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// watch checks events against the promises. It is part of a cluster and guarded by its lock.
type watch struct {
	byKCL        bool // the KCL writes the table: its writes are not checked, except for the order of parents
	violations   []string
	broken       map[promise]int
	rows         map[string]tableRow
	holders      map[string]*process  // by shard: the process that last acquired it
	renewed      map[string]time.Time // by shard: when its counter last changed
	byHand       map[string]time.Time // by shard: when its row was deleted by hand
	heldBefore   map[string]term      // by shard: the lease when the table was deleted by hand
	topology     map[string][]string  // parents by shard
	records      map[string][]record  // by shard, in order
	settled      map[string]int       // by shard: how many records are known to have an outcome
	firsts       map[string]string    // by shard: where its sequence numbers begin
	epochs       map[string]int64     // by shard: of the last lease
	former       []record             // records of deleted streams
	expires      map[string]time.Time // by closed shard: when it expires, by Kinesis' clock
	gaps         []interval           // reported gaps
	appeared     map[string]time.Time // by shard: when it was created, by Kinesis' clock
	createdAgain time.Time            // when the stream was last created again
	// tableDeleted is set when the lease table was deleted by hand.
	tableDeleted bool
	outcomes
	progress
	unread
}

// tableRow is a row of the lease table.
type tableRow struct {
	owner, checkpoint, claim string
	first                    string // where the sequence numbers of its shard begin
	epoch, counter           int64
}

// term is a lease.
type term struct {
	holder *process
	epoch  int64
}

const (
	shardEnd   = "SHARD_END"
	firstStart = "logsluice-first-start" // the row that does not belong to a shard
)

// record is a record that was put into the stream.
type record struct {
	shard     string
	number    string
	put       time.Time
	arrived   time.Time // by Kinesis' clock
	documents []string  // index/id
	poison    bool      // cannot be decoded
}

func newWatch() watch {
	return watch{
		broken:     make(map[promise]int),
		rows:       make(map[string]tableRow),
		holders:    make(map[string]*process),
		renewed:    make(map[string]time.Time),
		byHand:     make(map[string]time.Time),
		heldBefore: make(map[string]term),
		topology:   make(map[string][]string),
		records:    make(map[string][]record),
		settled:    make(map[string]int),
		firsts:     make(map[string]string),
		epochs:     make(map[string]int64),
		expires:    make(map[string]time.Time),
		appeared:   make(map[string]time.Time),
		outcomes:   newOutcomes(),
		progress:   newProgress(),
		unread:     newUnread(),
	}
}

// promise is a property that must hold in every story.
type promise string

const (
	readOrReported promise = "every open shard is read, or is reported"
	ownStream      promise = "no worker advances a row of another stream"
	fenced         promise = "no row is changed by a worker without its lease"
	parentsFirst   promise = "no child is read before its parents are finished"
	oneReader      promise = "no shard is read without its lease"
	forward        promise = "checkpoints never go back"
	notAhead       promise = "checkpoints never pass a record without an outcome"
	inTime         promise = "every shutdown meets its deadline"
	releasedOnStop promise = "a stopped worker has released its leases"
	allDone        promise = "in the end all shards are held or finished and all documents are indexed"
	exactly        promise = "the documents are exactly the events"
	swept          promise = "rows of expired shards are deleted"
	goroutinesEnd  promise = "every goroutine ends"
	noWait         promise = "no shard waits for another's document"
	outageKeeps    promise = "nothing becomes a dead letter in an outage"
	steady         promise = "no index flaps between waiting and given up"
	childrenRead   promise = "the children of a reshard are read"
	noFalseGap     promise = "a gap is reported if and only if records may have expired"
)

func (c *cluster) violation(p promise, format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.violated(p, format, args...)
}

// violated is like violation. c.mu must be held.
func (c *cluster) violated(p promise, format string, args ...any) {
	c.broken[p]++
	c.violations = append(c.violations, fmt.Sprintf("%.3fs: ", time.Since(c.begun).Seconds())+fmt.Sprintf(format, args...))
	c.add("VIOLATION: "+format, args...)
}

func readRow(item map[string]types.AttributeValue) tableRow {
	text := func(name string) string {
		switch v := item[name].(type) {
		case *types.AttributeValueMemberS:
			return v.Value
		case *types.AttributeValueMemberN:
			return v.Value
		}
		return ""
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(text(name), 10, 64)
		return n
	}
	return tableRow{text("AssignedTo"), text("Checkpoint"), text("ClaimRequest"), text("StartingSequenceNumber"), number("LeaseEpoch"), number("LeaseCounter")}
}

// changed is called for each change of the lease table.
func (c *cluster) changed(_ string, before, after map[string]types.AttributeValue) {
	key := before
	if key == nil {
		key = after
	}
	shard := key["ShardID"].(*types.AttributeValueMemberS).Value
	was, is := readRow(before), readRow(after)
	author := c.author
	c.mu.Lock()
	defer c.mu.Unlock()
	if author != nil && author.stream != streamName {
		c.violated(ownStream, "%s of the stream %s changes %s", author.name, author.stream, shard)
	}
	if shard == firstStart {
		return
	}
	if after == nil {
		delete(c.rows, shard)
	} else {
		c.rows[shard] = is
	}
	name := "the story"
	if author != nil {
		name = author.name
	}
	c.add("%s changes row %s from %+v to %+v", name, shard, was, is)
	switch {
	case c.byKCL:
		if is.owner == name && was.owner != name {
			for _, parent := range c.unfinished(shard) {
				c.violated(parentsFirst, "%s took %s before its parent %s was finished", name, shard, parent)
			}
			c.holders[shard] = author
		}
	case author == nil: // deleted by hand
		delete(c.renewed, shard)
		c.byHand[shard] = time.Now()
	case after == nil:
		isEmpty := was.checkpoint == "" && (was.owner == "" || time.Since(c.renewed[shard]) >= c.lease)
		if was.checkpoint != shardEnd && !isEmpty || c.isListed(shard) {
			c.violated(fenced, "%s deleted the row of %s: %+v", name, shard, was)
		}
	case c.heldBefore[shard] == term{author, is.epoch} && was.owner != name && (is.owner == name || is.owner == ""):
		// The holder replaces the row of a worker that mistook the table for a new one, and holds or
		// has released the lease.
		c.holders[shard], c.epochs[shard], c.byHand[shard] = author, is.epoch, time.Now()
		if is.owner == "" {
			delete(c.heldBefore, shard)
		}
	case is.epoch != was.epoch:
		c.acquired(author, shard, was, is)
	case is.counter == was.counter:
		// A claim changes nothing else.
		if is.claim != name || was.claim != "" || is != (tableRow{was.owner, was.checkpoint, name, was.first, was.epoch, was.counter}) {
			c.violated(fenced, "%s changed the row of %s without its lease: %+v to %+v", name, shard, was, is)
		}
	default:
		if c.holders[shard] != author || was.owner != name || is.counter != was.counter+1 || is.claim != was.claim ||
			(is.owner != name && is.owner != "") {
			c.violated(fenced, "%s, which does not hold %s, changed its row: %+v to %+v", name, shard, was, is)
		}
	}
	if after != nil && author != nil {
		if is.counter != was.counter {
			c.renewed[shard] = time.Now()
		}
		c.checkpointed(shard, was, is)
	}
}

// acquired checks that a lease was free to acquire.
func (c *cluster) acquired(author *process, shard string, was, is tableRow) {
	silence := time.Since(c.renewed[shard])
	_, again := c.byHand[shard] // then its epoch may continue from the previous one
	if again && was.epoch == 0 && is.epoch == c.epochs[shard] && c.holders[shard] == author && (is.owner == author.name || is.owner == "") {
		return // the holder restores the row of its lease
	}
	if is.owner != author.name || is.epoch <= was.epoch || is.epoch != was.epoch+1 && !again || is.counter != was.counter+1 && !again || is.claim != "" || c.isFinished(shard, was) ||
		(was.owner != "" && silence < c.lease) {
		c.violated(fenced, "%s took %s: %+v to %+v after %s of silence", author.name, shard, was, is, silence)
	}
	for _, parent := range c.unfinished(shard) {
		c.violated(parentsFirst, "%s took %s before its parent %s was finished", author.name, shard, parent)
	}
	if again && was.epoch == 0 {
		c.byHand[shard] = time.Now() // the previous holder reads until it notices
	}
	c.holders[shard] = author
	c.epochs[shard] = is.epoch
	c.leased[shard] = time.Now()
	c.forgetShard(shard)
}

// unfinished returns the parents of a shard that could be read but are not read to their end.
func (c *cluster) unfinished(shard string) (parents []string) {
	for _, parent := range c.topology[shard] {
		if _, byHand := c.byHand[parent]; byHand {
			continue // it may have been finished and the child started
		}
		if !c.isFinished(parent, c.rows[parent]) && c.isListed(parent) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// isFinished reports whether a row is finished and does not belong to a shard of a deleted
// stream.
func (c *cluster) isFinished(shard string, r tableRow) bool {
	return r.checkpoint == shardEnd && !c.isFormer(shard, r)
}

func (c *cluster) isFormer(shard string, r tableRow) bool {
	return r.first != "" && r.first != c.firsts[shard]
}

// isListed reports whether Kinesis has a shard. All shards of a story are younger than the
// retention until the clock is advanced beyond it.
func (c *cluster) isListed(shard string) bool {
	if _, exists := c.topology[shard]; !exists {
		return false // it belongs to a deleted stream
	}
	at, closed := c.expires[shard]
	return !closed || c.kinesisClock().Before(at)
}

// checkpointed checks that a checkpoint moves forward and passes only records with an outcome.
func (c *cluster) checkpointed(shard string, was, is tableRow) {
	if c.isFormer(shard, is) {
		// A worker notices it with its next listing and drains. No worker uses the row.
		knows := c.author != nil && c.author.listed.After(c.createdAgain) && time.Since(c.author.listed) > c.drain+propagation
		if is.checkpoint != was.checkpoint && is.checkpoint != shardEnd && is.checkpoint >= c.firsts[shard] && knows {
			c.violated(ownStream, "%s has a checkpoint of another stream: %+v to %+v", shard, was, is)
		}
		return
	}
	if is.checkpoint != "" && is.checkpoint < c.firsts[shard] && !c.byKCL {
		c.violated(ownStream, "%s has a checkpoint of another stream: %+v to %+v", shard, was, is)
	}
	if is.checkpoint < was.checkpoint && !c.isFormer(shard, was) {
		c.violated(forward, "the checkpoint of %s went back: %+v to %+v", shard, was, is)
	}
	records := c.records[shard]
	for c.settled[shard] < len(records) && records[c.settled[shard]].number <= is.checkpoint {
		r := records[c.settled[shard]]
		if missing := c.unsettled(r); missing != "" {
			c.violated(notAhead, "the checkpoint of %s, %s, passes %s, which has no outcome", shard, is.checkpoint, missing)
			return
		}
		c.settled[shard]++
	}
}

// interval is an interval of a shard, by Kinesis' clock.
type interval struct {
	shard    string
	from, to time.Time
}

// isLost reports whether a record may have expired unread and this was reported. When the lease
// table or the row was deleted and no worker noticed, the position is unknown. Records of an
// expired parent are in the gap of its children.
func (c *cluster) isLost(r record) bool {
	_, byHand := c.byHand[r.shard]
	if (c.tableDeleted || byHand) && r.arrived.Add(retention).Before(c.kinesisClock()) {
		return true
	}
	return slices.ContainsFunc(c.gaps, func(g interval) bool {
		return c.descends(g.shard, r.shard) && !r.arrived.Before(g.from.Add(-propagation)) && !r.arrived.After(g.to.Add(propagation))
	})
}

// descends reports whether a shard is another one or its descendant.
func (c *cluster) descends(shard, from string) bool {
	return shard == from || slices.ContainsFunc(c.topology[shard], func(parent string) bool { return c.descends(parent, from) })
}

// unsettled returns a document of a record without a final outcome, "" if all have one.
func (c *cluster) unsettled(r record) string {
	if c.isLost(r) {
		return ""
	}
	if r.poison && c.byKCL { // the KCL writes no dead letters
		return ""
	}
	if r.poison {
		if !c.index.letter(r.number) && !c.stored[r.number] {
			return "the dead letter of " + r.number
		}
		return ""
	}
	for _, document := range r.documents {
		_, id, _ := cut(document)
		if c.index.has(document) || c.byKCL && refused(id) || c.index.letter(id) || c.stored[id] {
			continue
		}
		return "document " + document
	}
	return ""
}

// reads checks a read when it is sent.
func (c *cluster) reads(p *process, operation, shard string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	row := c.rows[shard]
	if at, ok := c.byHand[shard]; ok && time.Since(at) < c.lease {
		return // its owner has not noticed it yet
	}
	if row.owner != p.name || c.holders[shard] != p {
		c.violated(oneReader, "%s sends %s of %s, which is held by %q: %+v", p.name, operation, shard, row.owner, row)
	}
	for _, parent := range c.unfinished(shard) {
		c.violated(parentsFirst, "%s reads %s before its parent %s is finished", p.name, shard, parent)
	}
}

// unfinishedWork describes work that is not finished, "" if everything is.
func (c *cluster) unfinishedWork() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	children := make(map[string]bool)
	for _, parents := range c.topology {
		for _, parent := range parents {
			children[parent] = true
		}
	}
	held := make(map[string]int)
	for _, w := range c.workers {
		held[w.process.name] = 0
	}
	for shard := range c.topology {
		row := c.rows[shard]
		_, alive := held[row.owner]
		switch {
		case children[shard] && !c.isListed(shard): // its remaining records have expired
		case children[shard] && !c.isFinished(shard, row):
			return fmt.Sprintf("%s is closed and not finished: %+v", shard, row)
		case !children[shard] && !alive:
			return fmt.Sprintf("%s is not held: %+v", shard, row)
		case !children[shard]:
			held[row.owner]++
		}
	}
	if loads := slices.Collect(maps.Values(held)); slices.Max(loads)-slices.Min(loads) > 1 {
		return fmt.Sprintf("the leases are spread unevenly: %v", held)
	}
	for shard, records := range c.records {
		for _, r := range records {
			if missing := c.unsettled(r); missing != "" {
				return missing + " of " + shard + " is missing"
			}
		}
	}
	return ""
}

// unexpected returns a document or dead letter that should not exist, "" if all are expected.
func (c *cluster) unexpected() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	expected := make(map[string]*document) // by subject of a dead letter
	all := maps.Clone(c.records)
	all[""] = c.former
	for shard, records := range all {
		for _, r := range records {
			if r.poison {
				expected[r.number] = &document{shard: shard, first: time.Now()}
			}
			for _, name := range r.documents {
				_, id, _ := cut(name)
				expected[id] = c.documents[name]
			}
		}
	}
	documents, letters := c.index.all()
	for _, name := range documents {
		if _, id, _ := cut(name); c.documents[name] == nil || refused(id) {
			return "document " + name
		}
	}
	for about, n := range letters {
		if d := expected[about]; d == nil || n > 1 && !c.leased[d.shard].After(d.first) {
			return fmt.Sprintf("%d dead letters about %s", n, about)
		}
	}
	return ""
}
