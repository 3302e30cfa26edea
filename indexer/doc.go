// Package indexer brings documents into OpenSearch by bulk requests: batches
// bounded in bytes, documents and time, a verdict for each document, retries
// of just those that failed, and dead letters for those that OpenSearch
// refuses for good.
//
// A reader begins with indexer.go (what callers see), dispatcher.go (the loop),
// sender.go (a request) and settle.go (what follows from its outcomes).
package indexer
