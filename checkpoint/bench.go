package checkpoint

import "time"

// bench keeps a worker that cannot read from taking what another could: one
// that reaches DynamoDB and not Kinesis would hold its share for ever.
type bench struct {
	shards   map[string]time.Time // not to be taken until then, if there are other workers
	failures int                  // readings in a row that failed before they had read
	last     time.Time            // when the last one did
}

// failed takes in that a reading ended by an error before it had read.
func (b *bench) failed(shard string, lease time.Duration) {
	b.failures++
	b.last = time.Now()
	b.shards[shard] = b.last.Add(2 * lease)
}

// read takes in that a reading has read.
func (b *bench) read(shard string) {
	b.failures = 0
	delete(b.shards, shard)
}

// unfit tells that this worker should not ask others for their leases: for the
// longer, the more readings failed.
func (b *bench) unfit(lease time.Duration) bool {
	const most = 3 // doublings
	return b.failures > 0 && time.Since(b.last) < lease<<min(b.failures, most)
}
