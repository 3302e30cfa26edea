package indexer

// OnShed registers a function for a shard. It is called at most once, and not after forget,
// when waiting documents take too much memory and this shard has the most. It must drop the
// shard's documents without an outcome, which are read again later, and must not block.
func (ix *Indexer) OnShed(shard string, shed func()) (forget func()) {
	ix.sheds.Store(shard, &shed)
	return func() { ix.sheds.CompareAndDelete(shard, &shed) }
}

// shed drops the shards whose waiting documents take the most memory. They are read again
// later.
func (d *dispatcher) shed() {
	shards := d.ix.budget.toShed()
	if len(shards) == 0 {
		return
	}
	for _, shard := range shards {
		shed, ok := d.ix.sheds.LoadAndDelete(shard)
		if !ok {
			continue
		}
		d.ix.cfg.Log.Error().Str("shard", shard).Str("waits_for", d.waitedFor()).
			Msg("shard paused and its waiting documents dropped, as they take too much memory: it is read again later from its checkpoint")
		(*shed.(*func()))()
	}
	d.dropCanceled()
}
