// Package inflate inflates gzip (RFC 1952) that is whole in memory, straight
// into the memory where it is wanted. It takes and refuses what compress/gzip
// does, several times as fast: the bits come from 8 bytes at a time, short codes
// of literals are decoded two or three at once, and copies are of 16 bytes.
package inflate
