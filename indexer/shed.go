package indexer

// Watch has shed called when the documents of a shard are to be dropped that have no
// outcome, and read again later: documents that wait for their indices take too much
// memory, and those of this shard most of it. shed must not block. Until forget is
// called, it can be called once.
func (ix *Indexer) Watch(shard string, shed func()) (forget func()) {
	ix.watchers.Store(shard, &shed)
	return func() { ix.watchers.CompareAndDelete(shard, &shed) }
}

// shed has the shards read again later that take the most memory for documents that
// wait.
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
			Msg("shard paused without its documents, which take too much memory while they wait: it is read again later from its checkpoint")
		(*shed.(*func()))()
	}
	d.dropForsaken()
}
