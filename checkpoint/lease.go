package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"logsluice/internal/statelog"
)

// Lease is this worker's ownership of a shard, from acquisition until it is lost or
// released. Each lease has its own heartbeat, which is independent of the shard's reader.
// The heartbeat renews the lease and writes the checkpoint.
type Lease struct {
	table *Table
	shard string
	epoch int64
	start Position // where reading begins without a checkpoint

	acquired   row       // the row at acquisition
	acquiredAt time.Time // monotonic: when the acquisition was sent
	// unreadSince is the time, by Kinesis' clock, since which records of the shard may have
	// been unread at acquisition. Guarded by the table's mutex.
	unreadSince time.Time

	// ctx ends when the lease is lost. reading also ends when another worker has claimed it.
	ctx         context.Context
	lose        context.CancelCauseFunc
	reading     context.Context
	stopReading context.CancelFunc

	stopped chan struct{} // closed to end the heartbeat
	ended   chan struct{} // closed when the heartbeat has ended
	writing chan struct{} // holds one token: one write to the row at a time

	mu            sync.Mutex
	goodUntil     time.Time // when the lease is lost unless renewed
	acknowledged  string    // newest acknowledged sequence number, or SHARD_END
	written       string    // the checkpoint in the row
	last          row       // the row as last observed
	beforeRelease func()
	releasing     bool
	restarting    bool // the next reading must begin at the oldest record
	fromNewTable  bool // acquired from a recreated table that this worker mistook for a new one
	hasRead       bool
	failure       error // from the last read, nil if it succeeded
	read          readState
	gaps          Gaps
	measured      readState // where the current rate measurement began

	released chan struct{} // closed when the lease is released or lost for good
	outcome  error         // of the release
}

// heartbeatsPerLease is the number of renewals per lease duration.
const heartbeatsPerLease = 3

// newLease returns the lease for an acquired row and starts its heartbeat. sent is when the
// acquisition was sent.
func (t *Table) newLease(shardID string, got row, sent time.Time) (*Lease, error) {
	ctx, lose := context.WithCancelCause(context.Background())
	reading, stopReading := context.WithCancel(ctx)
	l := &Lease{
		ctx:          ctx,
		lose:         lose,
		reading:      reading,
		stopReading:  stopReading,
		table:        t,
		shard:        shardID,
		epoch:        got.epoch,
		acquired:     got,
		acquiredAt:   sent,
		stopped:      make(chan struct{}),
		ended:        make(chan struct{}),
		writing:      make(chan struct{}, 1),
		released:     make(chan struct{}),
		goodUntil:    t.goodUntil(sent),
		acknowledged: got.checkpoint,
		written:      got.checkpoint,
		last:         got,
		read:         got.reading,
		gaps:         got.gaps,
	}
	l.writing <- struct{}{}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.ctx.Err(); err != nil {
		lose(err)
		return nil, fmt.Errorf("lease of %s: the table is closed: %w", shardID, err)
	}
	t.shards.state(shardID).lease = l
	t.noteRow(shardID, got, time.Now())
	l.start = t.start.positionFor(shardID, got)
	t.tasks.Go(func() {
		defer close(l.ended)
		l.heartbeat()
	})
	return l, nil
}

// goodUntil returns when the holder must consider a lease lost: 90% of the lease duration
// after the renewal was sent. Other workers wait for the full duration, counted from when
// they observe the renewal, so the holder stops first.
func (t *Table) goodUntil(sent time.Time) time.Time {
	return sent.Add(t.cfg.LeaseDuration - t.cfg.LeaseDuration/10)
}

// LeaseDuration is how long a silent worker keeps its shards.
func (t *Table) LeaseDuration() time.Duration { return t.cfg.LeaseDuration }

// callTimeout bounds one request, so that there is time for another after one hangs.
func (t *Table) callTimeout() time.Duration { return t.cfg.LeaseDuration / heartbeatsPerLease }

// informativeTimeout returns the LeaseTimeout to write. People and workers of vmware-go-kcl-v2
// read it. No takeover compares it with a clock.
func (t *Table) informativeTimeout() string {
	return t.cfg.Clock().Add(t.cfg.LeaseDuration).UTC().Format(time.RFC3339Nano)
}

// Checkpoint returns the sequence number after which reading begins, or "" if reading
// begins at Start.
func (l *Lease) Checkpoint() string { return l.acquired.checkpoint }

// Start returns where reading begins without a checkpoint.
func (l *Lease) Start() Position { return l.start }

// Acknowledge records that every record up to a sequence number has its final outcome.
// The next heartbeat writes it to the row.
func (l *Lease) Acknowledge(sequenceNumber string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acknowledged != ShardEnd && !l.restarting {
		l.acknowledged = sequenceNumber
	}
}

// Context returns a context that ends when the lease is lost. From then on nothing may be
// read or checkpointed. Requests in flight may finish, because indexing is idempotent.
func (l *Lease) Context() context.Context { return l.ctx }

// ReadSucceeded records that a read of the shard succeeded.
func (l *Lease) ReadSucceeded() {
	l.mu.Lock()
	l.hasRead, l.failure = true, nil
	l.mu.Unlock()
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	l.table.cooldown.noteRead()
	l.table.refusals.noteRead()
}

// isRead reports whether the last read of the shard succeeded.
func (l *Lease) isRead() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hasRead && l.failure == nil
}

// ReadFailed records that a read of the shard failed. If no read succeeds before the lease
// is released, the release writes the failure to the row. A cause that wraps ErrRefused
// counts for Table.Refused.
func (l *Lease) ReadFailed(cause error) {
	l.mu.Lock()
	l.failure = cause
	l.mu.Unlock()
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	l.table.refusals.add(l.shard, cause, l.table.cfg.Worker, l.acquired)
}

// Failing reports whether the last read of the shard failed.
func (l *Lease) Failing() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure != nil
}

// Reading returns a context that ends when nothing more may be read: when the lease is lost
// or released, or when another worker has claimed it.
func (l *Lease) Reading() context.Context { return l.reading }

// yield ends the reading so that the worker that claimed the lease can acquire it.
func (l *Lease) yield(claimer string) {
	if l.reading.Err() == nil {
		l.table.cfg.Log.Info().Str("shard", l.shard).Str("to_worker", claimer).Msg("lease claimed by another worker: releasing it")
	}
	l.stopReading()
}

// BeforeRelease sets the function that drains the shard. It is called after the shard's
// reader has ended and before the lease is released.
func (l *Lease) BeforeRelease(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.beforeRelease = f
}

func (l *Lease) isLost() bool { return l.ctx.Err() != nil }

// heartbeat renews the lease until it is stopped or lost. Apart from newLease for a closed
// table, only heartbeat ends l.ctx.
func (l *Lease) heartbeat() {
	interval := l.table.cfg.LeaseDuration / heartbeatsPerLease
	for {
		// Jitter spreads the heartbeats of many shards.
		wait := time.NewTimer(interval - time.Duration(rand.Int64N(int64(interval)/5+1))) //nolint:gosec // no secret
		select {
		case <-l.stopped:
			wait.Stop()
			return
		case <-l.table.ctx.Done():
			wait.Stop()
			return
		case <-wait.C:
		}
		if err := l.write(l.table.ctx, l.stopped, renewal); err != nil {
			if errors.Is(err, errStopped) || l.table.ctx.Err() != nil {
				return
			}
			l.lose(err)
			if errors.Is(err, errDeleted) {
				l.table.mu.Lock()
				l.table.noteMissing(l.shard)
				l.table.mu.Unlock()
			}
			l.table.cfg.Log.Warn().Str("shard", l.shard).Int64("epoch", l.epoch).Err(err).
				Msg("lease lost: reading stops, another worker continues from the checkpoint")
			return
		}
	}
}

// Finish writes that the shard is read and acknowledged to its end. It fails when the lease
// is lost, ctx ends or the table is closed.
func (l *Lease) Finish(ctx context.Context) error {
	ctx, cancel := l.table.untilClosed(ctx)
	defer cancel()
	l.mu.Lock()
	restarting := l.restarting
	if !restarting {
		l.acknowledged = ShardEnd
	}
	l.mu.Unlock()
	if restarting {
		return errRestarting
	}
	if err := l.write(ctx, nil, renewal); err != nil {
		return err
	}
	l.table.cfg.Log.Info().Str("shard", l.shard).Msg("shard finished")
	return nil
}

// release waits for the drain, writes the last checkpoint and releases the lease, unless it
// is lost. No more records of the shard may be accepted. A second call waits for the first
// and returns the same error.
func (l *Lease) release() error {
	l.mu.Lock()
	first := !l.releasing
	l.releasing = true
	l.mu.Unlock()
	if first {
		l.outcome = l.drainAndRelease()
		close(l.released)
	}
	<-l.released
	return l.outcome
}

func (l *Lease) drainAndRelease() error {
	l.mu.Lock()
	drain := l.beforeRelease
	if l.reading.Err() != nil {
		l.failure = nil // the claim or loss ended the reading, not the failure
	}
	failure := l.failure
	l.mu.Unlock()
	if drain != nil {
		drain()
	}
	l.stopReading()
	close(l.stopped)
	<-l.ended
	if l.isLost() {
		return nil
	}
	if err := l.write(l.table.ctx, nil, releasing); err != nil {
		return fmt.Errorf("release the lease of %s: %w", l.shard, err)
	}
	l.mu.Lock()
	failures := l.last.failures
	l.mu.Unlock()
	l.table.cfg.Log.WithLevel(leaseLogLevel(failures)).Str("shard", l.shard).Str("checkpoint", l.written).Msg("lease released")
	if failure != nil {
		l.table.reportFailure(l.shard, failures, failure)
	}
	return nil
}

// purpose is why the row of a held lease is written. Every write includes the checkpoint.
type purpose int

const (
	renewal purpose = iota
	releasing
)

var (
	errStopped = errors.New("the lease is being released")
	errTaken   = errors.New("the row has another owner or epoch")
	errCounter = errors.New("an earlier request was applied but its answer was lost")
	errDeleted = errors.New("the row no longer exists")
	errLost    = errors.New("the lease is lost")

	errRestarting = errors.New("the shard must be read again from its oldest record")
)

// write updates the row while this worker has the lease. Writes to one row are made one at a
// time. A request that fails although the lease is not lost is retried until goodUntil.
//
// Each request is conditional on the counter last observed, so requests are applied once
// and in order. A request that timed out and arrives late cannot overwrite a newer
// checkpoint or SHARD_END.
func (l *Lease) write(ctx context.Context, stop <-chan struct{}, why purpose) error {
	select {
	case <-l.writing:
		defer func() { l.writing <- struct{}{} }()
	case <-stop:
		return errStopped
	case <-l.ctx.Done():
		return errLost
	}
	t := l.table
	var missingSince time.Time // when the row was found to be missing
	for {
		l.mu.Lock()
		goodUntil, checkpoint := l.goodUntil, l.acknowledged
		newCheckpoint := checkpoint != l.written
		fromNewTable := l.fromNewTable
		l.mu.Unlock()
		left := time.Until(goodUntil)
		switch {
		case left <= 0 && !missingSince.IsZero():
			return errDeleted
		case left <= 0:
			return fmt.Errorf("the lease was not renewed within its duration of %s", t.cfg.LeaseDuration)
		}
		sent := time.Now()
		t.mu.Lock()
		recreated, scanBegan := t.isRecreated() && !fromNewTable, t.scanBegan
		t.mu.Unlock()
		err := l.try(ctx, why, checkpoint, newCheckpoint, recreated && !missingSince.IsZero(), min(left, t.callTimeout()))
		if err == nil {
			l.mu.Lock()
			l.goodUntil, l.written = t.goodUntil(sent), checkpoint
			l.mu.Unlock()
			if t.writes.Worked() {
				t.cfg.Log.Info().Msg("the lease table can be written to again")
			}
			return nil
		}
		switch gone := errors.Is(err, errDeleted); {
		case errors.Is(err, errCounter):
			missingSince = time.Time{}
			continue // with the current counter
		case gone && recreated && missingSince.IsZero():
			missingSince = sent
			continue // and restore the row
		case gone && missingSince.IsZero() && why == renewal:
			missingSince = sent // a scan shows whether the whole table was deleted
		case gone && scanBegan.After(missingSince), errors.Is(err, errTaken):
			return err
		case missingTable(err):
			// No worker can take the lease while the table does not exist.
			l.mu.Lock()
			l.goodUntil = t.goodUntil(sent)
			l.mu.Unlock()
		case !gone && t.writes.Failed(statelog.Kind(err)):
			t.cfg.Log.Warn().Err(err).Msg("cannot write to the lease table; trying again: run logsluice doctor")
		}
		pause := time.NewTimer(min(t.cfg.LeaseDuration/20, max(time.Until(goodUntil), 0)))
		select {
		case <-pause.C:
		case <-stop:
			pause.Stop()
			return errStopped
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// readLocked returns how far the shard is read, as it is written to the row. l.mu must
// be held.
func (l *Lease) readLocked() readState {
	read := l.read
	if l.restarting {
		read.through = time.Time{}
	}
	return read
}

// try sends one conditional update. newCheckpoint is set to write checkpoint, restore to write
// the whole row to a recreated table.
func (l *Lease) try(ctx context.Context, why purpose, checkpoint string, newCheckpoint, restore bool, timeout time.Duration) error {
	l.mu.Lock()
	counter, failures, failed := l.last.counter, l.last.failures, why == releasing && l.failure != nil
	read, gaps, restarting := l.readLocked(), l.gaps, l.restarting
	// The count is reset by the next renewal, not by the first read: a shard that can be
	// read only occasionally is still failing.
	recovered := failures > 0 && l.hasRead && l.failure == nil
	l.mu.Unlock()
	var c change
	c.increment(attrCounter, 0)
	switch {
	case newCheckpoint && restarting:
		c.remove(attrCheckpoint)
	case newCheckpoint:
		c.set(attrCheckpoint, str(checkpoint))
	}
	if restarting {
		c.remove(attrReadThrough)
	}
	if why == releasing {
		c.remove(attrOwner)
	} else {
		c.set(attrTimeout, str(l.table.informativeTimeout()))
	}
	read.write(&c)
	gaps.write(&c)
	switch {
	case failed:
		c.set(attrFailures, num(failures+1))
		c.set(attrFailedBy, str(l.table.cfg.Worker))
		c.setOnce(attrFailingSince, str(l.table.cfg.Clock().UTC().Format(time.RFC3339Nano)))
	case recovered:
		c.remove(attrFailures, attrFailedBy, attrFailingSince)
	}
	when := all(is(attrOwner, str(l.table.cfg.Worker)), is(attrEpoch, num(l.epoch)), is(attrCounter, num(counter)))
	if restore {
		c, when = l.restore(why, checkpoint, counter)
	}
	it, conditionFailed, err := l.table.update(ctx, l.shard, c, when, timeout)
	if err != nil {
		return err
	}
	// When the answer to a release is lost, the retry finds a row without an owner in the
	// same epoch: the release was applied.
	found := readRow(it)
	replaced := l.isReplaced(found)
	sameLease := found.epoch == l.epoch && !replaced
	if sameLease {
		l.mu.Lock()
		l.last = found
		l.mu.Unlock()
		if found.claim != "" {
			l.yield(found.claim)
		}
	}
	switch {
	case it == nil, replaced:
		return errDeleted
	case !conditionFailed, sameLease && why == releasing && found.owner == "":
		if recovered && failures >= failingAt {
			l.table.recovered(l.shard, failures)
		}
		return nil
	case sameLease && found.owner == l.table.cfg.Worker && found.counter != counter:
		return errCounter
	}
	return fmt.Errorf("%w: %s, epoch %d", errTaken, found.owner, found.epoch)
}
