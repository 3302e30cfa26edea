// Package mapping turns log events into OpenSearch documents, as their schema says.
package mapping
