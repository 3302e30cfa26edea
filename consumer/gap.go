package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/checkpoint"
	"logsluice/internal/statelog"
)

// Records that expire before they are read are missing in OpenSearch. Kinesis does not report
// them: an iterator skips them. A gap is found by comparing two times, both by Kinesis' clock:
// the time up to which a shard was read before an answer, and the time before which all
// records had expired when the answer arrived. Gaps occur when reading begins, or when a
// reader waits for OpenSearch longer than the retention.

// retention caches how long the stream keeps its records. It can change at any time, so it is
// requested again when records may have expired.
type retention struct {
	mu      sync.Mutex
	length  time.Duration // 0 if unknown
	asked   time.Time
	trimmed time.Time // all earlier records have expired: a longer retention does not restore them
	lines   *statelog.Sampler
}

const (
	// minRetention is below any retention that a stream can have. A reader that is less behind
	// does not need to know the retention.
	minRetention = time.Hour
	// minAWSRetention is the shortest retention that AWS allows.
	minAWSRetention = 24 * time.Hour
	// retentionTTL is how long a known retention is used, and expiredTTL how long it is used
	// when it implies that records have expired.
	retentionTTL, expiredTTL = time.Minute, 10 * time.Second
	// dateUnit is the precision of the Date header, which is truncated to it.
	dateUnit = time.Second
)

// horizon returns the time before which all records may have expired. now and read are by
// Kinesis' clock; read is the time up to which the reader has read. The result is zero if no
// unread record can have expired, or if the retention is unknown.
func (s *stream) horizon(ctx context.Context, now, read time.Time) time.Time {
	if now.Sub(read) < minRetention-dateUnit {
		return time.Time{}
	}
	known := &s.retention
	known.mu.Lock()
	length, age := known.length, time.Since(known.asked)
	known.mu.Unlock()
	// A retention that was increased in the meantime must not cause a gap.
	if expired := length > 0 && read.Before(now.Add(dateUnit-length)); age > retentionTTL || expired && age > expiredTTL {
		s.refreshRetention(ctx, now.Sub(read))
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.length == 0 {
		return time.Time{}
	}
	if at := now.Add(dateUnit - known.length); at.After(known.trimmed) {
		known.trimmed = at
	}
	return known.trimmed
}

// set sets the retention that Kinesis has just reported.
func (r *retention) set(length time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.length, r.asked = length, time.Now()
}

// refreshRetention requests the retention for a reader that is this far behind. It keeps the
// previous one if the request fails.
func (s *stream) refreshRetention(ctx context.Context, behind time.Duration) {
	d, err := Describe(ctx, s.kinesis, s.name)
	known := &s.retention
	if err == nil {
		known.set(d.Retention)
		return
	}
	known.mu.Lock()
	defer known.mu.Unlock()
	known.asked = time.Now()
	if known.length == 0 && behind > minAWSRetention && ctx.Err() == nil {
		known.lines.Warn(s.log, apiCode(err)).Err(err).Str("behind", behind.Round(time.Second).String()).Str("remedy", describeRemedy).
			Msg("the stream's retention is unknown, so records may have expired unread")
	}
}

// gap is an interval of a shard in which records may have expired unread, by Kinesis' clock.
type gap struct {
	from, to      time.Time
	after, before string // sequence numbers around it, "" if unknown
}

// gapInterval is the time between two log lines about a shard whose reader stays behind the
// retention.
const gapInterval = time.Minute

// moveToHorizon moves a reader to the oldest record when its next records have expired.
// Otherwise Kinesis may return many empty answers before it reaches records that still
// exist.
func (s *stream) moveToHorizon(ctx context.Context, r *reader) (moved bool) {
	now := s.table.Now()
	if horizon := s.horizon(ctx, now, r.read); !r.read.Before(horizon) || r.position.ShardIteratorType == types.ShardIteratorTypeTrimHorizon {
		return false
	}
	r.position = kinesis.GetShardIteratorInput{StreamName: &s.name, ShardId: &r.shard, ShardIteratorType: types.ShardIteratorTypeTrimHorizon}
	return true
}

// skipRead removes records from an answer that were read before. A reader that was moved to
// the oldest record gets them again if they have not expired after all.
func (r *reader) skipRead(answer *kinesis.GetRecordsOutput) (skipped int) {
	for skipped < len(answer.Records) && checkpoint.CompareNumbers(aws.ToString(answer.Records[skipped].SequenceNumber), r.last) <= 0 {
		skipped++
	}
	answer.Records = answer.Records[skipped:]
	return skipped
}

// checkGap looks for a gap before an answer with a date. While answers skip expired records
// the gap grows and is pending: it is not reported yet.
func (s *stream) checkGap(ctx context.Context, r *reader, date time.Time, answer *kinesis.GetRecordsOutput, skipped int) (pending bool) {
	found, isGap := s.gapBefore(ctx, r, date, answer.Records, skipped)
	skipping := isGap && len(answer.Records) == 0 && aws.ToInt64(answer.MillisBehindLatest) > 0
	s.shards.mu.Lock()
	defer s.shards.mu.Unlock()
	if isGap {
		r.read = found.to
		s.metrics.gapSeconds.Add(found.to.Sub(found.from).Seconds())
		if r.gap == nil {
			r.gap, r.gapFound = &found, time.Now()
		}
		r.gap.to, r.gap.before = found.to, found.before
	}
	if !skipping || time.Since(r.gapFound) >= gapInterval {
		s.reportGapLocked(r)
	}
	return r.gap != nil
}

// gapBefore returns the gap between the last record that a reader has read and an answer.
func (s *stream) gapBefore(ctx context.Context, r *reader, date time.Time, records []types.Record, skipped int) (found gap, ok bool) {
	if date.IsZero() || skipped > 0 { // no record after an existing one has expired
		return gap{}, false
	}
	found = gap{from: r.read, to: s.horizon(ctx, date, r.read), after: r.last}
	if len(records) > 0 {
		found.before = aws.ToString(records[0].SequenceNumber)
		first := aws.ToTime(records[0].ApproximateArrivalTimestamp)
		if r.answered && first.Before(found.to.Add(-dateUnit)) {
			return gap{}, false // Kinesis still has records that are older than the retention
		}
		if first.Before(found.to) {
			found.to = first
		}
	}
	return found, found.from.Before(found.to)
}

// reportGapLocked reports the reader's gap, if it has one. s.shards.mu must be held.
func (s *stream) reportGapLocked(r *reader) {
	if r.gap == nil {
		return
	}
	g := *r.gap
	r.gap = nil
	if marks := s.shards.marksOfLocked(r.shard, r.lease); marks != nil {
		marks.through(g.to) // the next reading does not find it again
	}
	s.metrics.gaps.Inc()
	r.lease.AddGap(g.from, g.to)
	const layout = "2006-01-02T15:04:05.000Z07:00"
	s.log.Error().Str("shard", r.shard).Str("gap_from", g.from.UTC().Format(layout)).Str("gap_to", g.to.UTC().Format(layout)).
		Float64("gap_seconds", g.to.Sub(g.from).Seconds()).Str("after_sequence_number", g.after).Str("before_sequence_number", g.before).
		Msg("records expired unread")
}
