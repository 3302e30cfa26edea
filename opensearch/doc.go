// Package opensearch is a client for an OpenSearch domain: how to reach it, what
// logsluice installs there, and the errors it returns.
package opensearch
