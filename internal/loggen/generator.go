package loggen

import (
	"math"
	"math/rand/v2"
	"time"
)

// Options are what to generate. The zero value is endless input starting at
// 2026-01-15T00:00:00Z.
type Options struct {
	// Seed determines the content. Runs with different seeds share no event ids.
	Seed uint64
	// Start is the time of the first event. Ids have 56 digits for times from 1985 to
	// 2111.
	Start time.Time
	// Span is the time from the first event to the last, over which events are spread
	// evenly. It is 24 hours if 0. Endless input takes one Span per million events.
	Span time.Duration
	// Events is the number of events in all records together, without control messages. 0
	// means endless.
	Events int
}

// endlessSpan is the number of events per Span in endless input.
const endlessSpan = 1_000_000

// Generator generates records. It is not safe for concurrent use.
type Generator struct {
	opts    Options
	rng     *rand.Rand
	sources []source
	ids     idMaker
	encoder *encoder
	line    line
	made    int // events generated so far
	started bool
}

// New returns a generator.
func New(opts Options) *Generator {
	if opts.Start.IsZero() {
		opts.Start = time.Date(2026, time.January, 15, 0, 0, 0, 0, time.UTC)
	}
	if opts.Span <= 0 {
		opts.Span = 24 * time.Hour
	}
	rng := rand.New(rand.NewPCG(opts.Seed, 0x6c6f6773)) //nolint:gosec // reproducible, not secret
	return &Generator{
		opts:    opts,
		rng:     rng,
		sources: newSources(rng, opts.Start),
		ids:     idMaker{seed: opts.Seed},
		encoder: newEncoder(),
		line:    line{rng: rng},
	}
}

// controlEvery is the mean number of records per control message. The first record is also
// one, with which CloudWatch Logs tests a new subscription.
const controlEvery = 200

// Next returns the next record, or false after the last.
func (g *Generator) Next() (Record, bool) {
	if g.opts.Events > 0 && g.made >= g.opts.Events {
		return Record{}, false
	}
	if !g.started || g.rng.IntN(controlEvery) == 0 {
		g.started = true
		return g.control(), true
	}
	return g.data(), true
}

// control returns a record with which CloudWatch Logs tests whether it can reach the
// stream. It has no log group, and an event without an id.
func (g *Generator) control() Record {
	r := Record{
		Control:      true,
		Owner:        "CloudwatchLogs",
		Filters:      []string{},
		PartitionKey: partitionKey("control"),
		Events:       []Event{{Timestamp: g.clock(0), Message: "CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}},
	}
	r.Data = g.encoder.encode(&r)
	return r
}

func (g *Generator) data() Record {
	n := g.recordSize()
	if g.opts.Events > 0 {
		n = min(n, g.opts.Events-g.made)
	}
	from := g.source()
	r := Record{
		Owner:        owner,
		LogGroup:     from.group,
		LogStream:    from.stream,
		Filters:      []string{from.filter},
		PartitionKey: from.partitionKey,
		Events:       make([]Event, n),
	}
	for i := range r.Events {
		timestamp := g.clock(g.rng.Float64())
		r.Events[i] = Event{ID: g.ids.next(timestamp), Timestamp: timestamp, Message: g.line.write(from.kinds, timestamp)}
		g.made++
	}
	r.Data = g.encoder.encode(&r)
	return r
}

// clock returns the time of the next event in Unix milliseconds. into, from 0 to 1, is
// its position within its share of the span.
func (g *Generator) clock(into float64) int64 {
	total := g.opts.Events
	if total == 0 {
		total = endlessSpan
	}
	passed := (float64(g.made) + into) / float64(total) * float64(g.opts.Span.Milliseconds())
	return g.opts.Start.UnixMilli() + int64(passed)
}

// recordSize returns the number of events of a record: a few for a quiet stream,
// otherwise log-normally distributed, with a maximum of maxRecord.
func (g *Generator) recordSize() int {
	const (
		quiet     = 0.06 // share of all records
		median    = 88
		spread    = 0.8 // standard deviation of the logarithm
		maxRecord = 600
	)
	if g.rng.Float64() < quiet {
		return 1 + g.rng.IntN(5)
	}
	n := int(median * math.Exp(spread*g.rng.NormFloat64()))
	return min(max(n, 1), maxRecord)
}

// source chooses the stream of a record.
func (g *Generator) source() *source {
	return &g.sources[g.rng.IntN(len(g.sources))]
}
