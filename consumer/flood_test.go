package consumer

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/local/localtest"
	"logsluice/subscription"
)

// flooded is an OpenSearch with one index that is blocked by the disk flood stage.
type flooded struct{ index string }

func (f flooded) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	time.Sleep(10 * time.Millisecond)
	const refused = `{"create":{"status":429,"error":{"type":"cluster_block_exception","reason":"index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"}}},`
	var items strings.Builder
	for line := range bytes.Lines(body) {
		switch {
		case !bytes.HasPrefix(line, []byte(`{"create"`)):
		case bytes.Contains(line, []byte(f.index)):
			items.WriteString(refused)
		default:
			items.WriteString(`{"create":{"status":201}},`)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.TrimSuffix(items.String(), ",") + `]}`))}, err
}

// However many shards have documents for a blocked index, a shard with other documents is
// still read, and memory remains bounded.
func TestFloodOfManyShards(t *testing.T) {
	localtest.Volume(t)
	for _, shards := range []int{5, 30} {
		synctest.Test(t, func(t *testing.T) {
			const limit, records = 64 << 20, 150
			now := time.Now()
			c := newConsumer(t, limit, flooded{now.AddDate(0, 0, -1).UTC().Format(time.DateOnly)})
			ctx, stop := context.WithCancel(t.Context())
			read := 0
			// run reads a shard as the KCL does, from the last acknowledged record.
			run := func(shard string, data []byte, n int, each time.Duration, count *int) {
				for done := 0; done < n && ctx.Err() == nil; {
					reading, cancel := context.WithCancel(ctx)
					forget := c.indexer.OnShed(shard, cancel)
					var mu sync.Mutex
					p := &processor{consumer: c, mapper: c.mapper.Clone(), shard: shard, owned: reading, ctx: reading, marks: newWatermark(func(string) {
						mu.Lock()
						defer mu.Unlock()
						done++
					})}
					for i := done; i < n && reading.Err() == nil; i++ {
						p.ProcessRecords([]types.Record{recordOf(i, data)})
						if reading.Err() == nil {
							*count++
							time.Sleep(each)
						}
					}
					if reading.Err() == nil {
						select {
						case <-p.marks.drained():
						case <-reading.Done():
						}
					}
					forget()
					cancel()
					if done < n {
						time.Sleep(parkedFor)
					}
				}
			}
			var running sync.WaitGroup
			live := func() { run("live", linesAt(100, now), records, time.Second, &read) }
			running.Go(live)
			late := linesAt(2300, now.AddDate(0, 0, -1)) // about 1.7 MB of documents
			ignored := make([]int, shards)
			for i := range shards {
				running.Go(func() { run(fmt.Sprint("late", i), late, 1000, time.Second, &ignored[i]) })
			}
			most := int64(0)
			for range records + 60 {
				time.Sleep(time.Second)
				most = max(most, inFlight(t, c))
			}
			if read < records {
				t.Errorf("%d shards: %d records of %d of another shard were read", shards, read, records)
			}
			if most > limit*3/2 {
				t.Errorf("%d shards: %d MiB were in flight", shards, most>>20)
			}
			t.Logf("%d shards: %d MiB in flight at most", shards, most>>20)
			stop()
			c.indexer.Close()
			running.Wait()
		})
	}
}

// Records whose documents exceed the limit of bytes in flight, for a blocked index, do not keep
// the decoders: a decoder in the middle of a record may finish it.
func TestFloodInTheMiddleOfARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsumer(t, 16<<20, flooded{"2018-12-10"})
		c.decoders = make(chan *subscription.Decoder, 2)
		for range cap(c.decoders) {
			c.decoders <- subscription.NewDecoder(64 << 20)
		}
		start := func(shard string, data []byte) *processor {
			p := newTestProcessor(t, c)
			p.shard = shard
			go p.ProcessRecords([]types.Record{recordOf(1, data)})
			return p
		}
		live := linesAt(20, time.Now())
		start("a", envelope(30_000))
		start("b", envelope(30_000))
		time.Sleep(time.Minute)
		for i := range 3 {
			p := start(fmt.Sprint("live", i), live)
			time.Sleep(time.Minute)
			if n := p.marks.pending(); n != 0 {
				t.Errorf("live shard %d waits behind documents of others", i)
			}
		}
	})
}
