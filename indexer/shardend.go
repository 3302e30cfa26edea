package indexer

import (
	"context"
	"time"

	"logsluice/indexer/deadletter"
)

// shardEnd announces that a shard is read to its end, or that its end need not be
// tracked.
type shardEnd struct {
	shard string
	ended bool
}

// EndShard announces that a shard is read to its end, so its children wait for its
// documents. Those without an outcome after a minute become dead letters. In an outage or
// the disk's flood stage, the minute starts when that is over. forget revokes the
// announcement.
func (ix *Indexer) EndShard(shard string) (forget func()) {
	announce := func(ended bool) {
		select {
		case ix.ends <- shardEnd{shard, ended}:
		case <-ix.ctx.Done():
		}
	}
	announce(true)
	return func() { announce(false) }
}

// Begin waits until the next record of a shard may be read. Shards are paused while their
// documents that wait for indices take too much memory. It reports false when ctx ends
// first.
func (ix *Indexer) Begin(ctx context.Context, shard string) bool {
	return ix.budget.waitWhilePaused(ctx, shard)
}

// IsPaused reports whether Begin would wait.
func (ix *Indexer) IsPaused(shard string) bool { return ix.budget.isPaused(shard) }

// Reserve waits until documents of size bytes may be in flight, and returns the number of
// bytes reserved, which must be passed to Put. It returns 0 when ctx ends first.
func (ix *Indexer) Reserve(ctx context.Context, shard string, size int64) int64 {
	return ix.budget.reserve(ctx, shard, size)
}

func (d *dispatcher) noteEnd(end shardEnd) {
	if !end.ended {
		delete(d.ends, end.shard)
	} else if _, known := d.ends[end.shard]; !known {
		d.ends[end.shard] = time.Now()
	}
}

// endShards makes dead letters of documents that keep ended shards from being finished.
func (d *dispatcher) endShards(now time.Time) {
	if len(d.ends) == 0 {
		return
	}
	if d.tally.isOutage(now) {
		for shard := range d.ends {
			d.ends[shard] = now
		}
		return
	}
	abandoned := 0
	for _, t := range d.inOrder() {
		if t.letters {
			continue
		}
		overdue := func(dp *delayedPart) bool { return d.isOverdue(dp, t.delayedEndsAt, now) }
		abandoned += d.abandonSome(&t.blocked, overdue, deadletter.StageBlocked, now)
		for i := range t.failing {
			abandoned += d.abandonSome(&t.failing[i].parts, func(dp *delayedPart) bool {
				return overdue(dp) && (!d.tally.mostFailed() || d.tally.isStale(now))
			}, deadletter.StageBlocked, now)
		}
	}
	for i := range d.retries {
		abandoned += d.abandonSome(&d.retries[i].parts, func(dp *delayedPart) bool {
			return !dp.isLetter() && d.isOverdue(dp, time.Time{}, now) && d.tally.accepted.After(dp.tried)
		}, deadletter.StageBlocked, now)
	}
	if abandoned > 0 {
		d.ix.cfg.Log.Error().Int("documents", abandoned).
			Msg("documents given up: they become dead letters, because the child shards wait for the end of their shard")
	}
}

// isOverdue reports whether a part's shard ended at least shardEndWait ago, and nothing
// justified waiting since.
func (d *dispatcher) isOverdue(dp *delayedPart, kept, now time.Time) bool {
	ended, ok := d.ends[dp.docs.source.Shard]
	if kept.After(ended) {
		ended = kept
	}
	return ok && now.Sub(ended) >= shardEndWait
}

// abandonSome makes dead letters of the delayed parts selected by which. It removes them
// and returns the number of their documents.
func (d *dispatcher) abandonSome(all *[]*delayedPart, which func(*delayedPart) bool, stage string, now time.Time) (abandoned int) {
	kept := (*all)[:0]
	for _, dp := range *all {
		if !which(dp) {
			kept = append(kept, dp)
			continue
		}
		abandoned += dp.count()
		d.abandon(dp, stage, now)
	}
	clear((*all)[len(kept):]) // otherwise it keeps their documents in memory
	*all = kept
	return abandoned
}
