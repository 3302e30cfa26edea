package doctor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"logsluice/checkpoint"
	"logsluice/consumer"
)

// The link lease table: which worker holds which shard, and which shards are not read.

// silentAfter is the age of the last heartbeat from which an owner is reported as silent. It is
// far longer than a lease lasts, because clocks differ.
const silentAfter = 2 * time.Minute

// SeparateTable is the remedy for a lease table that belongs to another stream.
const SeparateTable = "set APPLICATION_NAME (--application-name) to a name that no other stream has, or correct STREAM_NAME (--stream-name)"

// CorrectTable is the remedy for a table that is not a lease table.
const CorrectTable = "set APPLICATION_NAME (--application-name) to a name that no other table has"

// leases checks the lease table and the state of each shard.
func (w *walk) leases(ctx context.Context, f *Finding) {
	var table checkpoint.Description
	err := bounded(ctx, func(ctx context.Context) (err error) {
		table, err = checkpoint.Describe(ctx, w.DynamoDB, w.Application)
		return err
	})
	switch {
	case errors.Is(err, checkpoint.ErrNoTable):
		f.warn("start run, which creates it and needs dynamodb:CreateTable for that; or correct APPLICATION_NAME (--application-name) or AWS_REGION", "table %s does not exist in %s", w.Application, w.AWS.Region)
		return
	case errors.Is(err, checkpoint.ErrNotLeaseTable):
		f.fail(CorrectTable, "%s", err)
		return
	case err != nil:
		f.fail(remedyOf(err, "dynamodb:DescribeTable"), "table %s cannot be described: %s", w.Application, awsErrorText(err))
		return
	}
	f.note("table %s is %s, %s", w.Application, table.Status, table.Billing)
	if !table.Ready {
		f.fail("wait until it is ACTIVE, and try again", "table %s is not ready", w.Application)
		return
	}
	err = bounded(ctx, func(ctx context.Context) error { return checkpoint.TryWrites(ctx, w.DynamoDB, w.Application) })
	if err != nil {
		f.fail(remedyOf(err, "dynamodb:UpdateItem and dynamodb:DeleteItem"), "it cannot be written to: %s", awsErrorText(err))
	}
	var view *checkpoint.View
	err = bounded(ctx, func(ctx context.Context) (err error) {
		view, err = checkpoint.ReadView(ctx, w.DynamoDB, w.Application)
		return err
	})
	if err != nil {
		f.fail(remedyOf(err, "dynamodb:Scan"), "it cannot be read: %s", awsErrorText(err))
		return
	}
	if err := view.CheckStream(consumer.Identity(w.Stream)); err != nil {
		f.fail(SeparateTable, "%s", err)
		return
	}
	reportLeases(f, view.Rows(w.shards), time.Now())
}

func reportLeases(f *Finding, rows []checkpoint.Row, now time.Time) {
	owners := map[string]int{}
	var without, gone, failing, foreign, unread, lost []string
	var oldest time.Duration
	for _, r := range rows {
		if d := r.Unread(now); d >= checkpoint.UnreadAfter {
			unread = append(unread, fmt.Sprintf("%s (%s)", r.ID, d.Round(time.Second)))
		}
		if g := r.Gaps; g.Count > 0 {
			lost = append(lost, fmt.Sprintf("%s (%s to %s)", r.ID, g.From.UTC().Format(time.RFC3339), g.To.UTC().Format(time.RFC3339)))
		}
		switch r.State {
		case checkpoint.StateActive, checkpoint.StateClaimed:
			owners[r.Owner]++
			age := max(now.Sub(r.LastHeartbeat), 0)
			if !r.LastHeartbeat.IsZero() {
				oldest = max(oldest, age)
				if age > silentAfter {
					gone = append(gone, fmt.Sprintf("%s (%s, %s)", r.ID, r.Owner, age.Round(time.Second)))
				}
			}
		case checkpoint.StateFree, checkpoint.StateNotStarted:
			without = append(without, r.ID)
		case checkpoint.StateFailing:
			failing = append(failing, fmt.Sprintf("%s (%s)", r.ID, r.FailedBy))
		case checkpoint.StateForeign:
			foreign = append(foreign, r.ID)
		}
	}
	const checkWorkers = "check that run is running, and check its log and its health (logsluice leases --watch shows the shards)"
	held := 0
	for _, n := range owners {
		held += n
	}
	if held > 0 {
		f.note("%d workers hold %d shards, the oldest heartbeat is %s old", len(owners), held, oldest.Round(100*time.Millisecond))
	}
	if len(gone) > 0 {
		f.warn(checkWorkers, "%d shards have owners that are silent: %s", len(gone), firstOf(gone))
	}
	if len(failing) > 0 {
		f.warn("see the lines \"shard cannot be read\" in the log of run, which have the cause", "%d shards cannot be read: %s", len(failing), firstOf(failing))
	}
	if len(foreign) > 0 {
		f.warn(checkWorkers, "%d shards have rows of another stream, as when the stream was created again: they are read from their oldest records: %s", len(foreign), firstOf(foreign))
	}
	if len(lost) > 0 {
		f.warn("the archive has these records; set the stream's retention above the longest outage, and see the lines \"records expired unread\" in the log of run",
			"records of %d shards can have expired before they were read: %s", len(lost), firstOf(lost))
	}
	if len(unread) > 0 {
		f.warn("see the lines \"shard is not read\" and \"shard cannot be read\" in the log of run; a shard also waits while OpenSearch accepts nothing", "%d shards have not been read for %s or longer: %s", len(unread), checkpoint.UnreadAfter, firstOf(unread))
	}
	switch {
	case len(without) > 0:
		f.warn(checkWorkers, "%d shards have no owner: %s", len(without), firstOf(without))
	case held == 0 && len(failing) == 0:
		f.warn(checkWorkers, "no worker holds a shard")
	}
}
