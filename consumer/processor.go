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

// processor processes the records of one shard under one lease. It implements kcl.Processor.
type processor struct {
	consumer    *Consumer
	mapper      *mapping.Mapper
	shard       string
	lease       *checkpoint.Lease
	marks       *watermark
	ctx         context.Context // ends when no more records may be accepted
	draining    context.Context // ends when the time for draining is over
	owned       context.Context // ends when the lease is lost, or released after the drain
	incomplete  bool            // a record was read but not accepted
	deadLetters int             // dead letters of the current sequence number
}

func (c *Consumer) createProcessor(shard string) kcl.Processor { return c.newProcessor(shard) }

// newProcessor returns the processor of a shard. Its lease must be held.
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
	// A worker that has claimed the lease does not wait forever while OpenSearch accepts
	// nothing.
	context.AfterFunc(p.lease.Reading(), func() { time.AfterFunc(p.consumer.cfg.DrainTimeout, giveUp) })
	owned, disown := context.WithCancel(p.lease.Context())
	p.owned = owned
	forget := p.consumer.indexer.OnShed(p.shard, func() {
		p.consumer.stream.park(p.shard)
		cancel()
		disown()
		giveUp()
	})
	// The KCL does not call Shutdown after every reading, but it always releases the lease.
	p.lease.BeforeRelease(func() {
		p.consumer.stream.endReading(p.shard)
		// The drain is also bounded when the reader ended by itself, because then no worker reads
		// the shard.
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

// ProcessRecords accepts records. It waits while the limit of bytes in flight is reached,
// which slows reading down when OpenSearch is slow. When the worker stops or the lease is
// lost, it returns early and the remaining records are read again.
func (p *processor) ProcessRecords(records []types.Record) {
	defer p.consumer.shards.enter(p.shard)()
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

// processRecord decodes and indexes one record. It returns false if not all of it was
// accepted.
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

// decoder waits until the shard's next record may be accepted, and for a decoder. It returns
// nil when no more records may be accepted.
func (p *processor) decoder() *subscription.Decoder {
	c := p.consumer
	for {
		if c.indexer.IsPaused(p.shard) {
			c.stream.releaseFetchOf(p.shard) // so that other shards can read
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

// put passes documents to the indexer as soon as the limit of bytes in flight allows it.
// reserved is the number of bytes that are already reserved for them. put returns false when
// no more documents may be passed.
func (p *processor) put(docs *indexer.Documents, reserved int64, acks *ackGroup) bool {
	if reserved == 0 {
		reserved = p.consumer.indexer.Reserve(p.ctx, p.shard, docs.Size())
	}
	if reserved == 0 {
		docs.Recycle()
		return false
	}
	acks.pending.Add(1)
	return p.consumer.indexer.Put(p.owned, docs, reserved, func(settled bool) {
		if settled {
			acks.ack()
		}
	}) == nil
}

// drain waits until every accepted record has its outcome. It returns false when the lease is
// lost or the time for draining is over before that.
func (p *processor) drain() bool {
	drained := p.marks.drained()
	select {
	case <-drained:
		return true
	case <-p.lease.Context().Done():
	case <-p.draining.Done():
		if p.owned.Err() != nil {
			break // the indexer dropped the shard's documents, and has logged why
		}
		p.consumer.cfg.Log.Warn().Str("shard", p.shard).Int("records", p.marks.pending()).
			Msg("shard not drained within the drain timeout: another worker reads these records again")
	}
	return false
}

// Shutdown is called at the end of a shard with a function that writes the end, and with nil
// when the worker stops. At the end of a shard it waits for the outcome of every record,
// because the shard's children may then be read. Otherwise the release of the lease drains.
func (p *processor) Shutdown(finish func() error) {
	p.consumer.stream.endReading(p.shard) // all records are accepted, and draining can take long
	defer p.consumer.shards.enter(p.shard)()
	if finish == nil || p.incomplete {
		return
	}
	defer p.consumer.indexer.EndShard(p.shard)()
	if !p.drain() {
		return
	}
	if err := finish(); err != nil {
		p.consumer.cfg.Log.Warn().Str("shard", p.shard).Err(err).
			Msg("the end of the shard could not be written: it is read again from its checkpoint")
	}
}
