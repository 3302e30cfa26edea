// Package assets makes what logsluice installs on OpenSearch, from the schema of the
// documents and the naming of their indices: the index template, the lifecycle policy
// and, for OpenSearch Dashboards, index patterns, searches and dashboards.
package assets

import "logsluice/mapping/schema"

// Documents describes the documents that the assets are for.
type Documents struct {
	// Naming is the naming of their indices.
	Naming schema.Naming
	// Schema lists their fields.
	Schema *schema.Schema
	// Index contains the settings of their indices.
	Index IndexSettings
}
