package checkpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// observation is a row as it was scanned, and since when it has looked so.
type observation struct {
	row
	since time.Time // monotonic: when the answer that first showed it came
}

// sync scans the table if the shards were listed again since the last scan:
// one paginated scan serves all that the KCL asks between two listings, a
// failed one too.
func (t *Table) sync(ctx context.Context) error {
	select {
	case <-t.scanning:
		defer func() { t.scanning <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	stale, err := t.stale, t.err
	// Cleared before the scan: what is listed during it is news to the next one.
	t.stale = false
	t.mu.Unlock()
	if !stale {
		return err
	}

	rows, err := t.scan(ctx)
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	if err != nil {
		return err
	}
	seen := make(map[string]observation, len(rows))
	for id, r := range rows {
		o := observation{row: r, since: now}
		if before, ok := t.seen[id]; ok && before.sameHolder(r) {
			o.since = before.since
		}
		seen[id] = o
	}
	t.seen = seen
	return nil
}

// sameHolder tells that no sign of life was seen between two readings. Workers
// of vmware-go-kcl-v2 write no counter; their sign of life is the timeout.
func (r row) sameHolder(later row) bool {
	return r.owner == later.owner && r.epoch == later.epoch && r.counter == later.counter &&
		(r.counter != 0 || r.timeout == later.timeout)
}

func (t *Table) scan(ctx context.Context) (map[string]row, error) {
	ctx, cancel := context.WithTimeout(ctx, t.cfg.LeaseDuration)
	defer cancel()
	rows := make(map[string]row)
	pages := dynamodb.NewScanPaginator(t.db, &dynamodb.ScanInput{TableName: aws.String(t.cfg.Table)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("scan lease table %s: %w", t.cfg.Table, err)
		}
		for _, it := range page.Items {
			if id := text(it[attrShard]); id != startKey {
				rows[id] = readRow(it)
			}
		}
	}
	return rows, nil
}
