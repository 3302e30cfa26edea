package fakeaws

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// ten puts records 0 to 9, one second apart, into a stream of one shard.
func ten(f *fixture) (results []*kinesis.PutRecordOutput) {
	f.Helper()
	for i := range 10 {
		results = append(results, f.put("k", fmt.Append(nil, i)))
		f.clock.advance(time.Second)
	}
	return results
}

func TestGetShardIterator_Success(t *testing.T) {
	x := newFixture(t, KinesisOptions{NoReadLimits: true}, 1)
	start := x.clock.Now()
	put := ten(x)
	f := func(in kinesis.GetShardIteratorInput, want string) {
		t.Helper()
		in.ShardId = id(0)
		out := x.get(x.iterator(in))
		if got := text(out.Records); got != want {
			t.Errorf("%s: got %q, want %q", in.ShardIteratorType, got, want)
		}
	}
	at := func(d time.Duration) *time.Time { return aws.Time(start.Add(d)) }
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "TRIM_HORIZON"}, "0 1 2 3 4 5 6 7 8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "LATEST"}, "")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: put[7].SequenceNumber}, "7 8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: put[7].SequenceNumber}, "8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: put[9].SequenceNumber}, "")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: x.shards()[0].SequenceNumberRange.StartingSequenceNumber}, "0 1 2 3 4 5 6 7 8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_TIMESTAMP", Timestamp: at(-time.Hour)}, "0 1 2 3 4 5 6 7 8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_TIMESTAMP", Timestamp: at(8 * time.Second)}, "8 9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_TIMESTAMP", Timestamp: at(8*time.Second + time.Millisecond)}, "9 ")
	f(kinesis.GetShardIteratorInput{ShardIteratorType: "AT_TIMESTAMP", Timestamp: at(10 * time.Second)}, "")
	latest := x.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "LATEST"})
	now := x.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: at(10 * time.Second)})
	x.put("k", []byte("later"))
	for _, it := range []*string{latest, now} {
		if got := text(x.get(it).Records); got != "later " {
			t.Errorf("after an iterator from the tip: %q", got)
		}
	}
}

// This time in seconds, multiplied by 1000, is slightly less than its millisecond.
func TestTimestamp_Rounding(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 1)
	at := time.UnixMilli(2176213401733)
	f.clock.advance(at.Sub(f.clock.Now()) - time.Millisecond)
	f.put("k", []byte("before"))
	f.clock.advance(time.Millisecond)
	f.put("k", []byte("at"))
	it := f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: &at})
	if got := text(f.get(it).Records); got != "at " {
		t.Errorf("got %q", got)
	}
}

// Seconds with a fraction are converted to the exact millisecond: no record is missed and none
// is returned too early.
func TestTimestamp_Milliseconds(t *testing.T) {
	f := newFixture(t, KinesisOptions{NoReadLimits: true}, 1)
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		f.clock.advance(time.Duration(1+random.IntN(100_000)) * time.Millisecond)
		before := f.clock.Now()
		f.put("k", []byte("before"))
		f.clock.advance(time.Millisecond)
		at := f.clock.Now()
		f.put("k", []byte("at"))
		it := f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: &at})
		records := f.get(it).Records
		if text(records) != "at " {
			t.Fatalf("at %s: %q", at, text(records))
		}
		records = f.get(f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: &before})).Records
		if text(records) != "before at " || !records[0].ApproximateArrivalTimestamp.Equal(before) || !records[1].ApproximateArrivalTimestamp.Equal(at) {
			t.Fatalf("at %s: %q, arrived %s, %s", before, text(records), records[0].ApproximateArrivalTimestamp, records[1].ApproximateArrivalTimestamp)
		}
	}
}

func TestGetShardIterator_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 2)
	put := x.put("a", []byte("x")) // to the first shard
	f := func(in kinesis.GetShardIteratorInput, want string) {
		t.Helper()
		if in.StreamName == nil {
			in.StreamName = aws.String(testStream)
		}
		if _, err := x.client.GetShardIterator(t.Context(), &in); code(err) != want {
			t.Errorf("%s: %v, want %s", in.ShardIteratorType, err, want)
		}
	}
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "LATEST", StreamName: aws.String("other")}, codeNotFound)
	f(kinesis.GetShardIteratorInput{ShardId: id(2), ShardIteratorType: "LATEST"}, codeNotFound)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "NEWEST"}, codeValidation)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP"}, codeInvalidArgument)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: aws.Time(x.clock.Now())}, "<nil>")
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: aws.Time(x.clock.Now().Add(time.Millisecond))}, codeInvalidArgument)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_SEQUENCE_NUMBER"}, codeInvalidArgument)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: aws.String("SHARD_END")}, codeInvalidArgument)
	f(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: put.SequenceNumber}, "<nil>")
	// The other shard has no record that late.
	f(kinesis.GetShardIteratorInput{ShardId: id(1), ShardIteratorType: "AT_SEQUENCE_NUMBER", StartingSequenceNumber: put.SequenceNumber}, codeInvalidArgument)
	// The first shard began earlier than the second.
	start := x.shards()[0].SequenceNumberRange.StartingSequenceNumber
	f(kinesis.GetShardIteratorInput{ShardId: id(1), ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: start}, codeInvalidArgument)
}

func TestGetRecords_Success(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 1)
	ten(f) // the oldest is 10 s old
	f.put("k", []byte("now"))
	it, got := f.oldest(0), ""
	for _, want := range []int64{6000, 2000, 0, 0} {
		out, err := f.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(4)})
		f.check(err)
		if *out.MillisBehindLatest != want {
			t.Errorf("%s: %d ms behind, want %d", text(out.Records), *out.MillisBehindLatest, want)
		}
		got += text(out.Records) + "| "
		if it = out.NextShardIterator; it == nil || out.ChildShards != nil {
			t.Fatal("an open shard has ended")
		}
	}
	if want := "0 1 2 3 | 4 5 6 7 | 8 9 now | | "; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A record that has just arrived is still unread.
	f.clock.advance(time.Second)
	it = f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "LATEST"})
	f.put("k", []byte("a"))
	f.put("k", []byte("b"))
	out, err := f.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(1)})
	f.check(err)
	if *out.MillisBehindLatest == 0 {
		t.Error("caught up with a record unread")
	}
}

// Arrival times do not decrease when the clock is set back, because they are searched.
func TestClockSetBack(t *testing.T) {
	f := newFixture(t, KinesisOptions{}, 1)
	f.put("k", []byte("a"))
	f.clock.advance(time.Second)
	at := f.clock.Now()
	f.put("k", []byte("b"))
	f.clock.advance(-time.Minute)
	f.put("k", []byte("c"))
	f.put("k", []byte("d"))
	f.clock.advance(time.Hour)
	f.put("k", []byte("e"))
	if got := text(f.get(f.iterator(kinesis.GetShardIteratorInput{ShardId: id(0), ShardIteratorType: "AT_TIMESTAMP", Timestamp: &at})).Records); got != "b c d e " {
		t.Errorf("from the second on: %s", got)
	}
}

func TestGetRecords_Failure(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 1)
	f := func(iterator *string, limit int32, want string) {
		t.Helper()
		_, err := x.client.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: iterator, Limit: &limit})
		if code(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	it := x.oldest(0)
	f(it, 10_000, "<nil>")
	f(it, 10_001, codeInvalidArgument)
	f(it, 0, codeValidation)
	f(aws.String(""), 1, codeValidation)
	f(aws.String("AAAAAAAAAAE"), 1, codeInvalidArgument)
	for i := range *it {
		garbled := []byte(*it)
		garbled[i] ^= 1
		f(aws.String(string(garbled)), 1, codeInvalidArgument)
	}
	x.clock.advance(5 * time.Minute)
	next := x.get(it).NextShardIterator
	x.clock.advance(time.Millisecond)
	f(it, 1, codeExpiredIterator)
	x.clock.advance(5*time.Minute - time.Millisecond)
	f(next, 1, "<nil>")
	it = x.oldest(0)
	_, err := x.client.DeleteStream(t.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String(testStream)})
	x.check(err)
	f(it, 1, codeNotFound)
	x.create(testStream, 1)
	f(it, 1, codeInvalidArgument) // from the deleted stream
}

func TestIteratorLifetime(t *testing.T) {
	f := newFixture(t, KinesisOptions{IteratorLifetime: time.Second}, 1)
	it := f.oldest(0)
	f.clock.advance(time.Second)
	f.get(it)
	f.clock.advance(time.Millisecond)
	if got := codeOfGet(f, it); got != codeExpiredIterator {
		t.Errorf("got %s", got)
	}
}

// putMany puts records of a size, including keys, into a stream of one shard. It does not use
// the SDK, which would take most of the time with large records.
func putMany(f *fixture, n, size int) {
	f.Helper()
	data := base64.StdEncoding.EncodeToString(make([]byte, size-1))
	for n > 0 {
		some := min(n, maxPutBytes/size, maxPutRecords)
		list := strings.TrimSuffix(strings.Repeat(`{"PartitionKey":"k","Data":"`+data+`"},`, some), ",")
		if status, answer := post(f.T, f.k, "PutRecords", `{"StreamName":"logs","Records":[`+list+`]}`); status != http.StatusOK {
			f.Fatal(answer)
		}
		n -= some
	}
}

// getMany returns the number of records in an answer, or the exception's name.
func getMany(f *fixture, iterator string, limit int) (exception string, records int, next string) {
	f.Helper()
	status, answer := post(f.T, f.k, "GetRecords", fmt.Sprintf(`{"ShardIterator":%q,"Limit":%d}`, iterator, limit))
	if status != http.StatusOK {
		_, exception, _ = strings.Cut(answer, `"__type":"`)
		exception, _, _ = strings.Cut(exception, `"`)
		return exception, 0, iterator
	}
	_, next, _ = strings.Cut(answer, `"NextShardIterator":"`)
	next, _, _ = strings.Cut(next, `"`)
	return "", strings.Count(answer, `"SequenceNumber"`), next
}

// One answer has at most 10 MiB and 10,000 records, with and without read limits.
func TestGetRecords_AnswerLimits(t *testing.T) {
	x := newFixture(t, KinesisOptions{NoReadLimits: true}, 1)
	it := *x.oldest(0)
	f := func(n, size int, want ...int) {
		t.Helper()
		putMany(x, n, size)
		var got []int
		for range want {
			exception, records, next := getMany(x, it, maxGetRecords)
			if exception != "" {
				t.Fatal(exception)
			}
			got, it = append(got, records), next
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d records of %d bytes were returned as %v, want %v", n, size, got, want)
		}
	}
	f(21, 1<<20, 10, 10, 1)
	f(11, 1<<20-1, 10, 1)
	f(10_500, 1, 10_000, 500)
}

// A shard allows 5 calls per second.
func TestGetRecords_CallLimit(t *testing.T) {
	x := newFixture(t, KinesisOptions{}, 2)
	its := []*string{x.oldest(0), x.oldest(1)}
	f := func(shard int, want string) {
		t.Helper()
		if got := codeOfGet(x, its[shard]); got != want {
			t.Errorf("%s at %s, want %s", got, x.clock.Now(), want)
		}
	}
	for range 4 {
		f(0, "<nil>")
	}
	x.clock.advance(600 * time.Millisecond)
	f(0, "<nil>")
	f(0, codeThroughput)
	f(1, "<nil>")
	x.clock.advance(399 * time.Millisecond)
	f(0, codeThroughput)
	x.clock.advance(time.Millisecond)
	for range 4 { // the fifth call of the last second counts, rejected calls do not
		f(0, "<nil>")
	}
	f(0, codeThroughput)

	x = newFixture(t, KinesisOptions{NoReadLimits: true}, 1)
	its = []*string{x.oldest(0)}
	for range 20 {
		f(0, "<nil>")
	}
}

// A shard returns 2 MiB per second. More in one call counts towards the following seconds.
func TestGetRecords_ByteLimit(t *testing.T) {
	f := func(opts KinesisOptions, limit, reads int, pause time.Duration) {
		t.Helper()
		x := newFixture(t, opts, 1)
		putMany(x, limit*reads+1, 1<<20)
		x.clock.advance(time.Minute)
		it := *x.oldest(0)
		read := func() (exception string, records int) {
			exception, records, it = getMany(x, it, limit)
			return exception, records
		}
		for range reads {
			if refused, records := read(); refused != "" || records != limit {
				t.Fatalf("limit %d: %s, %d records", limit, refused, records)
			}
		}
		if pause > 0 {
			x.clock.advance(pause - time.Millisecond)
			if refused, _ := read(); refused != codeThroughput {
				t.Errorf("limit %d: %q before the end of the pause", limit, refused)
			}
			x.clock.advance(time.Millisecond)
		}
		if refused, _ := read(); refused != "" {
			t.Errorf("limit %d: %s after the pause", limit, refused)
		}
	}
	f(KinesisOptions{}, 1, 2, time.Second)
	f(KinesisOptions{}, 2, 1, time.Second)
	f(KinesisOptions{}, 3, 1, 1500*time.Millisecond)
	f(KinesisOptions{}, 10, 1, 5*time.Second)
	f(KinesisOptions{NoReadLimits: true}, 10, 1, 0)
	f(KinesisOptions{NoReadLimits: true}, 1, 10, 0)
}
