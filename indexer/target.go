package indexer

import "time"

// The rules by which an index is given up. They have no effects; waiting.go applies them.

// target is an index that does not accept all of its documents. It exists from the first
// refused document until no document waits or, once the index is given up, until it
// accepts a probe.
type target struct {
	name    string
	letters bool // it is the dead-letter index

	before        counts        // the counts when it first refused a document
	clock         time.Duration // time since then, except while it was protected
	ticked        time.Time     // when the clock was last advanced
	protectedAt   time.Time     // when it was last protected
	flood         bool          // the disk's flood stage blocks it
	delayedEndsAt time.Time     // when it last delayed the ends of shards
	givenUp       bool
	why           *reason // of the last refusal

	blocked   []*delayedPart // documents that wait until it accepts any
	isBlocked bool           // it refused documents as blocked and has accepted none of them since
	since     time.Duration  // the clock when isBlocked was set
	failing   []retry        // documents that fail alone
	failed    int            // documents whose first attempt failed alone
	pending   int            // number of all these documents, including those being tried
	bytes     int            // bytes of these documents

	accepted   int       // documents accepted since the target exists
	acceptedAt time.Time // when it last accepted a document that had not waited
	attempts   int       // consecutive failed probes
	probing    int       // documents of the running probe
	probeDue   time.Time
}

// failures describes since when documents fail while others do not.
type failures struct {
	whole    bool // whole requests fail; otherwise the documents have their own errors
	at       time.Time
	clock    time.Duration // the clock of its index
	accepted int           // number of documents accepted before: by its index, or overall for a whole request
	seen     int           // the same at its last failure
	tries    int           // failures while others were accepted
}

const (
	// A document that fails alone is to blame for it after maxTries attempts over at
	// least failingFor, while its index accepted enoughOthers other documents.
	maxTries     = 10
	failingFor   = 5 * time.Minute
	enoughOthers = 1000
	// enoughFailed is how many documents show that an index fails on all.
	enoughFailed = 10
	// probeDocuments is the maximum number of documents in a probe, which finds out
	// whether an index accepts documents.
	probeDocuments = 100
	// probeInterval is the time between two probes of an index that is given up.
	probeInterval = time.Minute
	// enoughSent is how many documents show at the end of a shard that most are blocked.
	// The shard's last document alone is not enough: if the worker reads nothing else,
	// that document would keep the children waiting.
	enoughSent = 10
	// afterOutage is how long after an outage no index is given up to free memory: the
	// outage filled it, and the documents may soon be accepted.
	afterOutage = time.Minute
	// shardEndWait is how long the end of a shard waits for documents without an outcome.
	shardEndWait = time.Minute
	// acceptsSomeFor is how long an index counts as accepting some documents after it
	// accepted one.
	acceptsSomeFor = time.Minute
)

// isToBlame reports whether a document that fails alone, as f describes, is the cause.
func isToBlame(f *failures, tries int, now time.Time, accepted int) bool {
	return tries >= maxTries && now.Sub(f.at) >= failingFor && accepted-f.accepted >= enoughOthers
}

// advance advances the clock, unless the index is protected.
func (t *target) advance(now time.Time, all *tally) {
	step := now.Sub(t.ticked)
	t.ticked = now
	if t.delaysShardEnds(now, all) {
		t.delayedEndsAt = now
	}
	if t.isProtected(now, all) {
		t.protectedAt = now
		return
	}
	t.clock += step
}

// isProtected reports whether the index must not be given up: in an outage, while most
// documents are blocked since its first refusal, and in the disk's flood stage.
func (t *target) isProtected(now time.Time, all *tally) bool {
	return t.flood || all.isOutage(now) || all.mostRefused(t.before)
}

// delaysShardEnds reports whether the ends of shards wait for the index's documents.
func (t *target) delaysShardEnds(now time.Time, all *tally) bool {
	return t.flood || all.isOutage(now) || all.mostRefused(t.before) && all.since(t.before).sent >= enoughSent && !all.isStale(now)
}

// failsAll reports whether the index fails on every document, for example because its
// pipeline is broken. The index is blocked then, and none of its documents is to blame.
func (t *target) failsAll() bool { return t.accepted == 0 && t.failed >= enoughFailed }

// isDue reports whether documents have waited for at least limit. 0 means no limit.
func (t *target) isDue(limit time.Duration) bool {
	return limit > 0 && t.isBlocked && t.clock-t.since >= limit
}

// acceptsSome reports whether the index recently accepted documents that had not waited.
// The waiting ones are the exception then.
func (t *target) acceptsSome(now time.Time) bool {
	return !t.acceptedAt.IsZero() && now.Sub(t.acceptedAt) < acceptsSomeFor
}
