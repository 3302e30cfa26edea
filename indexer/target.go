package indexer

import "time"

// The rules by which an index is given up. They have no effects; waiting.go applies them.

// target is an index that does not accept all of its documents. It is kept from
// the first one that it refuses until none waits any more or, once it is given up,
// until it accepts a probe.
type target struct {
	name    string
	letters bool // it is the index of the dead letters

	before  counts        // what had been sent when it first refused a document
	clock   time.Duration // since then, without outages
	ticked  time.Time     // when the clock was advanced last
	kept    time.Time     // when it was last in an outage
	flood   bool          // the disk's flood stage blocks it
	endKept time.Time     // when it was last in an outage that ends of shards wait for
	givenUp bool
	why     *reason // of the last refusal

	blocked   []*held       // documents that wait until it accepts any
	isBlocked bool          // it refused documents as blocked, and accepted none of these since
	since     time.Duration // the clock when that began
	failing   []retry       // documents that fail alone
	failed    int           // documents that failed alone at first
	undecided int           // all of these, and those of them that are being tried
	bytes     int           // of these

	accepted   int       // documents that it accepted since it is kept
	acceptedAt time.Time // when it accepted a document that had not waited
	attempts   int       // probes that failed, one after the other
	probing    int       // documents of a probe that are under way
	probeDue   time.Time
}

// failing is since when a document fails while others do not.
type failing struct {
	whole    bool // with their requests; otherwise with an error of their own
	at       time.Time
	clock    time.Duration // of its index
	accepted int           // how many others its index had accepted, or all for a whole request
	seen     int           // the same when it failed last
	tries    int           // that failed while others were accepted
}

const (
	// maxTries, failingFor and enoughOthers say when a document that fails alone is
	// to blame for it: after so many tries, for so long, while its index accepted so
	// many others.
	maxTries     = 10
	failingFor   = 5 * time.Minute
	enoughOthers = 1000
	// enoughFailed is how many documents show that an index fails on all.
	enoughFailed = 10
	// probeDocuments is how many documents find out whether an index accepts them.
	probeDocuments = 100
	// probeInterval is the time between two probes of an index that is given up.
	probeInterval = time.Minute
	// enoughSent is how many documents show at the end of a shard that most are
	// blocked. The last one alone would be all that were sent since it was refused,
	// and if the worker has nothing else to read it would keep the children waiting.
	enoughSent = 10
	// afterOutage is how long after an outage no index is given up for the memory that
	// its documents take: they fill it because of the outage, and may be accepted soon.
	afterOutage = time.Minute
	// shardEndWait is how long the end of a shard waits for undecided documents.
	shardEndWait = time.Minute
	// partlyFor is how long an index that accepted a document counts as accepting
	// some.
	partlyFor = time.Minute
)

// isToBlame reports whether a document that failed alone since f is the cause.
func isToBlame(f *failing, tries int, now time.Time, accepted int) bool {
	return tries >= maxTries && now.Sub(f.at) >= failingFor && accepted-f.accepted >= enoughOthers
}

// advance lets time pass: the clock stands still in an outage.
func (t *target) advance(now time.Time, all *tally) {
	step := now.Sub(t.ticked)
	t.ticked = now
	if t.keepsEnds(now, all) {
		t.endKept = now
	}
	if t.isKept(now, all) {
		t.kept = now
		return
	}
	t.clock += step
}

// isKept reports whether the index may not be given up: in an outage, while most
// documents are blocked since it first refused one, and in the disk's flood stage.
func (t *target) isKept(now time.Time, all *tally) bool {
	return t.flood || all.isOutage(now) || all.mostBlocked(t.before)
}

// keepsEnds reports whether its documents keep the ends of their shards waiting.
func (t *target) keepsEnds(now time.Time, all *tally) bool {
	return t.flood || all.isOutage(now) || all.mostBlocked(t.before) && all.since(t.before).sent >= enoughSent && !all.isOver(now)
}

// failsAll reports whether the index fails on every document, as one does whose
// pipeline is broken: then it is blocked, and none of its documents is to blame.
func (t *target) failsAll() bool { return t.accepted == 0 && t.failed >= enoughFailed }

// isDue reports whether documents have waited long enough. limit 0 is never.
func (t *target) isDue(limit time.Duration) bool {
	return limit > 0 && t.isBlocked && t.clock-t.since >= limit
}

// acceptsSome reports whether the index accepted documents lately that had not
// waited: then those that wait are the exception.
func (t *target) acceptsSome(now time.Time) bool {
	return !t.acceptedAt.IsZero() && now.Sub(t.acceptedAt) < partlyFor
}
