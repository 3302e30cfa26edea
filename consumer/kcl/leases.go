package kcl

import (
	"context"
	"errors"
	"fmt"

	library "github.com/vmware/vmware-go-kcl-v2/clientlibrary/checkpoint"
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/partition"

	"logsluice/checkpoint"
)

// leases is the lease table as the library's Checkpointer, in place of its own, which
// writes checkpoints without a condition.
type leases struct {
	table  *checkpoint.Table
	reader Reader
	worker string // this worker's name
}

var _ library.Checkpointer = (*leases)(nil)

// errLost is returned to a reader that asks to renew a lease which is lost or released.
var errLost = errors.New("the lease is lost")

// Init does nothing: the table is ready.
func (*leases) Init() error { return nil }

// GetLease acquires a lease and, called by the reader of a shard that is held, reports
// whether it may go on: the lease's own heartbeat renews it.
//
// The library asks to acquire what it thinks is not its own, and clears the owner before it
// gives a lease back: so the owner that it has noted distinguishes the two calls. A lease
// that is lost or still drains is never given to a second reader.
func (l *leases) GetLease(shard *partition.ShardStatus, _ string) error {
	if shard.GetLeaseOwner() == l.worker {
		if lease := l.table.Lease(shard.ID); lease == nil || lease.Context().Err() != nil {
			return fmt.Errorf("%s: %w: %w", shard.ID, errLost, library.ErrLeaseNotAcquired{})
		}
		return nil
	}
	lease, err := l.table.Acquire(context.Background(), shard.ID) // the library brings no context
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

// CheckpointSequence writes the end of a shard. Sequence numbers go with the heartbeat, by
// Lease.Acknowledge.
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

// FetchCheckpoint gives the library what is known of a shard: of a lease that is held,
// where its reading begins; of any other, what was seen last.
func (l *leases) FetchCheckpoint(shard *partition.ShardStatus) error {
	if lease := l.table.Lease(shard.ID); lease != nil {
		return setCheckpoint(shard, lease.Checkpoint())
	}
	owner, number := l.table.Observed(shard.ID)
	if owner == l.worker {
		// A row from this worker's earlier life. The library never asks for a lease that it
		// thinks it has.
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

// RemoveLeaseOwner is called when the reader of a shard has ended, for whatever reason: the
// one sure sign of it that the library gives. It drains and releases the lease.
func (l *leases) RemoveLeaseOwner(shard string) error {
	l.reader.Ended(shard)
	return l.table.Release(shard)
}

// GetLeaseOwner returns the worker that owns a shard, as it was seen last.
func (l *leases) GetLeaseOwner(shard string) (string, error) {
	if owner, _ := l.table.Observed(shard); owner != "" {
		return owner, nil
	}
	return "", library.NoLeaseOwnerErr
}

// errBalance answers the calls that the library makes with EnableLeaseStealing, which is
// off: Table.Sync balances. The library's own rule leaves a spread of two and more, does
// nothing while any shard has no owner, and claims one shard at a time whose reader need
// not drain.
var errBalance = fmt.Errorf("claiming leases by the KCL's rule: %w", errors.ErrUnsupported)

// ListActiveWorkers is not supported: Table.Sync balances.
func (*leases) ListActiveWorkers(map[string]*partition.ShardStatus) (map[string][]*partition.ShardStatus, error) {
	return nil, errBalance
}

// ClaimShard is not supported: Table.Sync balances.
func (*leases) ClaimShard(*partition.ShardStatus, string) error { return errBalance }
