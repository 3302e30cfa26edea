// Package assets makes what logsluice installs on OpenSearch for its documents out of
// their schema and the naming of their indices: the index template, the lifecycle policy
// and, for OpenSearch Dashboards, index patterns, searches and dashboards.
package assets

import "logsluice/mapping/schema"

// Documents are the documents that the assets are for.
type Documents struct {
	// Naming is how their indices are named.
	Naming schema.Naming
	// Schema lists their fields.
	Schema *schema.Schema
	// Index has the settings of their indices.
	Index IndexSettings
}
