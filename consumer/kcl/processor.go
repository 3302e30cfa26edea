package kcl

import (
	"github.com/vmware/vmware-go-kcl-v2/clientlibrary/interfaces"
)

// processors makes the library's processors.
type processors func(shard string) Processor

// CreateProcessor implements interfaces.IRecordProcessorFactory.
func (p processors) CreateProcessor() interfaces.IRecordProcessor { return &processor{create: p} }

// processor is a Processor as the library calls it. The library says only with Initialize
// which shard it is for, and in Shutdown hands over a checkpointer of which the end of the
// shard is the one use: its PrepareCheckpoint returns a value that cannot be used, and
// sequence numbers are checkpointed by the lease's heartbeat.
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
