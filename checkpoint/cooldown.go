package checkpoint

import "time"

// cooldown keeps a worker that can read nothing from claiming what others read:
// one that reaches DynamoDB and not Kinesis would ask for its share for ever.
type cooldown struct {
	failed map[string]failedReading // by shard, since this worker last read any
	since  time.Time                // when the first of these failed
	last   time.Time                // when the last one failed
	cause  error                    // of that
}

// failedReading describes the readings of a shard that failed before they had
// read.
type failedReading struct {
	times    int   // of this worker
	failures int64 // that the row had then
	shared   bool  // some of these are another worker's
}

// add notes that a reading failed before it had read. acquired is the row as it
// was acquired, failures what it has now.
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

// read notes that this worker has read a shard, whichever.
func (c *cooldown) read() {
	clear(c.failed)
	c.cause = nil
}

// ofShard reports whether the shard is to blame and not the worker: another
// worker's reading failed, too, and none has succeeded since.
func (f failedReading) ofShard(seen row, worker string) bool {
	return seen.failures > 0 && seen.failures >= f.failures && (f.shared || seen.failedBy != worker)
}
