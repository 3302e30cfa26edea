package indexer

// Watch registers shed, which is called at most once before forget is called. It is
// called when waiting documents take too much memory and this shard has the most. It must
// drop the shard's documents without an outcome, which are read again later, and must not
// block.
func (ix *Indexer) Watch(shard string, shed func()) (forget func()) {
	ix.watchers.Store(shard, &shed)
	return func() { ix.watchers.CompareAndDelete(shard, &shed) }
}

// shed drops the shards whose waiting documents take the most memory. They are read again
// later.
func (d *dispatcher) shed() {
	shards := d.ix.budget.toShed()
	if len(shards) == 0 {
		return
	}
	for _, shard := range shards {
		shed, ok := d.ix.watchers.LoadAndDelete(shard)
		if !ok {
			continue
		}
		d.ix.cfg.Log.Error().Str("shard", shard).Str("waits_for", d.waitedFor()).
			Msg("shard paused and its waiting documents dropped, as they take too much memory: it is read again later from its checkpoint")
		(*shed.(*func()))()
	}
	d.dropCanceled()
}
