package indexer

import (
	"fmt"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/timetext"
)

// Stalled shards: their documents or dead letters are not accepted anywhere. How metrics,
// probes and the log show them.

// stallLogPeriod is the time between two log lines about stalled shards.
const stallLogPeriod = time.Minute

// publish shows which indices do not accept documents, and whether shards are stalled
// because of it.
func (d *dispatcher) publish(now time.Time) {
	m := &d.ix.metrics
	m.waiting.Set(float64(len(d.targets) - d.givenUp))
	m.givenUp.Set(float64(d.givenUp))
	_, _, paused := d.ix.budget.state()
	m.paused.Set(float64(len(paused)))
	d.shown = len(d.targets) + len(paused)
	err := d.stalled(paused)
	if err == nil {
		d.ix.stalled.Store(nil)
		return
	}
	d.ix.stalled.Store(&err)
	if now.Sub(d.warned) >= stallLogPeriod {
		d.warned = now
		d.ix.cfg.Log.Error().Err(err).Msg("shards are stalled")
	}
}

// stalled returns why shards are not read, or will not be acknowledged, until somebody
// intervenes. It returns nil if no action is needed.
func (d *dispatcher) stalled(paused []string) error {
	if len(paused) > 0 {
		return fmt.Errorf("%s paused: waiting documents fill a quarter of IN_FLIGHT_BYTES, and their indices are not given up: %s",
			strings.Join(paused, ", "), d.waitedFor())
	}
	t := d.targets[deadletter.Index(d.ix.cfg.Prefix)]
	switch {
	case t == nil:
		return nil
	case t.givenUp && d.storing.attempts > 0:
		return fmt.Errorf("%s refuses dead letters, and they cannot be written to DEAD_LETTER_URL: %v", t.name, t.why)
	case t.isDue(d.ix.cfg.WaitForIndex) && d.ix.cfg.Store == nil:
		return fmt.Errorf("%s has refused dead letters for %s: make it accept documents, or set DEAD_LETTER_URL: %v",
			t.name, timetext.Format((t.clock - t.since).Round(time.Second)), t.why)
	}
	return nil
}

// waitedFor returns the indices that documents wait for, and why.
func (d *dispatcher) waitedFor() string {
	var all []string
	for _, t := range d.inOrder() {
		if t.pending > 0 {
			all = append(all, fmt.Sprintf("%s (%v)", t.name, t.why))
		}
	}
	return strings.Join(all, "; ")
}
