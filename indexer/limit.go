package indexer

import "time"

// limit is how many bulk requests may be under way at once, for all shards of
// the process: one more each time that as many as allowed have gone well, fewer
// at once when OpenSearch pushes back or suddenly takes several times as long
// (additive increase, multiplicative decrease). Before there ever were too many,
// one more with each request that took the last free place and went well. Its
// owner is the dispatcher.
type limit struct {
	most    int
	allowed float64 // from 1 to most
	running int
	cut     time.Time // of the last decrease: requests sent before say nothing of it
	best    float64   // seconds that a full request takes at its best, lately
}

const (
	onPushback = 0.5  // decrease when OpenSearch refuses work or does not answer
	onSlowness = 0.75 // decrease when requests queue inside OpenSearch
	slow       = 3    // times the best that tell so
	forget     = 1.05 // the best grows by this with each request: what lasts is no trouble
)

func newLimit(most int) limit { return limit{most: most, allowed: 1} }

// free tells whether one more request may be sent.
func (l *limit) free() bool { return l.running < int(l.allowed) }

// begin counts a request in and tells whether it takes the last free place.
func (l *limit) begin() (last bool) {
	l.running++
	return !l.free()
}

// trip is how a request fared.
type trip struct {
	sent     time.Time
	took     time.Duration
	pushback bool // refused for lack of room, or not answered
	full     bool // OpenSearch has done the work, and as much of it as for others
	last     bool // it took the last free place
}

// end counts a request out and learns from it.
func (l *limit) end(t trip) {
	l.running--
	switch {
	case t.pushback:
		l.reduce(t, onPushback)
	case t.full && l.isSlow(t.took.Seconds()):
		l.reduce(t, onSlowness)
	case t.last && l.cut.IsZero():
		l.allowed = min(l.allowed+1, float64(l.most))
	case t.last:
		l.allowed = min(l.allowed+1/l.allowed, float64(l.most))
	}
}

// isSlow compares a full request with the best, and learns what the best is.
func (l *limit) isSlow(seconds float64) bool {
	best := l.best
	l.best = seconds
	if best > 0 {
		l.best = min(seconds, best*forget)
	}
	return best > 0 && seconds > slow*best
}

func (l *limit) reduce(t trip, factor float64) {
	if t.sent.After(l.cut) {
		l.allowed = max(l.allowed*factor, 1)
		l.cut = t.sent.Add(t.took)
	}
}
