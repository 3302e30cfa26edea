package indexer

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Logging of outcomes.

// At most reportBurst lines of a kind are logged per period. Otherwise an unreachable
// OpenSearch, or a flood of bad records, would fill the log. Each line has the counts of a
// whole request.
const (
	reportBurst  = 5
	reportPeriod = 10 * time.Second
)

// sampler limits the lines of one kind per period. The zero value is ready to use.
type sampler struct {
	mu         sync.Mutex
	begun      time.Time
	n, leftOut int
}

// allow reports whether a line may be logged, and how many were left out before it.
func (s *sampler) allow() (leftOut int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.begun) >= reportPeriod {
		s.begun, s.n = now, 0
	}
	if s.n++; s.n > reportBurst {
		s.leftOut++
		return 0, false
	}
	leftOut, s.leftOut = s.leftOut, 0
	return leftOut, true
}

// error logs an error, unless too many were logged in this period.
func (s *sampler) error(log zerolog.Logger, err error, message string) {
	if leftOut, ok := s.allow(); ok {
		log.Error().Err(err).Int("lines_left_out", leftOut).Msg(message)
	}
}

// refusals counts the documents of a request that OpenSearch did not accept.
type refusals struct {
	retried, waiting, plain, dead, refusedLetters int
	reasons                                       []string
}

func (r *refusals) add(o partOutcome) {
	n := o.count()
	switch {
	case o.outcome.isAccepted():
		return
	case o.isLetter():
		r.refusedLetters += n
	case o.outcome == blocked, o.outcome == failedAlone:
		r.waiting += n
	case o.outcome.isRetryable():
		r.retried += n
	case o.outcome == refused && (o.fallback == nil || o.fallback.kind == plainFallback && o.fallback.withOrigin):
		r.plain += n
	case o.fallback == nil || o.fallback.kind == plainFallback:
		r.dead += n
	default:
		return // refusing a minimal fallback has no effect
	}
	const enough = 5
	if why := o.reason.String(); why != "" && len(r.reasons) < enough && !r.has(o.reason.kind) {
		r.reasons = append(r.reasons, why)
	}
}

func (r *refusals) has(kind string) bool {
	for _, why := range r.reasons {
		if strings.HasPrefix(why, kind+":") {
			return true
		}
	}
	return false
}

// report logs the failures of a request.
func (ix *Indexer) report(outcomes []partOutcome, status int, err error) {
	var r refusals
	for _, o := range outcomes {
		r.add(o)
	}
	ix.metrics.retried.Add(float64(r.retried + r.waiting + r.refusedLetters))
	switch {
	case err != nil && !tooLarge(status, err):
		ix.reportRequest(len(outcomes), status, err)
		return
	case err == nil && ix.requests.Worked():
		ix.cfg.Log.Info().Msg("OpenSearch answers bulk requests again")
	}
	if r.retried+r.waiting+r.plain+r.dead+r.refusedLetters == 0 {
		return
	}
	log, level := &ix.retriesLog, zerolog.WarnLevel
	if r.dead > 0 || r.refusedLetters > 0 { // frequent retries must not suppress these lines
		log, level = &ix.refusedLog, zerolog.ErrorLevel
	}
	leftOut, ok := log.allow()
	if !ok {
		return
	}
	event := ix.cfg.Log.WithLevel(level).Int("retried", r.retried).Int("waiting", r.waiting)
	if err != nil {
		event = event.Err(err)
	}
	event.Int("plain", r.plain).Int("dead_letters", r.dead).Int("dead_letters_refused", r.refusedLetters).Int("lines_left_out", leftOut).
		Str("reasons", strings.Join(r.reasons, "; ")).Msg("OpenSearch did not accept all documents")
}

// reportRequest logs that a request failed as a whole, once while requests keep failing
// in the same way. Its documents are sent again.
func (ix *Indexer) reportRequest(documents, status int, err error) {
	kind, level := "no answer", zerolog.WarnLevel
	if status != 0 {
		kind = fmt.Sprint(status, " ", causeOf(err).Type)
	}
	if isWrongSetting(status) {
		level = zerolog.ErrorLevel
	}
	if !ix.requests.Failed(kind) {
		return
	}
	line := ix.cfg.Log.WithLevel(level).Err(err)
	if ix.cfg.Remedy != nil && ix.cfg.Remedy(err) != "" {
		line = line.Str("remedy", ix.cfg.Remedy(err))
	}
	line.Int("documents", documents).Msg("bulk request failed, retrying: run logsluice doctor")
}
