// Package consumer is the stream side: a worker of vmware-go-kcl-v2 that
// leases shards, one processor per leased shard that turns records into
// documents and hands them to the indexer, the acknowledgement watermark that
// decides how far a shard may be checkpointed, and draining.
//
// The library is used as it is. What it lacks is added at its seams: the
// checkpointer (package checkpoint), the middleware of the Kinesis client
// (stream.go) and the processor.
package consumer
