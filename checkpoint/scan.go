package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// What a worker observes: one scan of the table per Sync, and how long each row has been
// unchanged.

// observation is a row as it was seen last, and since when it has looked so.
type observation struct {
	row
	exists bool      // the table has the row, as far as is known
	since  time.Time // monotonic: when the answer that first showed it came
	read   time.Time // monotonic: when the answer that last showed it came
	retry  time.Time // when the shard may be tried again, if its reading failed
	absent bool      // the last scan did not show it
	signed time.Time // monotonic: the first sign of life in this worker's name under a lease that it does not hold
}

// List lists all shards of the stream, and returns the time by Kinesis' clock.
type List func(context.Context) (shards []Shard, now time.Time, err error)

// Sync looks at the whole lease table, by one paginated scan, then at the
// shards, and does what is to be done about it: claims of other workers are
// heeded, rows of expired shards deleted, and leases claimed that are this
// worker's share. Without a listing it goes by what is known, and claims
// nothing. A table that is another stream's by now is an *OtherStreamError. One Sync
// may run at a time.
func (t *Table) Sync(ctx context.Context, list List) error {
	begun := time.Now()
	rows, first, err := t.scan(ctx)
	switch {
	case missingTable(err):
		return t.makeAgain(ctx)
	case err != nil:
		return err
	}
	scanned := time.Now()
	// The shards come after the rows: a row is deleted when its shard is listed
	// no more, and must not be made again by who saw the shard before and the
	// table after.
	shards, now, listErr := list(ctx)
	if listErr == nil {
		t.tell(now)
	}
	t.mu.Lock()
	t.refusals.list(listErr)
	lost := false
	other := t.otherStream(text(first[attrStream]))
	if other == nil {
		lost = t.noteAgain(first, rows)
	}
	t.mu.Unlock()
	if other != nil {
		return other
	}
	if lost {
		return t.startAgain(ctx)
	}
	t.warnOfOthers(first)
	t.observe(shards, rows, begun, scanned)
	if listErr != nil {
		// A worker that Kinesis does not answer could not read what others gave up.
		return errors.Join(listErr, t.sweep(ctx))
	}
	return errors.Join(t.balance(ctx), t.sweep(ctx), t.adopt(ctx), t.noteCreation(ctx))
}

// observe takes in a listing, unless it is nil, and a scan.
func (t *Table) observe(shards []Shard, rows map[string]row, begun, scanned time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	starting := t.scanned.IsZero()
	t.scanned = scanned
	if t.absences == 0 { // without its first start, the table may just have been made again
		t.looked = begun
	}
	if shards != nil {
		if replaced := t.shards.update(shards, rows, t.listedAt, t.nowLocked()); replaced {
			t.replaced = true
		}
		t.listing, t.listedAt = time.Now(), t.nowLocked()
	}
	for id, s := range t.shards {
		s.tried = time.Time{}
		if _, there := rows[id]; there || !s.seen.exists || s.seen.read.After(begun) {
			continue
		}
		// A scan may be behind, so it takes two to show that a row is gone.
		if s.seen.absent && shards != nil && (s.lease == nil || s.lease.isLost()) {
			t.missed(id)
			continue
		}
		s.seen.absent = true
	}
	for id, r := range rows {
		if !t.shards.get(id).seen.read.After(begun) { // what this worker did to it meanwhile is newer
			t.note(id, r, scanned)
		}
	}
	if starting {
		t.retrySoon()
	}
	t.disown()
	t.signal()
}

// LastScan is when the whole table was read last, zero before the first time.
func (t *Table) LastScan() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.scanned
}

// missed takes in that a row is no longer there. If Kinesis lists the shard,
// somebody deleted it by hand. t.mu must be held.
func (t *Table) missed(id string) {
	since := t.unreadSince(id)
	s := t.shards.state(id)
	s.seen = observation{}
	if !s.deleted.IsZero() || !s.isListed() || t.isAgain() {
		return
	}
	s.deleted = since
	t.cfg.Log.Error().Str("shard", id).Str("table", t.cfg.Table).
		Msg("the row of the shard was deleted from the lease table: it is made again, and the shard is read from its oldest record")
}

// note takes in a row as an answer showed it. t.mu must be held.
func (t *Table) note(id string, r row, read time.Time) {
	o := observation{row: r, exists: true, since: read, read: read, retry: t.retryTime(r, read)}
	s := t.shards.state(id)
	before := s.seen
	if before.exists && before.sameHolder(r) {
		o.since, o.retry, o.signed = before.since, before.retry, before.signed
	} else if before.exists && r.owner == t.cfg.Worker && before.owner == r.owner && before.epoch == r.epoch && s.lease == nil {
		// Requests of this worker may come late, for no longer than a lease.
		if o.signed = before.signed; o.signed.IsZero() {
			o.signed = read
		}
		if read.Sub(o.signed) >= t.cfg.LeaseDuration {
			t.warnOnce("WORKER_ID").Str("shard", id).
				Msg("another worker that runs has the name of this one: give each its own WORKER_ID, or none")
		}
	}
	if r.owner == before.owner && r.owner != "" && r.owner != t.cfg.Worker && r.epoch == before.epoch && r.reading.at.After(before.reading.at) {
		t.refusals.readers[r.owner] = read
	}
	s.seen = o
	if before.failing() && r.failures == 0 {
		t.retrySoon()
	}
	s.epoch = max(s.epoch, r.epoch)
	s.deleted = time.Time{}
	if lease := s.lease; lease != nil && r.owner == t.cfg.Worker && r.epoch == lease.epoch && r.claim != "" {
		lease.yield(r.claim)
	}
}

// sameHolder reports whether no sign of life was seen between two readings. Workers
// of vmware-go-kcl-v2 write no counter; their sign of life is the timeout.
func (r row) sameHolder(later row) bool {
	return r.owner == later.owner && r.epoch == later.epoch && r.counter == later.counter &&
		(r.counter != 0 || r.timeout == later.timeout)
}

// scan reads the rows of the shards and that of the first start, nil if it is not
// there.
func (t *Table) scan(ctx context.Context) (rows map[string]row, first item, err error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.LeaseDuration)
	defer cancel()
	rows = make(map[string]row)
	err = scanTable(ctx, t.db, t.cfg.Table, false, func(id string, it item) {
		if id == startKey {
			first = it
			return
		}
		rows[id] = readRow(it)
	})
	return rows, first, err
}

// scanTable goes through all rows. A consistent scan, which costs twice as much,
// shows every write that was answered before.
func scanTable(ctx context.Context, db DynamoDB, table string, consistent bool, visit func(id string, it item)) error {
	pages := dynamodb.NewScanPaginator(db, &dynamodb.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(consistent)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("scan lease table %s: %w", table, err)
		}
		for _, it := range page.Items {
			visit(text(it[attrShard]), it)
		}
	}
	return nil
}
