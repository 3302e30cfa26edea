package consumer

import (
	"bytes"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/rs/zerolog"

	"logsluice/subscription"
)

// A consumer decodes one large record at a time: while one is decoded, another waits and small
// ones do not.
func TestOneLargeRecordAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var documents atomic.Int64
		c := newConsumer(t, 256<<20, accepting(func(body []byte) { documents.Add(int64(bytes.Count(body, []byte("\n")) / 2)) }))
		c.large = newWorker(t, fakeAWS(noFaults), newTable(t, fakeAWS(noFaults), time.Minute), zerolog.Nop()).large
		c.decoders = make(chan *subscription.Decoder, 2)
		for range cap(c.decoders) {
			c.decoders <- subscription.NewDecoder(64 << 20)
		}
		if !c.large.TryAcquire(1) { // for another record
			t.Fatal("no large record is decoded at all")
		}
		process := func(data []byte) {
			p := newTestProcessor(t, c)
			p.ProcessRecords([]types.Record{recordOf(1, data)})
			<-p.marks.drained()
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			process(oneMessage(17 << 20))
		}()
		synctest.Wait()
		if n := documents.Load(); n != 0 || len(c.decoders) != 1 {
			t.Errorf("%d documents of a large record while another is decoded, %d decoders are free", n, len(c.decoders))
		}
		process(envelope(10))
		if n := documents.Load(); n != 10 {
			t.Errorf("%d documents of a small record, want 10", n)
		}
		c.large.Release(1)
		<-done
		if n := documents.Load(); n != 11 || !c.large.TryAcquire(1) {
			t.Errorf("%d documents of both, want 11", n)
		}
	})
}
