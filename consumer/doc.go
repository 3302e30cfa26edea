// Package consumer is the stream side: a worker that leases shards and reads
// them, one processor per leased shard that turns records into documents and
// passes them to the indexer, the acknowledgement watermark that decides how
// far a shard may be checkpointed, and draining.
//
// What drives it is vmware-go-kcl-v2, behind package consumer/kcl: it decides
// when a lease is acquired, read and released. How that is done is decided
// here (stream.go, processor.go) and in package checkpoint.
package consumer
