package consumer

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"

	"logsluice/internal/fakeaws"
	"logsluice/subscription"
)

// flooded is an OpenSearch whose indices of 2018 are in the flood stage.
type flooded struct{}

func (flooded) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	time.Sleep(10 * time.Millisecond)
	var items []string
	for i, line := range bytes.Split(body, []byte("\n")) {
		switch {
		case i%2 == 1 || len(line) == 0:
		case bytes.Contains(line, []byte("2018")):
			items = append(items, `{"create":{"status":429,"error":{"type":"cluster_block_exception","reason":"blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark]"}}}`)
		default:
			items = append(items, `{"create":{"status":201}}`)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.Join(items, ",") + `]}`))}, err
}

// F5b. Records that become more documents than may be in flight, for an index in the
// flood stage, fill the budget in the middle of the record and keep the decoders:
// Begin pauses only between records.
func TestReviewFloodInTheMiddleOfARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newConsumer(t, 16<<20, flooded{})
		c.decoders = make(chan *subscription.Decoder, 2)
		for range cap(c.decoders) {
			c.decoders <- subscription.NewDecoder(64 << 20)
		}
		start := func(shard string, data []byte) *processor {
			p := &processor{consumer: c, mapper: c.mapper.Clone(), shard: shard, owned: t.Context(), ctx: t.Context(), marks: newWatermark(func(string) {})}
			go p.ProcessRecords(&kcl.ProcessRecordsInput{Records: []types.Record{
				{Data: data, SequenceNumber: aws.String("1"), ApproximateArrivalTimestamp: aws.Time(time.Now())}}})
			return p
		}
		live := at(t, envelope(20), "1944414264183")
		start("a", envelope(30_000))
		start("b", envelope(30_000))
		time.Sleep(time.Minute)
		t.Logf("in flight %d of %d, free decoders %d", inFlight(t, c), 16<<20, len(c.decoders))
		for i := range 3 {
			p := start(fmt.Sprint("live", i), live)
			time.Sleep(time.Minute)
			if n := p.marks.pending(); n != 0 {
				t.Errorf("live shard %d waits behind documents of others", i)
			}
		}
	})
}

// at is an envelope with another timestamp.
func at(t *testing.T, envelope []byte, timestamp string) []byte {
	t.Helper()
	r, err := gzip.NewReader(bytes.NewReader(envelope))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(bytes.ReplaceAll(text, []byte("1544414264183"), []byte(timestamp)))
	w.Close()
	return out.Bytes()
}

// F12. The rest of an answer with too many user records could not be asked for, and
// when the KCL tries again its iterator has expired: what was never handed over is
// passed over.
func TestReviewRestOfAnswerAndExpiredIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		s, iterator := fetching(t, 0, 0, func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "GetShardIterator" && fail.Load() {
				fault.Refuse = &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "injected"}
			}
			return fault
		})
		for range 3 {
			s.put(t, aggregateOf(9_000, nil))
		}
		read := func() (*kinesis.GetRecordsOutput, error) {
			return s.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: aws.Int32(10_000)})
		}
		fail.Store(true)
		if _, err := read(); err == nil {
			t.Fatal("no error")
		}
		fail.Store(false)
		time.Sleep(6 * time.Minute) // it waits for a token
		n := 0
		for range 5 {
			out, err := read()
			if err != nil {
				t.Fatal(err)
			}
			n += len(out.Records)
			iterator = out.NextShardIterator
		}
		if n != 27_000 {
			t.Errorf("%d of 27000 user records were read", n)
		}
	})
}
