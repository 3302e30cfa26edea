package indexer

import (
	"slices"
	"time"
)

// queue holds parts until they are sent, those of each shard in their order. A
// batch takes from the shards in turn, so that one with much to send does not
// keep others waiting.
type queue struct {
	lines []*line // of the shards that have something, the next to be taken from first
	bytes int     // about
	count int     // documents
}

// line is what a shard has in a queue.
type line struct {
	shard string
	parts []part
	times []time.Time // from which each may linger
}

func (q *queue) empty() bool { return len(q.lines) == 0 }

// put puts a part behind those of its shard.
func (q *queue) put(p part, at time.Time) {
	shard := p.docs.source.Shard
	i := slices.IndexFunc(q.lines, func(l *line) bool { return l.shard == shard })
	if i < 0 {
		i = len(q.lines)
		q.lines = append(q.lines, &line{shard: shard})
	}
	l := q.lines[i]
	l.parts, l.times = append(l.parts, p), append(l.times, at)
	q.bytes += p.size()
	q.count += p.count()
}

// oldest is when the part came that has waited longest; the queue has one.
func (q *queue) oldest() time.Time {
	at := q.lines[0].times[0]
	for _, l := range q.lines[1:] {
		if l.times[0].Before(at) {
			at = l.times[0]
		}
	}
	return at
}

// room is what a batch has left.
type room struct{ bytes, count int }

func (r *room) use(p part) {
	r.bytes -= p.size()
	r.count -= p.count()
}

// without is what is left when a batch is taken off.
func (r room) without(batch []part) room {
	for _, p := range batch {
		r.use(p)
	}
	return r
}

// take moves parts into a batch, at least one document if the batch is empty, as
// far as there is room. Each shard gives an equal share of the room, then what
// the others leave of it.
func (q *queue) take(batch []part, left room) []part {
	full := false
	for !full && !q.empty() && left.bytes > 0 && left.count > 0 {
		n := len(q.lines)
		share := room{max(left.bytes/n, 1), max(left.count/n, 1)}
		for range n {
			l := q.lines[0]
			q.lines = append(q.lines[:0], q.lines[1:]...)
			before := len(batch)
			batch, full = q.takeFrom(l, batch, share, left)
			for _, p := range batch[before:] {
				left.use(p)
			}
			if len(l.parts) > 0 {
				q.lines = append(q.lines, l)
			}
			if full {
				break
			}
		}
	}
	return batch
}

// takeFrom moves parts of one shard, at least a document and at most its share
// and what is left; full means that the next document does not fit what is left.
func (q *queue) takeFrom(l *line, batch []part, share, left room) (_ []part, full bool) {
	n := 0
	for n < len(l.parts) && share.bytes > 0 && share.count > 0 {
		head, rest := l.parts[n].split(min(share.bytes, left.bytes), share.count)
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
			l.parts[n] = rest
			break
		}
		n++
	}
	l.parts, l.times = slices.Delete(l.parts, 0, n), slices.Delete(l.times, 0, n)
	return batch, full || left.bytes <= 0 || left.count <= 0
}
