package consumer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"logsluice/indexer"
	"logsluice/indexer/deadletter"
	"logsluice/mapping"
	"logsluice/mapping/schema"
)

// refusing accepts only dead letters, which it stores, and minimal documents.
type refusing struct {
	mu              sync.Mutex
	letters, others []string
}

func (s *refusing) Stream(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	var items []string
	lines := bytes.Split(bytes.TrimSuffix(body, []byte("\n")), []byte("\n"))
	for i := 0; i+1 < len(lines); i += 2 {
		source := string(lines[i+1])
		switch {
		case bytes.Contains(lines[i], []byte("-dead-letter")):
			s.letters = append(s.letters, source)
			items = append(items, `{"create":{"status":201}}`)
		default:
			s.others = append(s.others, source)
			items = append(items, `{"create":{"status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse"}}}`)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"items":[` + strings.Join(items, ",") + `]}`))}, err
}

// A dead letter contains its whole event, whatever the schema, so the same document can be
// made again. All fallbacks of a rejected document contain its origin.
func TestDeadLetterKeepsTheEvent(t *testing.T) {
	const id = "34622316099697884706540976068822859012661220141643892546"
	arrived := time.Date(2018, 12, 10, 4, 0, 0, 0, time.UTC)
	f := func(name, event string, noIDs bool, fields, group string, want map[string]any) {
		t.Run(name, func(t *testing.T) {
			s, err := schema.BuiltIn(fields)
			if err != nil {
				t.Fatal(err)
			}
			mapper, err := mapping.New(mapping.Config{Naming: schema.Naming{Prefix: "app", Zone: time.FixedZone("", 9*3600)}, Schema: s, NoIDs: noIDs})
			if err != nil {
				t.Fatal(err)
			}
			search := new(refusing)
			c := newConsumer(t, 64<<20, search)
			c.mapper = mapper
			c.indexer, err = indexer.New(indexer.Config{
				Prefix: "app", BatchBytes: 1 << 20, BatchDocuments: 1000, Connections: 1, RequestTimeout: time.Minute, InFlightBytes: 1 << 20, NoIDs: noIDs,
				RetryMin: time.Second, RetryMax: time.Minute, Fallback: mapper, Registry: prometheus.NewRegistry(), Log: zerolog.Nop(),
			}, search)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.indexer.Close)
			p := newTestProcessor(t, c)
			p.ProcessRecords([]types.Record{{
				Data:           fmt.Appendf(nil, `{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/g\"","logStream":"s","logEvents":[7,%s]}`, event),
				SequenceNumber: aws.String("1"), ApproximateArrivalTimestamp: aws.Time(arrived)}})
			<-p.marks.drained()
			search.mu.Lock()
			defer search.mu.Unlock()
			found := 0
			for _, source := range search.letters {
				var letter struct {
					Stage, Payload string
					Group          string `json:"log_group"`
					Log            string `json:"log_stream"`
				}
				if err := json.Unmarshal([]byte(source), &letter); err != nil {
					t.Fatal(err)
				}
				if letter.Stage != deadletter.StageIndex {
					continue // the element is not an event
				}
				found++
				var got map[string]any
				if err := json.Unmarshal([]byte(letter.Payload), &got); err != nil {
					t.Fatalf("%v: %s", err, letter.Payload)
				}
				common := map[string]any{"timestamp": 1544414264183.0, "message": "a\nb", "owner": "1", "logGroup": `/g"`, "logStream": "s",
					"position": 1.0, "arrived": "2018-12-10T04:00:00Z"}
				for key, value := range common {
					want[key] = value
				}
				if !reflect.DeepEqual(got, want) || letter.Group != `/g"` || letter.Log != "s" {
					t.Errorf("payload %v, want %v; of %s, %s", got, want, letter.Group, letter.Log)
				}
			}
			// The unchanged document, then its text and its minimal form, each with and without its
			// origin.
			with := 0
			for _, source := range search.others {
				if strings.Contains(source, fmt.Sprintf(`%q:"/g\""`, group)) {
					with++
				}
			}
			if found != 1 || len(search.others) != 5 || with != 3 {
				t.Errorf("%d dead letters, %d fallbacks, %d with their log group: %q", found, len(search.others), with, search.others)
			}
		})
	}
	event := func(members string) string { return `{` + members + `"timestamp":1544414264183,"message":"a\nb"}` }
	trusted := `"id":"` + id + `",`
	f("from CloudWatch", event(trusted), false, "default", "log_group", map[string]any{"_id": id, "id": id})
	f("with the names of ECS", event(trusted), false, "ecs", "aws.cloudwatch.log_group", map[string]any{"_id": id, "id": id})
	f("with system fields", event(trusted+`"extractedFields":{"@aws.account":"2","@aws.region":"eu"},`), false, "default", "log_group",
		map[string]any{"_id": id, "id": id, "extractedFields": map[string]any{"@aws.account": "2", "@aws.region": "eu"}})
	f("without ids", event(trusted), true, "default", "log_group", map[string]any{"id": id})
	const hash = "6e3b5b8ff0baafc203640a2e22d8977b"
	f("from an emulator", event(`"id":7,`), false, "plain", "log_group", map[string]any{"_id": hash, "id": 7.0})
}
