package sim

import (
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"time"
)

// Answers of OpenSearch while it or one index does not accept documents.

// days is the number of daily indices in a story, without the day that begins with it.
const days = 5

// day returns the index of the nth day before a story begins.
func (c *cluster) day(n int) string {
	return prefix + "-" + c.begun.UTC().AddDate(0, 0, -n).Format(time.DateOnly)
}

// target returns the index that a trouble of one index affects. Permanent troubles affect the
// same index in the whole story, so that at most half of the documents are rejected forever.
func (c *cluster) target(e event) string {
	if e.forever {
		return c.day(days)
	}
	return c.day(1 + e.shard%days)
}

// blocks are answers after which a document waits for its index, regardless of the status.
var blocks = []refusal{
	{http.StatusForbidden, "cluster_block_exception", "index [%s] blocked by: [FORBIDDEN/8/index write (api)];"},
	{http.StatusForbidden, "security_exception", "no permissions for [indices:data/write/bulk[s]] and User [name=logs]"},
	{http.StatusNotFound, "index_not_found_exception", "no such index [%s]"},
	{http.StatusBadRequest, "index_closed_exception", "closed"},
	{http.StatusBadRequest, "illegal_argument_exception", "no write index is defined for alias [%s]. The write index may be explicitly disabled"},
	{http.StatusBadRequest, "illegal_argument_exception", "pipeline with id [gone] does not exist"},
	{http.StatusBadRequest, "validation_exception", "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [1000]/[1000] maximum shards open;"},
}

var (
	flooded     = refusal{http.StatusTooManyRequests, "cluster_block_exception", "index [%s] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"}
	unavailable = refusal{http.StatusServiceUnavailable, "unavailable_shards_exception", "[%s][0] primary shard is not active Timeout: [1m]"}
	failing     = refusal{http.StatusInternalServerError, "null_pointer_exception", "a plugin failed"}
	unmapped    = refusal{http.StatusBadRequest, "mapper_parsing_exception", "failed to parse"}
	busy        = refusal{http.StatusTooManyRequests, "rejected_execution_exception", "rejected execution of coordinating operation"}
)

// isBlocked reports whether the index is the cause of a rejection.
func (r *refusal) isBlocked() bool {
	return r != nil && *r != failing && *r != unmapped && *r != busy
}

func (r *refusal) isFlood() bool { return r != nil && strings.Contains(r.reason, "/12/") }

func (r refusal) of(index string) *refusal {
	if strings.Contains(r.reason, "%s") {
		r.reason = fmt.Sprintf(r.reason, index)
	}
	return &r
}

// share reports whether a document belongs to a given percentage of all. The choice is stable.
func share(id string, percent int) bool {
	return int(crc32.ChecksumIEEE([]byte("share"+id))%100) < percent
}

// refuses returns the rejection of an item that a trouble of OpenSearch causes, nil if none.
func (c *cluster) refuses(t trouble, i item) *refusal {
	if i.letter != nil {
		if t.what == refuseLetters {
			return blocks[t.percent%2].of(i.index)
		}
		return nil
	}
	this := i.index == c.target(t.event)
	switch {
	case t.what == blockIndex && this:
		return blocks[t.percent%len(blocks)].of(i.index)
	case t.what == floodStage && this:
		return flooded.of(i.index)
	case t.what == loseShards && this && share(i.id, t.percent):
		return unavailable.of(i.index)
	case t.what == failSome && this && share(i.id, t.percent/10):
		return failing.of(i.index)
	case t.what == blockAll:
		return blocks[0].of(i.index)
	}
	return nil
}

// requestFault returns the fault of a bulk request.
func (c *cluster) requestFault(p *process) (status int, delay time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.trouble {
		if !t.active() || !kinds[t.what].ofOpenSearch && t.worker != p.worker.number {
			continue
		}
		switch t.what {
		case failOpenSearch:
			c.sender(p).try()
			return http.StatusServiceUnavailable, 0
		case silentOpenSearch:
			c.sender(p).try()
			return 0, time.Until(t.until)
		}
		key := fmt.Sprint(t.worker, "index")
		c.calls[key]++
		if !c.affects(t.percent, key, c.calls[key]) {
			continue
		}
		switch t.what {
		case refuseBulk:
			return http.StatusServiceUnavailable, 0
		case slowIndex:
			return 0, time.Duration(c.hash("how", key, c.calls[key])%10_000) * time.Millisecond
		}
	}
	return 0, 0
}

// itemFault returns why an item is rejected, nil if it is accepted.
func (c *cluster) itemFault(p *process, i item) *refusal {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.trouble {
		switch {
		case !t.active():
		case kinds[t.what].ofOpenSearch:
			if r := c.refuses(t, i); r != nil {
				return r
			}
		case t.what == refuseItems && t.worker == p.worker.number:
			key := fmt.Sprint(t.worker, "index", i.id)
			c.calls[key]++
			if c.affects(t.percent, key, c.calls[key]) {
				return busy.of(i.index)
			}
		}
	}
	if refused(i.id) {
		return unmapped.of(i.index)
	}
	return nil
}
