// Package opensearch is an OpenSearch domain: how it is reached, what logsluice installs
// there, and what it answers when it does not do so.
package opensearch
