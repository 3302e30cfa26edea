package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakecloudwatch"
)

// trouble is something that goes wrong with a fleet for a while, and the alarms that it
// sets off. No other alarm may go off.
type trouble struct {
	name   string
	begin  func(f *fleet)
	lasts  time.Duration
	alarms string
}

const hour = time.Hour

var troubles = []trouble{
	{"none", func(*fleet) {}, hour, ""},
	{"no task runs", func(f *fleet) { f.stop() }, hour, "LagAlarm NoProgressAlarm"},
	{"no task runs for longer than the retention", func(f *fleet) { f.stop() }, 26 * hour, "GapAlarm LagAlarm NoProgressAlarm"},

	{"a shard may not be read", func(f *fleet) { f.faults(onShard(1, denies)) }, hour, "LagAlarm LagToScale UnreadAlarm"},
	{"reads of a shard are throttled", func(f *fleet) { f.faults(onShard(1, throttles)) }, hour, "LagAlarm LagToScale UnreadAlarm"},
	{"reads of a shard hang", func(f *fleet) { f.faults(onShard(1, hangs)) }, hour, "LagAlarm LagToScale UnreadAlarm"},
	{"the lease of a shard cannot be written", func(f *fleet) { f.faults(onLease(1, throttles)) }, hour, "LagAlarm LagToScale UnreadAlarm"},
	{"the checkpoint of a shard is not one", func(f *fleet) { f.breakCheckpoint(1) }, hour, ""}, // the shard is read from its oldest record

	{"reading is refused", func(f *fleet) { f.faults(onReads(denies)) }, hour, "LagAlarm LagToScale NoProgressAlarm UnreadAlarm"},
	{"reading is refused from the start", func(f *fleet) { f.stop(); f.faults(onReads(denies)); f.start() }, hour, "LagAlarm LagToScale NoProgressAlarm UnreadAlarm"},
	{"Kinesis cannot be reached", func(f *fleet) { f.faults(onService("Kinesis", fakeaws.Fault{Lose: true})) }, hour, "LagAlarm LagToScale NoProgressAlarm UnreadAlarm"},
	{"the lease table cannot be reached", func(f *fleet) { f.faults(onService("DynamoDB", fakeaws.Fault{Lose: true})) }, hour, "LagAlarm LagToScale NoProgressAlarm UnreadAlarm"},

	{"OpenSearch is slow", func(f *fleet) { f.opensearch(searchState{took: 50 * time.Second}) }, 2 * hour, "LagAlarm LagToScale"},
	{"OpenSearch is away", func(f *fleet) { f.opensearch(searchState{status: http.StatusServiceUnavailable}) }, hour, "NoProgressAlarm WaitAlarm"},
	{"OpenSearch refuses the user", func(f *fleet) { f.opensearch(searchState{status: http.StatusUnauthorized}) }, hour, "NoProgressAlarm WaitAlarm"},
	{"an index is read-only for 20 minutes", func(f *fleet) { f.opensearch(searchState{refuse: yesterdays}) }, 20 * time.Minute, "WaitAlarm"},
	{"an index is read-only for an hour", func(f *fleet) { f.opensearch(searchState{refuse: yesterdays}) }, hour, "DeadLetterAlarm WaitAlarm"},

	{"a record is not of CloudWatch Logs", func(f *fleet) { f.put(0, []byte("not gzip")) }, 10 * time.Minute, "DeadLetterAlarm"},
	{"dead letters go to the bucket", func(f *fleet) { f.loseLetters(false) }, hour, "DeadLetterAlarm WaitAlarm"},
	{"dead letters go nowhere", func(f *fleet) { f.loseLetters(true) }, 50 * time.Minute, "DeadLetterAlarm WaitAlarm"},
}

const (
	// warmUp is longer than it takes until nothing of the time before the first line counts.
	warmUp = 25 * time.Minute
	// recovery is the time after a trouble until every alarm must be OK again.
	recovery = 30 * time.Minute
)

// Each trouble sets off those alarms of deploy/logsluice.yaml that the table says, and no
// other, on the lines that the program writes meanwhile; then they become OK again.
func TestAlarms(t *testing.T) {
	t.Parallel()
	template := readStackTemplate(t)
	alarms, others := template.alarms(t)
	if got, want := slices.Sorted(maps.Keys(others)), []string{"ArchiveAlarm", "ForwardingAlarm", "ForwardingThrottledAlarm", "StreamThrottledAlarm"}; !slices.Equal(got, want) {
		t.Errorf("alarms on AWS's own metrics alone: %q, want %q", got, want)
	}
	silent := maps.Clone(alarms)
	for _, trouble := range troubles {
		for _, name := range strings.Fields(trouble.alarms) {
			if _, ok := alarms[name]; !ok {
				t.Errorf("%s: no alarm %s", trouble.name, name)
			}
			delete(silent, name)
		}
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { trouble.test(t, template, alarms) })
		})
	}
	if len(silent) > 0 {
		t.Errorf("nothing sets off %q", slices.Sorted(maps.Keys(silent)))
	}
}

func (trouble trouble) test(t *testing.T, template *stackTemplate, alarms map[string]fakecloudwatch.Definition) {
	f := newFleet(t, template)
	producing, stopProducing := context.WithCancel(t.Context())
	var producer sync.WaitGroup
	producer.Go(func() { f.produce(producing) })
	f.start()
	time.Sleep(warmUp)
	from := time.Now()
	trouble.begin(f)
	time.Sleep(trouble.lasts)
	f.calm()
	time.Sleep(recovery)
	to := time.Now()
	stopProducing()
	producer.Wait()
	f.stop()

	known := f.metrics.Names()
	var fired []string
	for _, name := range slices.Sorted(maps.Keys(alarms)) {
		alarm := alarms[name]
		for _, metric := range alarm.Sources() {
			if !slices.Contains(known, metric.String()) {
				t.Errorf("%s: nothing writes %s", name, metric)
			}
		}
		first, err := alarming(alarm, &f.metrics, from, to)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !first.IsZero() {
			fired = append(fired, name)
			t.Logf("%s after %s", name, first.Sub(from))
		}
	}
	if got := strings.Join(fired, " "); got != trouble.alarms {
		t.Errorf("alarms %q, want %q", got, trouble.alarms)
	}
	if t.Failed() {
		t.Logf("warnings and errors:\n%s", f.noted())
	}
}

// alarming returns when an alarm went off first between two times, zero if it did not. An
// error is returned if it is not OK in the end, or if it goes off with one length of the
// evaluation range and not with another: AWS documents by examples only how long that is.
func alarming(alarm fakecloudwatch.Definition, metrics *fakecloudwatch.Metrics, from, to time.Time) (first time.Time, err error) {
	extras := []int{0, 2, alarm.Periods}
	for _, extra := range extras {
		var since time.Time
		state := fakecloudwatch.OK
		for at := from; !at.After(to); at = at.Add(time.Minute) {
			if state, err = alarm.State(metrics, at, extra); err != nil {
				return first, err
			}
			if state == fakecloudwatch.Alarm && since.IsZero() {
				since = at
			}
		}
		switch {
		case state != fakecloudwatch.OK:
			return since, fmt.Errorf("still %s in the end, with %d more periods", state, extra)
		case extra == extras[0]:
			first = since
		case first.IsZero() != since.IsZero():
			return since, fmt.Errorf("at %s with %d more periods, at %s with %d", first, extras[0], since, extra)
		}
	}
	return first, nil
}

var (
	denies    = fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "AccessDeniedException", Message: "not authorized to perform: kinesis:GetRecords"}}
	throttles = fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "Rate exceeded"}}
	hangs     = fakeaws.Fault{Delay: fakeaws.Hang}
)

func isRead(operation string) bool {
	return operation == "GetRecords" || operation == "GetShardIterator"
}

func onReads(fault fakeaws.Fault) func(fakeaws.Call) fakeaws.Fault {
	return only(fault, func(call fakeaws.Call) bool { return isRead(call.Operation) })
}

func onShard(shard int, fault fakeaws.Fault) func(fakeaws.Call) fakeaws.Fault {
	return only(fault, func(call fakeaws.Call) bool { return isRead(call.Operation) && call.Shard() == shardID(shard) })
}

func onLease(shard int, fault fakeaws.Fault) func(fakeaws.Call) fakeaws.Fault {
	return only(fault, func(call fakeaws.Call) bool {
		return call.Operation == "UpdateItem" && strings.Contains(string(call.Body), shardID(shard))
	})
}

func onService(service string, fault fakeaws.Fault) func(fakeaws.Call) fakeaws.Fault {
	ofKinesis := []string{"GetRecords", "GetShardIterator", "ListShards", "DescribeStreamSummary"}
	return only(fault, func(call fakeaws.Call) bool {
		return slices.Contains(ofKinesis, call.Operation) == (service == "Kinesis")
	})
}

func only(fault fakeaws.Fault, on func(fakeaws.Call) bool) func(fakeaws.Call) fakeaws.Fault {
	return func(call fakeaws.Call) fakeaws.Fault {
		if on(call) {
			return fault
		}
		return fakeaws.Fault{}
	}
}

func (f *fleet) opensearch(how searchState) { f.change(func() { f.search = how }) }

// yesterdays reports whether documents of the day before the fleet's start go to an index.
func yesterdays(index string) bool { return strings.HasSuffix(index, "1999-12-31") }

// loseLetters has the index of dead letters refuse them, and the bucket too if it is to,
// and brings one.
func (f *fleet) loseLetters(bucketToo bool) {
	f.change(func() {
		f.search.refuse = func(index string) bool { return strings.HasSuffix(index, "-dead-letter") }
		f.noBucket = bucketToo
	})
	f.put(0, []byte("not gzip"))
}

// breakCheckpoint writes a checkpoint that Kinesis did not give, while no task runs.
func (f *fleet) breakCheckpoint(shard int) {
	f.stop()
	_, err := f.dynamoDB.UpdateItem(f.t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(f.settings["APPLICATION_NAME"]), Key: map[string]dynamotypes.AttributeValue{"ShardID": &dynamotypes.AttributeValueMemberS{Value: shardID(shard)}},
		UpdateExpression: aws.String("SET Checkpoint = :c"), ExpressionAttributeValues: map[string]dynamotypes.AttributeValue{":c": &dynamotypes.AttributeValueMemberS{Value: "12345"}},
	})
	if err != nil {
		f.t.Error(err)
	}
	f.start()
}
