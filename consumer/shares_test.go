package consumer

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"logsluice/local/localtest"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// limited is an OpenSearch that accepts a limited number of bytes per second.
type limited struct {
	perSecond int64
	mu        sync.Mutex
	free      time.Time
}

func (l *limited) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	l.mu.Lock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(len(body)) * int64(time.Second) / l.perSecond))
	until := time.Until(l.free)
	l.mu.Unlock()
	time.Sleep(until)
	items := strings.Repeat(`{"create":{"status":201}},`, bytes.Count(body, []byte{'\n'})/2)
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.TrimSuffix(items, ",") + `]}`))}, err
}

// A shard that is 1 GB of documents behind leaves live shards their share of decoders, bytes
// in flight and bulk requests.
func TestShardFarBehindLeavesShares(t *testing.T) {
	localtest.Volume(t)
	synctest.Test(t, func(t *testing.T) {
		const perSecond, behind = 50 << 20, 1 << 30
		c := newConsumer(t, 256<<20, &limited{perSecond: perSecond})
		run := func(shard string, n int, each time.Duration, data []byte) (latencies []time.Duration) {
			var mu sync.Mutex
			var asked []time.Time
			p := &processor{consumer: c, mapper: c.mapper.Clone(), shard: shard, owned: t.Context(), ctx: t.Context(), marks: newWatermark(func(string) {
				mu.Lock()
				defer mu.Unlock()
				for len(latencies) < len(asked) {
					latencies = append(latencies, time.Since(asked[len(latencies)]))
				}
			})}
			for i := range n {
				mu.Lock()
				asked = append(asked, time.Now())
				mu.Unlock()
				p.ProcessRecords([]types.Record{recordOf(i, data)})
				time.Sleep(each)
			}
			<-p.marks.drained()
			return latencies
		}
		large, small := envelope(7000), envelope(20) // 7,000 documents are about 5 MiB
		begun := time.Now()
		var shards sync.WaitGroup
		shards.Go(func() { run("behind", behind/(5<<20), 0, large) })
		time.Sleep(5 * time.Second) // until it has all it can have
		for i := range 3 {
			shards.Go(func() {
				latencies := run(fmt.Sprint("live", i), 40, 250*time.Millisecond, small)
				slices.Sort(latencies)
				if p50, most := latencies[len(latencies)/2], latencies[len(latencies)-1]; p50 > time.Second || most > 2*time.Second {
					t.Errorf("live shard %d: p50 %s, at most %s", i, p50, most)
				}
			})
		}
		shards.Wait()
		if took := time.Since(begun); took > 2*time.Second*behind/perSecond {
			t.Errorf("the shard that was behind took %s", took)
		}
	})
}
