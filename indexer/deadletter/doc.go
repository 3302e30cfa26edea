// Package deadletter keeps dead letters outside of OpenSearch, for when their index
// refuses them.
package deadletter
