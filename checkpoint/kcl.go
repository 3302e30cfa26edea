package checkpoint

import (
	"errors"
	"fmt"
	"time"

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
// before it gives a lease back: so the owner distinguishes the two calls, and a
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

// FetchCheckpoint gives the KCL what is known of a shard: of a lease that is
// held, where its reading begins; of any other, what was seen last.
func (t *Table) FetchCheckpoint(shard *partition.ShardStatus) error {
	t.mu.Lock()
	lease, seen := t.held[shard.ID], t.seen[shard.ID]
	if t.foreign(shard.ID, seen.row) != "" {
		seen.checkpoint = "" // what its first reader will find
	}
	t.mu.Unlock()
	if lease != nil {
		return setCheckpoint(shard, lease.Checkpoint())
	}
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

// RemoveLeaseInfo does nothing. It is called when a shard is no longer in the
// assignment; Sync deletes the rows of shards that Kinesis no longer lists.
func (t *Table) RemoveLeaseInfo(string) error { return nil }

// RemoveLeaseOwner is called when the reader of a shard has ended, for
// whatever reason: the one sure sign of it that the KCL gives. It drains and
// releases the lease.
func (t *Table) RemoveLeaseOwner(shardID string) error {
	lease := t.Lease(shardID)
	if lease == nil {
		return nil
	}
	err := lease.release()
	lease.mu.Lock()
	last, hasRead, failure := lease.last, lease.hasRead, lease.failure
	lease.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if failure != nil && !hasRead {
		t.cooldown.add(shardID, t.cfg.Worker, lease.acquired, last.failures, failure)
	}
	delete(t.held, shardID)
	if _, deleted := t.deleted[shardID]; !deleted {
		t.note(shardID, last, time.Now())
	}
	t.signal()
	return err
}

// GetLeaseOwner names the worker that owns a shard, as it was seen last.
func (t *Table) GetLeaseOwner(shardID string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if owner := t.seen[shardID].owner; owner != "" {
		return owner, nil
	}
	return "", kcl.NoLeaseOwnerErr
}

// errBalance answers the calls that the KCL makes with EnableLeaseStealing,
// which the consumer leaves off: Sync balances. The KCL's own rule leaves a
// spread of two and more, does nothing while any shard has no owner, and claims
// one shard at a time whose reader need not drain.
var errBalance = fmt.Errorf("claiming leases by the KCL's rule: %w", errors.ErrUnsupported)

// ListActiveWorkers is not supported: Sync balances.
func (t *Table) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errBalance
}

// ClaimShard is not supported: Sync balances.
func (t *Table) ClaimShard(*partition.ShardStatus, string) error { return errBalance }
