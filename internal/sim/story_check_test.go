package sim

import (
	"testing"
	"time"
)

// Each kind of event has its own name.
func TestKinds(t *testing.T) {
	t.Parallel()
	names := make(map[string]bool)
	for kind := range eventKinds {
		if name := kind.String(); name == "" || names[name] {
			t.Errorf("kind %d has the name %q, which is empty or that of another kind: see kinds", kind, name)
		} else {
			names[name] = true
		}
	}
}

// A stream that is created again while no worker reaches Kinesis may show a gap of the old one.
func TestStreamCreatedAgainUnnoticed(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		s := story{seed: seed, workers: 2, shards: 2, skews: []time.Duration{0, 0}, events: []event{
			{what: cutKinesis, worker: 0, lasting: 3 * time.Minute, percent: 100},
			{what: cutKinesis, worker: 1, lasting: 3 * time.Minute, percent: 100},
			{what: passRetention, after: 6 * time.Second},
			{what: createStreamAgain, after: time.Second},
		}}
		if c := play(t, s, logsluice); c.violations != nil {
			t.Errorf("%s\n%s\n%s", s, c.last(historyLines), c.violations)
		}
	}
}
