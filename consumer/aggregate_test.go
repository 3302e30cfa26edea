package consumer

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/awslabs/kinesis-aggregation/go/v2/deaggregator"
	"google.golang.org/protobuf/encoding/protowire"

	"logsluice/consumer/kcl"
	"logsluice/internal/fakeaws"
	"logsluice/subscription"
)

// sealed returns an aggregate with a protobuf message.
func sealed(message []byte) []byte {
	digest := md5.Sum(message)
	return slices.Concat(aggregateMagic, message, digest[:])
}

// keyField returns an entry of an aggregate's table of partition keys.
func keyField(key string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
}

func indexField(index uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), index)
}

// bytesField returns the data field of a user record, or the user record field of an aggregate.
func bytesField(data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(nil, 3, protowire.BytesType), data)
}

func userField(index uint64, data []byte) []byte {
	return bytesField(append(indexField(index), bytesField(data)...))
}

// aggregateOf returns an aggregate with n equal user records.
func aggregateOf(n int, data []byte) []byte {
	return sealed(append(keyField("k"), bytes.Repeat(userField(0, data), n)...))
}

func recordOf(number int, data []byte) types.Record {
	return types.Record{Data: data, SequenceNumber: aws.String(fmt.Sprint(number)), PartitionKey: aws.String("k"), ApproximateArrivalTimestamp: aws.Time(time.Now())}
}

func dataOf(records []types.Record) (data [][]byte) {
	for _, r := range records {
		data = append(data, r.Data)
	}
	return data
}

func equalData(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// byTheKCL returns the user records of an aggregate as the KCL unpacks it, nil if it fails.
func byTheKCL(data []byte) (records []types.Record) {
	defer func() {
		if recover() != nil {
			records = nil
		}
	}()
	records, err := deaggregator.DeaggregateRecords([]types.Record{{Data: data}})
	if err != nil {
		return nil
	}
	return records
}

// Aggregates are unpacked as the KCL does. Aggregates on which the KCL would fail are marked,
// and the KCL does not change the unpacked records.
func TestUnpack_AsTheKCL(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func() []byte { return bytes.Repeat([]byte{'a' + byte(rng.IntN(26))}, rng.IntN(5)) }
	unpackedOnes, failed := 0, 0
	for range 50_000 {
		var parts [][]byte
		for range 1 + rng.IntN(3) {
			parts = append(parts, keyField("k"))
		}
		for range rng.IntN(4) {
			parts = append(parts, userField(uint64(rng.IntN(3)), text()))
		}
		if rng.IntN(3) == 0 {
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		}
		message := slices.Concat(parts...)
		for range rng.IntN(3) {
			message[rng.IntN(len(message))] = byte(rng.IntN(256))
		}
		data := sealed(message)
		want := byTheKCL(data)
		got, _ := unpack([]types.Record{{Data: slices.Clone(data)}})
		switch {
		case bytes.HasPrefix(got[0].Data, badAggregate):
			failed++
			if len(want) > 0 {
				t.Fatalf("%x: unpacked by the KCL, but not here: %v", message, aggregateError(data))
			}
		case want != nil:
			unpackedOnes++
			if !equalData(dataOf(got), dataOf(want)) {
				t.Fatalf("%x: %q, the KCL has %q", message, dataOf(got), dataOf(want))
			}
		}
		if again, err := deaggregator.DeaggregateRecords(got); err != nil || !equalData(dataOf(again), dataOf(got)) {
			t.Fatalf("%x: the KCL changes the unpacked records", message)
		}
	}
	if unpackedOnes < 1000 || failed < 1000 {
		t.Errorf("only %d were unpacked and %d were not", unpackedOnes, failed)
	}
}

func TestUnpack_Success(t *testing.T) {
	f := func(name string, message []byte, want ...string) {
		t.Helper()
		before, after := recordOf(1, []byte("before")), recordOf(3, []byte("after"))
		got, taken := unpack([]types.Record{before, recordOf(2, sealed(message)), after})
		var texts []string
		for _, r := range got {
			texts = append(texts, string(r.Data))
		}
		if all := slices.Concat([]string{"before"}, want, []string{"after"}); taken != 3 || !slices.Equal(texts, all) {
			t.Errorf("%s: %q of %d records, want %q", name, texts, taken, all)
		}
		for _, r := range got[1 : len(got)-1] {
			if *r.SequenceNumber != "2" || r.ApproximateArrivalTimestamp == nil {
				t.Errorf("%s: a user record is not from its aggregate: %+v", name, r)
			}
		}
	}
	one := userField(0, []byte("one"))
	f("one", append(keyField("k"), one...), "one")
	f("an empty one", append(keyField("k"), userField(0, nil)...), "")
	f("the table at the end", slices.Concat(one, keyField("k"), one), "one", "one")
	f("unknown fields", slices.Concat(keyField("k"), one, protowire.AppendVarint(protowire.AppendTag(nil, 77, protowire.VarintType), 1)), "one")
	f("data twice", append(keyField("k"), bytesField(slices.Concat(indexField(0), bytesField([]byte("1")), bytesField([]byte("2"))))...), "2")
	f("a wrong digest", append(keyField("k"), userField(0, append(slices.Clip(aggregateMagic), "none of an aggregate"...))...), string(aggregateMagic)+"none of an aggregate")
	inner := aggregateOf(2, []byte("inner"))
	f("nested", slices.Concat(keyField("k"), one, userField(0, inner)), "one", string(badAggregate)+string(inner))
	if err := aggregateError(inner); !errors.Is(err, errNested) {
		t.Errorf("nested: %v", err)
	}
	f("the maximum", append(keyField("k"), bytes.Repeat(one, maxUserRecords-2)...), slices.Repeat([]string{"one"}, maxUserRecords-2)...)

	for _, data := range [][]byte{aggregateMagic, append(slices.Clip(aggregateMagic), make([]byte, 16)...), append(slices.Clip(aggregateMagic), make([]byte, 99)...)} {
		if got, _ := unpack([]types.Record{recordOf(1, data)}); len(got) != 1 || !bytes.Equal(got[0].Data, data) {
			t.Errorf("%x is treated as an aggregate", data)
		}
	}
}

func TestUnpack_Failure(t *testing.T) {
	f := func(name string, message []byte, reason string) {
		t.Helper()
		data := sealed(message)
		got, taken := unpack([]types.Record{recordOf(1, []byte("before")), recordOf(2, data), recordOf(3, []byte("after"))})
		if want := [][]byte{[]byte("before"), marked(data), []byte("after")}; taken != 3 || !equalData(dataOf(got), want) {
			t.Errorf("%s: %.300q of %d records", name, dataOf(got), taken)
		}
		if err := aggregateError(data); !strings.Contains(err.Error(), reason) {
			t.Errorf("%s: %v, want %q", name, err, reason)
		}
	}
	table, one := keyField("k"), userField(0, []byte("one"))
	f("not protobuf", []byte{0xff, 0xff, 0xff}, "not a valid KPL aggregate: ")
	f("no user records", table, "no user records")
	f("no table", one, "not in its table")
	f("beyond the table", slices.Concat(table, one, userField(1, nil)), "not in its table")
	f("far beyond the table", slices.Concat(table, one, userField(math.MaxUint64, nil)), "not in its table") // which is -1, too
	f("a giant varint", slices.Concat(table, bytesField(append([]byte{1 << 3}, bytes.Repeat([]byte{0xff}, 11)...))), "not a valid KPL aggregate: ")
	f("a giant length", slices.Concat(table, one, []byte{3<<3 | 2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}), "not a valid KPL aggregate: ")
	f("beyond its record", slices.Concat(table, []byte{3<<3 | 2, 4, 1 << 3, 0, 3<<3 | 2, 100}, one), "not a valid KPL aggregate: ")
	f("no data", slices.Concat(table, one, bytesField(indexField(0))), "has no partition key or no data")
	f("no index", slices.Concat(table, one, bytesField(bytesField(nil))), "has no partition key or no data")
	f("groups without end", slices.Concat(table, bytes.Repeat([]byte{1<<3 | 3}, 1<<20)), "not a valid KPL aggregate: ")
	f("too many", slices.Concat(table, bytes.Repeat(one, maxUserRecords+1)), "20001 user records")
	if err := aggregateError([]byte("a record that begins like a marked one")); err == nil {
		t.Error("no error for data that is not an aggregate")
	}
}

// A megabyte of empty user records becomes one dead letter with the whole record.
func TestAggregateOfTooMany(t *testing.T) {
	data := aggregateOf(170_000, nil)
	s := fetching(t, 0, 0, noFaults)
	s.put(t, data)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var mu sync.Mutex
	var letters [][]byte
	c := newConsumer(t, 64<<20, accepting(func(body []byte) {
		mu.Lock()
		defer mu.Unlock()
		for line := range bytes.SplitSeq(body, []byte("\n")) {
			if bytes.Contains(line, []byte(`"payload":`)) {
				letters = append(letters, line)
			}
		}
	}))
	out, err := s.Read(t.Context(), heldShard)
	if err != nil {
		t.Fatal(err)
	}
	c.process(t, out.Records)
	runtime.ReadMemStats(&after)
	mu.Lock()
	defer mu.Unlock()
	if len(letters) != 1 || !bytes.Contains(letters[0], []byte(`"payload":"`+base64.StdEncoding.EncodeToString(data)+`"`)) {
		t.Errorf("%d dead letters, the first %.300s", len(letters), letters)
	}
	if n := (after.TotalAlloc - before.TotalAlloc) >> 20; n > 64 {
		t.Errorf("%d MiB were allocated", n)
	}
}

// process processes the records of an answer as the KCL does, and waits for their outcomes.
func (c *Consumer) process(t *testing.T, records []types.Record) {
	t.Helper()
	records, err := deaggregator.DeaggregateRecords(records)
	if err != nil {
		t.Fatal(err)
	}
	p := newTestProcessor(t, c)
	p.ProcessRecords(records)
	<-p.marks.drained()
}

func (s *stream) put(t *testing.T, data []byte) {
	t.Helper()
	if _, err := s.kinesis.PutRecord(t.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), Data: data}); err != nil {
		t.Fatal(err)
	}
}

// The number of user records in memory is bounded. The other records of an answer are read
// again, and each user record is processed once, also at the end of a shard.
func TestAnswerOfManyUserRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const aggregates, each = 25, 9_000
		s := fetching(t, 0, 0, noFaults)
		s.interval = 250 * time.Millisecond // a shard allows 5 calls per second
		for i := range aggregates {
			s.put(t, aggregateOf(each, fmt.Appendf(nil, "%d", i)))
		}
		if _, err := s.kinesis.SplitShard(t.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(heldShard), NewStartingHashKey: aws.String("170141183460469231731687303715884105728")}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		var got []string
		calls := 0
		for last := false; !last; {
			out, err := s.Read(t.Context(), heldShard)
			if err != nil {
				t.Fatal(err)
			}
			if len(out.Records) > maxUserRecords {
				t.Fatalf("call %d returns %d user records", calls, len(out.Records))
			}
			for _, r := range out.Records {
				got = append(got, string(r.Data))
			}
			last = out.IsLast
			calls++
			if s.readerOf(heldShard).limit > 1 {
				t.Fatal("the next call asks for as many records as before")
			}
		}
		if len(got) != aggregates*each {
			t.Fatalf("%d user records, want %d", len(got), aggregates*each)
		}
		for i, text := range got {
			if want := fmt.Sprint(i / each); text != want {
				t.Fatalf("user record %d is %s, want %s", i, text, want)
			}
		}
		s.endReading(heldShard)
		if n := len(s.fetchTokens); n != 0 {
			t.Errorf("%d answers count as being in memory", n)
		}
	})
}

// If the rest of an answer cannot be read again, the worker gets an error and no records.
func TestAnswerOfManyUserRecords_Failure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 0, 0, noFaults)
		for range 3 {
			s.put(t, aggregateOf(9_000, nil))
		}
		r := s.readerOf(heldShard)
		out, err := s.kinesis.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: r.iterator})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.processAnswer(ctx, r, out); !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %v", err)
		}
	})
}

// A user record needs no more memory than it counts for, in the answer and in the KCL.
func TestUserRecordBytes(t *testing.T) {
	data := aggregateOf(maxUserRecords, nil)
	unpacked, _ := unpack([]types.Record{recordOf(1, data)})
	passed, err := deaggregator.DeaggregateRecords(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if each := (cap(unpacked) + cap(passed)) * int(unsafe.Sizeof(types.Record{})) / maxUserRecords; each > userRecordBytes {
		t.Errorf("%d bytes for each", each)
	}
}

// User records that inflate without end become one dead letter each.
func TestAggregateOfBombs(t *testing.T) {
	const bombs = 50
	var mu sync.Mutex
	letters, documents := 0, 0
	c := newConsumer(t, 64<<20, accepting(func(body []byte) {
		mu.Lock()
		defer mu.Unlock()
		letters += bytes.Count(body, []byte(`"stage":"inflate"`))
		documents += bytes.Count(body, []byte("GET /health 200"))
	}))
	c.decoders = make(chan *subscription.Decoder, 1)
	c.decoders <- subscription.NewDecoder(1 << 20)
	bomb := oneMessage(2 << 20)
	message := append(keyField("k"), bytes.Repeat(userField(0, bomb), bombs)...)
	message = append(message, userField(0, envelope(1))...)
	records, _ := unpack([]types.Record{recordOf(1, sealed(message))})
	c.process(t, records)
	mu.Lock()
	defer mu.Unlock()
	if letters != bombs || documents != 1 {
		t.Errorf("%d dead letters for %d bombs, %d documents for one", letters, bombs, documents)
	}
}

// Records of an answer that will be read again count towards the lag.
func TestLagOfDroppedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fetching(t, 0, 0, noFaults)
		for range 3 {
			s.put(t, aggregateOf(9_000, nil))
		}
		time.Sleep(2 * time.Minute)
		if _, err := s.Read(t.Context(), heldShard); err != nil {
			t.Fatal(err)
		}
		if lag := s.shards.byID[heldShard].lag.behind; lag < 2*time.Minute-time.Second || lag > 2*time.Minute {
			t.Errorf("the lag is %s", lag)
		}
	})
}

// No record is skipped when the rest of an answer with too many user records cannot be read,
// and the iterator has expired when the worker tries again.
func TestRestOfAnswerAndExpiredIterator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail atomic.Bool
		s := fetching(t, 0, 0, func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "GetShardIterator" && fail.Load() {
				fault.Refuse = &fakeaws.APIError{Code: "ProvisionedThroughputExceededException", Message: "injected"}
			}
			return fault
		})
		for range 3 {
			s.put(t, aggregateOf(9_000, nil))
		}
		read := func() (kcl.Answer, error) {
			return s.Read(t.Context(), heldShard)
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
		}
		if n != 27_000 {
			t.Errorf("%d of 27000 user records were read", n)
		}
	})
}
