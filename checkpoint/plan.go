package checkpoint

import (
	"maps"
	"slices"
	"time"
)

// The rules of who may read what. They are functions of a snapshot and change nothing:
// workers decide by them what to acquire and to claim, and View shows by them what each
// shard is doing.

// snapshot is what a worker or a command knows of the lease table and the shards at one
// moment.
type snapshot struct {
	shards        shardStates   // a command has no leases and no epochs there
	worker        string        // who asks; "" for a command, which takes no leases
	now           time.Time     // monotonic
	leaseDuration time.Duration // of who asks
	listed        time.Time     // when the shards were listed last
	anew          bool          // the table has the creation time of an earlier stream
	again         bool          // the table was made again less than a lease duration ago
	// refused is set while Kinesis has refused all that the worker tried since it started.
	refused  bool
	cooldown cooldown
	claimed  time.Time // when the worker claimed a lease last
}

// snapshotLocked returns what this worker knows now. No row is copied, as a worker decides
// several times per second about 1,000 shards: t.mu must be held for as long as the
// snapshot is used.
func (t *Table) snapshotLocked() *snapshot {
	return &snapshot{
		shards:        t.shards,
		worker:        t.cfg.Worker,
		now:           time.Now(),
		leaseDuration: t.cfg.LeaseDuration,
		listed:        t.listing,
		anew:          t.start.anew,
		again:         t.isAgain(),
		refused:       t.refusals.isRefused(),
		cooldown:      t.cooldown,
		claimed:       t.claimed,
	}
}

// snapshotOf returns what a command knows of a table that it scanned consistently before
// it listed the shards, so that one listing shows what takes a worker several. Without a
// listing shards is nil: a shard counts as gone if it has no row.
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
	return &snapshot{shards: m, now: now, leaseDuration: unknownLease, listed: now}
}

// foreign returns the reason why the row of a shard belongs to another shard, or "". A
// shard that one listing lacks counts as it was listed before.
func (snap *snapshot) foreign(s *shardState) string {
	if s.isGone() {
		return ""
	}
	return s.listed.foreign(s.seen.row, snap.anew, snap.now)
}

// isFinished reports whether a shard is read to its end.
func (snap *snapshot) isFinished(s *shardState) bool {
	return s.seen.finished() && snap.foreign(s) == ""
}

// patience is the lease duration to wait out: the owner's or that of who asks, the longer.
func (snap *snapshot) patience(o observation) time.Duration {
	return max(snap.leaseDuration, o.duration)
}

// isFree reports whether nobody owns the row, or whether its owner gave no sign of life
// for as long as one has to wait, by the clock of who asks.
func (snap *snapshot) isFree(o observation) bool {
	return o.owner == "" || snap.now.Sub(o.since) >= snap.patience(o)
}

// isAlive reports whether a row's owner had given a sign of life when the row was last
// read. One that was not read since has not died of it: where Kinesis does not
// answer, scans are further apart than renewals.
func (snap *snapshot) isAlive(o observation) bool {
	return o.owner != "" && o.read.Sub(o.since) < snap.patience(o)
}

// isReserved reports whether a row was released for the worker that claimed it, which
// has a while to take it.
func (snap *snapshot) isReserved(o observation) bool {
	return o.claim != "" && snap.now.Sub(o.since) < snap.leaseDuration/heartbeatsPerLease
}

// holder is the worker that a lease counts for: its living owner, or the one
// that has claimed it; "" if no worker has it.
func (snap *snapshot) holder(o observation) string {
	switch {
	case o.owner == "" && snap.isReserved(o), snap.isAlive(o) && o.claim != "":
		return o.claim
	case snap.isAlive(o):
		return o.owner
	}
	return ""
}

// waitsFor returns which parent a shard waits for, "" if it does not wait.
func (snap *snapshot) waitsFor(shard Shard) string {
	for _, parent := range shard.Parents {
		s := snap.shards.get(parent)
		switch {
		case snap.isFinished(s):
		case !s.isGone():
			// A parent without a row is one that nobody has started yet.
			return shard.ID + " waits for its parent " + parent
		case s.seen.exists && !snap.isFree(s.seen):
			return shard.ID + " waits for its parent " + parent + ", held by " + s.seen.owner
		}
	}
	return ""
}

// expired are the parents whose rest is beyond the stream's retention: waiting
// longer brings nothing back.
func (snap *snapshot) expired(shard Shard) (parents []string) {
	for _, parent := range shard.Parents {
		if s := snap.shards.get(parent); s.seen.exists && !snap.isFinished(s) {
			parents = append(parents, parent)
		}
	}
	return parents
}

// refusal returns why a shard may not be leased, "" if it may.
func (snap *snapshot) refusal(id string) string {
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
		// Another worker may have renewed it, by a later listing than ours.
		return "the shards have not been listed since the row of " + id + " was read"
	case !seen.exists && snap.again:
		return "the lease table was made again: only holders write to it for a lease duration"
	case seen.owner == "" && snap.isReserved(seen) && seen.claim != snap.worker:
		return id + " is claimed by " + seen.claim
	}
	return snap.waitsFor(s.listed.Shard)
}

// wasTried reports whether a lease was asked for since the last scan, or within a
// lease duration if scans fail.
func (snap *snapshot) wasTried(s *shardState) bool {
	return snap.now.Sub(s.tried) < snap.leaseDuration
}

// shares is how many leases each living worker has, or is about to get: a
// claimed one counts for its claimer. Workers are known by their rows, so a
// worker without a row is known only to itself.
type shares map[string]int

// shares counts the leases of each worker, and the shards that are there for
// the taking.
func (snap *snapshot) shares() (of shares, free int) {
	of = shares{snap.worker: 0}
	for id, s := range snap.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		switch holder := snap.holder(seen); {
		case snap.isFinished(s), seen.failing():
		case seen.counter == 0 && snap.isAlive(seen):
			// A worker of vmware-go-kcl-v2: it balances by no rule of ours.
		case holder != "":
			of[holder]++
		case snap.refusal(id) == "":
			free++
		}
	}
	return of, free
}

// fair is the most that one worker should have.
func (of shares) fair(free int) int {
	total := free
	for _, n := range of {
		total += n
	}
	return (total + len(of) - 1) / len(of)
}

// extremes are the workers with the fewest and with the most leases; of equal
// ones the first by name, so that workers that see the same decide the same.
func (of shares) extremes() (least, most string) {
	for i, worker := range slices.Sorted(maps.Keys(of)) {
		if i == 0 || of[worker] < of[least] {
			least = worker
		}
		if i == 0 || of[worker] > of[most] {
			most = worker
		}
	}
	return least, most
}

// acquirable are the shards whose leases the worker may take, and how long to
// wait until there may be more without any news.
func (snap *snapshot) acquirable() (free []string, next time.Duration) {
	next = snap.leaseDuration
	of, unowned := snap.shares()
	room := of.fair(unowned) - of[snap.worker]
	for id, s := range snap.shards {
		if !s.listed.known {
			continue
		}
		seen := s.seen
		if s.lease != nil || snap.wasTried(s) || snap.refusal(id) != "" {
			if !snap.isFree(seen) {
				next = min(next, snap.patience(seen)-snap.now.Sub(seen.since))
			}
			continue
		}
		if wait := snap.retryWait(id, seen, len(of) > 1); wait > 0 {
			next = min(next, wait)
			continue
		}
		since := seen.since
		if !seen.exists {
			since = s.listed.since
		}
		// What nobody has taken for so long, those whose share it is cannot take. A
		// failing shard is tried by whoever is first, as it is in nobody's share.
		if room > 0 || seen.failing() || seen.claim == snap.worker || snap.now.Sub(since) >= snap.patience(seen) {
			free = append(free, id)
		}
	}
	if snap.refused {
		free = free[:min(len(free), max(1-snap.shards.leases(), 0))]
	}
	return free, max(next, 0)
}

// retryWait returns how long the worker must leave a shard alone. If it failed
// last and has read nothing since, it lets the others try first.
func (snap *snapshot) retryWait(shard string, o observation, others bool) time.Duration {
	at := o.retry
	_, unread := snap.cooldown.failed[shard]
	if others && o.failedBy == snap.worker && (unread || o.failing()) {
		at = at.Add(2 * snap.leaseDuration)
	}
	return at.Sub(snap.now)
}

// isCoolingDown reports whether the worker must not ask others for their leases:
// for the longer, the more of its readings failed since it last read any shard.
// Then it tries one.
func (snap *snapshot) isCoolingDown() bool {
	const most = 3 // doublings
	times := 0
	for shard, f := range snap.cooldown.failed {
		if !f.ofShard(snap.shards.get(shard).seen.row, snap.worker) {
			times += f.times
		}
	}
	return times > 0 && (snap.now.Sub(snap.cooldown.last) < snap.leaseDuration<<min(times, most) || snap.shards.leases() > 0 || snap.isClaiming())
}

// isClaiming reports whether leases that the worker has claimed lately are not yet its
// own.
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

// claimable is a lease that another worker can be asked for.
type claimable struct {
	shard string
	owner string
	epoch int64
}

// plan returns which leases the worker is to claim. Every worker that has some
// lays the same plan for all of them, as far as they see the same rows, and does
// its own part: while the fullest has at least two more than the emptiest, one
// moves. shuffle is as rand.Shuffle.
func (snap *snapshot) plan(shuffle func(n int, swap func(i, j int))) []claimable {
	if snap.isCoolingDown() {
		return nil
	}
	of, free := snap.shares()
	// Doubling: a worker that joins makes itself known with the first claim,
	// before it and others that join too take more than their shares.
	mine := of[snap.worker]
	limit := max(1, mine)
	for range free {
		least, _ := of.extremes()
		of[least]++
	}
	movable := snap.movable()
	if mine == 0 {
		// The others know nothing of this worker, nor it of others that join with
		// it: chance keeps them from claiming the same.
		for _, leases := range movable {
			shuffle(len(leases), func(i, j int) { leases[i], leases[j] = leases[j], leases[i] })
		}
	}
	var claims []claimable
	for len(claims) < limit {
		least, most := of.extremes()
		if of[most]-of[least] < 2 {
			break
		}
		if len(movable[most]) == 0 {
			delete(of, most) // all that it can give is claimed
			continue
		}
		if least == snap.worker {
			claims = append(claims, movable[most][0])
		}
		movable[most] = movable[most][1:]
		of[most]--
		of[least]++
	}
	return claims
}

// movable are the leases of each worker that it can be asked for, in the order of their
// shards' ids.
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
