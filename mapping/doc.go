// Package mapping turns log events into OpenSearch documents, according to a schema.
// Start with mapper.go, then extract.go and line.go (fields in a line of JSON).
package mapping
