package consumer

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	kcl "github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
	"golang.org/x/sync/semaphore"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer"
	"logsluice/mapping"
	"logsluice/subscription"
)

// away is an OpenSearch that answers nothing.
type away struct{}

func (away) Stream(*http.Request) (*http.Response, error) { return nil, errors.New("away") }

// envelope is a record with n short lines from origins with long names, whose
// documents are far larger than they are.
func envelope(n int) []byte {
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`{"id":"%056d","timestamp":1544414264183,"message":"GET /health 200"}`, i))
	}
	name := strings.Repeat("n", 200)
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	fmt.Fprintf(w, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"%s","logStream":"%s","logEvents":[%s]}`, name, name, strings.Join(events, ","))
	w.Close()
	return out.Bytes()
}

// The bytes in flight are those of the documents, whatever the records' gzip
// trailers say: a processor takes on one record more than they allow, at most.
func TestBytesInFlight(t *testing.T) {
	f := func(name string, data []byte) {
		t.Run(name, func(t *testing.T) {
			mapper, err := mapping.New(mapping.Config{Prefix: "app", Zone: time.UTC, Schema: mapping.DefaultSchema()})
			if err != nil {
				t.Fatal(err)
			}
			ix, err := indexer.New(indexer.Config{
				Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1000, Connections: 1, RequestTimeout: time.Second,
				RetryMin: time.Second, RetryMax: time.Minute, Fallback: mapper, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
			}, away{})
			if err != nil {
				t.Fatal(err)
			}
			defer ix.Close()
			const bound = 5 << 20
			c := &Consumer{
				cfg:    Config{Stream: "s", InFlightBytes: bound, MaxInflated: 64 << 20},
				mapper: mapper, indexer: ix, metrics: newMetrics(), budget: semaphore.NewWeighted(bound), decoders: newDecoders(64 << 20),
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			p := &processor{consumer: c, shard: "shard", owned: t.Context(), marks: newWatermark(func(string) {}), ctx: ctx}
			var records []types.Record
			for i := range 200 {
				records = append(records, types.Record{Data: data, SequenceNumber: aws.String(fmt.Sprint(i)), ApproximateArrivalTimestamp: aws.Time(time.Now())})
			}
			p.ProcessRecords(&kcl.ProcessRecordsInput{Records: records})
			var one []byte
			if _, err := subscription.NewDecoder(64<<20).Decode(data, func(e *subscription.Envelope) {
				for i := range e.Events {
					one = mapper.Append(one, e, &e.Events[i])
				}
			}); err != nil {
				t.Fatal(err)
			}
			taken := p.marks.pending()
			if held := taken * len(one); taken == 0 || held > bound+len(one) {
				t.Errorf("%d records with %d bytes of documents are held, the bound is %d", taken, held, bound)
			}
			if !p.gap {
				t.Error("the processor does not know that it left records out")
			}
		})
	}
	f("short lines", envelope(1000))
	f("a trailer that lies", append(envelope(5000), envelope(0)...))
}

func TestInflatedSize(t *testing.T) {
	f := func(name string, data []byte, bound int, want int64) {
		t.Helper()
		if got := inflatedSize(data, bound); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	packed := envelope(100)
	size := int64(len(packed))
	f("plain", []byte("{}"), 1000, 2)
	f("bound", packed, 100, 100)
	lying := append(bytes.Clone(packed[:len(packed)-4]), 0xff, 0xff, 0xff, 0xff)
	f("beyond what DEFLATE can do", lying, 1<<40, size*maxRatio)
	f("less than it is", append(bytes.Clone(packed[:len(packed)-4]), 0, 0, 0, 0), 1<<40, size)
}
