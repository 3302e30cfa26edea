package doctor

import (
	"testing"
	"testing/synctest"
	"time"

	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"logsluice/checkpoint"
)

// readTheLog is the beginning of the remedy where shards have no owner.
const readTheLog = "check that run is running, and check its log and its health"

func TestLeases(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).leases, change).found, state, found, remedies...)
	}
	const (
		table = "table leases is ACTIVE, PAY_PER_REQUEST"
		held  = "; 1 workers hold 2 shards, the oldest heartbeat is 5s old"
	)
	// withTable has the walk check a new table.
	withTable := func(key string, kind dynamotypes.ScalarAttributeType, more ...func(*chain)) func(*chain) {
		return func(c *chain) {
			c.Application = "new"
			c.createTable("new", key, kind)
			all(more...)(c)
		}
	}
	f("fine", nil, OK, table+held)
	f("shards of the stream", withTable("ShardID", "S", func(c *chain) { c.shards = []checkpoint.Shard{{ID: shard0}, {ID: shard1}} }), Warning,
		"table new is …; 2 shards have no owner: "+shard0+", "+shard1, readTheLog)
	f("no table", func(c *chain) { c.Application = "new" }, Warning, "table new does not exist in us-east-1", "start run, which creates it and needs dynamodb:CreateTable for that; or correct APPLICATION_NAME")
	f("another key", withTable("id", "S"), Broken, `"new" is not a lease table (its key is id, not ShardID)`, CorrectTable)
	f("a key of numbers", withTable("ShardID", "N"), Broken, `"new" is not a lease table (its key ShardID is of type N, not S)`, CorrectTable)
	f("describing denied", refuse("DescribeTable", "AccessDeniedException"), Broken, "table leases cannot be described: AccessDeniedException: no", allowRemedy("dynamodb:DescribeTable"))
	f("describing broken", refuse("DescribeTable", "InternalServerError"), Broken, "table leases cannot be described: InternalServerError: no", lookAtAWS)
	f("DynamoDB unreachable", awsUnreachable, Broken, "table leases cannot be described: dial tcp: connection refused", noRoute)
	status := func(s string) func(*chain) { return edit("DescribeTable", `"ACTIVE"`, `"`+s+`"`) }
	f("being created", status("CREATING"), Broken, "table leases is CREATING, PAY_PER_REQUEST; table leases is not ready", "wait until it is ACTIVE")
	f("being deleted", status("DELETING"), Broken, "table leases is DELETING, …; table leases is not ready", "wait until it is ACTIVE")
	f("being updated", status("UPDATING"), OK, "table leases is UPDATING, PAY_PER_REQUEST"+held)
	f("provisioned", edit("DescribeTable", `"BillingModeSummary"`, `"other"`), OK, "table leases is ACTIVE, PROVISIONED"+held)
	const writes = "dynamodb:UpdateItem and dynamodb:DeleteItem"
	f("updates denied", refuse("UpdateItem", "AccessDeniedException"), Broken, table+"; it cannot be written to: AccessDeniedException: no"+held, allowRemedy(writes))
	f("deletions denied", refuse("DeleteItem", "AccessDeniedException"), Broken, table+"; it cannot be written to: AccessDeniedException: no"+held, allowRemedy(writes))
	f("updates broken", refuse("UpdateItem", "InternalServerError"), Broken, table+"; it cannot be written to: InternalServerError: no"+held, lookAtAWS)
	f("scan denied", refuse("Scan", "AccessDeniedException"), Broken, table+"; it cannot be read: AccessDeniedException: no", allowRemedy("dynamodb:Scan"))
	f("scan broken", refuse("Scan", "InternalServerError"), Broken, table+"; it cannot be read: InternalServerError: no", lookAtAWS)
	start := func(stream string) func(*chain) {
		return func(c *chain) {
			c.lease("leases", "logsluice-first-start", map[string]string{"StartPosition": "TRIM_HORIZON", "StreamARN": stream})
		}
	}
	f("of this stream", start(testStream), OK, table+held)
	f("of another stream", start(testStream+"2"), Broken, table+"; the lease table leases belongs to stream "+testStream+"2, not to s", SeparateTable)
	f("silent", func(c *chain) { time.Sleep(time.Hour) }, Warning, table+"; 1 workers hold 2 shards, the oldest heartbeat is 1h0m5s old; 2 shards have owners that are silent: …", readTheLog)
}

// doctor does not change the lease table.
func TestLeasesUnchanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		look := func() *checkpoint.View {
			view, err := checkpoint.ReadView(t.Context(), c.DynamoDB, "leases")
			c.check(err)
			return view
		}
		before := look().Rows(nil)
		c.leases(t.Context(), new(Finding))
		after := look().Rows(nil)
		if len(before) != 2 || len(after) != 2 || after[0].Owner != "w" || after[1].LastHeartbeat != before[1].LastHeartbeat {
			t.Errorf("%+v, then %+v", before, after)
		}
	})
}

func TestReportLeases(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	f := func(rows []checkpoint.Row, state State, found string, remedies ...string) {
		t.Helper()
		got := Finding{State: OK}
		reportLeases(&got, rows, now)
		expect(t, found, got, state, found, remedies...)
	}
	row := func(id string, state checkpoint.State, more ...func(*checkpoint.Row)) checkpoint.Row {
		r := checkpoint.Row{Shard: checkpoint.Shard{ID: id}, State: state}
		for _, change := range more {
			change(&r)
		}
		return r
	}
	by := func(owner string, ago time.Duration) func(*checkpoint.Row) {
		return func(r *checkpoint.Row) { r.Owner, r.LastHeartbeat = owner, now.Add(-ago) }
	}
	readAgo := func(ago time.Duration) func(*checkpoint.Row) {
		return func(r *checkpoint.Row) { r.ReadAt = now.Add(-ago) }
	}
	rows := func(rows ...checkpoint.Row) []checkpoint.Row { return rows }
	const active, claimed, finished, failing = checkpoint.StateActive, checkpoint.StateClaimed, checkpoint.StateFinished, checkpoint.StateFailing
	one := row("0", active, by("w", 0))
	const heldByOne = "1 workers hold 1 shards, the oldest heartbeat is 0s old"

	f(rows(one), OK, heldByOne)
	f(rows(row("0", active, by("v", time.Second)), row("1", claimed, by("w", 1250*time.Millisecond)), row("2", active, by("w", 0)), row("3", finished, by("x", time.Hour)), row("4", checkpoint.StateWaiting), row("5", checkpoint.StateExpired)),
		OK, "2 workers hold 3 shards, the oldest heartbeat is 1.3s old")
	f(rows(row("0", active, by("w", -time.Hour))), OK, heldByOne)                       // its clock is ahead
	f(rows(row("0", active, func(r *checkpoint.Row) { r.Owner = "w" })), OK, heldByOne) // without a heartbeat
	f(rows(row("0", active, by("w", silentAfter))), OK, "1 workers hold 1 shards, the oldest heartbeat is 2m0s old")
	f(rows(row("0", active, by("w", silentAfter+time.Second)), row("1", claimed, by("v", silentAfter+time.Minute)), row("2", active, by("x", 0))), Warning,
		"3 workers hold 3 shards, the oldest heartbeat is 3m0s old; 2 shards have owners that are silent: 0 (w, 2m1s), 1 (v, 3m0s)", readTheLog)

	f(nil, Warning, "no worker holds a shard", readTheLog)
	f(rows(row("0", finished)), Warning, "no worker holds a shard", readTheLog)
	f(rows(row("0", checkpoint.StateFree), row("1", checkpoint.StateNotStarted)), Warning, "2 shards have no owner: 0, 1", readTheLog)
	f(rows(one, row("1", checkpoint.StateFree)), Warning, heldByOne+"; 1 shards have no owner: 1", readTheLog)
	f(rows(row("0", failing, func(r *checkpoint.Row) { r.FailedBy = "w" })), Warning, "1 shards cannot be read: 0 (w)", `see the lines "shard cannot be read"`)
	f(rows(row("0", failing), row("1", checkpoint.StateFree)), Warning, "1 shards cannot be read: 0 (); 1 shards have no owner: 1", `see the lines "shard cannot be read"`, readTheLog)
	f(rows(one, row("1", checkpoint.StateForeign)), Warning, heldByOne+"; 1 shards have rows of another stream, as when the stream was created again: they are read from their oldest records: 1", readTheLog)
	f(rows(one, row("1", finished, func(r *checkpoint.Row) {
		r.Gaps = checkpoint.Gaps{Count: 2, From: now.Add(-time.Hour), To: now.In(time.FixedZone("", 3600))}
	})), Warning, heldByOne+"; records of 1 shards can have expired before they were read: 1 (2026-01-15T11:00:00Z to 2026-01-15T12:00:00Z)", "the archive has these records")
	f(rows(row("0", active, by("w", 0), readAgo(checkpoint.UnreadAfter-1))), OK, heldByOne)
	f(rows(row("0", active, by("w", 0), readAgo(checkpoint.UnreadAfter))), Warning, heldByOne+"; 1 shards have not been read for 5m0s or longer: 0 (5m0s)", `see the lines "shard is not read"`)
	f(rows(one, row("1", finished, readAgo(time.Hour))), OK, heldByOne)
}
