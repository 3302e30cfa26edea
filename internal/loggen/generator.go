package loggen

import (
	"math"
	"math/rand/v2"
	"time"
)

// Options say what to generate. The zero value is endless input from
// 2026-01-15T00:00:00Z on.
type Options struct {
	// Seed chooses the content. Runs of different seeds share no event id.
	Seed uint64
	// Start is the time of the first event. Ids have their 56 digits from 1985
	// to 2111.
	Start time.Time
	// Span is the time from the first event to the last, over which the events
	// are spread evenly; 24 hours when 0. Endless input takes one Span for each
	// million events.
	Span time.Duration
	// Events is the number of events in all records together, control messages
	// not counted; 0 is endless.
	Events int
}

// endlessSpan is how many events share a Span when there is no end to them.
const endlessSpan = 1_000_000

// Generator makes records. It is not safe for concurrent use.
type Generator struct {
	opts    Options
	rng     *rand.Rand
	sources []source
	ids     idMaker
	encoder *encoder
	line    line
	made    int // events so far
	started bool
}

// New makes a generator.
func New(opts Options) *Generator {
	if opts.Start.IsZero() {
		opts.Start = time.Date(2026, time.January, 15, 0, 0, 0, 0, time.UTC)
	}
	if opts.Span <= 0 {
		opts.Span = 24 * time.Hour
	}
	rng := rand.New(rand.NewPCG(opts.Seed, 0x6c6f6773)) //nolint:gosec // to be repeated, not to be secret
	return &Generator{
		opts:    opts,
		rng:     rng,
		sources: newSources(rng, opts.Start),
		ids:     idMaker{seed: opts.Seed},
		encoder: newEncoder(),
		line:    line{rng: rng},
	}
}

// One record in so many is a control message, besides the first, with which
// CloudWatch Logs tries a new subscription.
const controlEvery = 200

// Next makes the next record; false after the last.
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

// control is a record by which CloudWatch Logs sees whether it can reach the
// stream. It comes from no log group and has an event without an id.
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

// clock is the time of the next event in Unix milliseconds; into, from 0 to 1,
// is where in its share of the span it falls.
func (g *Generator) clock(into float64) int64 {
	total := g.opts.Events
	if total == 0 {
		total = endlessSpan
	}
	passed := (float64(g.made) + into) / float64(total) * float64(g.opts.Span.Milliseconds())
	return g.opts.Start.UnixMilli() + int64(passed)
}

// recordSize is how many events a record has: a few from a quiet stream, else
// log-normal, with a tail that ends at maxRecord.
func (g *Generator) recordSize() int {
	const (
		quiet     = 0.06 // share of the records
		median    = 88
		spread    = 0.8 // of the logarithm
		maxRecord = 600
	)
	if g.rng.Float64() < quiet {
		return 1 + g.rng.IntN(5)
	}
	n := int(median * math.Exp(spread*g.rng.NormFloat64()))
	return min(max(n, 1), maxRecord)
}

// source picks the stream of a record.
func (g *Generator) source() *source {
	return &g.sources[g.rng.IntN(len(g.sources))]
}
