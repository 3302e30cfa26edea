package indexer

import "time"

// tally counts what OpenSearch as a whole accepts and refuses. It shows whether an index
// is the exception or one of many.
type tally struct {
	accepted time.Time     // when a document was last accepted
	tried    time.Time     // when a first attempt or a whole request last failed
	recent   time.Duration // how recent tried must be to count as an outage
	sentAt   time.Time     // when documents were last sent for the first time
	total    counts
	// seconds are the latest maxSeconds seconds in which documents were sent for the
	// first time.
	seconds []second
}

// counts are numbers of documents sent for the first time.
type counts struct{ sent, blocked, failed int }

// second holds the counts at the start of a second.
type second struct {
	unix   int64
	before counts
}

const (
	// outageAfter is how long nothing is accepted before that counts as an outage.
	outageAfter = time.Minute
	// maxSeconds is the number of seconds with first attempts that are considered.
	maxSeconds = 300
)

// add counts documents that were sent for the first time and have an outcome.
func (t *tally) add(now time.Time, n counts) {
	if n.sent == 0 {
		return
	}
	t.sentAt = now
	if n := len(t.seconds); n == 0 || t.seconds[n-1].unix != now.Unix() {
		t.seconds = append(t.seconds, second{now.Unix(), t.total})
		if len(t.seconds) > maxSeconds {
			t.seconds = append(t.seconds[:0], t.seconds[1:]...)
		}
	}
	t.total.sent += n.sent
	t.total.blocked += n.blocked
	t.total.failed += n.failed
}

// isOutage reports whether documents were tried and none was accepted for outageAfter.
// Documents that are sent again because of their index or because of themselves do not
// count: if a worker has no others, they prove nothing about others.
func (t *tally) isOutage(now time.Time) bool {
	return t.tried.After(t.accepted) && now.Sub(t.accepted) >= outageAfter && now.Sub(t.tried) < t.recent
}

// since returns what was counted since before, or in the considered seconds, whichever is
// shorter.
func (t *tally) since(before counts) counts {
	if len(t.seconds) > 0 && t.seconds[0].before.sent > before.sent {
		before = t.seconds[0].before
	}
	return counts{t.total.sent - before.sent, t.total.blocked - before.blocked, t.total.failed - before.failed}
}

// mostRefused reports whether more than half of the documents were blocked, or met an
// error of the server, since before or in the considered seconds, whichever is shorter.
func (t *tally) mostRefused(before counts) bool {
	n := t.since(before)
	return 2*(n.blocked+n.failed) > n.sent
}

// isStale reports whether the outcomes of first attempts no longer describe the present:
// documents were accepted after the last first attempts, or together with them at least
// outageAfter ago.
func (t *tally) isStale(now time.Time) bool {
	return t.accepted.After(t.sentAt) || t.accepted.Equal(t.sentAt) && now.Sub(t.sentAt) >= outageAfter
}

// mostFailed reports whether more than half of the documents failed alone, if enough were
// sent.
func (t *tally) mostFailed() bool {
	n := t.since(counts{})
	return n.sent >= enoughSent && 2*n.failed > n.sent
}
