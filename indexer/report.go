package indexer

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// Logging of outcomes, and how often.

// At most reportBurst lines of a kind are logged per period: an unreachable OpenSearch,
// or a flood of bad records, would fill the log. Counts in the logged lines are complete
// per request.
const (
	reportBurst  = 5
	reportPeriod = 10 * time.Second
)

// sampled limits the lines of one kind per period. The zero value is ready to use.
type sampled struct {
	mu         sync.Mutex
	begun      time.Time
	n, leftOut int
}

// allow reports whether a line may be logged, and how many were left out before it.
func (s *sampled) allow() (leftOut int, ok bool) {
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
func (s *sampled) error(log zerolog.Logger, err error, message string) {
	if leftOut, ok := s.allow(); ok {
		log.Error().Err(err).Int("lines_left_out", leftOut).Msg(message)
	}
}

// refusals counts the documents of a request that OpenSearch did not accept.
type refusals struct {
	retried, waiting, plain, dead, refusedLetters int
	reasons                                       []string
}

func (f *refusals) add(v partOutcome) {
	n := v.count()
	switch {
	case v.outcome.isAccepted():
		return
	case v.isLetter():
		f.refusedLetters += n
	case v.outcome == blocked, v.outcome == failedAlone:
		f.waiting += n
	case v.outcome.isRetryable():
		f.retried += n
	case v.outcome == refusedForGood && (v.fallback == nil || v.fallback.kind == plain && v.fallback.origin):
		f.plain += n
	case v.fallback == nil || v.fallback.kind == plain:
		f.dead += n
	default:
		return // refusing a minimal fallback has no effect
	}
	const enough = 5
	if why := v.reason.String(); why != "" && len(f.reasons) < enough && !f.has(v.reason.kind) {
		f.reasons = append(f.reasons, why)
	}
}

func (f *refusals) has(kind string) bool {
	for _, why := range f.reasons {
		if strings.HasPrefix(why, kind+":") {
			return true
		}
	}
	return false
}

// report logs the failures of a request.
func (ix *Indexer) report(outcomes []partOutcome, status int, err error) {
	var f refusals
	for _, v := range outcomes {
		f.add(v)
	}
	ix.metrics.retried.Add(float64(f.retried + f.waiting + f.refusedLetters))
	switch {
	case err != nil && !tooLarge(status, err):
		ix.reportRequest(len(outcomes), status, err)
		return
	case err == nil && ix.requests.Worked():
		ix.cfg.Log.Info().Msg("OpenSearch answers bulk requests again")
	}
	if f.retried+f.waiting+f.plain+f.dead+f.refusedLetters == 0 {
		return
	}
	log, level := &ix.retriesLog, zerolog.WarnLevel
	if f.dead > 0 || f.refusedLetters > 0 {
		log = &ix.refusedLog // frequent retries must not suppress these lines
	}
	if f.dead > 0 || f.refusedLetters > 0 {
		level = zerolog.ErrorLevel
	}
	leftOut, ok := log.allow()
	if !ok {
		return
	}
	event := ix.cfg.Log.WithLevel(level).Int("retried", f.retried).Int("waiting", f.waiting)
	if err != nil {
		event = event.Err(err)
	}
	event.Int("plain", f.plain).Int("dead_letters", f.dead).Int("dead_letters_refused", f.refusedLetters).Int("lines_left_out", leftOut).
		Str("reasons", strings.Join(f.reasons, "; ")).Msg("OpenSearch did not take all documents")
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
