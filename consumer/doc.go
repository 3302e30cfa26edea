// Package consumer reads the stream. A worker leases shards and reads them. One processor
// per leased shard turns records into documents and passes them to the indexer. A watermark
// of acknowledgements decides up to which record a shard may be checkpointed.
//
// vmware-go-kcl-v2 drives it through package consumer/kcl and decides when a lease is
// acquired, read and released. How that is done is implemented here (stream.go,
// processor.go) and in package checkpoint.
package consumer
