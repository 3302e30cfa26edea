// Package indexer brings documents into OpenSearch by bulk requests: batches
// bounded in bytes, documents and time, a verdict for each document, retries
// of just those that failed, and dead letters for those that OpenSearch
// refuses for good.
package indexer
