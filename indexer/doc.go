// Package indexer sends documents to OpenSearch by bulk requests. Batches are bounded in
// bytes, documents and time. Each document gets its own outcome: only those that failed
// are sent again, and those that OpenSearch refuses permanently become dead letters.
//
// Start with indexer.go (what callers see), dispatcher.go (the loop), sender.go (one
// request) and settle.go (what follows from its outcomes).
package indexer
