package checkpoint

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"
)

var _ kcl.Checkpointer = (*Table)(nil)

// Lease is the lease this worker holds on a shard, nil if it holds none.
func (t *Table) Lease(shardID string) *Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held[shardID]
}

// Init does nothing: Open has made the table ready.
func (t *Table) Init() error { return nil }

// GetLease is called to acquire a lease and, by the reader of a shard that is
// held, to renew it. Renewal is the heartbeat's: the reader is only told
// whether it may go on.
//
// The KCL asks to acquire what it thinks is not its own, and clears the owner
// before it gives a lease back: so the owner tells the two calls apart, and a
// lease that is lost or still draining is never handed to a second reader.
func (t *Table) GetLease(shard *partition.ShardStatus, _ string) error {
	lease := t.Lease(shard.ID)
	renewing := shard.GetLeaseOwner() == t.cfg.Worker
	switch {
	case lease == nil && !renewing:
		lease, err := t.acquire(t.ctx, shard.ID)
		if err != nil {
			return err
		}
		shard.SetLeaseOwner(t.cfg.Worker)
		shard.SetCheckpoint(lease.Checkpoint())
		return nil
	case lease != nil && renewing && !lease.isLost():
		return nil
	}
	return fmt.Errorf("%s: %w: %w", shard.ID, errLost, kcl.ErrLeaseNotAcquired{})
}

// CheckpointSequence writes the end of a shard. Sequence numbers go with the
// heartbeat, by Lease.Acknowledge.
func (t *Table) CheckpointSequence(shard *partition.ShardStatus) error {
	lease := t.Lease(shard.ID)
	if lease == nil {
		return fmt.Errorf("checkpoint %s: %w", shard.ID, errLost)
	}
	if checkpoint := shard.GetCheckpoint(); checkpoint != kcl.ShardEnd {
		lease.Acknowledge(checkpoint)
		return nil
	}
	return lease.finish(t.ctx)
}

// FetchCheckpoint tells the KCL what is known of a shard: of a lease that is
// held, where its reading begins; of any other, what the last scan saw.
func (t *Table) FetchCheckpoint(shard *partition.ShardStatus) error {
	if lease := t.Lease(shard.ID); lease != nil {
		return setCheckpoint(shard, lease.Checkpoint())
	}
	if err := t.sync(t.ctx); err != nil {
		return err
	}
	t.mu.Lock()
	seen := t.seen[shard.ID]
	t.mu.Unlock()
	if seen.owner == t.cfg.Worker {
		// A row from this worker's earlier life. The KCL never asks for a lease
		// that it thinks it has.
		seen.owner = ""
	}
	shard.SetLeaseOwner(seen.owner)
	return setCheckpoint(shard, seen.checkpoint)
}

func setCheckpoint(shard *partition.ShardStatus, checkpoint string) error {
	shard.SetCheckpoint(checkpoint)
	if checkpoint == "" {
		return kcl.ErrSequenceIDNotFound
	}
	return nil
}

// RemoveLeaseInfo is called when Kinesis no longer lists a shard. Its row goes
// if the shard is finished and no child of it has yet to start.
func (t *Table) RemoveLeaseInfo(shardID string) error {
	t.mu.Lock()
	waiting := ""
	for id, shard := range t.shards {
		for _, parent := range shard.Parents {
			if _, started := t.seen[id]; parent == shardID && !started {
				waiting = id
			}
		}
	}
	_, listed := t.shards[shardID]
	t.mu.Unlock()
	if listed || waiting != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(t.ctx, t.callTimeout())
	defer cancel()
	_, err := t.db.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName:                 aws.String(t.cfg.Table),
		Key:                       item{attrShard: str(shardID)},
		ConditionExpression:       aws.String(attrCheckpoint + " = :end"),
		ExpressionAttributeValues: item{":end": str(kcl.ShardEnd)},
	})
	var unfinished *types.ConditionalCheckFailedException
	if errors.As(err, &unfinished) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("delete the row of %s: %w", shardID, err)
	}
	t.cfg.Log.Info().Str("shard", shardID).Msg("row of the expired shard deleted")
	return nil
}

// RemoveLeaseOwner is called when the reader of a shard has ended, for
// whatever reason: the one sure sign of it that the KCL gives. It drains and
// releases the lease.
func (t *Table) RemoveLeaseOwner(shardID string) error {
	lease := t.Lease(shardID)
	if lease == nil {
		return nil
	}
	err := lease.release()
	t.mu.Lock()
	delete(t.held, shardID)
	// What was scanned before the lease was held is older than what this
	// worker did to the row; the next scan sees it as it is.
	delete(t.seen, shardID)
	t.stale = true
	t.mu.Unlock()
	return err
}

// GetLeaseOwner names the worker that owns a shard, as the last scan saw it.
func (t *Table) GetLeaseOwner(shardID string) (string, error) {
	if t.Lease(shardID) != nil {
		return t.cfg.Worker, nil
	}
	if err := t.sync(t.ctx); err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if owner := t.seen[shardID].owner; owner != "" {
		return owner, nil
	}
	return "", kcl.NoLeaseOwnerErr
}

// errClaims answers the calls that the KCL makes with EnableLeaseStealing.
var errClaims = fmt.Errorf("claiming leases: %w", errors.ErrUnsupported)

// ListActiveWorkers is called with EnableLeaseStealing only, which the
// consumer leaves off.
func (t *Table) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errClaims
}

// ClaimShard is called with EnableLeaseStealing only, which the consumer
// leaves off.
func (t *Table) ClaimShard(*partition.ShardStatus, string) error { return errClaims }
