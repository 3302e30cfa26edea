package checkpoint

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Attributes of a row that say how far its shard is read. They are written with the
// renewal of the lease. Times are milliseconds since the epoch, by Kinesis' clock.
const (
	// attrReadThrough is the time up to which every record is read and acknowledged.
	// In the row of the first start, it is the time of that start.
	attrReadThrough = "ReadThrough"
	attrReadAt      = "ReadAt"   // when Kinesis answered a read last, with records or without
	attrReadRate    = "ReadRate" // seconds of the stream that are read per second
)

// UnreadAfter is the time without an answer after which a shard is reported as unread.
const UnreadAfter = 5 * time.Minute

// rateWindow is the least time over which a rate is measured.
const rateWindow = time.Minute

// readState is how far a shard is read.
type readState struct {
	through time.Time // zero if nothing is read
	at      time.Time // of the last answer, zero before the first
	rate    float64   // 0 if it is not known
}

func readStateOf(it item) readState {
	rate, _ := strconv.ParseFloat(text(it[attrReadRate]), 64)
	return readState{through: readTime(it, attrReadThrough), at: readTime(it, attrReadAt), rate: rate}
}

// readTime returns the time that an attribute holds, zero if it holds none.
func readTime(it item, attribute string) time.Time {
	milliseconds, err := strconv.ParseInt(text(it[attribute]), 10, 64)
	if err != nil || milliseconds <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds)
}

// write adds what is known to an update of the row.
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

// ReadThrough notes that every record up to a time, by Kinesis' clock, is read and
// acknowledged. The next heartbeat writes it.
func (l *Lease) ReadThrough(through time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.read.through = later(l.read.through, through)
}

// Answered notes that Kinesis answered a read at a time, by its own clock, and how far
// the answer was behind the tip of the shard.
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

// kinesisClock is Kinesis' clock as an answer showed it.
type kinesisClock struct {
	shown time.Time
	read  time.Time // monotonic: when the answer came
}

// tell sets Kinesis' clock by an answer that just came.
func (t *Table) tell(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clock = kinesisClock{shown: now, read: time.Now()}
}

// Now returns the time by Kinesis' clock, to the second, as of the last listing of the
// shards.
func (t *Table) Now() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nowLocked()
}

// UnreadSince returns the time, by Kinesis' clock, since which records of the shard may
// be unread.
func (l *Lease) UnreadSince() time.Time {
	l.table.mu.Lock()
	defer l.table.mu.Unlock()
	return l.table.unreadSince(l.shard)
}

// nowLocked returns the time by Kinesis' clock, to the second; this worker's before the first
// listing. t.mu must be held.
func (t *Table) nowLocked() time.Time {
	if t.clock.shown.IsZero() {
		return t.cfg.Clock()
	}
	return t.clock.shown.Add(time.Since(t.clock.read))
}

// Standing is what a worker knows of a shard that is not read to its end.
type Standing struct {
	// Shard is its id.
	Shard string
	// Lease is the one that this worker holds, nil if it holds none.
	Lease *Lease
	// Elsewhere is set while another living worker has the lease and reads the shard.
	Elsewhere bool
	// Failing is set while no worker can read the shard.
	Failing bool
	// Waits is set while a parent has to be finished first.
	Waits bool
	// Lag is the time since the last moment up to which the shard is read.
	Lag time.Duration
	// Unanswered is the time since a worker last had an answer, or since the shard was
	// first listed; unless its reading fails, no more than the time for which this worker
	// has seen it in the same hands. A handover, or a start after a pause of all workers,
	// is not reported.
	Unanswered time.Duration
	// Reports is set if this worker is the one that logs that nobody reads the shard.
	Reports bool
}

// Unread reports whether no worker reads a shard that is there to be read.
func (s Standing) Unread() bool { return s.Failing || !s.Waits && !s.Elsewhere && s.Lease == nil }

// Standings returns the shards that are not read to their ends, by their ids: those
// that Kinesis lists, and those whose leases this worker holds.
func (t *Table) Standings() []Standing {
	t.mu.Lock()
	defer t.mu.Unlock()
	snap, now := t.snapshotLocked(), t.nowLocked()
	of, _ := snap.shares()
	// A worker without a lease is known to itself alone, so some more may report.
	reports := slices.Min(slices.Collect(maps.Keys(of))) == t.cfg.Worker
	var all []Standing
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
			unanswered = min(unanswered, snap.now.Sub(s.sameSince(lease)))
		}
		if start, ok := t.start.begin(id, o.row).Timestamp(); ok && o.neverRead() && start.Before(since) {
			since = start
		}
		if o.failing() && o.neverRead() && o.failingSince.Before(since) {
			since = o.failingSince
		}
		all = append(all, Standing{
			Shard:      id,
			Lease:      lease,
			Elsewhere:  lease == nil && snap.isAlive(o) && !o.failing(),
			Failing:    o.failing() && (lease == nil || !lease.isRead()),
			Waits:      lease == nil && snap.waitsFor(s.listed.Shard) != "",
			Lag:        max(now.Sub(since), 0),
			Unanswered: max(unanswered, 0),
			Reports:    lease != nil || reports,
		})
	}
	return all
}

// sameSince returns since when a shard has been in the same hands, or in nobody's. lease
// is the one that this worker has and has not lost, nil without one.
func (s *shardState) sameSince(lease *Lease) time.Time {
	if lease != nil {
		return lease.since
	}
	if s.seen.exists {
		return s.seen.since
	}
	return s.listed.since
}

// neverRead reports whether nothing is known to have been read of the shard.
func (r row) neverRead() bool { return r.checkpoint == "" && r.reading.through.IsZero() }

// unreadSince returns the time, by Kinesis' clock, since which records of a shard may
// be unread. t.mu must be held.
func (t *Table) unreadSince(id string) time.Time {
	// No record of the shard is older than its stream, or than itself.
	since := later(later(t.unreadSinceIn(id), t.stream.Created), t.shards.get(id).listed.created)
	if t.start.madeAgain != "" { // when the table was made again, all was read up to then
		since = later(since, t.start.at)
	}
	return since
}

// allUnreadSince returns the time since which records of any shard may be unread. t.mu
// must be held.
func (t *Table) allUnreadSince() time.Time {
	at, snap := t.nowLocked(), t.snapshotLocked()
	for id, s := range t.shards {
		if since := t.unreadSince(id); s.isListed() && !snap.isFinished(s) && since.Before(at) {
			at = since
		}
	}
	return at
}

// unreadSinceIn is unreadSince without what the stream says. t.mu must be held.
func (t *Table) unreadSinceIn(id string) time.Time {
	s := t.shards.get(id)
	o := s.seen
	if !s.deleted.IsZero() && !o.exists {
		return s.deleted
	}
	if t.snapshotLocked().foreign(s) != "" {
		o = observation{} // what it says is of another shard
	}
	listed := s.listed.listed
	if listed.IsZero() {
		listed = t.nowLocked()
	}
	switch {
	case !o.reading.through.IsZero():
		return o.reading.through
	case !o.neverRead():
		// A row that does not say. Nothing was read after its owner's last sign of life,
		// or after the end of its lease in a row of vmware-go-kcl-v2. Our own acquisition
		// is no such sign.
		if lease := s.lease; lease != nil && !lease.unreadSince.IsZero() {
			return lease.unreadSince
		}
		if end, err := time.Parse(time.RFC3339Nano, o.timeout); err == nil && end.Add(-o.duration).Before(listed) {
			return end.Add(-o.duration)
		}
	case o.start != nil:
	case id <= t.start.lastShard && !t.replaced || len(s.listed.Parents) == 0: // there since the stream was created
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

// parentsClosed returns the time up to which all parents of a shard were read, if they
// have expired: what came to them and to the shard since may be lost. While Kinesis lists
// one of them, no record of the shard has expired, and the time is zero. t.mu must be held.
func (t *Table) parentsClosed(id string) (at time.Time) {
	for _, parent := range t.shards.get(id).listed.Parents {
		s := t.shards.get(parent)
		if s.isListed() {
			return time.Time{}
		}
		through := s.seen.reading.through
		if through.IsZero() && (s.seen.exists && !s.seen.finished() || !s.seen.exists && s.isGone()) {
			through = t.start.at // nobody has read it, as far as is known
		}
		if !through.IsZero() && (at.IsZero() || through.Before(at)) {
			at = through
		}
	}
	return at
}
