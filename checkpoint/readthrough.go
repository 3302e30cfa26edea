package checkpoint

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Attributes of a row that record how far its shard is read. They are written when the lease
// is renewed. Times are milliseconds since the Unix epoch, by Kinesis' clock.
const (
	// attrReadThrough is the time up to which every record is read and acknowledged. In the
	// row of the first start it is the time of that start.
	attrReadThrough = "ReadThrough"
	attrReadAt      = "ReadAt"   // when Kinesis last answered a read, with or without records
	attrReadRate    = "ReadRate" // seconds of the stream read per second
)

// UnreadAfter is the time without an answer to a read after which a shard is reported as
// unread.
const UnreadAfter = 5 * time.Minute

// rateWindow is the minimum time over which a rate is measured.
const rateWindow = time.Minute

// readState records how far a shard is read.
type readState struct {
	through time.Time // zero if nothing is read
	at      time.Time // when Kinesis last answered, zero before the first answer
	rate    float64   // 0 if it is not known
}

func readStateOf(it item) readState {
	rate, _ := strconv.ParseFloat(text(it[attrReadRate]), 64)
	return readState{through: readTime(it, attrReadThrough), at: readTime(it, attrReadAt), rate: rate}
}

// readTime returns the time in an attribute, zero if it has none.
func readTime(it item, attribute string) time.Time {
	milliseconds, err := strconv.ParseInt(text(it[attribute]), 10, 64)
	if err != nil || milliseconds <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// write adds the state to an update of the row.
func (s readState) write(c *change) {
	if !s.through.IsZero() {
		c.set(attrReadThrough, num(s.through.UnixMilli()))
	}
	if !s.at.IsZero() {
		c.set(attrReadAt, num(s.at.UnixMilli()))
	}
	if s.rate > 0 {
		c.set(attrReadRate, decimal(s.rate))
	}
}

// ReadThrough records that every record up to a time, by Kinesis' clock, is read and
// acknowledged. The next heartbeat writes it to the row.
func (l *Lease) ReadThrough(through time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read.through = later(l.read.through, through)
}

// Answered records that Kinesis answered a read at a time, by its own clock, and how far the
// answer was behind the tip of the shard.
func (l *Lease) Answered(at time.Time, behind time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read.at = later(l.read.at, at)
	position := at.Add(-behind)
	if l.measured.at.IsZero() {
		l.measured = readState{at: at, through: position}
	}
	if elapsed := at.Sub(l.measured.at); elapsed >= rateWindow {
		l.read.rate = max(position.Sub(l.measured.through).Seconds(), 0) / elapsed.Seconds()
		l.measured = readState{at: at, through: position}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// kinesisClock is the time of Kinesis' clock in an answer.
type kinesisClock struct {
	shown  time.Time
	readAt time.Time // monotonic: when the answer arrived
}

// setClock sets Kinesis' clock to the time in an answer that has just arrived.
func (t *Table) setClock(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock = kinesisClock{shown: now, readAt: time.Now()}
}

// Now returns the time by Kinesis' clock, to the second. It is based on the last listing of
// the shards.
func (t *Table) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nowLocked()
}

// UnreadSince returns the time, by Kinesis' clock, since which records of the shard may be
// unread.
func (l *Lease) UnreadSince() time.Time {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.table.unreadSince(l.shard)
}

// nowLocked returns the time by Kinesis' clock, to the second. Before the first listing it
// uses this worker's clock. t.mu must be held.
func (t *Table) nowLocked() time.Time {
	if t.clock.shown.IsZero() {
		return t.cfg.Clock()
	}
	return t.clock.shown.Add(time.Since(t.clock.readAt))
}

// ReadStatus describes the reading of a shard that is not read to its end, as one worker
// knows it.
type ReadStatus struct {
	// Shard is the shard's id.
	Shard string
	// Lease is this worker's lease on the shard, or nil.
	Lease *Lease
	// HeldByOther is set while the row has another living owner and is not failing.
	HeldByOther bool
	// Failing is set while no worker can read the shard.
	Failing bool
	// WaitsForParent is set while a parent must be finished first.
	WaitsForParent bool
	// Lag is how far the time up to which the shard is read is in the past.
	Lag time.Duration
	// Unanswered is the time since Kinesis last answered a read of the shard, or since the
	// shard was first listed. Unless reading fails, it is at most the time since its owner
	// changed, as observed by this worker. So a handoff, or a start after a pause of all
	// workers, is not reported.
	Unanswered time.Duration
	// Reports is set if this worker should log that the shard is not read.
	Reports bool
}

// Unread reports whether no worker reads a shard that should be read.
func (s ReadStatus) Unread() bool {
	return s.Failing || !s.WaitsForParent && !s.HeldByOther && s.Lease == nil
}

// ReadStatuses returns the shards that are not read to their ends, sorted by id: those that
// Kinesis lists, and those whose leases this worker holds.
func (t *Table) ReadStatuses() []ReadStatus {
	t.mu.Lock()
	defer t.mu.Unlock()
	snap, now := t.snapshotLocked(), t.nowLocked()
	counts, _ := snap.shares()
	// A worker without a lease is known only to itself, so more than one worker may report.
	reports := slices.Min(slices.Collect(maps.Keys(counts))) == t.cfg.Worker
	var all []ReadStatus
	for _, id := range slices.Sorted(maps.Keys(t.shards)) {
		s := t.shards[id]
		o, lease := s.seen, s.lease
		if lease != nil && lease.isLost() {
			lease = nil
		}
		if !s.listed.known || snap.isFinished(s) || lease == nil && !s.isListed() {
			continue
		}
		since := t.unreadSince(id)
		unanswered := now.Sub(later(o.reading.at, since))
		if !o.failing() {
			unanswered = min(unanswered, snap.now.Sub(s.unchangedSince(lease)))
		}
		if start, ok := t.start.positionFor(id, o.row).Timestamp(); ok && o.neverRead() && start.Before(since) {
			since = start
		}
		if o.failing() && o.neverRead() && o.failingSince.Before(since) {
			since = o.failingSince
		}
		all = append(all, ReadStatus{
			Shard:          id,
			Lease:          lease,
			HeldByOther:    lease == nil && snap.isAlive(o) && !o.failing(),
			Failing:        o.failing() && (lease == nil || !lease.isRead()),
			WaitsForParent: lease == nil && snap.waitsFor(s.listed.Shard) != "",
			Lag:            max(now.Sub(since), 0),
			Unanswered:     max(unanswered, 0),
			Reports:        lease != nil || reports,
		})
	}
	return all
}

// unchangedSince returns when this worker acquired its lease on the shard. Without a lease it
// returns when the row last changed, and without a row when the shard was first listed. lease
// is nil if this worker has none or has lost it.
func (s *shardState) unchangedSince(lease *Lease) time.Time {
	if lease != nil {
		return lease.acquiredAt
	}
	if s.seen.exists {
		return s.seen.since
	}
	return s.listed.since
}

// neverRead reports whether the row shows no read of the shard.
func (r row) neverRead() bool { return r.checkpoint == "" && r.reading.through.IsZero() }

// unreadSince returns the time, by Kinesis' clock, since which records of a shard may be
// unread. t.mu must be held.
func (t *Table) unreadSince(id string) time.Time {
	// No record is older than its stream or its shard.
	since := later(later(t.rowUnreadSince(id), t.stream.Created), t.shards.get(id).listed.created)
	if t.start.recreated != "" { // when the table was recreated, everything was read up to then
		since = later(since, t.start.at)
	}
	return since
}

// allUnreadSince returns the time since which records of any shard may be unread. t.mu must
// be held.
func (t *Table) allUnreadSince() time.Time {
	at, snap := t.nowLocked(), t.snapshotLocked()
	for id, s := range t.shards {
		if since := t.unreadSince(id); s.isListed() && !snap.isFinished(s) && since.Before(at) {
			at = since
		}
	}
	return at
}

// rowUnreadSince is unreadSince without regard to the creation times of the stream and the
// shard. t.mu must be held.
func (t *Table) rowUnreadSince(id string) time.Time {
	s := t.shards.get(id)
	o := s.seen
	if !s.deleted.IsZero() && !o.exists {
		return s.deleted
	}
	if t.snapshotLocked().foreign(s) != "" {
		o = observation{} // the row describes another shard
	}
	listed := s.listed.listed
	if listed.IsZero() {
		listed = t.nowLocked()
	}
	switch {
	case !o.reading.through.IsZero():
		return o.reading.through
	case !o.neverRead():
		// The row does not record the time. Nothing was read after its owner's last sign of
		// life, or after the end of the lease in a row of vmware-go-kcl-v2. Our own acquisition
		// does not count.
		if lease := s.lease; lease != nil && !lease.unreadSince.IsZero() {
			return lease.unreadSince
		}
		if end, err := time.Parse(time.RFC3339Nano, o.timeout); err == nil && end.Add(-o.duration).Before(listed) {
			return end.Add(-o.duration)
		}
	case o.start != nil:
	case id <= t.start.lastShard && !t.streamReplaced || len(s.listed.Parents) == 0: // it has existed since the stream was created
		if created := cmp.Or(t.start.at, s.listed.created); !created.IsZero() && created.Before(listed) {
			return created
		}
	default:
		if closed := t.parentsClosed(id); !closed.IsZero() && closed.Before(listed) {
			return closed
		}
	}
	return listed
}

// parentsClosed returns the time up to which all parents of a shard were read, if they have
// expired: later records of the parents and of the shard may be lost. While Kinesis lists one of
// the parents, no record of the shard has expired, and the time is zero. t.mu must be held.
func (t *Table) parentsClosed(id string) (at time.Time) {
	for _, parent := range t.shards.get(id).listed.Parents {
		s := t.shards.get(parent)
		if s.isListed() {
			return time.Time{}
		}
		through := s.seen.reading.through
		if through.IsZero() && (s.seen.exists && !s.seen.finished() || !s.seen.exists && s.isGone()) {
			through = t.start.at // as far as is known, it was never read
		}
		if !through.IsZero() && (at.IsZero() || through.Before(at)) {
			at = through
		}
	}
	return at
}
