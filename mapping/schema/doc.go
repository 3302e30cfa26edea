// Package schema is what documents are: the fields that a schema file lists, what fits
// each of them, which events become no document, and how the indices are named that
// documents go to. Both the encoder and the index template are made from it, so that what
// is written and how it is indexed cannot drift apart.
package schema
