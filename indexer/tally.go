package indexer

import "time"

// tally counts what OpenSearch as a whole accepts and refuses: it shows whether an
// index is the exception or one of many.
type tally struct {
	accepted time.Time     // when a document was accepted last
	tried    time.Time     // when a first attempt or a whole request failed last
	recent   time.Duration // that is as long ago as a try may be that counts
	sentAt   time.Time     // when documents were sent for the first time last
	total    counts
	// seconds are those in which documents were sent for the first time, the
	// latest maxSeconds of them.
	seconds []second
}

// counts are of documents sent for the first time.
type counts struct{ sent, blocked, failed int }

// second is what had been counted before a second.
type second struct {
	unix   int64
	before counts
}

const (
	// outageAfter is how long nothing is accepted until that is an outage.
	outageAfter = time.Minute
	// maxSeconds is how many seconds in which documents were sent are looked back at.
	maxSeconds = 300
)

// send counts documents sent for the first time that have an outcome.
func (t *tally) send(now time.Time, n counts) {
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

// isOutage reports whether documents were tried and none was accepted for a while.
// Documents that are tried again because of their index or of themselves do not
// count: when these are all that a worker has left, they show nothing of others.
func (t *tally) isOutage(now time.Time) bool {
	return t.tried.After(t.accepted) && now.Sub(t.accepted) >= outageAfter && now.Sub(t.tried) < t.recent
}

// since is what was counted since a count, or in the time that is looked back at,
// whichever is shorter.
func (t *tally) since(before counts) counts {
	if len(t.seconds) > 0 && t.seconds[0].before.sent > before.sent {
		before = t.seconds[0].before
	}
	return counts{t.total.sent - before.sent, t.total.blocked - before.blocked, t.total.failed - before.failed}
}

// mostBlocked reports whether more than half of the documents were blocked, or met
// an error of the server, since a count or in the time that is looked back at,
// whichever is shorter.
func (t *tally) mostBlocked(before counts) bool {
	n := t.since(before)
	return 2*(n.blocked+n.failed) > n.sent
}

// isOver reports whether what became of documents sent for the first time says
// nothing of the present: others were accepted since, or as the last of them were
// sent, and none was for a while.
func (t *tally) isOver(now time.Time) bool {
	return t.accepted.After(t.sentAt) || t.accepted.Equal(t.sentAt) && now.Sub(t.sentAt) >= outageAfter
}

// mostFailed reports the same of those that failed alone, if enough were sent to tell.
func (t *tally) mostFailed() bool {
	n := t.since(counts{})
	return n.sent >= enoughSent && 2*n.failed > n.sent
}
