package cli

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/internal/fakeaws"
	"logsluice/internal/fakecloudwatch"
	"logsluice/local/localtest"
)

// trouble is an incident that lasts for a while. The table of docs/operations.md lists the
// alarms that it sets off, under its name.
type trouble struct {
	name  string
	begin func(f *fleet)
	lasts time.Duration
}

const hour = time.Hour

var troubles = []trouble{
	{"nothing", func(*fleet) {}, hour},
	{"the tasks are replaced", func(f *fleet) { f.stop(); f.start() }, 10 * time.Minute},
	{"the stream is resharded", (*fleet).split, 10 * time.Minute},
	{"no record comes", func(f *fleet) { f.change(func() { f.quiet = true }) }, hour},

	{"no task runs", func(f *fleet) { f.stop() }, hour},
	{"no task runs for longer than the stream's retention", func(f *fleet) { f.stop() }, 26 * hour},

	{"reads of one shard are refused", func(f *fleet) { f.faults(isReadOfAffectedShard, denies) }, hour},
	{"reads of one shard are throttled", func(f *fleet) { f.faults(isReadOfAffectedShard, throttles) }, hour},
	{"reads of one shard hang", func(f *fleet) { f.faults(isReadOfAffectedShard, hangs) }, hour},
	{"the lease of one shard cannot be written", func(f *fleet) { f.faults(isWriteOfAffectedShard, throttles) }, hour},
	{"a checkpoint in the lease table is invalid", (*fleet).breakCheckpoint, hour},

	{"all reads are refused", func(f *fleet) { f.faults(isRead, denies) }, hour},
	{"all reads are refused from the start of the tasks on", func(f *fleet) { f.stop(); f.faults(isRead, denies); f.start() }, hour},
	{"Kinesis cannot be reached", func(f *fleet) { f.faults(ofKinesis, unreachable) }, hour},
	{"the lease table cannot be reached", func(f *fleet) { f.faults(ofDynamoDB, unreachable) }, hour},

	{"OpenSearch is too slow", (*fleet).slowDown, hour},
	{"OpenSearch is down for 8 minutes", func(f *fleet) { f.opensearch(searchState{status: http.StatusServiceUnavailable}) }, 8 * time.Minute},
	{"OpenSearch is down", func(f *fleet) { f.opensearch(searchState{status: http.StatusServiceUnavailable}) }, hour},
	{"OpenSearch refuses the credentials", func(f *fleet) { f.opensearch(searchState{status: http.StatusUnauthorized}) }, hour},
	{"one index is read-only for 20 minutes", func(f *fleet) { f.opensearch(searchState{refuse: isYesterdays}) }, 20 * time.Minute},
	{"one index is read-only", func(f *fleet) { f.opensearch(searchState{refuse: isYesterdays}) }, hour},

	{"a record cannot be decoded", func(f *fleet) { f.put(0, []byte("not gzip")) }, 10 * time.Minute},
	{"the dead-letter index refuses a dead letter, and the bucket takes it", func(f *fleet) { f.refuseLetters(false) }, hour},
	{"the dead-letter index and the bucket refuse a dead letter", func(f *fleet) { f.refuseLetters(true) }, hour},
}

// setOff has the alarms that a trouble sets off while it lasts and afterwards.
type setOff struct{ during, afterwards []string }

// readAlarmTable returns the alarms that each trouble sets off, from docs/operations.md.
func readAlarmTable(t *testing.T) map[string]setOff {
	t.Helper()
	text, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, begins := strings.Cut(string(text), "<!-- troubles -->\n")
	table, _, ends := strings.Cut(after, "<!-- -->")
	if !begins || !ends {
		t.Fatal("docs/operations.md has no table of troubles")
	}
	alarms := make(map[string]setOff)
	rows := slices.Collect(strings.Lines(table))
	for _, row := range rows[2:] { // after the headings
		cells := strings.Split(row, "|")
		name := strings.TrimSpace(cells[1])
		if _, twice := alarms[name]; twice {
			t.Errorf("docs/operations.md has %q twice", name)
		}
		during, afterwards, _ := strings.Cut(cells[2], "; afterwards")
		alarms[name] = setOff{alarmsIn(during), alarmsIn(afterwards)}
	}
	return alarms
}

var alarmName = regexp.MustCompile("`([A-Za-z]+)`")

func alarmsIn(text string) (names []string) {
	for _, quoted := range alarmName.FindAllStringSubmatch(text, -1) {
		names = append(names, quoted[1])
	}
	slices.Sort(names)
	return names
}

const (
	// warmUp is longer than any alarm's evaluation range, so that the time before the first log
	// line no longer counts.
	warmUp = 25 * time.Minute
	// recovery is the time after a trouble until every alarm must be OK again.
	recovery = 30 * time.Minute
)

// ofAWS are the alarms on AWS's own metrics only, which the program's log lines do not affect.
var ofAWS = []string{"ArchiveAlarm", "ForwardingAlarm", "ForwardingThrottledAlarm", "StreamThrottledAlarm"}

// The log lines that the program writes during a trouble set off exactly those alarms of
// deploy/logsluice.yaml that the table of docs/operations.md lists. Afterwards they return to OK.
// Every alarm is set off by some trouble.
func TestAlarms(t *testing.T) {
	if localtest.RaceDetector {
		t.Skip("days of virtual time take too long with the race detector: make test runs them without")
	}
	t.Parallel()
	template := readStackTemplate(t)
	alarms, others := template.alarms(t)
	environment := template.environment(t, fleetVariables...)
	if got := slices.Sorted(maps.Keys(others)); !slices.Equal(got, ofAWS) {
		t.Errorf("alarms on AWS's own metrics only: %q, want %q", got, ofAWS)
	}
	table := readAlarmTable(t)
	silent := maps.Clone(alarms)
	for _, trouble := range troubles {
		want, ok := table[trouble.name]
		if !ok {
			t.Errorf("docs/operations.md has no row %q", trouble.name)
			continue
		}
		delete(table, trouble.name)
		for _, name := range slices.Concat(want.during, want.afterwards) {
			delete(silent, name)
		}
		t.Run(trouble.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { trouble.test(t, environment, alarms, want) })
		})
	}
	if len(table) > 0 {
		t.Errorf("docs/operations.md has rows without a test: %q", slices.Sorted(maps.Keys(table)))
	}
	if len(silent) > 0 {
		t.Errorf("no trouble sets off %q", slices.Sorted(maps.Keys(silent)))
	}
}

func (trouble trouble) test(t *testing.T, environment map[string]string, alarms map[string]fakecloudwatch.Definition, want setOff) {
	f := newFleet(t, environment)
	producing, stopProducing := context.WithCancel(t.Context())
	var producer sync.WaitGroup
	producer.Go(func() { f.produce(producing) })
	f.start()
	time.Sleep(warmUp)
	if noted := f.noted(); noted != "" {
		t.Errorf("warnings and errors before the trouble:\n%s", noted)
	}
	from := time.Now()
	trouble.begin(f)
	time.Sleep(trouble.lasts)
	over := time.Now()
	f.endFaults()
	time.Sleep(recovery)
	to := time.Now()
	stopProducing()
	producer.Wait()
	f.stop()

	known := f.metrics.Names()
	var got setOff
	for _, name := range slices.Sorted(maps.Keys(alarms)) {
		alarm := alarms[name]
		for _, metric := range alarm.Sources() {
			if !slices.Contains(known, metric.String()) {
				t.Errorf("%s: metric %s is not written", name, metric)
			}
		}
		first, err := alarming(alarm, &f.metrics, from, to)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		switch {
		case first.IsZero():
			continue
		case first.After(over):
			got.afterwards = append(got.afterwards, name)
		default:
			got.during = append(got.during, name)
		}
		t.Logf("%s goes off after %s", name, first.Sub(from))
	}
	if !slices.Equal(got.during, want.during) || !slices.Equal(got.afterwards, want.afterwards) {
		t.Errorf("alarms %q, want %q", got, want)
	}
	if t.Failed() {
		t.Logf("warnings and errors:\n%s", f.noted())
	}
}

// alarming returns when an alarm first went off between two times, or zero. CloudWatch can
// evaluate an alarm in several ways: AWS documents the length of the evaluation range only by
// examples, and a period can begin at any minute. alarming tries them all, and returns an error
// if they disagree or if the alarm is not OK in the end.
func alarming(alarm fakecloudwatch.Definition, metrics *fakecloudwatch.Metrics, from, to time.Time) (first time.Time, err error) {
	step, evaluations, off := alarm.Step(), 0, 0
	if step < time.Minute {
		return first, fmt.Errorf("a period of %s", step)
	}
	for _, extra := range []int{0, 2, alarm.Periods} {
		for phase := time.Duration(0); phase < step; phase += time.Minute {
			var since time.Time
			state := fakecloudwatch.OK
			for at := from.Add(phase); !at.After(to); at = at.Add(step) {
				if state, err = alarm.State(metrics, at, extra); err != nil {
					return first, err
				}
				if state == fakecloudwatch.Alarm && since.IsZero() {
					since = at
				}
			}
			if state != fakecloudwatch.OK {
				return since, fmt.Errorf("still %s in the end", state)
			}
			evaluations++
			if since.IsZero() {
				continue
			}
			off++
			if first.IsZero() || since.Before(first) {
				first = since
			}
		}
	}
	if off > 0 && off < evaluations {
		return first, fmt.Errorf("goes off in %d of %d ways of evaluation", off, evaluations)
	}
	return first, nil
}

var (
	denies      = fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "AccessDeniedException", Message: "not authorized to perform: kinesis:GetRecords"}}
	throttles   = fakeaws.Fault{Refuse: &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "Rate exceeded"}}
	hangs       = fakeaws.Fault{Delay: fakeaws.Hang}
	unreachable = fakeaws.Fault{Lose: true}
)

func isRead(call fakeaws.Call) bool {
	return call.Operation == "GetRecords" || call.Operation == "GetShardIterator"
}

// affectedShard is the shard of those troubles that affect one shard.
var affectedShard = shardID(1)

func isReadOfAffectedShard(call fakeaws.Call) bool {
	return isRead(call) && call.Shard() == affectedShard
}

func isWriteOfAffectedShard(call fakeaws.Call) bool {
	return call.Operation == "UpdateItem" && strings.Contains(string(call.Body), affectedShard)
}

func ofKinesis(call fakeaws.Call) bool {
	return isRead(call) || call.Operation == "ListShards" || call.Operation == "DescribeStreamSummary"
}

func ofDynamoDB(call fakeaws.Call) bool { return !ofKinesis(call) && call.Operation != "" }

// faults makes some calls to AWS fail.
func (f *fleet) faults(on func(fakeaws.Call) bool, fault fakeaws.Fault) {
	f.change(func() {
		f.fault = func(call fakeaws.Call) fakeaws.Fault {
			if on(call) {
				return fault
			}
			return fakeaws.Fault{}
		}
	})
}

func (f *fleet) opensearch(how searchState) { f.change(func() { f.search = how }) }

// slowDown makes a bulk request take longer than the time between events, with limits so low
// that the few events of this test reach them.
func (f *fleet) slowDown() {
	f.stop()
	maps.Copy(f.settings, map[string]string{"BULK_CONNECTIONS": "1", "BULK_DOCUMENTS": "1", "IN_FLIGHT_BYTES": "8192"})
	f.opensearch(searchState{took: 50 * time.Second})
	f.start()
}

// isYesterdays reports whether documents of the day before the fleet's start go to an index.
func isYesterdays(index string) bool { return strings.HasSuffix(index, "1999-12-31") }

// refuseLetters makes the dead-letter index refuse documents, and optionally the bucket too, and
// puts a record that becomes a dead letter.
func (f *fleet) refuseLetters(bucketToo bool) {
	f.change(func() {
		f.search.refuse = func(index string) bool { return strings.HasSuffix(index, "-dead-letter") }
		f.noBucket = bucketToo
	})
	f.put(0, []byte("not gzip"))
}

// split splits the first shard.
func (f *fleet) split() {
	_, err := f.kinesis.SplitShard(f.t.Context(), &kinesis.SplitShardInput{StreamName: &f.stream, ShardToSplit: aws.String(shardID(0)), NewStartingHashKey: aws.String("1000")})
	if err != nil {
		f.t.Error(err)
	}
}

// breakCheckpoint writes an invalid checkpoint while no task runs.
func (f *fleet) breakCheckpoint() {
	f.stop()
	_, err := f.dynamoDB.UpdateItem(f.t.Context(), &dynamodb.UpdateItemInput{
		TableName: aws.String(f.settings["APPLICATION_NAME"]), Key: map[string]dynamotypes.AttributeValue{"ShardID": &dynamotypes.AttributeValueMemberS{Value: affectedShard}},
		UpdateExpression: aws.String("SET Checkpoint = :c"), ExpressionAttributeValues: map[string]dynamotypes.AttributeValue{":c": &dynamotypes.AttributeValueMemberS{Value: "12345"}},
	})
	if err != nil {
		f.t.Error(err)
	}
	f.start()
}

func shardID(n int) string { return fmt.Sprintf("shardId-%012d", n) }
