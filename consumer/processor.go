package consumer

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"logsluice/checkpoint"
	"logsluice/consumer/kcl"
	"logsluice/indexer"
	"logsluice/mapping"
	"logsluice/subscription"
)

// processor takes the records of one shard under one lease: it is its kcl.Processor.
type processor struct {
	consumer    *Consumer
	mapper      *mapping.Mapper
	shard       string
	lease       *checkpoint.Lease
	marks       *watermark
	ctx         context.Context // ends when nothing more may be taken on
	draining    context.Context // ends when the time for draining is used up
	owned       context.Context // ends when the lease is lost, or released after the drain
	incomplete  bool            // a record was read and not taken on
	deadLetters int             // dead letters of the sequence number at hand
}

func (c *Consumer) createProcessor(shard string) kcl.Processor { return c.newProcessor(shard) }

// newProcessor returns the processor of a shard whose lease is held.
func (c *Consumer) newProcessor(shard string) *processor {
	p := &processor{consumer: c, mapper: c.mapper.Clone(), shard: shard, lease: c.table.Lease(shard)}
	p.marks = newWatermark(p.lease.Acknowledge)
	p.marks.readThrough = p.lease.ReadThrough
	p.consumer.shards.setWatermark(p.shard, p.lease, p.marks)
	ctx, cancel := context.WithCancel(p.lease.Reading())
	detach := context.AfterFunc(p.consumer.reading, cancel)
	p.ctx = ctx
	draining, giveUp := context.WithCancel(p.consumer.draining)
	p.draining = draining
	// A worker that has claimed the lease does not wait for ever for what
	// OpenSearch does not take.
	context.AfterFunc(p.lease.Reading(), func() { time.AfterFunc(p.consumer.cfg.DrainTimeout, giveUp) })
	owned, disown := context.WithCancel(p.lease.Context())
	p.owned = owned
	forget := p.consumer.indexer.Watch(p.shard, func() {
		p.consumer.stream.park(p.shard)
		cancel()
		disown()
		giveUp()
	})
	// The worker does not call Shutdown however a reading ends; releasing the lease is
	// what it always does.
	p.lease.BeforeRelease(func() {
		p.consumer.stream.endReading(p.shard)
		// Nor does the shard, when its reader ended by itself: nobody reads it.
		limit := time.AfterFunc(p.consumer.cfg.DrainTimeout, giveUp)
		p.drain()
		limit.Stop()
		forget()
		disown()
		giveUp()
		detach()
		cancel()
	})
	return p
}

// ProcessRecords takes records on. It waits while the bytes in flight are used
// up, which is what slows reading down when OpenSearch is slow. When the worker
// stops or the lease is lost, the rest of the records is left to be read again.
func (p *processor) ProcessRecords(records []types.Record) {
	defer p.consumer.shards.inside(p.shard)()
	for len(records) > 0 {
		number := aws.ToString(records[0].SequenceNumber)
		n := 1
		for n < len(records) && aws.ToString(records[n].SequenceNumber) == number {
			n++
		}
		m := p.marks.add(number, n)
		p.marks.through(aws.ToTime(records[n-1].ApproximateArrivalTimestamp))
		p.deadLetters = 0
		for i := range records[:n] {
			if !p.processRecord(&records[i], m) {
				p.marks.abandon(m)
				p.incomplete = true
				return
			}
		}
		records = records[n:]
	}
}

// take starts the work on one record. It returns false if not all of it was accepted.
func (p *processor) processRecord(r *types.Record, m *mark) bool {
	c := p.consumer
	decoder := p.decoder()
	if decoder == nil {
		return false
	}
	defer func() { c.decoders <- decoder }()
	return p.index(decoder, r, func() {
		c.metrics.latency.Observe(time.Since(aws.ToTime(r.ApproximateArrivalTimestamp)).Seconds())
		p.marks.acknowledge(m)
	})
}

// decoder waits until the next record of the shard may be taken, and for a decoder.
// It returns nil when nothing more may be.
func (p *processor) decoder() *subscription.Decoder {
	c := p.consumer
	for {
		if c.indexer.IsPaused(p.shard) {
			c.stream.releaseFetchOf(p.shard) // others read meanwhile
		}
		if !c.indexer.Begin(p.ctx, p.shard) {
			return nil
		}
		select {
		case decoder := <-c.decoders:
			if p.ctx.Err() == nil && !c.indexer.IsPaused(p.shard) {
				return decoder
			}
			c.decoders <- decoder
		case <-p.ctx.Done():
			return nil
		}
	}
}

// put passes documents to the indexer when the bytes in flight allow it, some of
// which may be reserved for them; false when that was not to be.
func (p *processor) put(docs *indexer.Documents, reserved int64, all *ackGroup) bool {
	if reserved == 0 {
		reserved = p.consumer.indexer.Reserve(p.ctx, p.shard, docs.Size())
	}
	if reserved == 0 {
		docs.Recycle()
		return false
	}
	all.pending.Add(1)
	return p.consumer.indexer.Put(p.owned, docs, reserved, func(settled bool) {
		if settled {
			all.ack()
		}
	}) == nil
}

// drain waits until every accepted record has its verdict. It returns false when
// the lease is lost or the time for draining is over before.
func (p *processor) drain() bool {
	drained := p.marks.drained()
	select {
	case <-drained:
		return true
	case <-p.lease.Context().Done():
	case <-p.draining.Done():
		p.consumer.cfg.Log.Warn().Str("shard", p.shard).Int("records", p.marks.pending()).
			Msg("not drained in time: these records are read again by another worker")
	}
	return false
}

// Shutdown is called at the end of a shard, with finish to write it, and when the worker
// stops. The end is written when every record of the shard has its outcome, for which its
// children wait; on the other occasions draining is left to the release of the lease.
func (p *processor) Shutdown(finish func() error) {
	p.consumer.stream.endReading(p.shard) // what was read is taken on; draining can take long
	defer p.consumer.shards.inside(p.shard)()
	if finish == nil || p.incomplete {
		return
	}
	defer p.consumer.indexer.EndShard(p.shard)()
	if !p.drain() {
		return
	}
	if err := finish(); err != nil {
		p.consumer.cfg.Log.Warn().Str("shard", p.shard).Err(err).
			Msg("the end of the shard could not be written; it is read again from its checkpoint")
	}
}
