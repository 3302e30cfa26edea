// Package schema defines what documents are: the fields in a schema file, which values
// fit them, which events are dropped, and the names of the indices. The encoder and the
// index template are both made from it, so that documents and mapping cannot diverge.
package schema
