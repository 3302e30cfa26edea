package indexer

import (
	"fmt"
	"strings"
	"time"

	"logsluice/indexer/deadletter"
	"logsluice/internal/timetext"
)

// Shards that stand still, as their documents or dead letters are accepted nowhere: what
// metrics, probes and the log show of it.

// standstillPeriod is the time between two lines about shards that stand still.
const standstillPeriod = time.Minute

// publish shows which indices do not accept documents, and whether shards stand
// still because of it.
func (d *dispatcher) publish(now time.Time) {
	m := &d.ix.metrics
	m.waiting.Set(float64(len(d.targets) - d.given))
	m.givenUp.Set(float64(d.given))
	_, _, paused := d.ix.budget.state()
	m.paused.Set(float64(len(paused)))
	d.shown = len(d.targets) + len(paused)
	err := d.standstill(paused)
	if err == nil {
		d.ix.standstill.Store(nil)
		return
	}
	d.ix.standstill.Store(&err)
	if now.Sub(d.warned) >= standstillPeriod {
		d.warned = now
		d.ix.cfg.Log.Error().Err(err).Msg("shards stand still")
	}
}

// standstill is why shards are not read on, or will not be acknowledged, until
// somebody helps; nil if nothing has to be done.
func (d *dispatcher) standstill(paused []string) error {
	if len(paused) > 0 {
		return fmt.Errorf("%s paused: the documents that wait fill a quarter of IN_FLIGHT_BYTES, and their indices are not given up: %s",
			strings.Join(paused, ", "), d.waitedFor())
	}
	t := d.targets[deadletter.Index(d.ix.cfg.Prefix)]
	switch {
	case t == nil:
		return nil
	case t.givenUp && d.storing.attempts > 0:
		return fmt.Errorf("%s refuses dead letters, and they cannot be put into DEAD_LETTER_URL: %v", t.name, t.why)
	case t.isDue(d.ix.cfg.WaitForIndex) && d.ix.cfg.Store == nil:
		return fmt.Errorf("%s has refused dead letters for %s: make it accept documents, or set DEAD_LETTER_URL: %v",
			t.name, timetext.Format((t.clock - t.since).Round(time.Second)), t.why)
	}
	return nil
}

// waitedFor names the indices that documents wait for, and why.
func (d *dispatcher) waitedFor() string {
	var all []string
	for _, t := range d.inOrder() {
		if t.undecided > 0 {
			all = append(all, fmt.Sprintf("%s (%v)", t.name, t.why))
		}
	}
	return strings.Join(all, "; ")
}
