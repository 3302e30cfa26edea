package indexer

import (
	"slices"
	"time"
)

// queue holds parts until they are sent, in order per shard. A batch takes from the
// shards in turn, so that a shard with a backlog does not delay the others.
type queue struct {
	shards []*shardQueue // the shards with parts; the next batch starts with the first
	bytes  int           // approximate
	count  int           // documents
}

// shardQueue holds a shard's parts.
type shardQueue struct {
	shard string
	parts []part
	times []time.Time // the start of each part's linger
}

func (q *queue) empty() bool { return len(q.shards) == 0 }

// put appends a part to those of its shard.
func (q *queue) put(p part, at time.Time) {
	shard := p.docs.source.Shard
	i := slices.IndexFunc(q.shards, func(s *shardQueue) bool { return s.shard == shard })
	if i < 0 {
		i = len(q.shards)
		q.shards = append(q.shards, &shardQueue{shard: shard})
	}
	s := q.shards[i]
	s.parts, s.times = append(s.parts, p), append(s.times, at)
	q.bytes += p.size()
	q.count += p.count()
}

// oldest returns the arrival time of the part that has waited longest. The queue must not
// be empty.
func (q *queue) oldest() time.Time {
	at := q.shards[0].times[0]
	for _, s := range q.shards[1:] {
		if s.times[0].Before(at) {
			at = s.times[0]
		}
	}
	return at
}

// room is the space left in a batch.
type room struct{ bytes, count int }

func (r *room) use(p part) {
	r.bytes -= p.size()
	r.count -= p.count()
}

// without returns the room left after a batch.
func (r room) without(batch []part) room {
	for _, p := range batch {
		r.use(p)
	}
	return r
}

// fill moves parts to a batch as far as there is room, but at least one document if the
// batch is empty. Each shard gets an equal share of the room, then what the others leave.
func (q *queue) fill(batch []part, left room) []part {
	full := false
	for !full && !q.empty() && left.bytes > 0 && left.count > 0 {
		n := len(q.shards)
		share := room{max(left.bytes/n, 1), max(left.count/n, 1)}
		for range n {
			s := q.shards[0]
			q.shards = append(q.shards[:0], q.shards[1:]...)
			before := len(batch)
			batch, full = q.fillFrom(s, batch, share, left)
			for _, p := range batch[before:] {
				left.use(p)
			}
			if len(s.parts) > 0 {
				q.shards = append(q.shards, s)
			}
			if full {
				break
			}
		}
	}
	return batch
}

// fillFrom moves parts of one shard: at least one document, at most its share and what is
// left. full reports that the next document does not fit into what is left.
func (q *queue) fillFrom(s *shardQueue, batch []part, share, left room) (_ []part, full bool) {
	n := 0
	for n < len(s.parts) && share.bytes > 0 && share.count > 0 {
		head, rest := s.parts[n].split(min(share.bytes, left.bytes), share.count)
		if len(batch) > 0 && head.size() > left.bytes {
			full = true
			break
		}
		batch = append(batch, head)
		share.use(head)
		left.use(head)
		q.bytes -= head.size()
		q.count -= head.count()
		if rest.count() > 0 {
			s.parts[n] = rest
			break
		}
		n++
	}
	s.parts, s.times = slices.Delete(s.parts, 0, n), slices.Delete(s.times, 0, n)
	return batch, full || left.bytes <= 0 || left.count <= 0
}
