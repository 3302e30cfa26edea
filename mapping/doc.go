// Package mapping turns log events into OpenSearch documents, as their schema says.
// A reader begins with mapper.go, then extract.go and line.go (fields in a line of JSON).
package mapping
