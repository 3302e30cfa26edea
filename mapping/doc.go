// Package mapping turns log events into OpenSearch documents. One Schema
// yields both the document encoder and the index template, so that what is
// written and how it is indexed cannot drift apart.
package mapping
