package indexer

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// What is logged of outcomes, and how often.

// Lines of a kind come in at most this number per period: an OpenSearch that is
// away, or a flood of bad records, would fill the log. What is counted is whole.
const (
	reportBurst  = 5
	reportPeriod = 10 * time.Second
)

// sampled lets a few lines of a kind per period through. The zero value is ready
// to use.
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

// error logs an error, unless there were too many of late.
func (s *sampled) error(log zerolog.Logger, err error, message string) {
	if leftOut, ok := s.allow(); ok {
		log.Error().Err(err).Int("lines_left_out", leftOut).Msg(message)
	}
}

// refusals counts the documents of a request that OpenSearch did not accept.
type refusals struct {
	retried, waiting, plain, dead, held int
	reasons                             []string
}

func (f *refusals) add(v verdict) {
	n := v.count()
	switch {
	case v.outcome.isAccepted():
		return
	case v.isLetter():
		f.held += n
	case v.outcome == blocked, v.outcome == failedAlone:
		f.waiting += n
	case v.outcome.isAgain():
		f.retried += n
	case v.outcome == refusedForGood && (v.form == nil || v.form.kind == plain && v.form.origin):
		f.plain += n
	case v.form == nil || v.form.kind == plain:
		f.dead += n
	default:
		return // it was worth a try
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

// report logs what went wrong in a request.
func (ix *Indexer) report(verdicts []verdict, status int, err error) {
	var f refusals
	for _, v := range verdicts {
		f.add(v)
	}
	ix.metrics.retried.Add(float64(f.retried + f.waiting + f.held))
	switch {
	case err != nil && !tooLarge(status, err):
		ix.reportRequest(len(verdicts), status, err)
		return
	case err == nil && ix.requests.Worked():
		ix.cfg.Log.Info().Msg("OpenSearch answers bulk requests again")
	}
	if f.retried+f.waiting+f.plain+f.dead+f.held == 0 {
		return
	}
	log, level := &ix.retriesLog, zerolog.WarnLevel
	if f.dead > 0 || f.held > 0 {
		log = &ix.refusedLog // what is retried must not keep these from being seen
	}
	if f.dead > 0 || f.held > 0 {
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
	event.Int("plain", f.plain).Int("dead_letters", f.dead).Int("dead_letters_refused", f.held).Int("lines_left_out", leftOut).
		Str("reasons", strings.Join(f.reasons, "; ")).Msg("OpenSearch did not take all documents")
}

// reportRequest logs that a request as a whole failed, once for as long as requests fail in
// the same way. Documents are sent again.
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
