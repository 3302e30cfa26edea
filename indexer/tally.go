package indexer

import "time"

// tally is how OpenSearch as a whole fares: it decides whether an index is the
// exception or one of many.
type tally struct {
	accepted time.Time // when a document was accepted last
	tried    time.Time // when one was sent, or not accepted, last
	total    counts
	// seconds are those in which documents were sent for the first time, the
	// latest maxSeconds of them.
	seconds []second
}

// counts are of documents sent for the first time.
type counts struct{ sent, blocked int }

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

// send counts documents sent for the first time that have an outcome, and how
// many of them are blocked.
func (t *tally) send(now time.Time, sent, blocked int) {
	if sent == 0 {
		return
	}
	if n := len(t.seconds); n == 0 || t.seconds[n-1].unix != now.Unix() {
		t.seconds = append(t.seconds, second{now.Unix(), t.total})
		if len(t.seconds) > maxSeconds {
			t.seconds = append(t.seconds[:0], t.seconds[1:]...)
		}
	}
	t.total.sent += sent
	t.total.blocked += blocked
}

// isOutage reports whether documents were tried and none was accepted for a while.
func (t *tally) isOutage(now time.Time) bool {
	return t.tried.After(t.accepted) && now.Sub(t.accepted) >= outageAfter
}

// mostBlocked reports whether more than half of the documents were blocked since
// a count, or in the time that is looked back at, whichever is shorter.
func (t *tally) mostBlocked(since counts) bool {
	if len(t.seconds) > 0 && t.seconds[0].before.sent > since.sent {
		since = t.seconds[0].before
	}
	return 2*(t.total.blocked-since.blocked) > t.total.sent-since.sent
}
