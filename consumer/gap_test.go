package consumer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/rs/zerolog"

	"logsluice/checkpoint"
	"logsluice/internal/fakeaws"
	"logsluice/local/localtest"
)

// scenario is a stream of two shards, one of which gets records, and its successive workers.
type scenario struct {
	*testing.T
	aws      aws.Config
	shift    atomic.Int64 // offset of Kinesis' clock
	faults   atomic.Pointer[func(fakeaws.Call) fakeaws.Fault]
	log      testLog
	held     atomic.Pointer[chan struct{}] // OpenSearch answers nothing until it is closed
	accepted atomic.Int64                  // documents
	put      int
	worker   *Consumer
	stop     func()
}

// runScenario runs a test with a stream that keeps records for one duration and reports another.
func runScenario(t *testing.T, kept, reported time.Duration, test func(s *scenario)) {
	runScenarioWith(t, fakeaws.KinesisOptions{Retention: kept}, reported, test)
}

func runScenarioWith(t *testing.T, options fakeaws.KinesisOptions, reported time.Duration, test func(s *scenario)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scenario{T: t}
		options.Clock = s.now
		s.aws = fakeAWSWith(options, func(call fakeaws.Call) fakeaws.Fault {
			if faults := s.faults.Load(); faults != nil {
				return (*faults)(call)
			}
			if call.Operation != "DescribeStreamSummary" {
				return fakeaws.Fault{}
			}
			return fakeaws.Fault{Edit: func(answer []byte) []byte {
				return bytes.Replace(answer, fmt.Appendf(nil, `"RetentionPeriodHours":%d`, max(1, int(cmp.Or(options.Retention, 24*time.Hour).Hours()))), fmt.Appendf(nil, `"RetentionPeriodHours":%d`, int(reported.Hours())), 1)
			}}
		})
		createStream(t, s.aws)
		test(s)
		if s.stop != nil {
			s.stop()
		}
	})
}

func (s *scenario) now() time.Time { return time.Now().Add(time.Duration(s.shift.Load())) }

// pass advances Kinesis' clock only.
func (s *scenario) pass(d time.Duration) { s.shift.Add(int64(d)) }

func (s *scenario) start() {
	s.Helper()
	log := zerolog.New(&s.log).Level(zerolog.InfoLevel)
	table := newTableThatLogs(s.T, s.aws, 15*time.Second, log)
	s.worker = newWorkerAt(s.T, s.aws, table, accepting(func(body []byte) {
		if held := s.held.Load(); held != nil {
			<-*held
		}
		s.accepted.Add(int64(bytes.Count(body, []byte{'\n'}) / 2))
	}), log)
	ctx, cancel := context.WithCancel(s.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.worker.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.Error(err)
		}
	})
}

// records puts records into the first shard.
func (s *scenario) records(n int) {
	s.Helper()
	for range n {
		_, err := kinesis.NewFromConfig(s.aws).PutRecord(s.Context(), &kinesis.PutRecordInput{StreamName: aws.String("s"), PartitionKey: aws.String("k"), ExplicitHashKey: aws.String("0"), Data: []byte("x")})
		if err != nil {
			s.Fatal(err)
		}
		s.put++
	}
}

// gapLine is a log line about a gap.
type gapLine struct {
	Level, Shard string
	From         time.Time `json:"gap_from"`
	To           time.Time `json:"gap_to"`
	Seconds      float64   `json:"gap_seconds"`
	After        string    `json:"after_sequence_number"`
	Before       string    `json:"before_sequence_number"`
}

// gaps returns the lines about a shard, or all lines if it is "".
func (s *scenario) gaps(shard string) (all []gapLine) {
	s.Helper()
	for _, line := range s.log.containing("records expired unread") {
		var l gapLine
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Level != "error" || !l.To.After(l.From) {
			s.Errorf("%v: %s", err, line)
		}
		if shard == "" || l.Shard == shard {
			all = append(all, l)
		}
	}
	return all
}

// row returns the first shard's row.
func (s *scenario) row() checkpoint.Row {
	s.Helper()
	view, err := checkpoint.ReadView(s.Context(), dynamodb.NewFromConfig(s.aws), "leases")
	if err != nil {
		s.Fatal(err)
	}
	return view.Rows(nil)[0]
}

func (s *scenario) near(what string, got, want time.Time) {
	s.Helper()
	if d := got.Sub(want).Abs(); d > 20*time.Second { // renewals, reads and starts take a while
		s.Errorf("%s is %s, %s off", what, got, got.Sub(want))
	}
}

// Records that expire while no worker runs are reported once, with their interval.
func TestGapWhileAway(t *testing.T) {
	const day = 24 * time.Hour
	f := func(name string, kept, reported, away time.Duration, isLost bool) {
		t.Run(name, func(t *testing.T) {
			runScenario(t, kept, reported, func(s *scenario) {
				s.start()
				s.records(3)
				time.Sleep(time.Minute)
				s.stop()
				stopped := s.now()
				before := s.row().Checkpoint
				for range 20 {
					s.records(1)
					time.Sleep(5 * time.Second)
				}
				s.pass(away)
				s.records(3)
				s.start()
				time.Sleep(10 * time.Second) // the worker skips the empty answers before a record
				want := 26
				if kept > 0 && away > kept {
					want = 6
				}
				if got := int(s.accepted.Load()); got != want {
					s.Errorf("%d of %d records are read", got, want)
				}
				time.Sleep(time.Minute)
				if !isLost {
					if g := s.gaps(heldShard); len(g) != 0 || s.row().Gaps.Count != 0 {
						s.Errorf("a gap is reported: %+v", g)
					}
					return
				}
				if g := s.gaps(heldShard); len(g) != 1 {
					s.Fatalf("%d lines: %+v", len(g), g)
				}
				g := s.gaps(heldShard)[0]
				s.near("start of the gap", g.From, stopped)
				s.near("end of the gap", g.To, s.now().Add(-reported-70*time.Second))
				if g.After != before || g.Before <= before || g.Seconds != g.To.Sub(g.From).Seconds() {
					s.Errorf("%+v", g)
				}
				if n, sum := testutil.ToFloat64(s.worker.metrics.gaps), testutil.ToFloat64(s.worker.metrics.gapSeconds); n != 2 || sum < 2*g.Seconds-30 || sum > 2*g.Seconds+30 {
					s.Errorf("the metrics have %v gaps of %vs", n, sum)
				}
				row := s.row().Gaps
				if row.Count != 1 || row.From.Sub(g.From).Abs() > time.Millisecond || row.To.Sub(g.To).Abs() > time.Millisecond {
					s.Errorf("the row has %+v", row)
				}
				s.stop()
				s.start()
				time.Sleep(time.Minute)
				if g := s.gaps(""); len(g) != 2 {
					s.Errorf("after another start: %+v", g)
				}
			})
		})
	}
	f("longer than the retention", day, day, 30*time.Hour, true)
	f("shorter than the retention", day, day, day-2*time.Minute, false)
	f("a longer retention", 7*day, 7*day, 30*time.Hour, false)
	f("the records still exist", 0, day, 30*time.Hour, false)
	f("an hour's retention", time.Hour, time.Hour, 2*time.Hour, true)
}

// Records that expire while a reader waits for OpenSearch are reported when it continues. If
// it crashes before, its unacknowledged records are part of the gap.
func TestGapWhileOpenSearchIsAway(t *testing.T) {
	t.Run("", func(t *testing.T) { testGapWhileOpenSearchIsAway(t, 5*time.Minute) })
	t.Run("an iterator that lives long", func(t *testing.T) { testGapWhileOpenSearchIsAway(t, 48*time.Hour) })
}

func testGapWhileOpenSearchIsAway(t *testing.T, iteratorLifetime time.Duration) {
	const day = 24 * time.Hour
	runScenarioWith(t, fakeaws.KinesisOptions{Retention: day, IteratorLifetime: iteratorLifetime}, day, func(s *scenario) {
		held := make(chan struct{})
		s.start()
		s.records(3)
		time.Sleep(time.Minute)
		s.held.Store(&held)
		s.records(30)
		time.Sleep(time.Minute) // some records are read and wait
		from := s.now()
		s.records(20)
		s.pass(30 * time.Hour)
		s.records(3)
		time.Sleep(time.Minute)
		if g := s.gaps(heldShard); len(g) != 0 {
			s.Errorf("before it continues: %+v", g)
		}
		close(held)
		time.Sleep(10 * time.Second)
		if lag := lagOf(s.T, s.worker.lag, heldShard); lag > 60 {
			s.Errorf("with answers without records the lag is %vs", lag)
		}
		time.Sleep(time.Minute)
		g := s.gaps(heldShard)
		if len(g) != 1 {
			s.Fatalf("%d lines: %+v", len(g), g)
		}
		s.near("start of the gap", g[0].From, from.Add(-time.Minute))
		if d := s.now().Add(-day).Sub(g[0].To); d < 0 || d > 2*time.Minute {
			s.Errorf("it ends %s before the horizon", d)
		}
		if iteratorLifetime < time.Hour && g[0].Before == "" {
			s.Errorf("the next record is not reported: %+v", g[0])
		}
		if got := int(s.accepted.Load()); got < 9 || got > 36 {
			s.Errorf("%d records are read", got)
		}
		s.near("all records are read", s.row().ReadThrough, s.now())
		s.stop()
		s.start()
		time.Sleep(time.Minute)
		if g := s.gaps(heldShard); len(g) != 1 {
			s.Errorf("after another start: %+v", g)
		}
	})
}

// While answers skip expired records, the row does not record them as read, because a worker
// that crashes has not reported the gap yet.
func TestPendingGap(t *testing.T) {
	const day = 24 * time.Hour
	runScenarioWith(t, fakeaws.KinesisOptions{Retention: day, IteratorLifetime: 2 * day}, day, func(s *scenario) {
		held := make(chan struct{})
		s.start()
		time.Sleep(time.Minute)
		s.held.Store(&held)
		s.records(30)
		time.Sleep(time.Minute)
		s.pass(30 * time.Hour)
		hang := func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "GetShardIterator" {
				fault.Delay = fakeaws.Hang // during which the reader is moved to the oldest record
			}
			return fault
		}
		s.faults.Store(&hang)
		close(held)
		time.Sleep(callTimeout - 2*time.Second)
		if g := s.gaps(heldShard); len(g) != 0 {
			s.Errorf("it is reported: %+v", g)
		}
		if through := s.row().ReadThrough; s.now().Sub(through) < 29*time.Hour {
			s.Errorf("it is read up to %s", through)
		}
		s.faults.Store(nil)
		time.Sleep(time.Minute)
		// The reading failed, so more records have expired until the next one.
		if g := s.gaps(heldShard); len(g) == 0 || len(g) > 2 || len(g) == 2 && g[1].From.Before(g[0].To) {
			s.Errorf("%d lines: %+v", len(g), g)
		}
	})
}

// A shard that could not be read since the first start has lost records since then. A shard
// that was created later has lost nothing yet.
func TestGapOfUnreadShard(t *testing.T) {
	const day = 24 * time.Hour
	for _, from := range []string{"the first start", "a reshard"} {
		t.Run(from, func(t *testing.T) {
			runScenario(t, day, day, func(s *scenario) {
				deny := func(call fakeaws.Call) (fault fakeaws.Fault) {
					if call.Operation == "GetRecords" {
						fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "No."}
					}
					return fault
				}
				if from == "a reshard" {
					s.start()
					time.Sleep(time.Minute)
					s.stop()
					s.split(0, 1000)
				} else {
					s.faults.Store(&deny)
				}
				begun := s.now()
				s.start()
				time.Sleep(time.Minute)
				if from == "a reshard" {
					// The parent is read to its end, and reading its children has begun.
					s.stop()
				}
				s.pass(30 * time.Hour)
				time.Sleep(time.Minute)
				s.faults.Store(nil)
				if from == "a reshard" {
					s.start()
				}
				time.Sleep(5 * time.Minute)
				g := s.gaps("")
				if len(g) == 0 {
					s.Fatal("no gap is reported")
				}
				for _, l := range g {
					s.near("start of the gap", l.From, begun.Add(map[bool]time.Duration{true: time.Minute}[from == "a reshard"]))
				}
			})
		})
	}
}

// split splits a shard in two at a hash key.
func (s *scenario) split(shard int, at int64) {
	s.Helper()
	_, err := kinesis.NewFromConfig(s.aws).SplitShard(s.Context(), &kinesis.SplitShardInput{StreamName: aws.String("s"), ShardToSplit: aws.String(fmt.Sprintf("shardId-%012d", shard)), NewStartingHashKey: aws.String(num(at))})
	if err != nil {
		s.Fatal(err)
	}
}

// A stream that is created again while a worker runs has lost nothing from before its
// creation, although its first shard has an id of the first start and no row.
func TestNoGapBeforeCreation(t *testing.T) {
	localtest.Volume(t)
	const day = 24 * time.Hour
	runScenario(t, day, day, func(s *scenario) {
		s.start()
		time.Sleep(time.Minute)
		s.split(0, 1000)
		for range 60 {
			time.Sleep(10 * time.Second)
			s.pass(30 * time.Minute) // it is read all the time
		}
		time.Sleep(time.Minute)
		if row := s.row(); row.ID == heldShard {
			s.Fatalf("the row of the expired shard still exists: %+v", row)
		}
		client := kinesis.NewFromConfig(s.aws)
		if _, err := client.DeleteStream(s.Context(), &kinesis.DeleteStreamInput{StreamName: aws.String("s")}); err != nil {
			s.Fatal(err)
		}
		createStream(s.T, s.aws)
		before := s.accepted.Load()
		s.records(5)
		time.Sleep(2 * time.Minute)
		if got := s.accepted.Load() - before; got != 5 {
			s.Errorf("%d of 5 records are read", got)
		}
		if g := s.gaps(""); len(g) > 0 {
			s.Errorf("%+v", g)
		}
	})
}

// The children of a shard that was closed while no worker ran have lost records if the shard
// has expired. While it still exists, they have not.
func TestGapOfChildren(t *testing.T) {
	localtest.Volume(t)
	const day = 24 * time.Hour
	f := func(name string, before, after time.Duration, splits []int, want ...int) {
		t.Run(name, func(t *testing.T) {
			runScenario(t, day, day, func(s *scenario) {
				begun := s.now()
				s.start()
				time.Sleep(time.Minute)
				s.stop()
				stopped := s.now()
				s.pass(before)
				for i, shard := range splits {
					s.split(shard, int64(1000*(len(splits)-i)))
				}
				s.pass(after)
				s.start()
				time.Sleep(5 * time.Minute)
				var got []string
				for _, l := range s.gaps("") {
					got = append(got, l.Shard[len(l.Shard)-1:])
					if l.From.Before(begun.Add(-time.Second)) || l.From.After(stopped) {
						s.Errorf("it begins at %s: %+v", l.From, l)
					}
				}
				slices.Sort(got)
				if fmt.Sprint(got) != fmt.Sprint(want) {
					s.Errorf("shards %s have lost records, want %v", got, want)
				}
			})
		})
	}
	f("all exist", 0, day-10*time.Minute, []int{0})
	f("expired", 0, 30*time.Hour, []int{0}, 1, 2, 3)
	f("the parent exists, the worker was away for longer", 10*time.Hour, 20*time.Hour, []int{0}, 0, 1)
	f("two generations expired", 0, 30*time.Hour, []int{0, 2}, 1, 3, 4, 5)
}

// Without the permission to request the retention no gap is reported, because the retention
// may be longer. A shard that is further behind than the shortest retention has a warning.
func TestGapWithoutRetention(t *testing.T) {
	f := func(away time.Duration, warnings int) {
		runScenario(t, 24*time.Hour, 24*time.Hour, func(s *scenario) {
			deny := func(call fakeaws.Call) (fault fakeaws.Fault) {
				if call.Operation == "DescribeStreamSummary" {
					fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "No."}
				}
				return fault
			}
			s.faults.Store(&deny)
			s.start()
			time.Sleep(time.Minute)
			s.stop()
			s.pass(away)
			s.start()
			time.Sleep(time.Minute)
			if g, w := s.gaps(""), s.log.containing("records may have expired unread"); len(g) != 0 || len(w) != warnings {
				s.Errorf("%s: %d gaps, %d warnings: %s", away, len(g), len(w), w)
			}
		})
	}
	f(30*time.Hour, 1)
	f(23*time.Hour, 0)
}

// A retention that is changed while a worker runs applies from then on, and a longer one does
// not restore records.
func TestHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hours, asked := 24, 0
		fake := fakeAWS(func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "DescribeStreamSummary" {
				asked++
				fault.Edit = func(answer []byte) []byte {
					return bytes.Replace(answer, []byte(`"RetentionPeriodHours":24`), fmt.Appendf(nil, `"RetentionPeriodHours":%d`, hours), 1)
				}
			}
			return fault
		})
		createStream(t, fake)
		s := newStream(t.Context(), Config{Stream: "s", AWS: fake}, nil, newMetrics(), new(shards))
		f := func(what string, behind, want time.Duration, wantAsked int) {
			t.Helper()
			asked = 0
			horizon := s.horizon(t.Context(), time.Now(), time.Now().Add(-behind))
			if got := time.Since(horizon); want == 0 && !horizon.IsZero() || want != 0 && got != want-dateUnit || asked != wantAsked {
				t.Errorf("%s: the horizon is %s ago, %d times asked", what, got, asked)
			}
		}
		f("hardly behind", time.Minute, 0, 0)
		f("behind", 2*time.Hour, 24*time.Hour, 1)
		f("at once", 2*time.Hour, 24*time.Hour, 0)
		f("too far, at once", 25*time.Hour, 24*time.Hour, 0)
		time.Sleep(30 * time.Second)
		f("behind", 2*time.Hour, 24*time.Hour, 0)
		hours = 168
		f("longer", 25*time.Hour, 24*time.Hour, 1)
		time.Sleep(time.Hour)
		f("an hour later", 25*time.Hour, 25*time.Hour, 1)
		hours = 24
		time.Sleep(2 * time.Minute)
		f("shorter again", 2*time.Hour, 24*time.Hour, 1)
	})
}

// A known retention is not reported as unknown when it cannot be requested again, and a reader
// that stops reports nothing.
func TestUnknownRetention(t *testing.T) {
	f := func(what string, known, stopped bool, want int) {
		t.Helper()
		fake := fakeAWS(func(call fakeaws.Call) (fault fakeaws.Fault) {
			if call.Operation == "DescribeStreamSummary" {
				fault.Refuse = &fakeaws.APIError{Code: "AccessDeniedException", Message: "No."}
			}
			return fault
		})
		createStream(t, fake)
		var log strings.Builder
		s := newStream(t.Context(), Config{Stream: "s", AWS: fake, Log: zerolog.New(&log)}, nil, newMetrics(), new(shards))
		if known {
			s.retention.set(24 * time.Hour)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if stopped {
			cancel()
		}
		s.refreshRetention(ctx, 30*time.Hour)
		if n := strings.Count(log.String(), "retention is unknown"); n != want {
			t.Errorf("%s: %d lines: %s", what, n, log.String())
		}
	}
	f("unknown", false, false, 1)
	f("known", true, false, 0)
	f("stopped", false, true, 0)
}

// A reader is moved to the oldest record once: an iterator from there is not replaced.
func TestMoveToHorizon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeAWS(func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		createStream(t, fake)
		table := newTable(t, fake, 15*time.Second)
		s := newStream(t.Context(), Config{Stream: "s", AWS: fake}, table, newMetrics(), new(shards))
		f := func(behind time.Duration, from kinesistypes.ShardIteratorType, want bool) {
			t.Helper()
			r := &reader{shard: heldShard, read: table.Now().Add(-behind), position: kinesis.GetShardIteratorInput{ShardIteratorType: from}}
			if got := s.moveToHorizon(t.Context(), r); got != want {
				t.Errorf("%s behind, from %s: %t", behind, from, got)
			} else if got && r.position.ShardIteratorType != kinesistypes.ShardIteratorTypeTrimHorizon {
				t.Errorf("moved to %s", r.position.ShardIteratorType)
			}
		}
		f(30*time.Hour, kinesistypes.ShardIteratorTypeAfterSequenceNumber, true)
		f(30*time.Hour, kinesistypes.ShardIteratorTypeTrimHorizon, false)
		f(2*time.Hour, kinesistypes.ShardIteratorTypeAfterSequenceNumber, false)
	})
}

// gapReader is a reader whose answers are checked for gaps, one after the other.
type gapReader struct {
	*testing.T
	stream *stream
	reader *reader
	log    *strings.Builder
}

func withGapReader(t *testing.T, behind time.Duration, f func(g *gapReader)) {
	synctest.Test(t, func(t *testing.T) {
		fake := fakeAWS(func(fakeaws.Call) fakeaws.Fault { return fakeaws.Fault{} })
		createStream(t, fake)
		g := &gapReader{T: t, log: &strings.Builder{}, reader: &reader{shard: heldShard, lease: &checkpoint.Lease{}, last: "100", read: time.Now().Add(-behind)}}
		g.stream = newStream(t.Context(), Config{Stream: "s", AWS: fake, Log: zerolog.New(g.log)}, nil, newMetrics(), new(shards))
		f(g)
	})
}

// check checks an answer whose first record arrived some time ago, 0 for an answer without
// records, and returns the reported gap.
func (g *gapReader) check(first, lag time.Duration, skipped int) (pending bool, report string) {
	g.Helper()
	answer := &kinesis.GetRecordsOutput{MillisBehindLatest: aws.Int64(lag.Milliseconds())}
	if first > 0 {
		answer.Records = []kinesistypes.Record{{SequenceNumber: aws.String("200"), ApproximateArrivalTimestamp: aws.Time(time.Now().Add(-first))}}
	}
	g.log.Reset()
	pending = g.stream.checkGap(g.Context(), g.reader, time.Now(), answer, skipped)
	if g.log.Len() == 0 {
		return pending, ""
	}
	var line struct {
		From   time.Time `json:"gap_from"`
		To     time.Time `json:"gap_to"`
		Before string    `json:"before_sequence_number"`
	}
	if err := json.Unmarshal([]byte(g.log.String()), &line); err != nil {
		g.Fatalf("%v: %s", err, g.log)
	}
	return pending, strings.TrimSpace(fmt.Sprint(time.Since(line.From), " to ", time.Since(line.To), " ", line.Before))
}

// An answer shows whether earlier records have expired, for 24 hours and to the second.
func TestCheckGap(t *testing.T) {
	f := func(what string, behind, first, lag time.Duration, skipped int, answered bool, want string) {
		t.Helper()
		withGapReader(t, behind, func(g *gapReader) {
			g.reader.answered = answered
			if pending, got := g.check(first, lag, skipped); got != want || pending {
				t.Errorf("%s: %q, pending %t", what, got, pending)
			}
		})
	}
	const day = 24 * time.Hour
	f("not behind", time.Hour, time.Minute, time.Hour, 0, true, "")
	f("a record that is kept", 30*time.Hour, time.Hour, time.Hour, 0, true, "30h0m0s to 23h59m59s 200")
	f("a record beyond the retention", 30*time.Hour, 25*time.Hour, time.Hour, 0, false, "30h0m0s to 25h0m0s 200")
	f("a record beyond the retention, in place", 30*time.Hour, 25*time.Hour, time.Hour, 0, true, "")
	f("a record at the retention, in place", 30*time.Hour, day, time.Hour, 0, true, "30h0m0s to 24h0m0s 200")
	f("a record that was read before", 30*time.Hour, time.Hour, time.Hour, 1, true, "")
	f("no record, at the tip", 30*time.Hour, 0, 0, 0, true, "30h0m0s to 23h59m59s")

	withGapReader(t, 30*time.Hour, func(g *gapReader) {
		answer := &kinesis.GetRecordsOutput{MillisBehindLatest: aws.Int64(0)}
		if pending := g.stream.checkGap(g.Context(), g.reader, time.Time{}, answer, 0); pending || g.log.Len() > 0 {
			t.Errorf("without a date: pending %t, %s", pending, g.log)
		}
	})
}

// While answers without records skip expired records, one gap grows. It is reported when the
// reader has passed it, or after gapInterval.
func TestCheckGapWhilePassing(t *testing.T) {
	expect := func(g *gapReader, first, lag time.Duration, wantPending bool, want string) {
		t.Helper()
		if pending, got := g.check(first, lag, 0); got != want || pending != wantPending {
			t.Errorf("%q, pending %t", got, pending)
		}
	}
	withGapReader(t, 30*time.Hour, func(g *gapReader) {
		expect(g, 0, time.Hour, true, "")
		time.Sleep(10 * time.Second)
		expect(g, time.Hour, time.Hour, false, "30h0m10s to 23h59m59s 200")
	})
	withGapReader(t, 30*time.Hour, func(g *gapReader) {
		expect(g, 0, time.Hour, true, "")
		expect(g, 0, time.Hour, false, "30h0m0s to 23h59m59s") // it has passed the gap
	})
	withGapReader(t, 30*time.Hour, func(g *gapReader) {
		expect(g, 0, time.Hour, true, "")
		time.Sleep(gapInterval - time.Second)
		expect(g, 0, time.Hour, true, "")
		time.Sleep(time.Second)
		expect(g, 0, time.Hour, false, "30h1m0s to 23h59m59s")
	})
}

// update changes a row of the lease table by hand.
func (s *scenario) update(shard, expression string, values map[string]types.AttributeValue) {
	s.Helper()
	_, err := dynamodb.NewFromConfig(s.aws).UpdateItem(s.Context(), &dynamodb.UpdateItemInput{TableName: aws.String("leases"),
		Key: map[string]types.AttributeValue{"ShardID": &types.AttributeValueMemberS{Value: shard}}, UpdateExpression: &expression, ExpressionAttributeValues: values})
	if err != nil {
		s.Fatal(err)
	}
}

// The row of an older version or of vmware-go-kcl-v2 shows when its owner was last alive:
// later records may have expired.
func TestGapOfOldRow(t *testing.T) {
	const day = 24 * time.Hour
	for _, what := range []string{"older version", "kcl"} {
		t.Run(what, func(t *testing.T) {
			runScenario(t, day, day, func(s *scenario) {
				s.start()
				s.records(3)
				time.Sleep(time.Minute)
				s.stop()
				for _, id := range []string{heldShard, "shardId-000000000001"} {
					s.update(id, "REMOVE ReadThrough, ReadAt, ReadRate, StartingSequenceNumber", nil)
					if what == "kcl" {
						s.update(id, "REMOVE LeaseEpoch, LeaseCounter, LeaseDurationMillis", nil)
					}
				}
				if what == "kcl" {
					s.update("logsluice-first-start", "REMOVE ReadThrough", nil)
				}
				s.records(3)
				time.Sleep(30 * time.Hour)
				s.records(3)
				s.start()
				time.Sleep(time.Minute)
				if g := s.gaps(heldShard); len(g) != 1 {
					s.Errorf("%d lines: %+v", len(g), g)
				}
			})
		})
	}
}
