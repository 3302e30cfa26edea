package kcl

import (
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
)

// processors creates the library's processors.
type processors func(shard string) Processor

// CreateProcessor implements interfaces.IRecordProcessorFactory.
func (p processors) CreateProcessor() interfaces.IRecordProcessor { return &processor{create: p} }

// processor adapts a Processor to the library. The library does not name the shard before
// Initialize. The checkpointer that it passes to Shutdown is used only for the end of the
// shard: its PrepareCheckpoint returns an unusable value, and the lease's heartbeat writes
// sequence numbers.
type processor struct {
	create processors
	shard  Processor
}

// Initialize implements interfaces.IRecordProcessor.
func (p *processor) Initialize(input *interfaces.InitializationInput) {
	p.shard = p.create(input.ShardId)
}

// ProcessRecords implements interfaces.IRecordProcessor.
func (p *processor) ProcessRecords(input *interfaces.ProcessRecordsInput) {
	p.shard.ProcessRecords(input.Records)
}

// Shutdown implements interfaces.IRecordProcessor.
func (p *processor) Shutdown(input *interfaces.ShutdownInput) {
	if input.ShutdownReason != interfaces.TERMINATE {
		p.shard.Shutdown(nil)
		return
	}
	p.shard.Shutdown(func() error { return input.Checkpointer.Checkpoint(nil) })
}
