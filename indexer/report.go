package indexer

import (
	"strings"
	"time"

	"github.com/rs/zerolog"
)

// Lines about what is sent again come in at most this number a period: an
// OpenSearch that is away would fill the log. What is counted is whole.
const (
	reportBurst  = 5
	reportPeriod = 10 * time.Second
)

func sampled(log zerolog.Logger) zerolog.Logger {
	return log.Sample(&zerolog.BurstSampler{Burst: reportBurst, Period: reportPeriod})
}

// report logs what went wrong in a request: one line, whatever the number of
// documents.
func (ix *Indexer) report(verdicts []verdict, status int, err error) {
	var retried, plainly, dead, held int
	var reasons []string
	seen := make(map[string]bool)
	for _, v := range verdicts {
		switch n := v.to - v.from; {
		case len(v.next) == 1:
			plainly += n
		case len(v.next) > 1:
			dead += n
		case v.held:
			held += n
		case v.again:
			retried += n
		default:
			continue
		}
		if v.reason.kind != "" && !seen[v.reason.kind] {
			seen[v.reason.kind] = true
			reasons = append(reasons, v.reason.kind+": "+v.reason.text)
		}
	}
	ix.metrics.retried.Add(float64(retried + held))
	log, level := &ix.retriesLog, zerolog.WarnLevel
	if dead > 0 || plainly > 0 || held > 0 {
		log = &ix.cfg.Log // each of these is told
	}
	if dead > 0 || held > 0 || isWrongSetting(status) {
		level = zerolog.ErrorLevel
	}
	if retried+plainly+dead+held == 0 {
		return
	}
	event := log.WithLevel(level).Int("retried", retried)
	if err != nil {
		event = event.Err(err)
	}
	event.Int("plain", plainly).Int("dead_letters", dead).Int("dead_letters_refused", held).
		Str("reasons", strings.Join(reasons, "; ")).Msg("OpenSearch did not take all documents")
}
