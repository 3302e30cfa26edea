package kcl

import (
	"context"
	"errors"
	"fmt"

	library "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"logsluice/checkpoint"
)

// leases adapts the lease table to the library's Checkpointer. It replaces the library's
// implementation, which writes checkpoints unconditionally.
type leases struct {
	table  *checkpoint.Table
	reader Reader
	worker string // this worker's name
}

var _ library.Checkpointer = (*leases)(nil)

// errLost is returned for a renewal or a checkpoint of a lease that is lost or released.
var errLost = errors.New("the lease is lost")

// Init does nothing: the table is already open.
func (*leases) Init() error { return nil }

// GetLease acquires a lease. When the reader of a held shard calls it to renew the lease, it
// returns an error unless reading may continue: the lease's own heartbeat renews it.
//
// The shard's owner distinguishes the two calls, because the library only acquires leases
// that it does not own, and clears the owner before it releases a lease. A lease that is lost
// or draining never gets a second reader.
func (l *leases) GetLease(shard *partition.ShardStatus, _ string) error {
	if shard.GetLeaseOwner() == l.worker {
		if lease := l.table.Lease(shard.ID); lease == nil || lease.Context().Err() != nil {
			return fmt.Errorf("%s: %w: %w", shard.ID, errLost, library.ErrLeaseNotAcquired{})
		}
		return nil
	}
	lease, err := l.table.Acquire(context.Background(), shard.ID) // the library passes no context
	switch {
	case errors.Is(err, checkpoint.ErrNotAcquired):
		return fmt.Errorf("%w: %w", err, library.ErrLeaseNotAcquired{})
	case err != nil:
		return err
	}
	shard.SetLeaseOwner(l.worker)
	shard.SetCheckpoint(lease.Checkpoint())
	l.reader.Acquired(shard.ID)
	return nil
}

// CheckpointSequence writes the end of a shard. Sequence numbers are passed to
// Lease.Acknowledge, and the heartbeat writes them.
func (l *leases) CheckpointSequence(shard *partition.ShardStatus) error {
	lease := l.table.Lease(shard.ID)
	if lease == nil {
		return fmt.Errorf("checkpoint %s: %w", shard.ID, errLost)
	}
	if number := shard.GetCheckpoint(); number != library.ShardEnd {
		lease.Acknowledge(number)
		return nil
	}
	return lease.Finish(context.Background())
}

// FetchCheckpoint sets the owner and the checkpoint of a shard. For a held lease, the
// checkpoint is where reading begins; otherwise both are as last observed.
func (l *leases) FetchCheckpoint(shard *partition.ShardStatus) error {
	if lease := l.table.Lease(shard.ID); lease != nil {
		return setCheckpoint(shard, lease.Checkpoint())
	}
	owner, number := l.table.Observed(shard.ID)
	if owner == l.worker {
		// The row is from before this worker's restart. The library never acquires a lease that
		// it seems to own.
		owner = ""
	}
	shard.SetLeaseOwner(owner)
	return setCheckpoint(shard, number)
}

func setCheckpoint(shard *partition.ShardStatus, number string) error {
	shard.SetCheckpoint(number)
	if number == "" {
		return library.ErrSequenceIDNotFound
	}
	return nil
}

// RemoveLeaseInfo does nothing. It is called when a shard is no longer in the assignment;
// Table.Sync deletes the rows of shards that Kinesis no longer lists.
func (*leases) RemoveLeaseInfo(string) error { return nil }

// RemoveLeaseOwner is called when the reader of a shard has ended, for whatever reason. No
// other call of the library signals this reliably. It drains and releases the lease.
func (l *leases) RemoveLeaseOwner(shard string) error {
	l.reader.Ended(shard)
	return l.table.Release(shard)
}

// GetLeaseOwner returns the worker that owns a shard, as last observed.
func (l *leases) GetLeaseOwner(shard string) (string, error) {
	if owner, _ := l.table.Observed(shard); owner != "" {
		return owner, nil
	}
	return "", library.NoLeaseOwnerErr
}

// errBalance is returned by the methods for EnableLeaseStealing, which is off: Table.Sync
// balances. The library's rule can leave a difference of two leases or more, does nothing
// while any shard has no owner, and claims one shard at a time without draining its reader.
var errBalance = fmt.Errorf("claiming leases by the KCL's rule: %w", errors.ErrUnsupported)

// ListActiveWorkers is not supported: Table.Sync balances.
func (*leases) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errBalance
}

// ClaimShard is not supported: Table.Sync balances.
func (*leases) ClaimShard(*partition.ShardStatus, string) error { return errBalance }
