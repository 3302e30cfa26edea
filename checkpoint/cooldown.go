package checkpoint

import "time"

// cooldown keeps a worker that cannot read any shard from claiming shards that others read.
// Without it, a worker that reaches DynamoDB but not Kinesis would claim its share forever.
type cooldown struct {
	failed map[string]failedReading // by shard, since this worker last read any shard
	since  time.Time                // when the first of these failed
	last   time.Time                // when the last one failed
	cause  error                    // of the last failure
}

// failedReading describes this worker's attempts to read a shard that failed before the
// first successful read.
type failedReading struct {
	times    int   // attempts of this worker
	failures int64 // count in the row at that time
	shared   bool  // another worker caused some of these failures
}

// add records an attempt that failed before the first successful read. acquired is the row
// at acquisition, failures its current count.
func (c *cooldown) add(shard, worker string, acquired row, failures int64, cause error) {
	if len(c.failed) == 0 {
		c.since = time.Now()
	}
	f := c.failed[shard]
	continued := acquired.failures > 0 && acquired.failures >= f.failures
	f.shared = continued && (f.shared || acquired.failedBy != worker)
	f.times++
	f.failures = failures
	c.failed[shard] = f
	c.last, c.cause = time.Now(), cause
}

// noteRead records that this worker has read a shard.
func (c *cooldown) noteRead() {
	clear(c.failed)
	c.cause = nil
}

// blamesShard reports whether the cause is the shard and not the worker: another worker
// failed to read it as well, and no read has succeeded since.
func (f failedReading) blamesShard(seen row, worker string) bool {
	return seen.failures > 0 && seen.failures >= f.failures && (f.shared || seen.failedBy != worker)
}
