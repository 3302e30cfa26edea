package indexer

import "time"

// limit bounds the number of concurrent bulk requests of all shards in the process. It
// grows by one each time as many requests as allowed have succeeded, and shrinks at once
// when OpenSearch pushes back or suddenly takes several times as long (additive increase,
// multiplicative decrease). Before its first decrease, it grows by one with each
// successful request that used the last free slot. The dispatcher owns it.
type limit struct {
	max     int
	allowed float64 // from 1 to max
	running int
	cut     time.Time // the last decrease; requests sent before it cause no other
	best    float64   // recent minimum of the seconds that a full request takes
}

const (
	pushbackFactor = 0.5  // decrease when OpenSearch refuses work or does not answer
	slownessFactor = 0.75 // decrease when requests queue inside OpenSearch
	slowMultiple   = 3    // multiple of the best that counts as slow
	bestGrowth     = 1.05 // growth of the best per request, so that lasting slowness becomes normal
)

func newLimit(maximum int) limit { return limit{max: maximum, allowed: 1} }

// available reports whether one more request may be sent.
func (l *limit) available() bool { return l.running < int(l.allowed) }

// acquire counts a request as running and reports whether it used the last free slot.
func (l *limit) acquire() (last bool) {
	l.running++
	return !l.available()
}

// requestStats describes how a request went.
type requestStats struct {
	sent     time.Time
	took     time.Duration
	pushback bool // refused for lack of capacity, or not answered
	full     bool // OpenSearch processed a batch large enough to compare with others
	last     bool // it used the last free slot
}

// release counts a request as finished and adjusts the limit.
func (l *limit) release(t requestStats) {
	l.running--
	switch {
	case t.pushback:
		l.reduce(t, pushbackFactor)
	case t.full && l.observe(t.took.Seconds()):
		l.reduce(t, slownessFactor)
	case t.last && l.cut.IsZero():
		l.allowed = min(l.allowed+1, float64(l.max))
	case t.last:
		l.allowed = min(l.allowed+1/l.allowed, float64(l.max))
	}
}

// observe records how long a full request took, and reports whether that is slow compared with
// the best.
func (l *limit) observe(seconds float64) bool {
	best := l.best
	l.best = seconds
	if best > 0 {
		l.best = min(seconds, best*bestGrowth)
	}
	return best > 0 && seconds > slowMultiple*best
}

func (l *limit) reduce(t requestStats, factor float64) {
	if t.sent.After(l.cut) {
		l.allowed = max(l.allowed*factor, 1)
		l.cut = t.sent.Add(t.took)
	}
}
