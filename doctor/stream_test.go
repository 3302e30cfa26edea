package doctor

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"logsluice/consumer"
	"logsluice/internal/fakeaccount"
	"logsluice/internal/fakeaws"
	"logsluice/local/localtest"
)

func TestStream(t *testing.T) {
	t.Parallel()
	f := func(name string, change func(*chain), state State, found string, remedies ...string) {
		t.Helper()
		expect(t, name, checkLink(t, (*walk).stream, change).found, state, found, remedies...)
	}
	const (
		summary = "s is ACTIVE, PROVISIONED, keeps records 24h, not encrypted"
		shards  = "; 2 shards open, 0 closed"
		record  = "; a record of " + shard0 + " that arrived 0s ago has 2 events of /api"
	)
	// withStream has the walk check a new stream.
	withStream := func(shards int32, more ...func(*chain)) func(*chain) {
		return func(c *chain) {
			c.Stream = "t"
			c.createStream("t", shards)
			all(more...)(c)
		}
	}
	// putInto puts a record into a shard of the stream t of n shards.
	putInto := func(shard, n int, data []byte) func(*chain) {
		return func(c *chain) { c.put("t", hashKey(shard, n), data) }
	}
	later := func(d time.Duration) func(*chain) { return func(*chain) { time.Sleep(d) } }
	byARN := func(region string) func(*chain) {
		return func(c *chain) {
			c.Stream = strings.Replace(testStream, "us-east-1", region, 1)
			c.Kinesis = consumer.NewKinesis(c.AWS, c.Stream)
		}
	}

	f("fine", nil, OK, summary+shards+record)
	f("by its ARN", byARN("us-east-1"), OK, testStream+" is ACTIVE, …"+record)
	f("another name", func(c *chain) { c.Stream = "t" }, Broken, "stream t does not exist in us-east-1", CorrectStream)
	f("another region", all(byARN("eu-west-1"), refuse("DescribeStreamSummary", "ResourceNotFoundException")), Broken, "stream arn:… does not exist in eu-west-1", CorrectStream)
	f("no mode", edit("DescribeStreamSummary", `"StreamModeDetails"`, `"other"`), OK, summary+shards+record)
	f("on demand", edit("DescribeStreamSummary", "PROVISIONED", "ON_DEMAND"), OK, "s is ACTIVE, ON_DEMAND, …"+record)
	f("encrypted", edit("DescribeStreamSummary", `"EncryptionType":"NONE"`, `"EncryptionType":"KMS","KeyId":"alias/k"`), OK, "s is …, encrypted with alias/k"+shards+record)
	status := func(s string) func(*chain) { return edit("DescribeStreamSummary", "ACTIVE", s) }
	f("updating", status("UPDATING"), OK, "s is UPDATING, …, not encrypted"+shards+record)
	f("creating", status("CREATING"), Broken, "s is CREATING, …, not encrypted; stream s is not ready"+shards+record, "wait until it is ACTIVE")
	f("deleting", status("DELETING"), Broken, "s is DELETING, …; stream s is being deleted"+shards+record, "create it again once it is deleted")
	f("summary denied", refuse("DescribeStreamSummary", "AccessDeniedException"), Warning,
		"stream s cannot be described: AccessDeniedException: no"+shards+record, allowRemedy("kinesis:DescribeStreamSummary"))
	f("summary broken", refuse("DescribeStreamSummary", "InternalFailure"), Broken, "stream s cannot be described: InternalFailure: no", lookAtAWS)
	f("Kinesis unreachable", awsUnreachable, Broken, "stream s cannot be described: dial tcp: connection refused", noRoute)
	f("not Kinesis", func(c *chain) { c.transport = notAWS }, Broken, "stream s cannot be described: the response is 502 Bad Gateway, not one from AWS", noRoute)
	f("shards denied", refuse("ListShards", "AccessDeniedException"), Broken, summary+"; its shards cannot be listed: AccessDeniedException: no", allowRemedy("kinesis:ListShards"))
	f("shards broken", refuse("ListShards", "LimitExceededException"), Broken, summary+"; its shards cannot be listed: LimitExceededException: no", lookAtAWS)
	f("a closed shard", func(c *chain) {
		_, err := c.Kinesis.SplitShard(c.t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(shard1), NewStartingHashKey: aws.String(hashKey(3, 4))})
		c.check(err)
	}, OK, summary+"; 3 shards open, 1 closed"+record)

	f("iterator denied", refuse("GetShardIterator", "AccessDeniedException"), Broken, summary+shards+"; "+shard0+" cannot be read: AccessDeniedException: no", allowRemedy("kinesis:GetShardIterator"))
	f("records denied", refuse("GetRecords", "AccessDeniedException"), Broken, summary+shards+"; "+shard0+" cannot be read: AccessDeniedException: no", allowRemedy("kinesis:GetRecords"))
	f("records broken", refuse("GetRecords", "InternalFailure"), Broken, summary+shards+"; "+shard0+" cannot be read: InternalFailure: no", lookAtAWS)
	f("key denied", refuse("GetRecords", "KMSAccessDeniedException"), Broken, summary+shards+"; "+shard0+" cannot be decrypted: KMSAccessDeniedException: no", "grant kms:Decrypt with the stream's key")
	f("busy", refuse("GetRecords", "ProvisionedThroughputExceededException"), OK, summary+shards+"; "+shard0+" can be read, but other consumers use up its reads")

	// Samples: the first record of the last hour, from one of four shards.
	f("no record", withStream(2), OK, "t is …; 2 shards open, 0 closed; can be read; no record of the last hour in 2 shards")
	f("record an hour ago", withStream(1, putInto(0, 1, envelope("1")), later(time.Hour)), OK, "…; a record of "+shard0+" that arrived 1h0m0s ago has 2 events of /api")
	f("record more than an hour ago", withStream(1, putInto(0, 1, envelope("1")), later(time.Hour+time.Millisecond)), OK, "…; can be read; no record of the last hour in 1 shards")
	f("first record", withStream(1, putInto(0, 1, envelope("1")), later(time.Minute), putInto(0, 1, []byte("x"))), OK, "…; a record of "+shard0+" that arrived 1m0s ago has 2 events of /api")
	f("record in the fourth shard", withStream(5, putInto(3, 5, envelope("1"))), OK, "…; 5 shards open, 0 closed; a record of shardId-000000000003 that arrived 0s ago has 2 events of /api")
	f("record in the fifth shard", withStream(5, putInto(4, 5, envelope("1"))), OK, "…; 5 shards open, 0 closed; can be read; no record of the last hour in 4 shards")
	f("no open shard first", func(c *chain) {
		withStream(1, putInto(0, 1, []byte("x")))(c)
		_, err := c.Kinesis.SplitShard(c.t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("t"), ShardToSplit: aws.String(shard0), NewStartingHashKey: aws.String(hashKey(1, 2))})
		c.check(err)
	}, OK, "…; 2 shards open, 1 closed; can be read; no record of the last hour in 2 shards")
	f("record of others", withStream(1, putInto(0, 1, []byte("no envelope")), later(90*time.Second)), Warning,
		"…; a record of "+shard0+" that arrived 1m30s ago is not a subscription record: …", "find out what else writes to the stream")
	control := []byte(`{"messageType":"CONTROL_MESSAGE","owner":"CloudwatchLogs","logGroup":"","logStream":"","subscriptionFilters":[],"logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE"}]}`)
	f("control message", withStream(1, putInto(0, 1, localtest.Gzip(control))), OK, "…; a record of "+shard0+" that arrived 0s ago has 1 control messages")

	// An answer can be empty although more records follow.
	three := withStream(1, putInto(0, 1, []byte("x")), putInto(0, 1, []byte("y")), putInto(0, 1, envelope("1")))
	f("two empty answers", all(three, empty(2, "1000")), OK, "…; a record of "+shard0+" that arrived 1s ago has 2 events of /api")
	f("three empty answers", all(three, empty(3, "1000")), OK, "…; can be read; no record of the last hour in 1 shards")
	f("empty answer at the end", all(three, empty(1, "0")), OK, "…; can be read; no record of the last hour in 1 shards")
	f("end of a shard", onCall("GetRecords", fakeaws.Fault{Edit: func([]byte) []byte { return []byte(`{"Records":[],"MillisBehindLatest":9}`) }}), OK,
		summary+shards+"; can be read; no record of the last hour in 2 shards")
	f("interrupted", all(empty(9, "1000"), interrupted(readPause/2)), OK, summary+shards)
}

// empty removes the records from the first answers, as many as reads, and sets their
// MillisBehindLatest to behind.
func empty(reads int, behind string) func(*chain) {
	return func(c *chain) {
		c.fault = func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation != "GetRecords" || reads == 0 {
				return fault
			}
			reads--
			fault.Edit = func(answer []byte) []byte {
				var edited map[string]json.RawMessage
				_ = json.Unmarshal(answer, &edited) // the fake wrote it
				edited["Records"], edited["MillisBehindLatest"] = json.RawMessage("[]"), json.RawMessage(behind)
				answer, _ = json.Marshal(edited)
				return answer
			}
			return fault
		}
	}
}

// hashKey returns a hash key in the i-th of n equal parts of the 2^128 keys.
func hashKey(i, n int) string {
	const leading, zeros = 34028, 34 // 2^128 is 3.4028…e38
	return strconv.Itoa(leading*i/n+1) + strings.Repeat("0", zeros)
}

// The link stream passes its shards and its sample on to the links after it.
func TestStreamIsSampled(t *testing.T) {
	t.Parallel()
	f := func(name string, data []byte, owner string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			c := newChain(t)
			c.Stream = "t"
			c.createStream("t", 2)
			put := time.Now()
			c.put("t", "0", data)
			time.Sleep(time.Minute)
			c.stream(t.Context(), new(Finding))
			if len(c.shards) != 2 || c.sample == nil || c.sample.owner != owner || !c.sample.arrived.Equal(put) {
				t.Errorf("%s: %d shards, sample %+v", name, len(c.shards), c.sample)
			}
		})
	}
	f("of an account", envelope(fakeaccount.ID), fakeaccount.ID)
	f("of others", []byte("x"), "")
}

// A shard is read so rarely that a worker can read it too.
func TestStreamPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChain(t)
		empty(9, "1000")(c)
		begun := time.Now()
		c.stream(t.Context(), new(Finding))
		if took := time.Since(begun); took != 2*(sampleReads-1)*readPause {
			t.Errorf("took %s", took)
		}
	})
}
