package checkpoint

import (
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Attributes of a row. The first six, and ShardEnd, are those of vmware-go-kcl-v2, so that
// its tables keep working. TestTableIsTheKCLs in consumer/kcl compares them.
const (
	attrShard          = "ShardID"
	attrOwner          = "AssignedTo"
	attrTimeout        = "LeaseTimeout"
	attrCheckpoint     = "Checkpoint"
	attrParent         = "ParentShardId"
	attrClaim          = "ClaimRequest"
	attrAdjacentParent = "AdjacentParentShardId"
	attrEpoch          = "LeaseEpoch"
	attrCounter        = "LeaseCounter"
	attrDuration       = "LeaseDurationMillis"
	attrFirst          = "StartingSequenceNumber" // of the shard, as Kinesis lists it
)

// ShardEnd is the checkpoint of a shard that is read and acknowledged to its end.
const ShardEnd = "SHARD_END"

// row is a shard's row as it was read.
type row struct {
	owner      string // "" when no worker owns the shard
	checkpoint string // sequence number, SHARD_END, or "" when nothing is acknowledged
	timeout    string // end of the lease by the owner's clock; also identifies a retried acquisition
	epoch      int64
	counter    int64         // 0 in a row of vmware-go-kcl-v2
	duration   time.Duration // of the owner's lease, 0 if the row has none
	claim      string        // the worker that claims the lease, "" if none
	first      string        // StartingSequenceNumber of the row's shard, "" if the row has none
	start      *Position     // where reading begins without a checkpoint, nil for the application's position
	failures   int64         // consecutive failed attempts, of all workers
	failedBy   string        // the worker that failed last
	// failingSince is when the first of these attempts failed, by that worker's clock.
	failingSince time.Time
	reading      readState
	gaps         Gaps
	parents      []string // as Kinesis listed them when the lease was first acquired
}

type item = map[string]types.AttributeValue

func readRow(it item) row {
	number := func(attribute string) int64 {
		n, _ := strconv.ParseInt(text(it[attribute]), 10, 64)
		return n
	}
	r := row{
		owner:      text(it[attrOwner]),
		checkpoint: text(it[attrCheckpoint]),
		timeout:    text(it[attrTimeout]),
		epoch:      number(attrEpoch),
		counter:    number(attrCounter),
		duration:   time.Duration(number(attrDuration)) * time.Millisecond,
		claim:      text(it[attrClaim]),
		first:      text(it[attrFirst]),
		failures:   number(attrFailures),
		failedBy:   text(it[attrFailedBy]),
	}
	r.reading, r.gaps = readStateOf(it), gapsOf(it)
	r.failingSince, _ = time.Parse(time.RFC3339Nano, text(it[attrFailingSince]))
	if start, err := readPosition(it); err == nil {
		r.start = &start
	}
	for _, attribute := range []string{attrParent, attrAdjacentParent} {
		if parent := text(it[attribute]); parent != "" {
			r.parents = append(r.parents, parent)
		}
	}
	return r
}

// unchanged returns the condition that the row has no other owner and was not renewed since
// it was read.
func (r row) unchanged() condition {
	owner := asRead(attrOwner, str(r.owner))
	switch {
	case r.owner == "":
		return owner
	case r.counter != 0:
		return all(owner, is(attrCounter, num(r.counter)))
	}
	return all(owner, absent(attrCounter), is(attrTimeout, str(r.timeout)))
}

// setParents sets the parents of a shard, at most two.
func (c *change) setParents(parents []string) {
	for i, attribute := range []string{attrParent, attrAdjacentParent} {
		if i < len(parents) {
			c.set(attribute, str(parents[i]))
		}
	}
}

func (r row) finished() bool { return r.checkpoint == ShardEnd }

// lastHeartbeat returns when the current or last owner acquired or last renewed the lease, by its
// own clock. It returns zero if the row does not record it.
func (r row) lastHeartbeat() time.Time {
	timeout, err := time.Parse(time.RFC3339Nano, r.timeout)
	if err != nil || r.duration <= 0 {
		return time.Time{}
	}
	return timeout.Add(-r.duration)
}

// text returns the value of a string or number attribute, "" for any other.
func text(value types.AttributeValue) string {
	switch v := value.(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

func str(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func decimal(f float64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatFloat(f, 'f', 2, 64)}
}

func num(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}
