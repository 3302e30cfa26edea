package checkpoint

import (
	"cmp"
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// The read state is written with the renewals, without extra writes. It remains in the row for
// commands and for the next owner.
func TestReadThroughIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		begun := time.Now()
		a := open(t, db, name, "a", Shard{ID: shard0})
		lease := acquired(t, a, shard0)
		if r, _ := rowOf(t, db, name, shard0); !r.neverRead() || r.reading != (readState{}) {
			t.Errorf("before the first answer: %+v", r)
		}
		for range 3 {
			time.Sleep(rateWindow / 2)
			lease.Answered(time.Now(), time.Hour-2*time.Since(begun)) // it catches up
		}
		lease.ReadThrough(begun.Add(-time.Minute))
		lease.ReadThrough(begun.Add(-time.Hour)) // late: the time does not go back
		answered := time.Now()
		before, _ := rowOf(t, db, name, shard0)
		time.Sleep(leaseDuration)
		r, _ := rowOf(t, db, name, shard0)
		if want := (readState{through: begun.Add(-time.Minute), at: answered, rate: 3}); !r.reading.through.Equal(want.through) || !r.reading.at.Equal(want.at) || r.reading.rate != want.rate {
			t.Errorf("the row has %+v, want %+v", r.reading, want)
		}
		if renewals := r.counter - before.counter; renewals < 2 || renewals > 4 {
			t.Errorf("%d writes in a lease duration", renewals)
		}
		lease.ReadThrough(begun)
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if r, _ := rowOf(t, db, name, shard0); !r.reading.through.Equal(begun) {
			t.Errorf("released with %+v", r.reading)
		}
		b := open(t, db, name, "b", Shard{ID: shard0})
		taken := acquired(t, b, shard0)
		time.Sleep(leaseDuration)
		if r, _ := rowOf(t, db, name, shard0); taken.read != r.reading || !r.reading.through.Equal(begun) {
			t.Errorf("the next owner has %+v, and the row %+v", taken.read, r.reading)
		}
		view, err := ReadView(t.Context(), db, name)
		if err != nil {
			t.Fatal(err)
		}
		if row := view.Rows([]Shard{{ID: shard0}})[0]; !row.ReadThrough.Equal(begun) || row.ReadRate != 3 || row.Unread(time.Now()) < leaseDuration || row.Unread(time.Now()) > 4*leaseDuration {
			t.Errorf("the view shows %+v, unread for %s", row, row.Unread(time.Now()))
		}
	})
}

// Each shard that is not finished has a lag: since the time up to which it is read, or since
// it became known.
func TestReadStatuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const now, minute = time.Duration(0), time.Minute
		kinesis := time.Now().Add(24 * time.Hour) // its clock is not ours
		at := func(ago time.Duration) time.Time { return kinesis.Add(-ago) }
		read := func(through, answer time.Duration) readState { return readState{through: at(through), at: at(answer)} }
		owned := func(by string, r row) row { r.owner, r.epoch, r.counter = by, 1, 1; return r }
		f := func(what string, r *row, s Shard, want ReadStatus) {
			t.Helper()
			table := unconnected(t, "w")
			table.cfg.LeaseDuration = 15 * time.Second
			table.start = start{position: Position{kind: trimHorizon}, lastShard: "shardId-5", at: at(48 * time.Hour)}
			rows := map[string]row{"shardId-0": {checkpoint: "SHARD_END", reading: read(time.Hour, time.Hour)}, "shardId-1": owned("a", row{checkpoint: "1", reading: read(now, now)})}
			rows["shardId-2"] = row{checkpoint: "SHARD_END", reading: read(time.Hour, time.Hour)}
			if r != nil {
				rows[s.ID] = *r
			}
			listed := []Shard{{ID: "shardId-0"}, {ID: "shardId-1"}, s}
			table.setClock(kinesis)
			table.observe(listed, rows, time.Now(), time.Now())
			time.Sleep(2 * minute)
			seen := &table.shards["shardId-1"].seen
			seen.since, seen.read = time.Now(), time.Now()
			if o := &table.shards[s.ID].seen; o.exists && o.owner == "a" {
				o.since, o.read = time.Now(), time.Now()
			}
			all := table.ReadStatuses()
			kinesis = table.nowLocked()
			i := slices.IndexFunc(all, func(s2 ReadStatus) bool { return s2.Shard == s.ID })
			if i < 0 {
				if want != (ReadStatus{}) {
					t.Errorf("%s: it has no lag", what)
				}
				return
			}
			want.Shard, want.Reports = s.ID, all[i].Reports
			if all[i] != want {
				t.Errorf("%s: %+v, want %+v", what, all[i], want)
			}
		}
		early, late := Shard{ID: "shardId-4"}, Shard{ID: "shardId-6", Parents: []string{"shardId-0"}}
		f("finished", &row{checkpoint: "SHARD_END"}, early, ReadStatus{})
		f("free", &row{checkpoint: "1", reading: read(time.Hour, 30*minute)}, early, ReadStatus{Lag: 62 * minute, Unanswered: 2 * minute})
		r := owned("a", row{checkpoint: "1", reading: read(time.Hour, 30*minute)})
		f("another's", &r, early, ReadStatus{Lag: 62 * minute, Unanswered: now, HeldByOther: true})
		r = owned("dead", row{checkpoint: "1", reading: read(time.Hour, 30*minute)})
		r.counter = 0
		r.failures, r.failingSince = 9, time.Now()
		f("failing", &r, early, ReadStatus{Lag: 62 * minute, Unanswered: 32 * minute, Failing: true})
		f("never read, existed at the first start", nil, early, ReadStatus{Lag: 48*time.Hour + 2*minute, Unanswered: 2 * minute})
		f("never read, created later", nil, late, ReadStatus{Lag: 2 * minute, Unanswered: 2 * minute})
		f("never read, from a time", &row{start: &Position{kind: atTimestamp, time: at(72 * time.Hour)}}, late, ReadStatus{Lag: 72*time.Hour + 2*minute, Unanswered: 2 * minute})
		f("never read, failing for a long time", &row{failures: 9, failingSince: at(time.Hour)}, late, ReadStatus{Lag: 62 * minute, Unanswered: 2 * minute, Failing: true})
		f("a child that waits", nil, Shard{ID: "shardId-7", Parents: []string{"shardId-1"}}, ReadStatus{Lag: 2 * minute, Unanswered: 2 * minute, WaitsForParent: true})
		f("a child whose parent is finished", nil, Shard{ID: "shardId-7", Parents: []string{"shardId-0"}}, ReadStatus{Lag: 2 * minute, Unanswered: 2 * minute})
		f("a child whose parent has expired", nil, Shard{ID: "shardId-7", Parents: []string{"shardId-2"}}, ReadStatus{Lag: 62 * minute, Unanswered: 2 * minute})
		f("an older row", &row{checkpoint: "1", timeout: at(time.Hour).Format(time.RFC3339Nano), duration: minute}, early, ReadStatus{Lag: 63 * minute, Unanswered: 2 * minute})
	})
}

// When a stream is created again while a worker runs, its shards are unread since they were
// first listed, regardless of the old rows and of the first start.
func TestReadStatusOfReplacedShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, hasRow := range map[string]bool{"with a row": true, "without": false} {
			table := unconnected(t, "w")
			begun := time.Now()
			r := map[string]row{}
			if hasRow {
				r[shard0] = row{checkpoint: "5", first: "1", reading: readState{through: begun, at: begun}}
			}
			table.start = start{position: Position{kind: trimHorizon}, lastShard: shard0, at: begun}
			list := func(first string) {
				table.setClock(time.Now())
				table.observe([]Shard{{ID: shard0, First: first}}, r, time.Now(), time.Now())
			}
			list("1")
			time.Sleep(48 * time.Hour)
			list("1")
			if all := table.ReadStatuses(); len(all) != 1 || all[0].Lag != 48*time.Hour {
				t.Errorf("%s, before: %+v", name, all)
			}
			list("100")
			time.Sleep(time.Minute)
			list("100")
			if all := table.ReadStatuses(); len(all) != 1 || all[0].Lag != time.Minute {
				t.Errorf("%s: %+v", name, all)
			}
		}
	})
}

// One of the workers with leases reports shards that no worker reads.
func TestOneWorkerReports(t *testing.T) {
	for worker, want := range map[string]bool{"a": true, "b": false, "": true} {
		table := unconnected(t, cmp.Or(worker, "0"))
		table.observe([]Shard{{ID: "x"}, {ID: "y"}, {ID: "z"}}, map[string]row{
			"x": {owner: "a", epoch: 1, counter: 1}, "y": {owner: "b", epoch: 1, counter: 1},
		}, time.Now(), time.Now())
		all := table.ReadStatuses()
		if len(all) != 3 || all[2].Reports != want {
			t.Errorf("%q: %+v", worker, all)
		}
	}
}

// A shard whose row was deleted by hand is read from its oldest record, but is unread only
// since the time in the row.
func TestUnreadAfterRowIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		logs := Stream{Name: "logs"}
		shift := time.Duration(0)
		list := func(context.Context) ([]Shard, time.Time, error) {
			return []Shard{{ID: shard0}}, time.Now().Add(shift), nil
		}
		a := openOf(t, db, name, "a", logs, list)
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		shift = 72 * time.Hour
		a.Lease(shard0).ReadThrough(time.Now().Add(shift))
		if err := a.Release(shard0); err != nil {
			t.Fatal(err)
		}
		if err := a.Sync(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		if got := a.Now().Sub(a.unreadSince(shard0)); got > time.Minute {
			t.Errorf("before: %s", got)
		}
		if _, err := db.DeleteItem(context.Background(), &dynamodb.DeleteItemInput{TableName: &name, Key: item{attrShard: str(shard0)}}); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_ = a.Sync(t.Context(), list)
			time.Sleep(leaseDuration / 10)
		}
		if err := tick(a, shard0); err != nil {
			t.Fatal(err)
		}
		if got := a.Now().Sub(a.Lease(shard0).UnreadSince()); got > time.Minute {
			t.Errorf("after: unread for %s", got)
		}
		a.Close()
	})
}

// A child shard in a stream that was created again is unread since the end of its parents,
// although the old stream had a shard with the same id at the first start.
func TestUnreadChildOfSmallerStream(t *testing.T) {
	const days = 24 * time.Hour
	parent := Shard{ID: "shardId-000000000000", First: "110"}
	child := Shard{ID: "shardId-000000000001", First: "120", Parents: []string{parent.ID}}
	f := func(what string, prepare func(a *Table)) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			a := unconnected(t, "a")
			now := time.Now()
			a.stream = Stream{Name: "logs", Created: now.Add(-30 * days)}
			a.start = start{position: Position{kind: trimHorizon}, lastShard: "shardId-000000000009", at: now.Add(-10 * days)}
			a.setClock(now)
			prepare(a)
			rows := map[string]row{parent.ID: {first: "110", checkpoint: "111", reading: readState{through: now}}}
			a.observe([]Shard{parent}, rows, time.Now(), time.Now())
			time.Sleep(time.Second)
			closed := parent
			closed.Closed = true
			a.observe([]Shard{closed, child}, rows, time.Now(), time.Now())
			if got := a.nowLocked().Sub(a.unreadSince(child.ID)); got > time.Minute {
				t.Errorf("%s: it is unread for %s", what, got)
			}
		})
	}
	f("created again while a worker runs", func(a *Table) {
		a.observe([]Shard{{ID: parent.ID, First: "10"}, {ID: child.ID, First: "20"}}, nil, time.Now(), time.Now())
	})
	f("created again before a worker starts", func(a *Table) {
		a.stream.Created = a.nowLocked().Add(-3 * days)
		first := item{attrStartPosition: str(trimHorizon), attrLastShard: str(a.start.lastShard), attrStream: str("logs"), attrCreated: num(1), attrReadThrough: num(a.start.at.UnixMilli())}
		if err := a.setStart(first); err != nil {
			t.Fatal(err)
		}
	})
}

// The row of an expired parent remains until its child is read: it shows since when records of
// the child may be lost.
func TestUnreadChildOfExpiredParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, name := fakeDB(), tableName()
		parent := Shard{ID: parent1, First: "10", Last: "19", Closed: true}
		c := Shard{ID: child, Parents: []string{parent1}, First: "20"}
		a := open(t, db, name, "a", parent)
		lease := acquired(t, a, parent1)
		time.Sleep(time.Hour)
		closed := time.Now().Truncate(time.Millisecond)
		lease.ReadThrough(closed)
		if err := lease.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := a.Release(parent1); err != nil {
			t.Fatal(err)
		}
		sync := func(shards ...Shard) {
			t.Helper()
			for range 5 {
				if err := a.Sync(t.Context(), lists(shards...)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		sync(parent, c)
		lease = acquired(t, a, child) // it cannot be read
		time.Sleep(time.Hour)
		sync(c)
		if got := lease.UnreadSince(); !got.Equal(closed) {
			t.Errorf("the child is unread for %s, its parent was read %s ago", time.Since(got), time.Since(closed))
		}
		lease.ReadThrough(time.Now())
		time.Sleep(leaseDuration)
		sync(c)
		if _, exists := rowOf(t, db, name, parent1); exists {
			t.Error("the row of the parent is never deleted")
		}
	})
}

// A child that is first listed after its parents have expired belongs to the same stream: the
// records of its parents are unread, too.
func TestUnreadChildOfParentsThatVanish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := unconnected(t, "a")
		read := func(ago time.Duration) row {
			return row{first: "1", checkpoint: "7", reading: readState{through: time.Now().Add(-ago)}}
		}
		rows := map[string]row{parent1: read(2 * time.Hour), parent2: read(time.Hour)}
		parents := []Shard{{ID: parent1, First: "1"}, {ID: parent2, First: "1"}}
		a.observe(parents, rows, time.Now(), time.Now())
		for range goneAfter {
			a.observe([]Shard{{ID: child, First: "10", Parents: []string{parent1, parent2}}}, rows, time.Now(), time.Now())
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if since := time.Since(a.unreadSince(child)); since != 2*time.Hour {
			t.Errorf("unread for %s", since)
		}
	})
}
