package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// Observing the table: one scan per Sync, and how long each row has been unchanged.

// observation is a row as it was last read, and since when it has been unchanged.
type observation struct {
	row
	exists bool      // the table has the row, as far as is known
	since  time.Time // monotonic: when it was first read like this
	read   time.Time // monotonic: when it was last read
	retry  time.Time // when the shard may be tried again after a failure
	absent bool      // the last scan did not return it
	// duplicateSince is when another worker first appeared to renew this lease under this
	// worker's name (monotonic).
	duplicateSince time.Time
}

// List lists all shards of the stream and returns the time by Kinesis' clock.
type List func(context.Context) (shards []Shard, now time.Time, err error)

// Sync scans the whole lease table, lists the shards, and acts on the result: it ends the
// reading of shards that other workers have claimed, deletes the rows of expired shards, and
// claims the leases that are this worker's share. If the listing fails it uses the last one
// and claims nothing. It returns *OtherStreamError if the table now belongs to another
// stream. It must not be called concurrently.
func (t *Table) Sync(ctx context.Context, list List) error {
	begun := time.Now()
	rows, first, err := t.scan(ctx)
	switch {
	case missingTable(err):
		return t.recreate(ctx)
	case err != nil:
		return err
	}
	scanned := time.Now()
	// Shards are listed after the scan. A row is deleted when its shard is no longer listed. A
	// worker that listed the shards first and scanned afterwards would create the row again.
	shards, now, listErr := list(ctx)
	if listErr == nil {
		t.setClock(now)
	}
	t.mu.Lock()
	t.refusals.noteListing(listErr)
	lost := false
	other := t.otherStream(text(first[attrStream]))
	if other == nil {
		lost = t.checkRecreated(first, rows)
	}
	t.mu.Unlock()
	if other != nil {
		return other
	}
	if lost {
		return t.rewriteStart(ctx)
	}
	t.warnOfOtherDestination(first)
	t.observe(shards, rows, begun, scanned)
	if listErr != nil {
		// A worker that cannot reach Kinesis could not read the shards that others release.
		return errors.Join(listErr, t.sweep(ctx))
	}
	return errors.Join(t.balance(ctx), t.sweep(ctx), t.backfillFirst(ctx), t.writeCreation(ctx))
}

// observe updates the state of all shards from a scan and from a listing, unless that is nil.
func (t *Table) observe(shards []Shard, rows map[string]row, begun, scanned time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	starting := t.scanned.IsZero()
	t.scanned = scanned
	if t.absences == 0 { // without its first start, the table may just have been recreated
		t.scanBegan = begun
	}
	if shards != nil {
		if replaced := t.shards.update(shards, rows, t.listedAt, t.nowLocked()); replaced {
			t.streamReplaced = true
		}
		t.listing, t.listedAt = time.Now(), t.nowLocked()
	}
	for id, s := range t.shards {
		s.tried = time.Time{}
		if _, there := rows[id]; there || !s.seen.exists || s.seen.read.After(begun) {
			continue
		}
		// Scans are eventually consistent, so it takes two to show that a row is gone.
		if s.seen.absent && shards != nil && (s.lease == nil || s.lease.isLost()) {
			t.noteMissing(id)
			continue
		}
		s.seen.absent = true
	}
	for id, r := range rows {
		if !t.shards.get(id).seen.read.After(begun) { // otherwise an answer to this worker is newer
			t.noteRow(id, r, scanned)
		}
	}
	if starting {
		t.retrySoon()
	}
	t.stopForeign()
	t.signal()
}

// LastScan returns when the table was last scanned, zero before the first scan.
func (t *Table) LastScan() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.scanned
}

// noteMissing records that a row no longer exists. If Kinesis lists the shard, the row was
// deleted by hand. t.mu must be held.
func (t *Table) noteMissing(id string) {
	since := t.unreadSince(id)
	s := t.shards.state(id)
	s.seen = observation{}
	if !s.deleted.IsZero() || !s.isListed() || t.isRecreated() {
		return
	}
	s.deleted = since
	t.cfg.Log.Error().Str("shard", id).Str("table", t.cfg.Table).
		Msg("the row of the shard was deleted from the lease table: it is created again, and the shard is read from its oldest record")
}

// noteRow records a row from an answer that arrived at a time. t.mu must be held.
func (t *Table) noteRow(id string, r row, read time.Time) {
	o := observation{row: r, exists: true, since: read, read: read, retry: t.retryTime(r, read)}
	s := t.shards.state(id)
	before := s.seen
	if before.exists && before.sameHolder(r) {
		o.since, o.retry, o.duplicateSince = before.since, before.retry, before.duplicateSince
	} else if before.exists && r.owner == t.cfg.Worker && before.owner == r.owner && before.epoch == r.epoch && s.lease == nil {
		// Requests of this worker may arrive late, but by less than a lease duration.
		if o.duplicateSince = before.duplicateSince; o.duplicateSince.IsZero() {
			o.duplicateSince = read
		}
		if read.Sub(o.duplicateSince) >= t.cfg.LeaseDuration {
			t.warnOnce("WORKER_ID").Str("shard", id).
				Str("remedy", "give each worker its own WORKER_ID, or leave it unset").
				Msg("another running worker has the same name as this one")
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

// sameHolder reports whether two reads of the row show the same lease without a renewal in
// between. Workers of vmware-go-kcl-v2 write no counter; they renew the timeout.
func (r row) sameHolder(later row) bool {
	return r.owner == later.owner && r.epoch == later.epoch && r.counter == later.counter &&
		(r.counter != 0 || r.timeout == later.timeout)
}

// scan returns the rows of the shards and that of the first start, nil if it does not exist.
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

// scanTable calls visit for all rows. A consistent scan costs twice as much and includes
// every write that was answered before it.
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
