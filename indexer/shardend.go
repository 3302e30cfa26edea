package indexer

import (
	"context"
	"time"

	"logsluice/indexer/deadletter"
)

// shardEnd says that a shard is read to its end, or that its end need not be tracked.
type shardEnd struct {
	shard string
	ended bool
}

// EndShard says that a shard is read to its end, so that its children wait for its
// documents: those that have no outcome after a minute become dead letters, except
// what an outage or the disk's flood stage keeps waiting, for which the minute
// begins when that is over. forget takes it back.
func (ix *Indexer) EndShard(shard string) (forget func()) {
	say := func(ended bool) {
		select {
		case ix.ends <- shardEnd{shard, ended}:
		case <-ix.ctx.Done():
		}
	}
	say(true)
	return func() { say(false) }
}

// Begin waits until the next record of a shard may be taken: while documents that
// wait for their indices take too much memory, the shards that they are of pause.
// It reports false when ctx ends first.
func (ix *Indexer) Begin(ctx context.Context, shard string) bool { return ix.budget.begin(ctx, shard) }

// IsPaused reports whether Begin would wait.
func (ix *Indexer) IsPaused(shard string) bool { return ix.budget.isPaused(shard) }

// Reserve waits until documents of size bytes may be in flight, and returns how
// many of these count, which Put releases; 0 when ctx ends first.
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

// endShards makes dead letters of what keeps ended shards from being finished.
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
	given := 0
	for _, t := range d.inOrder() {
		if t.letters {
			continue
		}
		overdue := func(h *held) bool { return d.isOverdue(h, t.endKept, now) }
		given += d.abandonSome(&t.blocked, overdue, deadletter.StageBlocked, now)
		for i := range t.failing {
			given += d.abandonSome(&t.failing[i].parts, func(h *held) bool {
				return overdue(h) && (!d.tally.mostFailed() || d.tally.isOver(now))
			}, deadletter.StageBlocked, now)
		}
	}
	for i := range d.retries {
		given += d.abandonSome(&d.retries[i].parts, func(h *held) bool {
			return !h.isLetter() && d.isOverdue(h, time.Time{}, now) && d.tally.accepted.After(h.tried)
		}, deadletter.StageBlocked, now)
	}
	if given > 0 {
		d.ix.cfg.Log.Error().Int("documents", given).
			Msg("documents given up: they become dead letters, as the children of their shard wait for its end")
	}
}

// isOverdue reports whether the shard of a part ended long ago, and nothing has
// kept the part waiting since.
func (d *dispatcher) isOverdue(h *held, kept, now time.Time) bool {
	ended, ok := d.ends[h.docs.source.Shard]
	if kept.After(ended) {
		ended = kept
	}
	return ok && now.Sub(ended) >= shardEndWait
}

// abandonSome makes dead letters of some of the parts that rest, takes them out and
// returns how many documents they are.
func (d *dispatcher) abandonSome(all *[]*held, which func(*held) bool, stage string, now time.Time) (abandoned int) {
	kept := (*all)[:0]
	for _, h := range *all {
		if !which(h) {
			kept = append(kept, h)
			continue
		}
		abandoned += h.count()
		d.abandon(h, stage, now)
	}
	clear((*all)[len(kept):]) // otherwise it keeps their documents in memory
	*all = kept
	return abandoned
}
