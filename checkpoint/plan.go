package checkpoint

import (
	"maps"
	"slices"
	"time"
)

// The rules that decide which worker may read which shard. They are functions of a snapshot
// and change nothing. Workers use them to decide which leases to acquire and to claim, and
// View uses them to show the state of each shard.

// snapshot is the state of the lease table and the shards at one moment, as a worker or a
// command knows it.
type snapshot struct {
	shards          shardStates   // without leases and epochs in a command
	worker          string        // the observing worker, "" for a command
	now             time.Time     // monotonic
	leaseDuration   time.Duration // of the observing worker
	listed          time.Time     // when the shards were listed last
	streamRecreated bool          // the table has the creation time of an earlier stream
	tableRecreated  bool          // the table was recreated less than a lease duration ago
	// refused is set while Kinesis has refused every call of the worker since it started.
	refused  bool
	cooldown cooldown
	claimed  time.Time // when the worker claimed a lease last
}

// snapshotLocked returns this worker's current snapshot. It copies no rows, because a worker
// may decide about 1,000 shards several times per second. t.mu must be held for as long as
// the snapshot is used.
func (t *Table) snapshotLocked() *snapshot {
	return &snapshot{
		shards:          t.shards,
		worker:          t.cfg.Worker,
		now:             time.Now(),
		leaseDuration:   t.cfg.LeaseDuration,
		listed:          t.listing,
		streamRecreated: t.start.streamRecreated,
		tableRecreated:  t.isRecreated(),
		refused:         t.refusals.isRefused(),
		cooldown:        t.cooldown,
		claimed:         t.claimed,
	}
}

// snapshotOf returns the snapshot of a command, which scans the table consistently and then
// lists the shards. In that order one listing is conclusive where a worker needs several.
// shards is nil without a listing: then a shard without a row counts as gone.
func snapshotOf(rows map[string]row, shards []Shard) *snapshot {
	now := time.Now()
	m := make(shardStates)
	gone := func(id string) *shardState {
		s, known := m[id]
		if !known {
			s = m.state(id)
			s.listed = listedShard{Shard: Shard{ID: id}, known: true, missing: goneAfter}
		}
		return s
	}
	for id, r := range rows {
		s := gone(id)
		s.seen = observation{row: r, exists: true, since: now, read: now}
		if s.listed.Parents = r.parents; shards == nil {
			s.listed.missing = 1
		}
		for _, parent := range r.parents {
			gone(parent)
		}
	}
	for _, shard := range shards {
		s := gone(shard.ID)
		s.listed.Shard, s.listed.missing = shard, 0
		if s.listed.compare(s.seen.row); s.listed.reopened > 0 {
			s.listed.reopened, s.listed.reopenedAt = goneAfter, time.Time{}
		}
		for _, parent := range shard.Parents {
			gone(parent)
		}
	}
	return &snapshot{shards: m, now: now, leaseDuration: unknownLeaseDuration, listed: now}
}

// foreign returns the reason why the row of a shard belongs to another shard, or "" if it
// does not. A shard that is missing from one listing is judged by the previous one.
func (snap *snapshot) foreign(s *shardState) string {
	if s.isGone() {
		return ""
	}
	return s.listed.foreign(s.seen.row, snap.streamRecreated, snap.now)
}

// isFinished reports whether a shard is read to its end.
func (snap *snapshot) isFinished(s *shardState) bool {
	return s.seen.finished() && snap.foreign(s) == ""
}

// takeoverAfter returns how long a row must be unchanged before its lease may be taken over:
// the longer of the owner's and the observing worker's lease duration.
func (snap *snapshot) takeoverAfter(o observation) time.Duration {
	return max(snap.leaseDuration, o.duration)
}

// isFree reports whether the row has no owner, or has been unchanged for takeoverAfter.
func (snap *snapshot) isFree(o observation) bool {
	return o.owner == "" || snap.now.Sub(o.since) >= snap.takeoverAfter(o)
}

// isAlive reports whether a row's owner was alive when the row was last read. Only the time
// between reads counts: while Kinesis does not respond, scans are rarer than renewals, and
// an old read proves nothing.
func (snap *snapshot) isAlive(o observation) bool {
	return o.owner != "" && o.read.Sub(o.since) < snap.takeoverAfter(o)
}

// isReserved reports whether a lease was released for the worker that claimed it and that
// worker still has time to acquire it.
func (snap *snapshot) isReserved(o observation) bool {
	return o.claim != "" && snap.now.Sub(o.since) < snap.leaseDuration/heartbeatsPerLease
}

// holder returns the worker that a lease counts for: the worker that has claimed it, or its
// living owner. It returns "" if no worker has the lease.
func (snap *snapshot) holder(o observation) string {
	switch {
	case o.owner == "" && snap.isReserved(o), snap.isAlive(o) && o.claim != "":
		return o.claim
	case snap.isAlive(o):
		return o.owner
	}
	return ""
}

// waitsFor returns a message that says which parent a shard waits for, "" if it does not
// wait.
func (snap *snapshot) waitsFor(shard Shard) string {
	for _, parent := range shard.Parents {
		s := snap.shards.get(parent)
		switch {
		case snap.isFinished(s):
		case !s.isGone():
			// No worker has started to read a parent without a row.
			return shard.ID + " waits for its parent " + parent
		case s.seen.exists && !snap.isFree(s.seen):
			return shard.ID + " waits for its parent " + parent + ", held by " + s.seen.owner
		}
	}
	return ""
}

// expired returns the parents whose unread records are beyond the stream's retention:
// waiting longer does not bring them back.
func (snap *snapshot) expired(shard Shard) (parents []string) {
	for _, parent := range shard.Parents {
		if s := snap.shards.get(parent); s.seen.exists && !snap.isFinished(s) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// cannotAcquire returns why the lease of a shard must not be acquired, "" if it may be.
func (snap *snapshot) cannotAcquire(id string) string {
	s := snap.shards.get(id)
	seen := s.seen
	switch {
	case !s.isListed():
		return id + " is not listed by Kinesis"
	case snap.isFinished(s):
		return id + " is finished"
	case !snap.isFree(seen):
		return id + " is held by " + seen.owner
	case seen.read.After(snap.listed) && snap.foreign(s) != "":
		// Another worker may have reset it after a later listing than ours.
		return "the shards have not been listed since the row of " + id + " was read"
	case !seen.exists && snap.tableRecreated:
		return "the lease table was recreated: only lease holders write to it for one lease duration"
	case seen.owner == "" && snap.isReserved(seen) && seen.claim != snap.worker:
		return id + " is claimed by " + seen.claim
	}
	return snap.waitsFor(s.listed.Shard)
}

// wasTried reports whether the worker tried to acquire a lease since the last scan, or
// within a lease duration if scans fail.
func (snap *snapshot) wasTried(s *shardState) bool {
	return snap.now.Sub(s.tried) < snap.leaseDuration
}

// shares is the number of leases that each living worker has or is about to get. A claimed
// lease counts for its claimer. Only workers that own or claim a row are visible to others.
type shares map[string]int

// shares counts the leases of each worker, and the shards whose leases are free to acquire.
func (snap *snapshot) shares() (counts shares, free int) {
	counts = shares{snap.worker: 0}
	for id, s := range snap.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		switch holder := snap.holder(seen); {
		case snap.isFinished(s), seen.failing():
		case seen.counter == 0 && snap.isAlive(seen):
			// A worker of vmware-go-kcl-v2 does not follow our balancing rules.
		case holder != "":
			counts[holder]++
		case snap.cannotAcquire(id) == "":
			free++
		}
	}
	return counts, free
}

// fair returns the maximum number of leases that one worker should have.
func (s shares) fair(free int) int {
	total := free
	for _, n := range s {
		total += n
	}
	return (total + len(s) - 1) / len(s)
}

// extremes returns the workers with the fewest and with the most leases. Ties go to the
// first by name, so workers that see the same rows decide the same.
func (s shares) extremes() (least, most string) {
	for i, worker := range slices.Sorted(maps.Keys(s)) {
		if i == 0 || s[worker] < s[least] {
			least = worker
		}
		if i == 0 || s[worker] > s[most] {
			most = worker
		}
	}
	return least, most
}

// acquirable returns the shards whose leases the worker may acquire, and how long to wait
// before there may be more even if nothing changes.
func (snap *snapshot) acquirable() (free []string, next time.Duration) {
	next = snap.leaseDuration
	counts, unowned := snap.shares()
	room := counts.fair(unowned) - counts[snap.worker]
	for id, s := range snap.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		if s.lease != nil || snap.wasTried(s) || snap.cannotAcquire(id) != "" {
			if !snap.isFree(seen) {
				next = min(next, snap.takeoverAfter(seen)-snap.now.Sub(seen.since))
			}
			continue
		}
		if wait := snap.retryWait(id, seen, len(counts) > 1); wait > 0 {
			next = min(next, wait)
			continue
		}
		since := seen.since
		if !seen.exists {
			since = s.listed.since
		}
		// A lease that has been free for takeoverAfter cannot be acquired by the workers whose
		// share it is. A failing shard is in no worker's share: any worker may try it.
		if room > 0 || seen.failing() || seen.claim == snap.worker || snap.now.Sub(since) >= snap.takeoverAfter(seen) {
			free = append(free, id)
		}
	}
	if snap.refused {
		free = free[:min(len(free), max(1-snap.shards.leases(), 0))]
	}
	return free, max(next, 0)
}

// retryWait returns how long the worker must leave a failing shard alone. The worker that failed last
// lets the others try first, unless it has read another shard since.
func (snap *snapshot) retryWait(shard string, o observation, others bool) time.Duration {
	at := o.retry
	_, unread := snap.cooldown.failed[shard]
	if others && o.failedBy == snap.worker && (unread || o.failing()) {
		at = at.Add(2 * snap.leaseDuration)
	}
	return at.Sub(snap.now)
}

// isCoolingDown reports whether the worker must not claim leases of others. The cooldown
// grows with the number of attempts that failed since the worker last read any shard. After
// it, the worker tries one shard.
func (snap *snapshot) isCoolingDown() bool {
	const maxDoublings = 3
	times := 0
	for shard, f := range snap.cooldown.failed {
		if !f.blamesShard(snap.shards.get(shard).seen.row, snap.worker) {
			times += f.times
		}
	}
	return times > 0 && (snap.now.Sub(snap.cooldown.last) < snap.leaseDuration<<min(times, maxDoublings) || snap.shards.leases() > 0 || snap.isClaiming())
}

// isClaiming reports whether the worker has recently claimed leases that it does not hold
// yet.
func (snap *snapshot) isClaiming() bool {
	if snap.now.Sub(snap.claimed) > snap.leaseDuration {
		return false
	}
	for _, s := range snap.shards {
		if o := s.seen; o.claim == snap.worker && s.lease == nil && snap.holder(o) == snap.worker {
			return true
		}
	}
	return false
}

// claimable is a lease that can be claimed from another worker.
type claimable struct {
	shard string
	owner string
	epoch int64
}

// plan returns the leases that the worker should claim. Every worker that has leases computes
// the same plan for all workers, provided that they see the same rows, and carries out its
// own part. While the worker with the most leases has at least two more than the one with
// the fewest, one lease moves. shuffle is rand.Shuffle, except in tests.
func (snap *snapshot) plan(shuffle func(n int, swap func(i, j int))) []claimable {
	if snap.isCoolingDown() {
		return nil
	}
	counts, free := snap.shares()
	// A worker at most doubles its leases per plan. A joining worker makes itself known by its
	// first claim, before it and other joining workers claim more than their shares.
	mine := counts[snap.worker]
	limit := max(1, mine)
	for range free {
		least, _ := counts.extremes()
		counts[least]++
	}
	movable := snap.movable()
	if mine == 0 {
		// Workers that join at the same time do not know of each other. The random order keeps
		// them from claiming the same leases.
		for _, leases := range movable {
			shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] })
		}
	}
	var claims []claimable
	for len(claims) < limit {
		least, most := counts.extremes()
		if counts[most]-counts[least] < 2 {
			break
		}
		if len(movable[most]) == 0 {
			delete(counts, most) // all leases that it can release are claimed
			continue
		}
		if least == snap.worker {
			claims = append(claims, movable[most][0])
		}
		movable[most] = movable[most][1:]
		counts[most]--
		counts[least]++
	}
	return claims
}

// movable returns the leases of each worker that can be claimed, sorted by shard id.
func (snap *snapshot) movable() map[string][]claimable {
	leases := make(map[string][]claimable)
	for _, id := range slices.Sorted(maps.Keys(snap.shards)) {
		s := snap.shards[id]
		if o := s.seen; o.exists && s.isListed() && !snap.isFinished(s) && !o.failing() && o.claim == "" && o.counter != 0 && snap.holder(o) == o.owner {
			leases[o.owner] = append(leases[o.owner], claimable{id, o.owner, o.epoch})
		}
	}
	return leases
}
